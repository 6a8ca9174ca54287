"""From modality units to what is shown: VOI windows, VOI LUTs and the polarity of the film."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medimg_core.types import FloatArray, Image, PixelArray, VoiLut, Window


def apply_window(pixels: NDArray[np.floating] | PixelArray, window: Window) -> FloatArray:
    """Map modality units to display values in [0, 1] (DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Args:
        pixels: any shape, modality units.
        window: centre and width; a LINEAR width of 1 or less is a threshold at `centre - 0.5`.

    Returns:
        float32 of the same shape.
    """
    x = np.asarray(pixels, np.float32)
    centre, width = window.centre, window.width
    if window.function == "SIGMOID":
        # float32 overflows to inf for far values: 1 / (1 + inf) is the right 0.
        with np.errstate(over="ignore"):
            return np.asarray(1.0 / (1.0 + np.exp(-4.0 * (x - centre) / max(width, 1e-6))), np.float32)
    if window.function == "LINEAR_EXACT":
        low, span = centre - width / 2, width
    else:
        low, span = centre - 0.5 - (width - 1) / 2, width - 1
    if span <= 0:
        return (x > low).astype(np.float32)
    shown = np.subtract(x, np.float32(low), dtype=np.float32)  # in place from here: a film is some 10 MB a pass
    shown *= np.float32(1 / span)
    return np.clip(shown, 0, 1, out=shown)


def apply_voi_lut(pixels: NDArray[np.floating] | PixelArray, lut: VoiLut) -> FloatArray:
    """Look modality values up in a VOI LUT; display values in [0, 1] (DICOM PS3.3 C.11.2.1.1)."""
    index = np.clip(np.asarray(pixels, np.float32) - lut.first, 0, len(lut.table) - 1).astype(np.intp)
    return np.asarray(lut.table[index] / float(2**lut.bits - 1), np.float32)


def auto_window(image: Image) -> Window:
    """A window from the pixels: the 0.5th to the 99.5th percentile without padding and non-finite values.

    8-bit pictures keep their full range 0 to 255, because their grey levels are display values already.
    """
    if image.bits <= 8 and image.modality is None:
        return Window(127.5, 255.0, "LINEAR_EXACT")
    step = max(1, int(np.sqrt(image.pixels.size / 65_536)))
    sample = image.pixels[::step, ::step]
    keep = np.isfinite(sample)
    if image.padding is not None:
        keep &= sample != image.padding
    values = sample[keep]
    if values.size == 0:
        return Window(0.0, 1.0, "LINEAR_EXACT")
    low, high = (float(v) for v in np.percentile(values, (0.5, 99.5)))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return Window((low + high) / 2, max(high - low, 1e-6), "LINEAR_EXACT")


def default_window(image: Image) -> Window:
    """The first window of the file, else an automatic one."""
    return image.windows[0] if image.windows else auto_window(image)


def to_display(image: Image, window: Window | None = None) -> FloatArray:
    """Display values of an image: grey float32 `[H, W]` or RGB `[H, W, 3]`, in [0, 1], film polarity applied.

    Args:
        image: colour images have no window.
        window: overrides the file's own window or VOI LUT.
    """
    if image.photometric == "RGB":
        return np.asarray(image.pixels, np.float32) / np.float32(255)
    if window is None and not image.windows and image.voi_lut is not None:
        shown = apply_voi_lut(image.pixels, image.voi_lut)
    else:
        shown = apply_window(image.pixels, window or default_window(image))
    if image.padding is not None:
        shown = np.where(image.pixels == image.padding, np.float32(image.photometric == "MONOCHROME1"), shown)
    if np.isnan(shown.sum()):  # one quick pass says whether the slow repair is needed at all
        shown = np.nan_to_num(shown, nan=0.0)
    return np.subtract(1, shown, dtype=np.float32) if image.photometric == "MONOCHROME1" else shown
