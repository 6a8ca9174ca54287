"""Regions as pixels: which pixels of the source image an outline, a box or a mask covers."""

from __future__ import annotations

import numpy as np

from medimg_core.imaging.outline import fill
from medimg_core.types import MaskArray, Region


def mask_of(region: Region, shape: tuple[int, int]) -> MaskArray | None:
    """The pixels of a region on the source grid, bool `[H, W]`; None for a point, or where none is covered.

    Lines run in pixels of the image, (0, 0) at the outer corner of the first; a pixel belongs to a region when its
    centre does. What lies outside the image is cut off. A mask of another shape is a ValueError.
    """
    found: MaskArray | None = None
    if region.mask is not None:
        if region.mask.shape != shape:
            raise ValueError(f"a mask of {region.mask.shape} on an image of {shape}")
        found = region.mask
    elif region.polygon:
        found = fill([np.asarray(region.polygon, np.float64)], shape)
    elif region.box is not None:
        x0, y0, x1, y1 = region.box
        found = fill([np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)], shape)
    return found if found is not None and found.any() else None
