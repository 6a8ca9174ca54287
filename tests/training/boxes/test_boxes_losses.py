from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.slow

SQUARE = [1.0, 1.0, 1.0, 1.0]


def giou(found: list[float], wanted: list[float]) -> tuple[float, float]:
    from medimg_core.training.boxes.losses import overlaps

    iou, generalised = overlaps(np.array([found], np.float32), np.array([wanted], np.float32))
    return float(iou[0]), float(generalised[0])


def test_giou_of_equal_boxes_is_one() -> None:
    assert giou(SQUARE, SQUARE) == pytest.approx((1.0, 1.0), abs=1e-5)


def test_giou_of_nested_boxes_is_their_iou() -> None:
    assert giou([2, 2, 2, 2], SQUARE) == pytest.approx((4 / 16, 4 / 16), abs=1e-5)


def test_giou_of_crossed_boxes_takes_off_the_empty_corners() -> None:
    # 2 x 8 and 8 x 2 cross in 2 x 2: union 28, hull 64.
    assert giou([1, 4, 1, 4], [4, 1, 4, 1]) == pytest.approx((4 / 28, 4 / 28 - 36 / 64), abs=1e-5)


def test_giou_of_boxes_that_touch_in_a_point() -> None:
    # Two unit squares on the diagonal: no overlap, union 2, hull 4.
    assert giou([1, 1, 0, 0], [0, 0, 1, 1]) == pytest.approx((0.0, -0.5), abs=1e-5)


def test_the_mean_counts_cells_by_their_weight() -> None:
    from medimg_core.training.boxes.losses import sides_loss

    found = np.array([[[SQUARE, [2, 2, 2, 2]]]], np.float32)
    wanted = np.array([[[SQUARE, SQUARE]]], np.float32)
    loss, iou = sides_loss(found, wanted, np.array([[[1.0, 3.0]]], np.float32))
    assert float(loss) == pytest.approx(3 * 0.75 / 4, abs=1e-4)
    np.testing.assert_allclose(np.asarray(iou), [[[1.0, 0.25]]], atol=1e-4)


def test_heat_is_focal_and_leaves_out_what_is_not_counted() -> None:
    from medimg_core.training.boxes.losses import heat_loss

    logits = np.array([[[0.0, 0.0, 5.0]]], np.float32)
    heat, counted = np.array([[[1.0, 0.5, 0.0]]], np.float32), np.array([[[1.0, 1.0, 0.0]]], np.float32)
    wanted = 0.25 * np.log(2) + 0.5**4 * 0.25 * np.log(2)
    assert float(heat_loss(logits, heat, counted)) == pytest.approx(wanted, rel=1e-5)
    assert float(heat_loss(logits, 0 * heat, 0 * counted)) == 0.0


def test_expected_overlap_is_right_at_its_logit() -> None:
    from medimg_core.training.boxes.losses import overlap_loss

    iou, weight = np.array([[[0.8]]], np.float32), np.array([[[2.0]]], np.float32)
    at = float(overlap_loss(np.array([[[np.log(4)]]], np.float32), iou, weight))
    for other in (0.0, 1.0, 2.0):
        assert at <= float(overlap_loss(np.array([[[other]]], np.float32), iou, weight))
