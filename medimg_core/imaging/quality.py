"""What can be said about a picture from its grey levels alone: blank, clipped, coloured, mostly margin, few levels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medimg_core.imaging.window import to_display
from medimg_core.types import FloatArray, Image, PixelArray

_SIDE = 384
"""Pictures are thinned until their shorter side is near this many pixels: shares do not need more."""

_COLOURED = 30 / 255
"""Channels that differ by more than this are a colour; what compression leaves on grey pictures is far below."""

_PLAIN = 2 / 255
"""A row or column whose deviation is below this shows nothing."""


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


def measure(image: Image) -> Quality:
    """All figures of a picture; under 2 ms, whatever its size."""
    small = thin(image)
    shown = to_display(small)
    grey = shown if shown.ndim == 2 else np.asarray(shown.mean(axis=-1), np.float32)
    counts = histogram(grey)
    rows, columns = image.shape
    return Quality(
        shorter=min(rows, columns),
        aspect=max(rows, columns) / min(rows, columns),
        contrast=contrast(grey),
        levels=int((counts > 0).sum()),
        commonest=float(counts.max() / grey.size),
        clipped=float((counts[:3].sum() + counts[253:].sum()) / grey.size),
        coloured=coloured(shown),
        margin=margin(grey),
        missing=missing(small),
    )


def thin(image: Image) -> Image:
    """The same picture with every k-th row and column only, k so that the shorter side keeps at least 384 pixels."""
    step = max(1, min(image.shape) // _SIDE)
    if step == 1:
        return image
    pixels: PixelArray = image.pixels[::step, ::step].copy()
    return replace(image, pixels=pixels)


def histogram(grey: FloatArray) -> NDArray[np.int64]:
    """Counts of the 256 display levels, int64 `[256]`."""
    index = np.clip(np.rint(grey * 255), 0, 255).astype(np.uint8)
    return np.bincount(index.ravel(), minlength=256)


def contrast(grey: FloatArray) -> float:
    """99th less 1st percentile: 0 for a blank picture, at most 1. Single stray pixels do not count."""
    low, high = np.percentile(grey, (1, 99))
    return float(high - low)


def coloured(shown: FloatArray) -> float:
    """Share of the pixels of `[H, W, 3]` whose channels differ visibly; 0 for `[H, W]`."""
    if shown.ndim == 2:
        return 0.0
    return float((shown.max(axis=-1) - shown.min(axis=-1) > _COLOURED).mean())


def margin(grey: FloatArray) -> float:
    """Share of the picture that lies in plain rows and columns at its edges.

    From each of the four edges inwards, as long as a row deviates by less than two of 255 levels in itself and from
    the outermost row. A plain stripe between two pictures is no margin.
    """
    inside = [_content(grey.std(axis=axis), grey.mean(axis=axis)) for axis in (1, 0)]
    return float(1 - inside[0] * inside[1] / grey.size)


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
