"""Which images belong together, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from medimg_core.types import Image, Note

Kind = Literal["single", "slices", "frames"]

_SAME_PLACE_MM: Final = 0.01
_GAP: Final = 1.5  # times the median distance


def place(image: Image) -> float | None:
    """Position of a slice along the normal of its plane, in mm; None where the header does not say it."""
    if image.position is None or image.orientation is None:
        return None
    normal = np.cross(image.orientation[:3], image.orientation[3:])
    return float(np.dot(normal, image.position))


def plane(image: Image) -> tuple[object, ...]:
    """What slices of one stack share: matrix, orientation and the kind of pixels."""
    cosines = tuple(round(cosine, 2) + 0.0 for cosine in image.orientation or ())
    return image.pixels.shape, cosines, image.photometric, image.modality


def in_order(images: Sequence[Image]) -> tuple[list[int], Kind, tuple[Note, ...]]:
    """Sort images of one stack by place.

    Returns:
        The order as indices, the kind, and notes about gaps and doubles. Where any image has no place, the order
        stays: frames of a cine.
    """
    places = [place(image) for image in images]
    known = [p for p in places if p is not None]
    if len(images) == 1:
        return [0], "single", ()
    if len(known) < len(images) or max(known) - min(known) < _SAME_PLACE_MM:
        return list(range(len(images))), "frames", ()
    order = sorted(range(len(images)), key=lambda i: (known[i], images[i].instance or 0, i))
    return order, "slices", tuple(_irregular([known[i] for i in order]))


def describe(images: Sequence[Image], kind: Kind, more: str = "") -> str:
    """What a series is, made of coded values only: the header's own description is free text.

    Args:
        more: its MR sequence.
    """
    first = images[0]
    what = " ".join(part for part in (first.modality or first.format, (first.body_part or "").lower(), more) if part)
    return what if kind == "single" else f"{what}, {len(images)} {kind}"


def _irregular(places: Sequence[float]) -> list[Note]:
    notes = []
    steps = np.diff(places)
    doubles = int((steps < _SAME_PLACE_MM).sum())
    if doubles:
        what = "A slice position occurs" if doubles == 1 else f"{doubles} slice positions occur"
        notes.append(Note("doubt", f"{what} more than once; all are kept."))
    real = steps[steps >= _SAME_PLACE_MM]
    usual = float(np.median(real))
    for index in np.flatnonzero(steps > _GAP * usual)[:3]:
        missing = max(1, round(steps[index] / usual) - 1)
        what = "one slice seems" if missing == 1 else f"{missing} slices seem"
        notes.append(Note("doubt", f"Gap: {what} to be missing between slices {index + 1} and {index + 2}."))
    notes.append(Note("read", f"Sorted by position, {usual:.3g} mm apart."))
    return notes
