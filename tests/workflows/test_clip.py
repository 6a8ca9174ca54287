"""A clip of the heart: the verdict on it, its two phases, the ejection fraction, what a reader corrects."""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from medimg_core.catalog import ModelCard, read_card
from medimg_core.errors import BadRequest
from medimg_core.types import GateVerdict, Image, Prediction, Region, Spacing
from medimg_core.workflows import clip as module
from medimg_core.workflows.clip import heart_model, measure_clip, outline_clip, placed, verdict
from medimg_core.workflows.find import Found
from model_folder import TINY_OUTLINE

SHAPE = (96, 96)
RADII = (30.0, 27.0, 22.0, 19.0, 18.0, 21.0, 26.0, 30.0, 29.0)


@pytest.fixture
def card() -> ModelCard:
    plain = read_card(TINY_OUTLINE)
    assert plain.places is not None
    errors = MappingProxyType({"ejection_fraction": {"bias": 4.0, "sd": 8.0}})
    return replace(plain, places=replace(plain.places, measure="heart", errors=errors))


def frame(number: int, spacing: Spacing | None = None) -> Image:
    return Image(np.full(SHAPE, number, np.float32), "MONOCHROME2", f"frame {number}", spacing=spacing)


def disc(radius: float, score: float = 0.9) -> Region:
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return Region("outline", "left_ventricle", score, mask=np.asarray((x - 48) ** 2 + (y - 48) ** 2 < radius**2))


def frames(card: ModelCard, spacing: Spacing | None = None) -> tuple[list[Found | None], list[Image]]:
    images = [frame(i, spacing) for i in range(len(RADII))]
    said = [Prediction(card.ref, {}, GateVerdict(True), regions=(disc(radius),)) for radius in RADII]
    return [Found(card, i, p, card.populations[0], None) for i, p in zip(images, said, strict=True)], images


def test_the_curve_gives_both_phases_and_the_fraction(card: ModelCard) -> None:
    found, _ = frames(card, Spacing(1.0, 1.0, "UltrasoundRegion"))
    clip = measure_clip(found, card)
    assert clip.phases is not None
    assert clip.phases.end_systole in (3, 4)
    assert clip.chosen is not None
    names = {one.name: one for one in clip.measurements}
    assert names["ejection_fraction"].low < names["ejection_fraction"].value < names["ejection_fraction"].high
    assert names["end_diastolic_volume"].unit == "ml"


def test_a_correction_moves_the_fraction_and_takes_its_interval(card: ModelCard) -> None:
    found, images = frames(card)
    before = measure_clip(found, card)
    assert before.phases is not None
    own = {images[before.phases.end_systole].digest: {"left_ventricle": (disc(16.0),)}}
    after = measure_clip(found, card, own)
    assert after.measurements[0].value > before.measurements[0].value
    assert math.isnan(after.measurements[0].low)
    assert after.chosen is not None
    assert any(one.corrected for one in after.chosen)


def test_frames_without_a_ventricle_are_doubts_and_then_no_answer(card: ModelCard) -> None:
    found, _ = frames(card)
    some = [None if i in (1, 5, 6) else one for i, one in enumerate(found)]
    clip = measure_clip(some, card)
    assert "3 of 9 frames could not be used." in clip.doubts
    assert any("No left ventricle was found in 3 of 9" in text for text in clip.doubts)
    none = measure_clip([None] * 8 + [found[8]], card)
    assert (none.phases, none.chosen, none.measurements) == (None, None, ())
    assert none.doubts[0] == (
        "Fewer than two frames show a left ventricle. Load a clip, or two frames of one view, that show it."
    )


def test_two_frames_the_larger_is_end_diastole_and_alike_ones_are_said(card: ModelCard) -> None:
    found, _ = frames(card)
    clip = measure_clip(found[4:6], card)
    assert clip.phases is not None
    assert (clip.phases.end_diastole, clip.phases.end_systole) == (1, 0)
    alike = measure_clip([found[0], found[7]], card)
    assert any("almost alike" in text for text in alike.doubts)


def test_the_same_picture_twice_gives_no_fraction(card: ModelCard) -> None:
    found, _ = frames(card, Spacing(1.0, 1.0, "typed"))
    clip = measure_clip([found[0], found[0]], card)
    assert (clip.measurements, clip.ejection) == ((), None)
    assert clip.doubts == ("Both frames are one picture, so no ejection fraction is told. Load one of each phase.",)
    assert clip.chosen is not None  # both are shown all the same, each with its own areas
    assert [m.name for one in clip.chosen for m in one.measurements] == [
        "left_ventricle_area",
        "left_ventricle_volume",
    ] * 2


def test_a_larger_area_with_less_volume_gives_volumes_and_no_fraction(card: ModelCard) -> None:
    """A long narrow outline beside a short wide one: what area calls end-diastole holds less."""
    _, images = frames(card, Spacing(1.0, 1.0, "typed"))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] - 48.0
    pair = []
    for image, (wide, long) in zip(images[:2], ((12, 45), (21, 24)), strict=True):
        mask = np.asarray((x / wide) ** 2 + (y / long) ** 2 < 1)
        drawn = Region("outline", "left_ventricle", 0.9, mask=mask)
        said = Prediction(card.ref, {}, GateVerdict(True), regions=(drawn,))
        pair.append(Found(card, image, said, card.populations[0], None))
    clip = measure_clip(pair, card)
    assert clip.phases is not None
    assert clip.areas[0] > clip.areas[1]
    names = {one.name: one.value for one in clip.measurements}
    assert set(names) == {"end_diastolic_volume", "end_systolic_volume"}
    assert names["end_systolic_volume"] > names["end_diastolic_volume"]
    assert "so no ejection fraction is told" in clip.doubts[0]


def test_frames_of_another_scale_give_no_fraction(card: ModelCard) -> None:
    found, images = frames(card)
    other = [images[0], replace(images[4], spacing=Spacing(0.5, 0.5, "typed"))]
    clip = measure_clip(placed([found[0], found[4]], other), card)
    assert clip.measurements == ()
    assert clip.doubts == (
        "The two frames differ in size or scale, so no ejection fraction is told. Load two frames of one clip.",
    )


def test_one_good_frame_opens_the_clip_with_a_doubt(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [frame(i) for i in range(9)]
    passing = {"frame 0"}
    monkeypatch.setattr(
        module.gate,
        "check",
        lambda image, _: GateVerdict(image.digest in passing, () if image.digest in passing else ("no",), "x"),
    )
    said = verdict(images, card)
    assert said.passed
    assert said.reasons == ("The input check passed 1 of the 7 frames that it looked at.",)
    passing.clear()
    assert not verdict(images, card).passed


def test_a_frame_that_fails_is_left_out_and_progress_is_told(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    found, images = frames(card)

    def fails(image: Image, *_: object, **__: object) -> Found:
        if image is images[2]:
            raise BadRequest("no", "no")
        one = found[images.index(image)]
        assert one is not None
        return one

    monkeypatch.setattr(module, "find", fails)
    told: list[float] = []
    out = outline_clip(images, card, GateVerdict(True), progress=told.append)
    assert [one is None for one in out] == [i == 2 for i in range(9)]
    assert told == sorted(told)
    assert len(told) == 9


def test_the_heart_model_is_the_one_that_measures_hearts(card: ModelCard) -> None:
    assert heart_model([read_card(TINY_OUTLINE)]) is None
    assert heart_model([read_card(TINY_OUTLINE), card]) is card


def test_an_outline_that_is_expected_to_be_wrong_gives_no_fraction_until_it_is_corrected(card: ModelCard) -> None:
    found, images = frames(card)
    poor = [
        None if one is None else replace(one, prediction=replace(one.prediction, regions=(disc(radius, 0.1),)))
        for one, radius in zip(found, RADII, strict=True)
    ]
    clip = measure_clip(poor, card)
    assert clip.measurements == ()
    assert "Correct the outline of the left ventricle by hand to get the ejection fraction." in clip.doubts
    assert clip.phases is not None
    phases = (clip.phases.end_diastole, clip.phases.end_systole)
    own = {images[i].digest: {"left_ventricle": (disc(RADII[i], math.nan),)} for i in phases}
    assert measure_clip(poor, card, own).measurements
