"""From a blend to a film: crispness that the small training films lack, grain, side letter, detector values."""

from __future__ import annotations

import cv2
import numpy as np

from medimg_core.types import FloatArray

_FINE, _COARSE = 1.3, 4.0  # sigma of the edge enhancement in pixels
_COARSE_GAIN = 0.3
_MIDDLE = 0.58  # median display value of a finished film, at most
_GRAIN = ((0.55, 0.006), (1.4, 0.004))  # sigma of the noise in pixels, deviation in display values


def finish(pixels: FloatArray, seed: int, crispness: float, marker: tuple[str, float, float]) -> FloatArray:
    """Sharpen, set the tone, add grain and a side letter.

    Args:
        pixels: float32 `[H, W]` in [0, 1].
        crispness: gain of the edge enhancement at the smallest scale.
        marker: the letter and where it stands, `(text, x, y)` as shares of the film.

    Returns:
        float32 `[H, W]` in [0, 1].
    """
    rng = np.random.default_rng(seed)
    out = pixels.copy()
    for sigma, gain in ((_FINE, crispness), (_COARSE, _COARSE_GAIN)):
        out += np.float32(gain) * (pixels - cv2.GaussianBlur(pixels, (0, 0), sigma))
    low, high = np.quantile(out, (0.003, 0.998))
    out = np.clip((out - low) / (high - low), 0, 1)
    # Bright films hide the lungs' neighbours: bring the middle grey down, as a reader's window does.
    out **= np.float32(np.clip(np.log(_MIDDLE) / np.log(np.median(out)), 1.0, 1.6))
    out = np.maximum(out, _letter(pixels.shape, *marker))
    for sigma, deviation in _GRAIN:
        noise = cv2.GaussianBlur(rng.standard_normal(pixels.shape).astype(np.float32), (0, 0), sigma)
        out += np.float32(deviation) * noise / noise.std()
    return np.asarray(np.clip(out, 0, 1), np.float32)


def _letter(shape: tuple[int, int], text: str, x: float, y: float) -> FloatArray:
    """A lead letter: bright, a little soft."""
    stamp = np.zeros(shape, np.uint8)
    size = shape[0] / 600
    where = (round(x * shape[1]), round(y * shape[0]))
    cv2.putText(stamp, text, where, cv2.FONT_HERSHEY_SIMPLEX, size, 240, max(2, round(2.6 * size)), cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(stamp.astype(np.float32) / 255, (0, 0), 0.7), np.float32)


def to_stored(pixels: FloatArray, bits: int, inverted: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    """Stored values: the middle nine tenths of the range of `bits`, so that the window on file has a meaning.

    Args:
        inverted: as MONOCHROME1 stores them, low values white.
    """
    top = 2**bits - 1
    shown = 1 - pixels if inverted else pixels
    return np.asarray(np.round((0.05 + 0.9 * shown) * top), np.uint16)


def from_stored(levels: FloatArray, bits: int) -> FloatArray:
    """The display values behind stored ones that are not inverted: `to_stored` backwards."""
    return np.asarray((levels / (2**bits - 1) - 0.05) / 0.9, np.float32)
