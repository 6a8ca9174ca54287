"""What a reader corrected in the viewer, as regions. What comes from a browser is checked before it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core.imaging.outline import box_of, fill
from medimg_core.inference.places import Box
from medimg_core.types import Image, Region
from medimg_core.workflows.find import Found

_MOST_REGIONS = 64
_MOST_RINGS = 256
_MOST_POINTS = 8192
_ROUNDED = 0.006
"""Pixels by which a side differs that came back from the browser with two decimals."""


def read(told: Any, images: Sequence[Image], found: Mapping[str, Found]) -> tuple[str, str, tuple[Region, ...]] | None:
    """Model, structure, and all its regions as the reader left them: his own without a score, and boxes that he did not
    touch as the model left them.

    Args:
        told: `{image, model, structure, regions: [{kind, rings}]}` with rings of `[x, y]` in image pixels.
        found: by the name of the model: what it said about the image.

    Returns:
        None for what does not fit the image or the model, and where nothing is left of the structure.
    """
    if not isinstance(told, Mapping):
        return None
    index, one = told.get("image"), found.get(str(told.get("model")))
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(images) or one is None:
        return None
    structure, listed = str(told.get("structure")), told.get("regions")
    if structure not in {known.id for known in one.places.structures} or not isinstance(listed, list):
        return None
    drawn = [_region(raw, structure, one, images[index].shape) for raw in listed[:_MOST_REGIONS]]
    regions = tuple(region for region in drawn if region is not None)
    return (one.card.name, structure, regions) if regions else None


def _region(raw: Any, label: str, found: Found, shape: tuple[int, int]) -> Region | None:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("rings"), list):
        return None
    rings = [ring for listed in raw["rings"][:_MOST_RINGS] if (ring := _ring(listed, shape)) is not None]
    if not rings:
        return None
    if raw.get("kind") == "box" or found.places.kind == "boxes":
        (x0, y0), (x1, y1) = rings[0].min(axis=0).tolist(), rings[0].max(axis=0).tolist()
        if x1 - x0 < 1 or y1 - y0 < 1:
            return None
        return _untouched(found, label, (x0, y0, x1, y1)) or Region("box", label, math.nan, (x0, y0, x1, y1))
    mask = fill(rings, shape)
    box = box_of(mask)
    if box is None:
        return None
    return Region("outline", label, math.nan, box, tuple((float(x), float(y)) for x, y in rings[0]), mask)


def _untouched(found: Found, label: str, box: Box) -> Region | None:
    """The region that is shown with these sides, which came from the browser rounded."""
    return next(
        (
            one
            for one in found.shown
            if one.label == label and one.box is not None and np.abs(np.subtract(one.box, box)).max() <= _ROUNDED
        ),
        None,
    )


def _ring(listed: Any, shape: tuple[int, int]) -> NDArray[np.float64] | None:
    """A line of three points or more, float64 `[N, 2]`, kept inside the image."""
    if not isinstance(listed, list) or not 3 <= len(listed) <= _MOST_POINTS:
        return None
    try:
        points = np.asarray(listed, np.float64)
    except (TypeError, ValueError):
        return None
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        return None
    return np.clip(points, 0, (shape[1], shape[0]))
