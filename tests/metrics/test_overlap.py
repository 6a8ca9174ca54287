import numpy as np
import pytest
from sklearn.metrics import f1_score

from medimg_core.metrics import dice


def test_dice_of_pixels_is_their_f1() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((40, 50)) < 0.3, rng.random((40, 50)) < 0.3
    assert dice(a, b) == pytest.approx(f1_score(a.ravel(), b.ravel()), abs=1e-12)


def test_edges() -> None:
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert dice(empty, empty) == 1.0
    assert dice(empty, full) == 0.0
    assert dice(full, full) == 1.0
    with pytest.raises(ValueError, match="one shape"):
        dice(full, full[:2])
