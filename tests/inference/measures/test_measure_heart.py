from __future__ import annotations

import math

import numpy as np
import pytest
from drawn_masks import box, ellipse, image, region

from medimg_core.inference.measures import ErrorFit, ejection_fraction, measure, pick_frames
from medimg_core.inference.measures.heart import disc_volume, left_ventricle_volume, long_axis
from medimg_core.types import MaskArray, Region, Spacing

SHAPE = (300, 240)
MM = Spacing(0.5, 0.5, "calibrated")


def ventricle(long: float, wide: float, row_mm: float = 1.0, column_mm: float = 1.0) -> tuple[MaskArray, MaskArray]:
    """A half ellipse of this length and half width in mm, apex up, with an atrium right below it."""
    whole = ellipse(SHAPE, (120.3, 180), (wide, long), 0, row_mm, column_mm)
    upper = whole & (np.arange(SHAPE[0]) < 180)[:, None]
    return upper, box(SHAPE, 85, 180, 155, 230)


def frame(long: float, wide: float) -> list[Region]:
    cavity, atrium = ventricle(long, wide)
    return [region("left_ventricle", cavity), region("left_atrium", atrium)]


@pytest.mark.parametrize(("row_mm", "column_mm"), [(1, 1), (0.5, 0.5), (0.9, 0.5)])
def test_half_an_ellipsoid_has_its_volume(row_mm: float, column_mm: float) -> None:
    long, wide = 120 * row_mm, 40 * column_mm
    cavity, atrium = ventricle(long, wide, row_mm, column_mm)
    exact = 2 / 3 * math.pi * long * wide**2
    assert disc_volume(cavity, row_mm, column_mm, atrium) == pytest.approx(exact, rel=0.02)
    assert disc_volume(cavity, row_mm, column_mm) == pytest.approx(exact, rel=0.03)
    assert left_ventricle_volume(cavity, Spacing(row_mm, column_mm, ""), atrium) == pytest.approx(
        exact / 1000, rel=0.02
    )


@pytest.mark.parametrize("degrees", [0, 25, 90, 160])
def test_a_whole_ellipsoid_has_its_volume_at_any_angle(degrees: float) -> None:
    mask = ellipse((260, 260), (130, 130), (100, 45), degrees)
    assert disc_volume(mask, 1, 1) == pytest.approx(4 / 3 * math.pi * 100 * 45**2, rel=0.03)


def test_the_axis_runs_from_the_mitral_plane_to_the_apex() -> None:
    cavity, atrium = ventricle(120, 40)
    for by in (atrium, None):
        base, apex = long_axis(cavity, 1, 1, by)
        np.testing.assert_allclose(base, (120.3, 180), atol=3)
        np.testing.assert_allclose(apex, (120.3, 60), atol=8)
    upside_down = long_axis(cavity[::-1], 1, 1)
    np.testing.assert_allclose(upside_down[0], (120.3, 120), atol=3)


def test_an_atrium_elsewhere_does_not_set_the_plane() -> None:
    cavity, _ = ventricle(120, 40)
    far = box(SHAPE, 2, 2, 20, 20)
    np.testing.assert_allclose(long_axis(cavity, 1, 1, far), long_axis(cavity, 1, 1))


def test_an_oblique_plane_is_found_by_the_atrium() -> None:
    whole = ellipse(SHAPE, (120, 150), (100, 40), 75)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    below = (y - 170) + 0.3 * (x - 120) > 0
    base, apex = long_axis(whole & ~below, 1, 1, whole & below)
    assert abs((base[1] - 170) + 0.3 * (base[0] - 120)) < 3
    assert apex[1] < 60


def test_slivers_have_a_volume_of_some_kind() -> None:
    assert disc_volume(box((9, 9), 4, 4, 5, 5), 1, 1) >= 0
    assert disc_volume(box((9, 30), 2, 4, 28, 5), 1, 1) < 50


def test_a_frame_has_areas_and_a_volume() -> None:
    regions = [*frame(120, 40), region("myocardium", box(SHAPE, 0, 0, 10, 20))]
    found = {m.name: m for m in measure("heart", regions, image(SHAPE, MM), {})}
    assert set(found) == {"left_ventricle_area", "myocardium_area", "left_atrium_area", "left_ventricle_volume"}
    assert found["myocardium_area"].value == 50
    volume = found["left_ventricle_volume"]
    assert (volume.unit, volume.basis) == ("ml", "calibrated")
    assert volume.value == pytest.approx(2 / 3 * math.pi * 60 * 20**2 / 1000, rel=0.02)
    flat = measure("heart", regions, image(SHAPE), {})
    assert {(m.name, m.unit) for m in flat} == {
        (name, "px2") for name in ("left_ventricle_area", "myocardium_area", "left_atrium_area")
    }


@pytest.mark.parametrize("spacing", [None, MM])
def test_the_ejection_fraction_needs_no_scale(spacing: Spacing | None) -> None:
    done = ejection_fraction(
        frame(120, 40), frame(100, 30), image(SHAPE, spacing), {"ejection_fraction": ErrorFit(5, 6)}
    )
    found = {m.name: m for m in done.measurements}
    fraction = found["ejection_fraction"]
    assert fraction.value == pytest.approx(100 * (1 - 100 * 30**2 / (120 * 40**2)) - 5, abs=1.5)
    assert (fraction.low, fraction.high) == pytest.approx((fraction.value - 11.76, fraction.value + 11.76))
    assert (fraction.unit, fraction.basis) == ("%", "calibrated" if spacing else "px")
    assert len(found) == (3 if spacing else 1)
    assert done.doubts == ()
    if spacing:
        assert found["end_diastolic_volume"].value > found["end_systolic_volume"].value


def test_a_relative_error_of_the_fraction_is_a_share_of_it() -> None:
    plain, corrected = (
        ejection_fraction(frame(120, 40), frame(100, 30), image(SHAPE), errors).measurements[0]
        for errors in ({}, {"ejection_fraction": ErrorFit(0.1, 0.1, relative=True)})
    )
    assert corrected.value == pytest.approx(0.9 * plain.value)
    assert corrected.high - corrected.value == pytest.approx(0.196 * plain.value)


def test_swapped_frames_have_no_fraction_but_a_doubt() -> None:
    done = ejection_fraction(frame(100, 30), frame(120, 40), image(SHAPE, MM), {})
    assert "ejection_fraction" not in {m.name for m in done.measurements}
    assert done.doubts == (
        "The end-systolic frame shows the larger ventricle, so no ejection fraction is told: the two frames may be "
        "swapped, or one outline is wrong.",
    )
    assert {m.name for m in done.measurements} == {"end_diastolic_volume", "end_systolic_volume"}


def test_two_frames_of_one_phase_are_doubtful() -> None:
    done = ejection_fraction(frame(120, 40), frame(120, 39), image(SHAPE), {})
    assert len(done.measurements) == 1
    assert done.doubts == (
        "The two frames are almost alike: they may show one phase. End-systole is where the ventricle is smallest.",
    )


@pytest.mark.parametrize(("row_mm", "column_mm"), [(0.9, 0.45), (0.4, 0.8)])
def test_pixels_that_are_not_square_leave_volumes_and_fraction_as_they_are(row_mm: float, column_mm: float) -> None:
    """Half ellipsoids of 60 mm by 20 mm and of 50 mm by 14 mm, whatever the pixels that they are drawn on."""

    def drawn(long: float, wide: float) -> list[Region]:
        shape = (round(110 / row_mm), round(90 / column_mm))
        centre, y = (45.1 / column_mm, 80 / row_mm), np.arange(shape[0])[:, None] + 0.5
        whole = ellipse(shape, centre, (wide, long), 0, row_mm, column_mm)
        below = (y > centre[1]) & ellipse(shape, (centre[0], 90 / row_mm), (18, 10.5), 0, row_mm, column_mm)
        return [region("left_ventricle", whole & (y < centre[1])), region("left_atrium", below)]

    shape = drawn(60, 20)[0].mask.shape  # type: ignore[union-attr]
    done = ejection_fraction(drawn(60, 20), drawn(50, 14), image(shape, Spacing(row_mm, column_mm, "typed")), {})
    found = {m.name: m for m in done.measurements}
    large, small = (2 / 3 * math.pi * long * wide**2 / 1000 for long, wide in ((60, 20), (50, 14)))
    assert found["end_diastolic_volume"].value == pytest.approx(large, rel=0.03)
    assert found["end_systolic_volume"].value == pytest.approx(small, rel=0.03)
    assert found["ejection_fraction"].value == pytest.approx(100 * (1 - small / large), abs=1.5)
    assert (found["end_diastolic_volume"].unit, done.doubts) == ("ml", ())


def test_a_frame_without_a_ventricle_is_said() -> None:
    done = ejection_fraction(frame(120, 40), [], image(SHAPE), {})
    assert done.measurements == ()
    assert "end-systolic" in done.doubts[0]


def beats(frames: int, length: float, start: float = 0.0, depth: float = 0.4) -> np.ndarray:
    """Areas of a heart whose end-diastole falls on `start` and every `length` frames after it."""
    phase = (np.arange(frames) - start) / length
    return 1000 * (1 - depth / 2 * (1 - np.cos(2 * np.pi * phase)))


def test_frames_are_picked_from_one_beat() -> None:
    picked = pick_frames(beats(31, 30))
    assert picked is not None
    assert picked.end_diastole in (0, 30)
    assert picked.end_systole == 15
    assert picked.doubts == ()


def test_systole_belongs_to_the_beat_of_diastole() -> None:
    areas = beats(60, 24, 5) * np.linspace(1.0, 0.9, 60)
    picked = pick_frames(areas)
    assert picked is not None
    assert abs(picked.end_diastole - 5) <= 1
    assert abs(picked.end_systole - 17) <= 1


def test_a_clip_that_breaks_off_uses_the_beat_before() -> None:
    areas = beats(35, 24, 5) * np.linspace(0.9, 1.0, 35)
    picked = pick_frames(areas)
    assert picked is not None
    assert abs(picked.end_diastole - 29) <= 1
    assert abs(picked.end_systole - 17) <= 1
    assert picked.doubts == ()


def test_half_a_beat_is_doubtful() -> None:
    picked = pick_frames(beats(10, 24))
    assert picked is not None
    assert (picked.end_diastole, picked.end_systole) == (0, 9)
    assert "breaks off" in picked.doubts[0]


def test_noise_and_gaps_do_not_move_the_frames_far() -> None:
    rng = np.random.default_rng(0)
    areas = beats(40, 30, 4) * (1 + 0.02 * rng.normal(size=40))
    areas[[9, 20]] = np.nan, 0
    areas[25] = 3000  # one frame that went wrong
    picked = pick_frames(areas)
    assert picked is not None
    assert abs(picked.end_diastole - 4) <= 2 or abs(picked.end_diastole - 34) <= 2
    assert abs(picked.end_systole - 19) <= 3
    assert picked.doubts == ()


def test_missing_areas_flat_curves_and_short_clips_are_doubtful() -> None:
    areas = beats(30, 28)
    areas[3:12] = 0
    missing, flat, short = (pick_frames(a) for a in (areas, beats(30, 28, depth=0.05), [900.0, 500.0, 880.0]))
    assert missing is not None
    assert flat is not None
    assert short is not None
    assert "9 of 30" in missing.doubts[0]
    assert "hardly changes" in flat.doubts[0]
    assert "only 3" in short.doubts[0]
    assert missing.end_diastole < 3 or missing.end_diastole >= 12


def test_too_little_gives_no_frames() -> None:
    assert pick_frames([]) is None
    assert pick_frames([0, 0, 800.0, float("nan")]) is None
    two = pick_frames([800.0, 500.0])
    assert two is not None
    assert (two.end_diastole, two.end_systole) == (0, 1)
