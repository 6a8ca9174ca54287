"""The drawn cases for models that outline and measure, with what was drawn, so that measurements can be told apart."""

from __future__ import annotations

from pydicom.uid import UltrasoundMultiFrameImageStorage

from medimg_core.training.phantoms.dicomfile import Picture, Subject, scale_of_ultrasound
from medimg_core.training.phantoms.drawn import Drawn
from medimg_core.training.phantoms.heart import beat

FRAMES, FRAME_MS = 24, 37.5
"""Of the cine: one beat of 900 ms, 67 a minute."""


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
)
