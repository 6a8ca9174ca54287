"""Three MR series of one study as one: what is joined, from which slices, how bright, and what is said where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from mr_files import AFTER, BEFORE, DISC_MM, FLAIR, RADIUS_MM, mr_slice, three_series

from medimg_core.catalog import list_models, open_model
from medimg_core.inference import predict
from medimg_core.io import Pool, attach, read_study
from medimg_core.render.segmentation import to_dicom_seg
from medimg_core.training.phantoms.outlined import BETWEEN_MM, GLIOMA, HEAD_MM
from medimg_core.training.phantoms.sequences import brain_sequences, glioma_mask
from medimg_core.types import ModelRef, Region, Study
from medimg_core.workflows.sequences import add_joined, wanted

HEIGHTS = (0.0, 5.0, 10.0, 15.0)


@pytest.fixture(scope="module")
def read() -> Iterator[Callable[[Sequence[bytes]], Study]]:
    pool = Pool()
    yield lambda files: add_joined(read_study([("", data) for data in files], pool=pool)[0])[0]
    pool.close()


Read = Callable[[Sequence[bytes]], Study]


def said(study: Study) -> str:
    return " ".join(note.text for note in study.notes if note.kind == "sequences")


def slices(header: dict[str, Any], heights: Sequence[float], inside: int, outside: int, **more: Any) -> list[bytes]:
    return [mr_slice(z, inside=inside, outside=outside, **{**header, **more}) for z in heights]


FLAIRS = slices(FLAIR, HEIGHTS, 1800, 400)
AFTERS = slices(AFTER, HEIGHTS, 90, 30)


def test_three_series_become_one_of_colours(read: Read) -> None:
    study = read(three_series())
    _, flair, _, joined = study.series
    assert said(study) == (
        "Series 4 is joined from three of this study: red is T1 before contrast (series 1), green is FLAIR (series 2), "
        "blue is T1 after contrast (series 3)."
    )
    assert (joined.kind, joined.sequence) == ("slices", "joined")
    assert joined.description == "MR brain three sequences joined, 4 slices"
    for image, grid in zip(joined.images, flair.images, strict=True):
        assert image.photometric == "RGB"
        assert image.pixels.dtype == np.uint8
        assert (image.position, image.orientation, image.spacing) == (grid.position, grid.orientation, grid.spacing)
        assert image.synthetic
    # The rim is 0 and its 252 of 4096 pixels lie below the lowest hundredth's limit; 7.7 % of the pixels are disc, so
    # that the 99.5th percentile is the disc's own level: it becomes the level of the training's pictures.
    pixels = joined.images[1].pixels
    assert (pixels[0] == 0).all()
    assert pixels[26, 40].tolist() == [147, 145, 132]  # the disc's middle, 12 and -9 mm
    # Outside the disc: 200 of 300, 400 of 1800, 30 of 90.
    assert pixels[60, 3].tolist() == [98, 32, 44]


def test_slices_are_matched_by_place_and_not_by_number(read: Read) -> None:
    """The first series begins one slice lower, lies 2 mm off and comes in another order."""
    moved = [mr_slice(z + 2.0, inside=300 + round(z), outside=100, **BEFORE) for z in (15.0, -5.0, 0.0, 5.0, 10.0)]
    study = read([*moved, *FLAIRS, *AFTERS])
    red = [int(image.pixels[26, 40, 0]) for image in study.series[-1].images]
    # 300, 305, 310, 315 stand 2 mm above 0, 5, 10, 15; the highest level, 315, becomes 147.
    assert red == [140, 142, 145, 147]


@pytest.mark.parametrize(("off", "count"), [(2.4, 4), (2.6, 3)], ids=["within half a slice", "beyond"])
def test_the_tolerance_is_half_a_slice(read: Read, off: float, count: int) -> None:
    study = read([*slices(BEFORE, [z + off for z in HEIGHTS], 300, 200), *FLAIRS, *AFTERS])
    # Beyond it the lowest slice of FLAIR has none; the others have one below them, 2.4 mm away.
    assert [image.position[2] for image in study.series[-1].images if image.position] == list(HEIGHTS[-count:])


def test_a_missing_slice_is_left_out_and_said(read: Read) -> None:
    heights = (*HEIGHTS, 20.0)
    files = [*slices(BEFORE, heights, 300, 200), *slices(FLAIR, heights, 1800, 400)]
    study = read([*files, *slices(AFTER, (0.0, 5.0, 15.0, 20.0), 90, 30)])
    joined = study.series[-1]
    assert [image.position[2] for image in joined.images if image.position] == [0.0, 5.0, 15.0, 20.0]
    doubts = [note.text for note in joined.notes if note.kind == "doubt"]
    assert "One slice of FLAIR is left out: T1 before or after contrast has none within half a slice of it." in doubts
    assert "Gap: one slice seems to be missing between slices 2 and 3." in doubts


def test_of_doubled_slices_the_first_is_used(read: Read) -> None:
    doubled = [
        mr_slice(z, inside=inside, outside=400, **FLAIR, InstanceNumber=number)
        for number, (z, inside) in enumerate([(0.0, 1800), (5.0, 1800), (5.0, 1000), (10.0, 1800)], 1)
    ]
    study = read([*slices(BEFORE, HEIGHTS, 300, 200), *doubled, *AFTERS])
    joined = study.series[-1]
    assert [int(image.pixels[26, 40, 1]) for image in joined.images] == [145, 145, 145]
    assert any("occurs more than once in FLAIR" in note.text for note in joined.notes)


def test_other_grids_are_brought_to_that_of_flair(read: Read) -> None:
    """T1 at half the pixel size and shifted: the disc stays at its place in the patient, to a tenth of a pixel."""
    fine = slices(BEFORE, HEIGHTS, 300, 200, corner=(-51.3, -47.1), mm=0.75, shape=(132, 136))
    study = read([*fine, *FLAIRS, *slices(AFTER, HEIGHTS, 90, 30, corner=(-20.0, -48.0), shape=(64, 46))])
    joined = study.series[-1]
    assert joined.images[0].shape == (64, 64)
    rows, columns = np.mgrid[:64, :64]
    for colour, outside, inside in ((0, 98, 147), (1, 32, 145)):
        disc = np.clip(joined.images[1].pixels[..., colour].astype(float) - outside, 0, None) / (inside - outside)
        x, y = (-48 + 1.5 * (index * disc).sum() / disc.sum() for index in (columns, rows))
        assert (x, y) == pytest.approx(DISC_MM, abs=0.1)
        assert disc.sum() * 2.25 == pytest.approx(np.pi * RADIUS_MM**2, rel=0.02)
    blue = joined.images[1].pixels[..., 2]
    assert (blue[:, :18] == 0).all()
    assert blue[40, 30] == 44
    texts = [note.text for note in joined.notes]
    assert "T1 before contrast was resampled to the grid of FLAIR." in texts
    assert any(text.startswith("T1 after contrast covers 7") and "black in the rest" in text for text in texts)
    assert not any(text.startswith("T1 before contrast covers") for text in texts)


def test_of_several_series_those_that_share_most_places_are_taken(read: Read) -> None:
    few = slices({**AFTER, "SeriesInstanceUID": "1.2.7"}, (0.0, 5.0), 90, 30)
    sagittal = {**BEFORE, "SeriesInstanceUID": "1.2.8", "ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
    study = read([*few, *slices(sagittal, HEIGHTS, 300, 200), *three_series()])
    assert len(study.series[-1].images) == 4
    assert "T1 before contrast (series" in said(study)
    numbers = {one.sequence: i for i, one in enumerate(study.series, 1) if len(one.images) == 4}
    assert f"T1 after contrast (series {numbers['T1 after contrast']})" in said(study)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        (
            [FLAIRS],
            "One sequence where three are needed to outline a glioma: FLAIR is here, T1 before contrast and T1 after "
            "contrast are not. Open the missing series together with the others, as one folder or zip of the study. "
            "Each series is shown, and answered by itself, as before.",
        ),
        ([FLAIRS, AFTERS], "Two sequences where three are needed to outline a glioma: FLAIR and T1 after contrast are"),
        (
            [FLAIRS, AFTERS, slices({**AFTER, "SeriesInstanceUID": "1.2.6"}, HEIGHTS, 90, 30)],
            "2 series count as T1 after contrast; their headers do not tell them apart.",
        ),
        (
            [FLAIRS, AFTERS, slices(BEFORE, HEIGHTS, 300, 200, FrameOfReferenceUID="1.2.10")],
            "their headers do not say that they show one patient in one frame of reference. Open the series of one",
        ),
        (
            [FLAIRS, AFTERS, slices(BEFORE, HEIGHTS, 300, 200, PatientID="another")],
            "their headers do not say that they show one patient",
        ),
        (
            [FLAIRS, AFTERS, slices(BEFORE, [z + 100 for z in HEIGHTS], 300, 200)],
            "no slices of all three lie at the same place",
        ),
        (
            [FLAIRS, AFTERS, slices(BEFORE, HEIGHTS, 300, 200, ImageOrientationPatient=[0, 1, 0, 0, 0, -1])],
            "T1 before contrast runs in another direction than FLAIR",
        ),
        (
            [FLAIRS, AFTERS, slices(BEFORE, HEIGHTS, 300, 200, PixelSpacing=None)],
            "the header of T1 before contrast does not state position, direction and pixel spacing",
        ),
        (
            [
                slices({**one, "ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, HEIGHTS, 300, 200)
                for one in (BEFORE, FLAIR, AFTER)
            ],
            "FLAIR is not axial",
        ),
    ],
    ids=["one", "two", "alike", "moved", "patients", "places", "direction", "spacing", "sagittal"],
)
def test_why_series_are_not_joined(read: Read, parts: list[list[bytes]], sentence: str) -> None:
    study = read([data for part in parts for data in part])
    assert sentence in said(study)
    assert all(one.sequence != "joined" for one in study.series)
    assert len(study.images) == 4 * len(parts)


def test_other_studies_are_told_nothing(read: Read) -> None:
    knee = [{**header, "BodyPartExamined": "KNEE"} for header in (BEFORE, AFTER)]
    for files in (slices(knee[0], HEIGHTS, 300, 200), slices(knee[0], HEIGHTS, 9, 3) + slices(knee[1], HEIGHTS, 9, 3)):
        study = read(files)
        assert said(study) == ""
        assert all(one.sequence != "joined" for one in study.series)


def test_padding_and_an_empty_sequence_are_black(read: Read) -> None:
    padded = slices(BEFORE, HEIGHTS, 300, 200)
    rim = [mr_slice(z, inside=1800, outside=400, PixelPaddingValue=400, **FLAIR) for z in HEIGHTS]
    study = read([*padded, *rim, *slices(AFTER, HEIGHTS, 0, 0)])
    pixels = study.series[-1].images[0].pixels
    assert pixels[60, 3].tolist() == [98, 0, 0]
    assert pixels[26, 40].tolist() == [147, 145, 0]


def test_a_segmentation_of_flair_is_not_doubted_for_the_joined_slices(read: Read) -> None:
    flairs = [mr_slice(z, inside=1800 + round(z), outside=400, **FLAIR) for z in HEIGHTS]
    study = read([*slices(BEFORE, HEIGHTS, 300, 200), *flairs, *AFTERS])
    flair = study.series[1].images[2]
    mask = np.zeros(flair.shape, np.bool_)
    mask[20:30, 30:40] = True
    region = Region("outline", "tumour", 0.9, mask=mask)
    ours = read_study([("", to_dicom_seg(flair, [region], ModelRef("tiny", "1.0.0", "0" * 8)))])[0].segmentations[0]
    # As another program writes it: the image is not named by its digest.
    foreign = replace(ours, marks=tuple(replace(mark, source="") for mark in ours.marks), model=None)
    assert foreign.marks[0].position == flair.position
    only = replace(study, series=(study.series[1], study.series[3]))
    assert list(attach(only, [foreign]).marks) == [flair.digest]


def test_models_that_take_joined_slices() -> None:
    taking = {card.name for card in list_models() if wanted([card])}
    assert taking <= {"brain_tumour_outline"}
    assert not wanted([])


def test_the_drawn_glioma_as_three_series_is_outlined_as_in_colours(read: Read) -> None:
    """Case 22 of the demo, in 12 bits and with another gain for each sequence, T1 on finer and shifted grids."""
    card = open_model("brain_tumour_outline")
    heights = tuple(BETWEEN_MM * k for k in (-1, 0, 1))
    drawn = brain_sequences(2, 256, tuple(height / HEAD_MM for height in heights), GLIOMA)
    mm = HEAD_MM / 256
    corner = (-HEAD_MM / 2 + mm / 2,) * 2
    files = []
    for channel, (header, gain) in enumerate(((BEFORE, 3.0), (FLAIR, 7.0), (AFTER, 1.5))):
        files += [
            mr_slice(z, inside=0, corner=corner, mm=mm, pixels=(gain * one[..., channel]).astype(np.uint16), **header)
            for z, one in zip(heights, drawn, strict=True)
        ]
    below, shown, above = read(files).series[-1].images
    said = predict(shown, card, beside=(below, above)).prediction
    assert said.gate.passed
    (region,) = said.regions
    truth = glioma_mask(2, 256, 0.0, GLIOMA)
    assert region.mask is not None
    assert 2 * (region.mask & truth).sum() / (region.mask.sum() + truth.sum()) > 0.95
    area = {one.name: one for one in said.measurements}["area"]
    assert area.unit == "mm2"
    assert area.value == pytest.approx(region.mask.sum() * mm**2)
    assert area.value == pytest.approx(1560, rel=0.06)  # as drawn, docs/demo_cases.md
