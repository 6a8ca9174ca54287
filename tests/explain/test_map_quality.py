"""Trust in a map: figures that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_core.explain import quality

TRUTH = np.zeros((4, 4), bool)
TRUTH[:2, :2] = True


def spot(row: int, column: int, value: float = 1.0) -> np.ndarray:
    values = np.zeros((4, 4), np.float32)
    values[row, column] = value
    return values


def test_pointing_game() -> None:
    assert quality.pointing_game(spot(0, 1), TRUTH) == 1.0
    assert quality.pointing_game(spot(3, 3), TRUTH) == 0.0
    assert quality.pointing_game(np.zeros((4, 4), np.float32), TRUTH) == 0.0
    assert quality.pointing_game(np.ones((4, 4), np.float32), TRUTH) == 0.25  # all equal: the truth's share
    assert quality.pointing_game(spot(0, 0, -5.0), TRUTH) == 0.0  # evidence against does not point


def test_energy_inside() -> None:
    values = spot(0, 0, 3.0) + spot(3, 3, 1.0) + spot(2, 2, -9.0)
    assert quality.energy_inside(values, TRUTH) == pytest.approx(0.75)
    assert quality.energy_inside(np.zeros((4, 4), np.float32), TRUTH) == 0.0
    assert quality.energy_inside(np.ones((4, 4), np.float32), TRUTH) == pytest.approx(TRUTH.mean())


def test_iou_at_a_share_of_the_maximum() -> None:
    values = spot(0, 0, 1.0) + spot(0, 1, 0.2) + spot(3, 3, 0.5) + spot(1, 1, 0.19)
    assert quality.iou(values, TRUTH) == pytest.approx(2 / 5)  # marked 3, truth 4, common 2
    assert quality.iou(values, TRUTH, share=0.6) == pytest.approx(1 / 4)
    assert quality.iou(np.zeros((4, 4), np.float32), TRUTH) == 0.0
    assert quality.iou(np.zeros((4, 4), np.float32), np.zeros((4, 4), bool)) == 0.0


def test_centre_baseline() -> None:
    assert quality.centre_hit(TRUTH) == 0.25  # one of the four middle pixels
    odd = np.zeros((5, 3), bool)
    odd[2, 1] = True
    assert quality.centre_hit(odd) == 1.0


def test_correlation_is_pearsons() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((5, 6)).astype(np.float32), rng.random((5, 6)).astype(np.float32)
    assert quality.correlation(a, b) == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-6)
    assert quality.correlation(a, 3 * a + 1) == pytest.approx(1.0)
    assert quality.correlation(a, np.ones_like(a)) == 0.0


def test_gaussian_is_a_centred_bell() -> None:
    bell = quality.gaussian((41, 21), 0.25)
    assert np.unravel_index(bell.argmax(), bell.shape) == (20, 10)
    assert bell.max() == pytest.approx(1.0)
    np.testing.assert_allclose(bell, bell[::-1, ::-1], rtol=1e-5)


def test_perturbation_curve_of_a_mean() -> None:
    start, end = np.ones((4, 5, 1), np.float32), np.zeros((4, 5, 1), np.float32)
    curve = quality.perturbation_curve(lambda x: float(x.mean()), start, end, np.arange(20), steps=4)
    np.testing.assert_allclose(curve.shares, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(curve.probabilities, [1, 0.75, 0.5, 0.25, 0], atol=1e-6)
    assert curve.area == pytest.approx(0.5)


def test_the_right_map_is_faithful_and_the_wrong_one_is_not() -> None:
    truth = np.zeros((20, 20), np.float32)
    truth[2:6, 14:18] = 1.0
    x = (truth[..., None] - 0.04).astype(np.float32)  # mean 0

    def probability(values: np.ndarray) -> float:
        return float(np.clip((values[..., 0] * truth).sum() / truth.sum(), 0, 1))

    right = quality.faithfulness(probability, x, truth)
    wrong = quality.faithfulness(probability, x, 1 - truth)
    assert right.better_than_chance
    assert not wrong.better_than_chance
    assert right.deletion < 0.1 < right.random_deletion < wrong.deletion
    assert right.insertion > right.random_insertion > wrong.insertion
    # 0.96 at the start, the 16 places that matter go in the first of ten parts: half of 0.96 over a tenth.
    assert right.deletion == pytest.approx(0.048, abs=0.001)
