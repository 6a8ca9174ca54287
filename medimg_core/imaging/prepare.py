"""The only way into a network, in training, evaluation, the app and the benchmarks alike."""

from __future__ import annotations

import cv2
import numpy as np

from medimg_core.imaging.geometry import Geometry
from medimg_core.imaging.window import to_display
from medimg_core.types import FloatArray, Image, InputSpec

_RGB_TO_GREY = np.array([[0.299, 0.587, 0.114]], np.float32)  # ITU-R BT.601, as libjpeg and OpenCV


def model_grid(
    image: Image, spec: InputSpec, window: tuple[int, int, int, int] | None = None
) -> tuple[FloatArray, Geometry]:
    """Display values on the network's grid, before normalisation.

    Args:
        window: top, left, rows and columns of the part to look at, in source pixels; None takes the whole image.

    Returns:
        float32 `[height, width, channels]` in [0, 1], and the map back to the source. Training caches this as
        uint8 and augments it; `normalise` follows.
    """
    # Grey levels of an exported picture are no Hounsfield units: a window was burned into them already.
    shown = to_display(image, spec.window if image.modality_units == "HU" else None)
    geometry = Geometry.fit(image.shape, (spec.height, spec.width), spec.fit)
    if shown.ndim == 3 and (spec.channels == 1 or is_grey(image)):
        shown = np.asarray(cv2.transform(shown, _RGB_TO_GREY), np.float32)
    if window is not None:
        geometry = Geometry.part(image.shape, (spec.height, spec.width), window)
        grid = geometry.lower(shown)
        return grid if grid.ndim == 3 else np.repeat(grid[..., None], spec.channels, axis=-1), geometry
    small = _reduced(shown, spec.long_side)
    grid = Geometry.fit((small.shape[0], small.shape[1]), geometry.model, spec.fit).lower(small)
    if spec.smoothing > 0:
        grid = np.asarray(cv2.GaussianBlur(grid, (0, 0), spec.smoothing), np.float32)
    if grid.ndim == 2:
        grid = np.repeat(grid[..., None], spec.channels, axis=-1)
    return grid, geometry


def normalise(grid: FloatArray, spec: InputSpec) -> FloatArray:
    """Scale display values `[..., H, W, C]` in [0, 1] to what the network expects (see `InputSpec`)."""
    if spec.normalisation == "zero_to_one":
        return grid
    if spec.normalisation == "minus_one_to_one":
        return grid * np.float32(2) - np.float32(1)
    mean = grid.mean(axis=(-3, -2, -1), keepdims=True)
    deviation = grid.std(axis=(-3, -2, -1), keepdims=True) + np.float32(1e-3)
    standard = (grid - mean) / deviation / np.float32(2.2)
    return np.asarray(np.clip(standard, np.float32(-1.6), np.float32(1.6)), np.float32)


def prepare(
    image: Image, spec: InputSpec, window: tuple[int, int, int, int] | None = None
) -> tuple[FloatArray, Geometry]:
    """A network's input for an image, or for a part of it (see `model_grid`).

    Returns:
        float32 `[height, width, channels]` and the exact map between source and model grid.
    """
    grid, geometry = model_grid(image, spec, window)
    return normalise(grid, spec), geometry


def window_round(image: Image, centre: tuple[float, float], side_mm: float) -> tuple[int, int, int, int]:
    """The square of a side in millimetres round a point: top, left, rows and columns in whole pixels, for `prepare`.

    Args:
        centre: row and column, measured from the outer corner of the first pixel.

    Raises:
        ValueError: the image has no spacing.
    """
    if image.spacing is None:
        raise ValueError("a window in millimetres needs an image with a known spacing")
    rows = max(1, round(side_mm / image.spacing.row_mm))
    columns = max(1, round(side_mm / image.spacing.column_mm))
    return round(centre[0] - rows / 2), round(centre[1] - columns / 2), rows, columns


def _reduced(shown: FloatArray, long_side: int | None) -> FloatArray:
    """The same picture with at most `long_side` pixels on its longer side; never made larger."""
    if long_side is None or max(shown.shape[:2]) <= long_side:
        return shown
    scale = long_side / max(shown.shape[:2])
    rows, columns = (max(1, round(side * scale)) for side in shown.shape[:2])
    return np.asarray(cv2.resize(shown, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def is_grey(image: Image) -> bool:
    """True when an RGB picture holds a grey one: channels differ by at most 2 (what WebP and JPEG leave)."""
    step = max(1, int(np.sqrt(image.pixels.size / 300_000)))
    # A hundred times faster than max and min over an axis of three.
    red, green, blue = cv2.split(np.ascontiguousarray(image.pixels[::step, ::step]))
    return all(cv2.absdiff(a, b).max(initial=0) <= 2 for a, b in ((red, green), (green, blue), (red, blue)))
