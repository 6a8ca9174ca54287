"""The colours of evidence: orange for, blue against, opacity growing with the value, on an absolute scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medimg_core.types import FloatArray

Rgb = tuple[int, int, int]

FOR: tuple[Rgb, Rgb, Rgb] = ((0xA8, 0x43, 0x0C), (0xE0, 0x7B, 0x20), (0xFF, 0xC9, 0x5A))
AGAINST: tuple[Rgb, Rgb, Rgb] = ((0x16, 0x40, 0x8A), (0x1F, 0x7F, 0xD0), (0x5D, 0xBD, 0xFF))
TEXT: Rgb = (0xD3, 0xD7, 0xDA)
QUIET: Rgb = (0x9E, 0xA4, 0xA9)
WARM: Rgb = (0xE9, 0xA3, 0x5C)
MID_GREY = 128

OPACITY = 0.65
THRESHOLD = 0.2


def _table(stops: Sequence[Rgb]) -> NDArray[np.float32]:
    """256 colours, float32 `[256, 3]`, linear between three stops."""
    places = np.linspace(0, 1, 256)
    columns = [np.interp(places, (0.0, 0.5, 1.0), [stop[c] for stop in stops]) for c in range(3)]
    return np.stack(columns, axis=1).astype(np.float32)


_FOR, _AGAINST = _table(FOR), _table(AGAINST)


def blend(grey: FloatArray, values: FloatArray, opacity: float = OPACITY, threshold: float = 0.0) -> NDArray[np.uint8]:
    """Lay evidence over an image: `alpha = opacity * |value|`, no colour below the threshold.

    Args:
        grey: display values in [0, 1], `[H, W]` or RGB `[H, W, 3]`.
        values: `[H, W]` in units of the method's scale, 1.0 at the top of the ramp; negative speaks against.
        opacity: opacity of the value 1.0.
        threshold: evidence below it is not shown.

    Returns:
        uint8 RGB `[H, W, 3]`.
    """
    base = np.repeat(grey[..., None], 3, axis=2) if grey.ndim == 2 else grey
    out = np.round(np.clip(base, 0, 1) * 255).astype(np.uint8)
    strength = np.minimum(np.abs(values), 1.0)
    # Only places with evidence are computed: over most of a film there is none.
    shown = (strength > 0) & (strength >= threshold)
    s = strength[shown]
    index = np.round(s * 255).astype(np.intp)
    colour = np.where((values[shown] > 0)[:, None], _FOR[index], _AGAINST[index])
    alpha = (np.float32(opacity) * s)[:, None]
    out[shown] = np.round(out[shown] * (1 - alpha) + colour * alpha).astype(np.uint8)
    return out
