"""Drawn cases for models that outline: what was drawn, and that measurements of the shipped files come near it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from medimg_core.catalog import ModelCard, models_folder, open_model
from medimg_core.inference import gate, predict
from medimg_core.inference.measures import ErrorFit, ejection_fraction, pick_frames
from medimg_core.inference.places import Places, look
from medimg_core.io import read_file
from medimg_core.training.phantoms import heart
from medimg_core.training.phantoms.fetus import Head, fetal_head
from medimg_core.training.phantoms.outlined import (
    FIELD_MM,
    FRAME_MS,
    FRAMES,
    GLIOMA,
    HEAD,
    HEAD_MM,
    NODULE,
    NODULE_MM,
)
from medimg_core.training.phantoms.sequences import brain_sequences, glioma_mask
from medimg_core.training.phantoms.sound import Fan, pixels_mm, speckle
from medimg_core.training.phantoms.texture import Plane
from medimg_core.types import Image

FOLDER = models_folder() / "demo_cases"


@cache
def images(stem: str) -> tuple[Image, ...]:
    return read_file(FOLDER / f"{stem}.dcm").images


def card_of(name: str) -> ModelCard:
    return open_model(name)


def value(found: Places, name: str) -> float:
    return {one.name: one.value for one in found.measurements}[name]


def test_beams_and_pixels_of_a_fan_find_each_other() -> None:
    fan = Fan((3.0, -20.0), 25.0, 120.0, 40.0, 96, 61)
    at = fan.places()
    assert np.hypot(at.x - 3, at.y + 20)[:, 7] == pytest.approx(np.linspace(25, 120, 96), rel=1e-5)
    back = fan.indices(at)
    np.testing.assert_allclose(back.x, np.broadcast_to(np.arange(61), (96, 61)), atol=1e-3)
    np.testing.assert_allclose(back.y, np.broadcast_to(np.arange(96)[:, None], (96, 61)), atol=1e-3)
    shown = fan.shown(at.y, 60, 80, 2.0)
    depth = pixels_mm(60, 80, 2.0).y
    lit = shown > 0
    assert 0.3 < lit.mean() < 0.9
    assert shown[lit] == pytest.approx(depth[lit], abs=0.1)


def test_speckle_moves_with_the_tissue() -> None:
    even = np.ones((60, 80), np.float32)
    rows, columns = np.mgrid[0:60, 0:80].astype(np.float32)
    still, moved = (
        speckle(np.random.default_rng(5), even, (1.5, 1.0), 2, Plane(columns, rows - np.float32(by))) for by in (0, 4)
    )
    np.testing.assert_allclose(moved[20:50, 10:70], still[16:46, 10:70], rtol=1e-4)


def test_a_beat_starts_wide_empties_and_ends_where_it_began() -> None:
    areas = np.array([heart.ventricle(i / 48).area for i in range(49)])
    assert areas[0] == pytest.approx(heart.WIDE.area)
    assert areas[48] == pytest.approx(heart.WIDE.area)
    assert np.argmin(areas) == round(heart.SYSTOLE * 48)
    assert areas.min() == pytest.approx(heart.NARROW.area, rel=0.01)
    assert (np.diff(areas[:17]) < 0).all()
    # A round body of the same outline: the area of half an ellipse and of the cut half, by summing strips.
    along = np.linspace(-1, 0.5, 20_001)
    width = heart.WIDE.half * np.sqrt(1 - along**2)
    step = heart.WIDE.semi * (along[1] - along[0])
    assert heart.WIDE.area == pytest.approx(2 * width.sum() * step, rel=1e-3)
    assert heart.WIDE.volume == pytest.approx(np.pi * (width**2).sum() * step / 1000, rel=1e-3)


def test_the_same_seed_draws_the_same_beat_and_the_blood_flickers() -> None:
    one, two = (heart.beat(3, 2, 60, 72, 2.72) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (2, 60, 72)
    assert one.max() <= 1
    assert (one[0] != one[1]).any()


def test_the_cine_says_its_scale_and_its_time() -> None:
    header = dcmread(FOLDER / "19_heart_cine.dcm", stop_before_pixels=True)
    assert header.SOPClassUID.name == "Ultrasound Multi-frame Image Storage"
    assert header.NumberOfFrames == FRAMES
    frames = images("19_heart_cine")
    assert len(frames) == FRAMES
    assert [frame.instance for frame in frames] == list(range(1, FRAMES + 1))
    assert {frame.frame_ms for frame in frames} == {FRAME_MS}
    assert frames[0].spacing is not None
    assert frames[0].spacing.source == "UltrasoundRegion"
    assert (frames[0].spacing.row_mm, frames[0].spacing.column_mm) == pytest.approx((0.68, 0.68))


@cache
def looks() -> tuple[Places, ...]:
    card = card_of("cardiac_ultrasound")
    return tuple(look(frame, card) for frame in images("19_heart_cine"))


def test_every_frame_is_taken_for_a_heart_without_a_doubt() -> None:
    card = card_of("cardiac_ultrasound")
    verdicts = [gate.check(frame, card) for frame in images("19_heart_cine")]
    assert {(verdict.passed, verdict.kind, verdict.reasons) for verdict in verdicts} == {
        (True, "cardiac_ultrasound", ())
    }


def test_chambers_are_found_in_every_frame_and_follow_the_drawn_beat() -> None:
    found = looks()
    labels = [{region.label for region in one.regions} for one in found]
    assert all({"left_ventricle", "myocardium", "left_atrium"} <= names for names in labels)
    areas = np.array([value(one, "left_ventricle_area") for one in found])
    drawn = np.array([heart.ventricle(i / FRAMES).area for i in range(FRAMES)])
    assert np.corrcoef(areas, drawn)[0, 1] > 0.9
    assert (areas / drawn).mean() == pytest.approx(0.8, abs=0.07)  # it cuts off the tip and the base


def test_the_ejection_fraction_is_within_its_interval_of_the_drawn_one() -> None:
    card, found = card_of("cardiac_ultrasound"), looks()
    phases = pick_frames([value(one, "left_ventricle_area") for one in found])
    assert phases is not None
    assert phases.end_diastole in (0, 1, 2)
    assert abs(phases.end_systole - heart.SYSTOLE * FRAMES) < 2.5
    assert phases.doubts == ()
    places = card.places
    assert places is not None
    errors: dict[str, Any] = {name: ErrorFit(**fit) for name, fit in places.errors.items()}
    ed, es = found[phases.end_diastole].regions, found[phases.end_systole].regions
    said = ejection_fraction(ed, es, images("19_heart_cine")[0], errors)
    assert said.doubts == ()
    fraction = said.measurements[0]
    drawn = 100 * (1 - heart.NARROW.volume / heart.WIDE.volume)
    assert fraction.low < drawn < fraction.high
    assert fraction.value == pytest.approx(drawn, abs=10)


def test_a_drawn_skull_is_as_long_as_its_ellipse() -> None:
    assert Head((0.0, 0.0), 50.0, 50.0, 30.0).circumference == pytest.approx(50 * np.pi)
    angle = np.linspace(0, 2 * np.pi, 100_001)
    steps = np.hypot(*np.diff([31.15 * np.cos(angle), 24.35 * np.sin(angle)]))
    assert HEAD.circumference == pytest.approx(steps.sum(), rel=1e-4)
    assert HEAD.circumference == pytest.approx(175, abs=0.1)


def test_a_skull_is_brightest_where_the_beam_meets_it_squarely() -> None:
    one, two = (fetal_head(1, 108, 160, 0.66, HEAD) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    row, column = round(40 / 0.66), 80
    top = one[round((40 - 24.0) / 0.66) - 3 : round((40 - 24.0) / 0.66) + 4, column].max()
    side = one[row - 2 : row + 3, round(80 - 31 / 0.66) - 3 : round(80 - 31 / 0.66) + 4].max()
    brain = np.median(one[row - 20 : row - 6, column - 15 : column + 15])
    assert top > side > brain


def test_the_fetal_head_is_measured_within_three_millimetres() -> None:
    (shown,) = images("20_fetal_head")
    assert shown.spacing is not None
    assert (shown.spacing.source, shown.spacing.row_mm) == ("UltrasoundRegion", pytest.approx(0.165))
    found = look(shown, card_of("fetal_head"))
    assert [region.label for region in found.regions] == ["head"]
    assert value(found, "head_circumference") == pytest.approx(HEAD.circumference, abs=3)
    assert value(found, "biparietal_diameter") == pytest.approx(HEAD.short, abs=1.5)
    assert value(found, "gestational_age") == pytest.approx(20, abs=0.5)


def test_the_shipped_nodule_is_round_and_vessels_keep_clear_of_it() -> None:
    (shown,) = images("21_lung_nodule_2")
    mm = FIELD_MM / shown.shape[0]
    y, x = (np.mgrid[0 : shown.shape[0], 0 : shown.shape[1]] + 0.5) * mm
    near = np.hypot(x - NODULE.centre[0] * FIELD_MM, y - NODULE.centre[1] * FIELD_MM) < 9
    solid = near & (np.asarray(shown.pixels) > -410)  # half way from lung to soft tissue
    far = np.hypot(x - x[solid].mean(), y - y[solid].mean())
    assert 2 * np.sqrt(solid.sum() * mm**2 / np.pi) == pytest.approx(NODULE_MM, abs=0.3)
    assert far[solid].max() < NODULE_MM / 2 + 0.8
    assert np.percentile(shown.pixels[(far > 8) & (far < 9)], 95) < -600


@pytest.mark.parametrize("grown", [1.1, 1.6])
def test_a_box_round_the_nodule_gives_its_diameter_within_two_millimetres(grown: float) -> None:
    (shown,) = images("21_lung_nodule_2")
    half = grown * NODULE_MM / FIELD_MM / 2
    x, y, _ = NODULE.centre
    rows, columns = shown.shape
    box = ((x - half) * columns, (y - half) * rows, (x + half) * columns, (y + half) * rows)
    found = look(shown, card_of("lung_nodule"), box=box)
    assert value(found, "mean_diameter") == pytest.approx(NODULE_MM, abs=2)
    assert value(found, "longest_diameter") == pytest.approx(NODULE_MM, abs=2.5)


def test_a_box_beside_the_nodule_is_not_rated() -> None:
    (shown,) = images("21_lung_nodule_2")
    said = predict(shown, card_of("lung_nodule"), box=(100, 100, 140, 140)).prediction
    assert said.refused
    assert (said.scores, said.regions) == ({}, ())
    assert gate.headline(said.gate) == "Nothing was outlined in the box, so nothing is rated."
    assert gate.next_step(said.gate).startswith("Draw the box closely round one nodule")


def test_a_drawn_glioma_is_dark_on_t1_and_bright_on_flair_and_smaller_off_its_middle() -> None:
    slices = brain_sequences(2, 128, (0.0, 0.06, 0.2), GLIOMA)
    inside = glioma_mask(2, 128, 0.0, GLIOMA)
    assert (glioma_mask(2, 128, 0.06, GLIOMA) & ~inside).sum() == 0
    assert not glioma_mask(2, 128, 0.2, GLIOMA).any()
    other = inside[:, ::-1] & ~inside  # the same place on the other side
    before, flair, after = (slices[0, ..., k] for k in range(3))
    assert np.median(flair[inside]) > 1.5 * np.median(flair[other])
    assert np.median(before[inside]) < 0.9 * np.median(before[other])
    assert np.median(after[inside]) < 0.8 * np.median(after[other])
    # The slice above the glioma has nothing there but the anatomy.
    assert abs(np.median(slices[2][..., 1][inside].astype(float)) - np.median(flair[other])) < 8


def test_the_drawn_glioma_is_outlined_between_its_neighbours_and_alone() -> None:
    below, shown, above = (images(f"22_brain_mr_sequences_{i}")[0] for i in (1, 2, 3))
    assert shown.spacing is not None
    assert shown.spacing.row_mm == pytest.approx(HEAD_MM / 256)
    truth = glioma_mask(2, 256, 0.0, GLIOMA)
    card = card_of("brain_tumour_outline")
    for beside in ((below, above), ()):
        found = look(shown, card, beside=beside)
        (region,) = found.regions
        assert region.mask is not None
        assert 2 * (region.mask & truth).sum() / (region.mask.sum() + truth.sum()) > 0.9
        area = truth.sum() * (HEAD_MM / 256) ** 2
        assert value(found, "area") == pytest.approx(area, rel=0.15)
