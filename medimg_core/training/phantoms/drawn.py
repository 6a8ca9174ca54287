"""What a drawn demo case is, and what the headers of several of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from medimg_core.training.phantoms.dicomfile import Picture, Subject


@dataclass(frozen=True, slots=True)
class Drawn:
    """One drawn case.

    Attributes:
        stem: its name; the one file's name without ending, or the beginning of the names of several.
        group: the heading it stands under on the page Upload.
        kind: the kind of image, as the router names it.
        models: the models that are to answer it.
        draw: makes its pictures, in order.
        parts: endings of their names, where there are several.
    """

    stem: str
    group: str
    title: str
    text: str
    kind: str
    models: tuple[str, ...]
    subject: Subject
    draw: Callable[[], tuple[Picture, ...]]
    parts: tuple[str, ...] = ()

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of its files without ending, in order."""
        return tuple(f"{self.stem}_{part}" for part in self.parts) or (self.stem,)


_AXIAL = [1, 0, 0, 0, 1, 0]


def axial(side_mm: float, side: int, height_mm: float, thick_mm: float) -> dict[str, Any]:
    """Where an axial slice lies (PS3.3 C.7.6.2), head first, face up."""
    spacing = round(side_mm / side, 4)
    return {
        "PixelSpacing": [spacing, spacing],
        "SliceThickness": thick_mm,
        "ImageOrientationPatient": _AXIAL,
        "ImagePositionPatient": [-side_mm / 2, -side_mm / 2, height_mm],
        "SliceLocation": height_mm,
        "PatientPosition": "HFS",
    }


LUNG_WINDOW = {"WindowCenter": [-600, 40], "WindowWidth": [1500, 400], "WindowCenterWidthExplanation": ["LUNG", "SOFT"]}
"""Windows of a chest CT."""
