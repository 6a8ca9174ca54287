"""The drawn cases for models that outline and measure, with what was drawn, so that measurements can be told apart."""

from __future__ import annotations

from pydicom.uid import (
    CTImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from medimg_core.training.phantoms.chest import Nodule, chest_ct
from medimg_core.training.phantoms.dicomfile import Picture, Subject, scale_of_ultrasound
from medimg_core.training.phantoms.drawn import LUNG_WINDOW, Drawn, axial
from medimg_core.training.phantoms.fetus import Head, fetal_head
from medimg_core.training.phantoms.heart import beat
from medimg_core.training.phantoms.sequences import Glioma, brain_sequences

FRAMES, FRAME_MS = 24, 37.5
"""Of the cine: one beat of 900 ms, 67 a minute."""

HEAD = Head((1.0, 40.0), 62.3, 48.7, 12.0)
"""Circumference 175 mm, as at 20 weeks."""

FIELD_MM, APART_MM, NODULE_MM = 360.0, 2.5, 14.0
"""Of the chest CT: side of the picture, distance of slices, diameter of the nodule."""

NODULE = Nodule((0.35, 0.39, 0.0), NODULE_MM / 2 / FIELD_MM, 0, lobed=0.0, clear=0.012)

HEAD_MM, BETWEEN_MM = 240.0, 5.0
"""Of the brain MR: side of the picture, distance of slices."""

GLIOMA = Glioma((0.62, 0.42), (0.085, 0.11), 20.0)


def _heart(stem: str, seed: int) -> tuple[Picture, ...]:
    rows, columns, mm = 240, 290, 0.68
    header = {
        **scale_of_ultrasound(rows, columns, mm),
        "FrameTime": FRAME_MS,
        "FrameIncrementPointer": 0x00181063,  # Frame Time
        "HeartRate": 67,
        "SeriesDescription": "Apical four-chamber view, drawn",
    }
    pixels = beat(seed, FRAMES, rows, columns, mm)
    return (Picture(stem, pixels, "US", UltrasoundMultiFrameImageStorage, "HEART", attributes=header),)


def _fetus(stem: str, seed: int) -> tuple[Picture, ...]:
    rows, columns, mm = 432, 640, 0.165
    header = {**scale_of_ultrasound(rows, columns, mm), "SeriesDescription": "Fetal head, drawn"}
    pixels = fetal_head(seed, rows, columns, mm, HEAD)
    return (Picture(stem, pixels, "US", UltrasoundImageStorage, "FETUS", attributes=header),)


def _nodule(stem: str, seed: int) -> tuple[Picture, ...]:
    side = 448
    heights = tuple(APART_MM * k for k in (-1, 0, 1))
    slices = chest_ct(seed, side, tuple(height / FIELD_MM for height in heights), NODULE)
    return tuple(
        Picture(
            f"{stem}_{i}",
            pixels,
            "CT",
            CTImageStorage,
            "CHEST",
            i,
            {**axial(FIELD_MM, side, height, APART_MM), **LUNG_WINDOW, "KVP": 120},
        )
        for i, (pixels, height) in enumerate(zip(slices, heights, strict=True), start=1)
    )


def _brain(stem: str, seed: int) -> tuple[Picture, ...]:
    side = 256
    heights = tuple(BETWEEN_MM * k for k in (-1, 0, 1))
    slices = brain_sequences(seed, side, tuple(height / HEAD_MM for height in heights), GLIOMA)
    described = {"SeriesDescription": "T1, FLAIR, T1 after contrast as colours, drawn"}
    return tuple(
        # An MR object holds grey values only (PS3.3 C.8.3.1): colours made of three are a secondary capture.
        Picture(
            f"{stem}_{i}",
            pixels,
            "MR",
            SecondaryCaptureImageStorage,
            "BRAIN",
            i,
            {**axial(HEAD_MM, side, height, BETWEEN_MM), **described},
        )
        for i, (pixels, height) in enumerate(zip(slices, heights, strict=True), start=1)
    )


OUTLINED = (
    Drawn(
        stem="19_heart_cine",
        group="Heart",
        title="Heart, one beat",
        text=(
            "A drawn cine of the apical four-chamber view, 24 frames: the left ventricle empties and fills, "
            "the valves open and close."
        ),
        kind="cardiac_ultrasound",
        models=("cardiac_ultrasound",),
        subject=Subject("Example^Rosa", "DEMO-0019", "19720526", "F"),
        draw=lambda: _heart("19_heart_cine", 8),
    ),
    Drawn(
        stem="20_fetal_head",
        group="Unborn child",
        title="Fetal head, standard plane",
        text="A drawn picture of an unborn child's head: skull, midline with cavum, thalami; 175 mm round.",
        kind="fetal_ultrasound",
        models=("fetal_head",),
        subject=Subject("Example^Sara", "DEMO-0020", "19940218", "F"),
        draw=lambda: _fetus("20_fetal_head", 1),
    ),
    Drawn(
        stem="21_lung_nodule",
        group="Chest CT",
        title="Chest CT, round nodule on the right",
        text=(
            "Three drawn slices, 2.5 mm apart, with a smooth nodule of 14 mm in front in the patient's right lung. "
            "Draw a box round it."
        ),
        kind="lung_ct",
        models=("lung_nodule", "lung_ct_cancer"),
        subject=Subject("Example^Theo", "DEMO-0021", "19631011", "M"),
        draw=lambda: _nodule("21_lung_nodule", 14),
        parts=("1", "2", "3"),
    ),
    Drawn(
        stem="22_brain_mr_sequences",
        group="Brain MR",
        title="Brain MR, three sequences as colours",
        text=(
            "Three drawn slices, 5 mm apart, of T1, FLAIR and T1 after contrast as red, green and blue: "
            "a mass in the left hemisphere that FLAIR shows bright."
        ),
        kind="brain_mr_sequences",
        models=("brain_tumour_outline",),
        subject=Subject("Example^Vera", "DEMO-0022", "19870703", "F"),
        draw=lambda: _brain("22_brain_mr_sequences", 2),
        parts=("1", "2", "3"),
    ),
)
