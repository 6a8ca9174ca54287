"""How well two outlines agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def dice(truth: ArrayLike, found: ArrayLike) -> float:
    """Dice coefficient 2 |A and B| / (|A| + |B|) of two masks of one shape (Dice, Ecology 26 (1945) 297).

    Returns:
        1.0 where both are empty: the model rightly found nothing.
    """
    a, b = np.asarray(truth).astype(bool), np.asarray(found).astype(bool)
    if a.shape != b.shape:
        raise ValueError("masks must have one shape")
    size = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / size if size else 1.0
