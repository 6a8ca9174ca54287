"""What can be said about a picture from its grey levels alone: blank, clipped, coloured, mostly margin, few levels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.imaging.window import to_display
from medimg_core.types import FloatArray, Image, PixelArray

_SIDE = 384
"""Pictures are thinned for a network until their shorter side is near this many pixels."""

_COUNTED_SIDE = 192
"""Shares and percentiles need no more than this."""

_COLOURED = 30
"""Channels that differ by more levels than this are a colour; what compression leaves is far below."""

_PLAIN = 2.0
"""A row or column that deviates by fewer levels than this shows nothing."""

Levels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of one picture as it is displayed (window and polarity applied, grey levels 0 to 1).

    Attributes:
        shorter: pixels on the shorter side of the source.
        aspect: longer side by shorter side, 1 or more.
        contrast: 99th less 1st percentile of the grey levels.
        levels: different grey levels among 256.
        commonest: share of the picture that the commonest of 256 grey levels takes.
        clipped: share of pixels that are quite black or quite white (within 2 of 255 levels).
        coloured: share of pixels in colour.
        margin: share of the picture that lies in plain rows and columns at its edges.
        missing: share of pixels that are padding or no number.
    """

    shorter: int
    aspect: float
    contrast: float
    levels: int
    commonest: float
    clipped: float
    coloured: float
    margin: float
    missing: float


def measure(image: Image, source: tuple[int, int] | None = None) -> Quality:
    """All figures of a picture; about a millisecond, whatever its size.

    Args:
        source: rows and columns before the picture was thinned; its own where None.
    """
    small = thin(image, _COUNTED_SIDE)
    grey = grey_levels(small)
    counts = np.bincount(grey.ravel(), minlength=256)
    rows, columns = source or image.shape
    return Quality(
        shorter=min(rows, columns),
        aspect=max(rows, columns) / min(rows, columns),
        contrast=contrast(grey),
        levels=int((counts > 0).sum()),
        commonest=float(counts.max() / grey.size),
        clipped=float((counts[:3].sum() + counts[253:].sum()) / grey.size),
        coloured=coloured(small),
        margin=margin(grey),
        missing=missing(small),
    )


def thin(image: Image, side: int = _SIDE) -> Image:
    """The same picture with every k-th row and column only, k so that the shorter side keeps at least `side` pixels."""
    step = max(1, min(image.shape) // side)
    if step == 1:
        return image
    pixels: PixelArray = image.pixels[::step, ::step].copy()
    return replace(image, pixels=pixels)


def grey_levels(image: Image) -> Levels:
    """The picture as displayed, in 256 grey levels: uint8 `[H, W]`."""
    if image.photometric == "RGB":
        return np.asarray(cv2.cvtColor(np.asarray(image.pixels, np.uint8), cv2.COLOR_RGB2GRAY), np.uint8)
    return np.asarray(np.rint(to_display(image) * np.float32(255)), np.uint8)


def contrast(grey: Levels) -> float:
    """99th less 1st percentile by 255: 0 for a blank picture, at most 1. Single stray pixels do not count."""
    reached = np.cumsum(np.bincount(grey.ravel(), minlength=256)) / grey.size
    low, high = np.searchsorted(reached, (0.01, 0.99))
    return float(high - low) / 255


def coloured(image: Image) -> float:
    """Share of the pixels whose channels differ visibly; 0 for a grey image."""
    if image.photometric != "RGB":
        return 0.0
    red, green, blue = cv2.split(np.asarray(image.pixels, np.uint8))
    high, low = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return float(np.mean(cv2.subtract(high, low) > _COLOURED))


def margin(grey: Levels) -> float:
    """Share of the picture that lies in plain rows and columns at its edges.

    From each of the four edges inwards, as long as a row deviates by less than two levels in itself and from the
    outermost row. A plain stripe between two pictures is no margin.
    """
    shades = grey.astype(np.float32)
    rows, columns = (_content(shades.std(axis=axis), shades.mean(axis=axis)) for axis in (1, 0))
    return 1 - rows * columns / grey.size


def _content(deviation: FloatArray, mean: FloatArray) -> int:
    """How many rows are left between the plain ones at both ends, from the deviation and mean of every row."""
    first, last = (
        int(np.argmin(np.append((d < _PLAIN) & (np.abs(m - m[0]) < _PLAIN), False)))
        for d, m in ((deviation, mean), (deviation[::-1], mean[::-1]))
    )
    return max(0, len(mean) - first - last)


def missing(image: Image) -> float:
    """Share of pixels that hold the padding value or no finite number."""
    if image.pixels.dtype == np.uint8 and image.padding is None:
        return 0.0
    gone = ~np.isfinite(image.pixels)
    if image.padding is not None:
        gone |= image.pixels == image.padding
    return float(gone.mean())
