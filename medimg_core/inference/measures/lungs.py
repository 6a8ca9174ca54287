"""Lungs and heart on a frontal chest film: areas and ratios."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medimg_core.imaging.outline import box_of, largest_part, without_specks
from medimg_core.imaging.shape import area
from medimg_core.inference.measures.registry import (
    Errors,
    Scale,
    known_spacing,
    mask_of,
    measurement,
    register,
)
from medimg_core.types import Image, MaskArray, Measurement, Region

LABELS = ("lung_right", "lung_left", "lungs")
_SPECK = 0.02
"""Parts smaller than this share of all lung do not count for the width of the chest."""


def lungs(regions: Sequence[Region], image: Image, errors: Errors) -> tuple[Measurement, ...]:
    """Measures of the regions `lung_right`, `lung_left`, `lungs` and `heart`.

    - `lung_right_area`, `lung_left_area`, `lungs_area` (everything that is lung), `heart_area`: mm2 or px2.
    - `lung_area_ratio`: left by right, where both are told apart.
    - `cardiothoracic_ratio`: see there; of a film from front to back (AP) it comes out too large.
    """
    scale, spacing = Scale.of(image), known_spacing(image)
    right, left = (mask_of(regions, name, image.shape) for name in LABELS[:2])
    both, heart = mask_of(regions, LABELS, image.shape), mask_of(regions, "heart", image.shape)
    parts = {"lung_right_area": right, "lung_left_area": left, "lungs_area": both, "heart_area": heart}
    found = [
        measurement(name, area(part, spacing), scale.area, scale.basis, errors)
        for name, part in parts.items()
        if part.any()
    ]
    if right.any() and left.any():
        ratio = float(np.count_nonzero(left) / np.count_nonzero(right))
        found.append(measurement("lung_area_ratio", ratio, "", scale.basis, errors))
    width = cardiothoracic_ratio(both, heart)
    if width is not None:
        found.append(measurement("cardiothoracic_ratio", width, "", scale.basis, errors))
    return tuple(found)


def cardiothoracic_ratio(lung: MaskArray, heart: MaskArray) -> float | None:
    """Greatest width of the heart by the greatest inner width of the chest (Danzer, Am J Med Sci 1919;157:513-521).

    The heart's width runs from its outermost point on one side to that on the other, whatever their heights; the
    chest's is the largest distance in one row between the outer edges of the lungs on both sides of the heart.

    Args:
        lung, heart: bool `[H, W]`, upright frontal film.

    Returns:
        A ratio that needs no spacing; None without a heart between two lungs.
    """
    box = box_of(largest_part(heart))
    if box is None:
        return None
    middle = int((box[0] + box[2]) / 2)
    chest = without_specks(lung, max(1, int(_SPECK * np.count_nonzero(lung))))
    rows = chest[:, :middle].any(axis=1) & chest[:, middle + 1 :].any(axis=1)
    if not rows.any():
        return None
    flat = chest[rows]
    widths = flat.shape[1] - np.argmax(flat[:, ::-1], axis=1) - np.argmax(flat, axis=1)
    return float((box[2] - box[0]) / widths.max())


register("lungs", lungs)
