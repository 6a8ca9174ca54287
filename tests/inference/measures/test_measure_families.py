from __future__ import annotations

import math

import numpy as np
import pytest
from drawn_masks import box, ellipse, image, region
from scipy.special import ellipe

from medimg_core.inference.measures import ErrorFit, measure
from medimg_core.inference.measures.fetal_head import age_from_circumference, chart_deviation
from medimg_core.inference.measures.lungs import cardiothoracic_ratio
from medimg_core.types import Measurement, Region, Spacing

HALF_MM = Spacing(0.5, 0.5, "PixelSpacing")


def by_name(found: tuple[Measurement, ...]) -> dict[str, Measurement]:
    return {m.name: m for m in found}


def head(spacing: Spacing | None, errors: dict[str, ErrorFit]) -> dict[str, Measurement]:
    mask = ellipse((260, 300), (150, 130), (110, 88), 30)
    return by_name(measure("fetal_head", [region("head", mask)], image(mask.shape, spacing), errors))


@pytest.mark.parametrize(
    ("hc_cm", "weeks"),
    # Radiology 1984;152:497: the equation at both ends and between; 17.5 cm is the 20th week, 30 cm the 33rd.
    [(9.0, 14.0), (10.0, 14.7), (17.5, 20.0), (20.0, 22.2), (25.0, 27.1), (30.0, 33.3), (35.0, 40.7)],
)
def test_the_age_follows_the_chart(hc_cm: float, weeks: float) -> None:
    assert age_from_circumference(10 * hc_cm) == pytest.approx(weeks, abs=0.05)


@pytest.mark.parametrize(
    ("weeks", "hc_cm"), [(14, 9.7), (16, 12.4), (18, 15.1), (20, 17.7), (24, 22.4), (28, 26.6), (32, 30.1), (36, 32.8)]
)
def test_the_age_is_within_the_chart_of_growth(weeks: float, hc_cm: float) -> None:
    # Median circumference at an age (Hadlock, Deter, Harrist, Park, Radiology 1984;152:497): the other regression.
    age = age_from_circumference(10 * hc_cm)
    assert age is not None
    assert abs(age - weeks) < 2 * chart_deviation(weeks)


@pytest.mark.parametrize("hc_mm", [0, 60, 89, 359, 400])
def test_there_is_no_age_outside_the_chart(hc_mm: float) -> None:
    assert age_from_circumference(hc_mm) is None


def test_the_deviation_of_the_chart_grows_with_age() -> None:
    found = [2 * chart_deviation(weeks) for weeks in (14, 17.9, 18, 25, 33, 36, 42)]
    assert found == pytest.approx([1.19, 1.19, 1.48, 2.06, 2.98, 3.20, 3.20])


def test_a_head_has_circumference_diameters_and_age() -> None:
    found = head(HALF_MM, {"head_circumference": ErrorFit(0, 2.0)})
    hc = found["head_circumference"]
    assert hc.value == pytest.approx(312.2, abs=0.3)
    assert (hc.unit, hc.basis, round(hc.high - hc.low, 2)) == ("mm", "PixelSpacing", 7.84)
    assert found["biparietal_diameter"].value == pytest.approx(88, abs=0.2)
    assert found["occipitofrontal_diameter"].value == pytest.approx(110, abs=0.2)
    age = found["gestational_age"]
    assert (age.unit, age.basis) == ("weeks", "PixelSpacing")
    slope = (0.54 + 0.0009 * (hc.value / 10) ** 2) / 10
    assert (age.high - age.low) / 2 == pytest.approx(1.96 * math.hypot(1.49, 2 * slope))
    assert (age.high + age.low) / 2 == pytest.approx(age.value)


@pytest.mark.parametrize(("row_mm", "column_mm"), [(0.9, 0.3), (0.25, 0.5)])
@pytest.mark.parametrize("degrees", [0, 35, 90])
def test_a_head_on_pixels_that_are_not_square_has_its_size(row_mm: float, column_mm: float, degrees: float) -> None:
    """Half axes of 55 and 44 mm: the circumference is that of the elliptic integral, the age that of the chart."""
    shape = (round(130 / row_mm), round(130 / column_mm))
    mask = ellipse(shape, (shape[1] / 2, shape[0] / 2), (55, 44), degrees, row_mm, column_mm)
    spacing = Spacing(row_mm, column_mm, "PixelSpacing")
    found = by_name(measure("fetal_head", [region("head", mask)], image(shape, spacing), {}))
    exact = 4 * 55 * ellipe(1 - (44 / 55) ** 2)
    assert found["head_circumference"].value == pytest.approx(exact, abs=0.5)
    assert found["biparietal_diameter"].value == pytest.approx(88, abs=0.5)
    assert found["occipitofrontal_diameter"].value == pytest.approx(110, abs=0.5)
    assert found["gestational_age"].value == pytest.approx(age_from_circumference(exact), abs=0.1)


def test_lungs_on_pixels_that_are_not_square_have_their_areas() -> None:
    found = by_name(measure("lungs", chest(), image((100, 120), Spacing(0.5, 0.25, "PixelSpacing")), {}))
    assert found["lung_right_area"].value == 35 * 70 * 0.125
    assert found["heart_area"].value == 50 * 35 * 0.125
    assert found["cardiothoracic_ratio"].value == pytest.approx(0.5)  # both widths lie in rows


def test_the_bias_of_the_circumference_moves_the_interval_of_the_age() -> None:
    plain, moved = (head(HALF_MM, {"head_circumference": ErrorFit(b, 2.0)})["gestational_age"] for b in (0, 5))
    assert moved.value == plain.value
    assert 0.5 < plain.low - moved.low < 1.0


def test_an_age_without_a_known_error_has_no_interval() -> None:
    assert math.isnan(head(HALF_MM, {})["gestational_age"].low)


def test_a_head_without_spacing_has_pixels_and_no_age() -> None:
    found = head(None, {})
    assert set(found) == {"head_circumference", "biparietal_diameter", "occipitofrontal_diameter"}
    assert {m.unit for m in found.values()} == {"px"}


def test_a_nodule_has_two_diameters_and_their_mean() -> None:
    spacing = Spacing(0.7, 0.35, "PixelSpacing")
    mask = ellipse((90, 180), (90, 45), (12, 8), 40, 0.7, 0.35)
    found = by_name(measure("lesion", [region("nodule", mask)], image(mask.shape, spacing), {}))
    long, short = found["longest_diameter"].value, found["perpendicular_diameter"].value
    assert (long, short) == (pytest.approx(24, abs=0.7), pytest.approx(16, abs=0.7))
    assert found["mean_diameter"].value == pytest.approx((long + short) / 2)
    assert found["area"].value == pytest.approx(math.pi * 96, rel=0.01)
    assert found["area"].unit == "mm2"
    other = by_name(measure("lesion", [region("tumour", mask)], image(mask.shape, spacing), {}))
    assert set(other) == {"area", "longest_diameter", "perpendicular_diameter"}


def test_the_largest_lesion_is_measured() -> None:
    small, large = ellipse((90, 90), (20, 20), (5, 5)), ellipse((90, 90), (60, 60), (15, 10))
    both = measure("lesion", [region("nodule", small), region("tumour", large)], image((90, 90)), {})
    alone = measure("lesion", [region("tumour", large)], image((90, 90)), {})
    assert [(m.name, m.value) for m in both] == [(m.name, m.value) for m in alone]


def chest() -> list[Region]:
    right, left = box((100, 120), 10, 20, 45, 90), box((100, 120), 75, 20, 110, 80)
    return [region("lung_right", right), region("lung_left", left), region("heart", box((100, 120), 40, 50, 90, 85))]


def test_lungs_and_heart_have_areas_and_ratios() -> None:
    found = by_name(measure("lungs", chest(), image((100, 120), HALF_MM), {}))
    assert found["lung_right_area"].value == 35 * 70 / 4
    assert found["lungs_area"].value == (35 * 70 + 35 * 60) / 4
    assert found["lung_area_ratio"].value == pytest.approx(60 / 70)
    ratio = found["cardiothoracic_ratio"]
    assert (ratio.value, ratio.unit) == (pytest.approx(0.5), "")
    assert by_name(measure("lungs", chest(), image((100, 120)), {}))["cardiothoracic_ratio"].value == ratio.value


def test_undivided_lungs_give_the_same_ratio_and_specks_none() -> None:
    right, left, heart = (r.mask for r in chest())
    assert right is not None
    assert left is not None
    assert heart is not None
    lungs = region("lungs", right | left | box((100, 120), 117, 30, 119, 32))
    found = by_name(measure("lungs", [lungs, region("heart", heart)], image((100, 120)), {}))
    assert set(found) == {"lungs_area", "heart_area", "cardiothoracic_ratio"}
    assert found["cardiothoracic_ratio"].value == pytest.approx(0.5)


def test_no_ratio_without_a_heart_between_two_lungs() -> None:
    nothing = np.zeros((40, 40), bool)
    lung, heart = box((40, 40), 2, 5, 12, 30), box((40, 40), 15, 15, 25, 28)
    assert cardiothoracic_ratio(lung, heart) is None
    assert cardiothoracic_ratio(lung, nothing) is None
    assert cardiothoracic_ratio(nothing, heart) is None
    at_the_edge = box((40, 40), 0, 15, 1, 28)
    assert cardiothoracic_ratio(lung, at_the_edge) is None


def test_fundus_shares_counts_and_disc() -> None:
    aneurysms = box((80, 100), 10, 10, 12, 12) | box((80, 100), 30, 30, 33, 32)
    regions = [region("microaneurysm", aneurysms), region("optic_disc", ellipse((80, 100), (70, 40), (12, 10)))]
    found = by_name(measure("fundus", regions, image((80, 100), HALF_MM), {}))
    assert set(found) == {"microaneurysm_share", "microaneurysm_count", "optic_disc_diameter"}
    share, count, disc = (found[n] for n in ("microaneurysm_share", "microaneurysm_count", "optic_disc_diameter"))
    assert (share.value, share.unit, share.basis) == (pytest.approx(100 * 10 / 8000), "%", "picture")
    assert (count.value, count.unit) == (2, "")
    assert (disc.value, disc.unit, disc.basis) == (pytest.approx(22, abs=0.3), "px", "px")


def test_fundus_shares_are_of_the_retina_where_it_is_known() -> None:
    exudate, retina = box((80, 100), 40, 30, 50, 40), box((80, 100), 20, 10, 80, 60)
    regions = [region("hard_exudate", exudate), region("retina", retina)]
    found = by_name(measure("fundus", regions, image((80, 100)), {}))
    assert found["hard_exudate_share"].value == pytest.approx(100 * 100 / 3000)
    assert found["hard_exudate_share"].basis == "retina"
