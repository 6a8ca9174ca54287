from __future__ import annotations

import math

import numpy as np
import pytest
from drawn_masks import box, image, region

from medimg_core.errors import BadRequest
from medimg_core.inference.measures import ErrorFit, kinds, measure, register
from medimg_core.inference.measures.registry import mask_of, measurement
from medimg_core.types import Region, Spacing


def test_every_family_is_registered_once() -> None:
    assert set(kinds()) >= {"fetal_head", "heart", "lesion", "lungs", "fundus"}
    with pytest.raises(ValueError, match="twice"):
        register("heart", lambda regions, image, errors: ())


def test_an_unknown_kind_lists_the_near_ones() -> None:
    with pytest.raises(BadRequest, match="fetal_head"):
        measure("fetal_heads", (), image((4, 4)), {})


@pytest.mark.parametrize("kind", ["fetal_head", "heart", "lesion", "lungs", "fundus"])
def test_nothing_gives_no_measurement(kind: str) -> None:
    labels = ("head", "left_ventricle", "left_atrium", "lesion", "nodule", "lung_left", "lungs", "heart", "optic_disc")
    nothing = [region(label, np.zeros((6, 7), bool)) for label in labels]
    assert measure(kind, (), image((6, 7)), {}) == ()
    assert measure(kind, nothing, image((6, 7)), {}) == ()


def test_intervals_take_off_the_bias_and_add_the_spread() -> None:
    absolute = measurement("x", 50.0, "mm", "typed", {"x": ErrorFit(2.0, 1.0)})
    assert (absolute.value, absolute.unit, absolute.basis) == (50.0, "mm", "typed")
    assert (absolute.low, absolute.high) == pytest.approx((48 - 1.96, 48 + 1.96))
    relative = measurement("x", 50.0, "mm", "typed", {"x": ErrorFit(-0.02, 0.1, relative=True)})
    assert (relative.low, relative.high) == pytest.approx((51 - 9.8, 51 + 9.8))


def test_an_unmeasured_interval_is_nan() -> None:
    found = measurement("x", 50.0, "mm", "typed", {"y": ErrorFit(0, 1)})
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_intervals_stay_possible() -> None:
    errors = {"x": ErrorFit(0, 10)}
    assert measurement("x", 1.0, "mm", "px", errors).low == 0
    assert measurement("x", 95.0, "%", "px", errors).high == 100
    assert measurement("x", 95.0, "mm", "px", errors).high > 100


def test_an_error_is_fitted_to_pairs() -> None:
    truth = np.array([10.0, 20, 30, 40])
    fit = ErrorFit.of(truth + np.array([1, 2, 3, 2]), truth)
    assert (fit.bias, fit.sd, fit.relative) == (pytest.approx(2), pytest.approx(np.std([1, 2, 3, 2], ddof=1)), False)
    shares = ErrorFit.of(truth * 1.25, truth, relative=True)
    assert (shares.bias, shares.sd) == (pytest.approx(0.2), pytest.approx(0, abs=1e-12))
    with pytest.raises(ValueError, match="two"):
        ErrorFit.of(truth[:1], truth[:1])


def test_masks_come_before_polygons_and_boxes_alone_say_nothing() -> None:
    mask = box((6, 7), 1, 1, 3, 3)
    square = ((4.0, 0.0), (6.0, 0.0), (6.0, 2.0), (4.0, 2.0))
    both = Region("outline", "a", 1, polygon=square, mask=mask.copy())
    outline, framed = Region("outline", "a", 1, polygon=square), Region("box", "a", 1, box=(0, 0, 5, 5))
    np.testing.assert_array_equal(mask_of([both], "a", (6, 7)), mask)
    np.testing.assert_array_equal(mask_of([both, outline, framed], "a", (6, 7)), mask | box((6, 7), 4, 0, 6, 2))
    assert not mask_of([framed], "a", (6, 7)).any()


def test_a_mask_on_another_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="image"):
        measure("lesion", [region("lesion", box((6, 7), 1, 1, 3, 3))], image((7, 6)), {})


@pytest.mark.parametrize("spacing", [None, Spacing(0, 1, "typed"), Spacing(1, float("nan"), "typed")])
def test_without_a_true_spacing_everything_is_in_pixels(spacing: Spacing | None) -> None:
    found = measure("lesion", [region("lesion", box((9, 9), 1, 1, 7, 5))], image((9, 9), spacing), {})
    assert {m.unit for m in found} == {"px", "px2"}
    assert {m.basis for m in found} == {"px"}
