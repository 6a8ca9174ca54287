"""An axial MR section of a head in three sequences, as colours: T1 before contrast, FLAIR, T1 after contrast.

The anatomy is that of `head`. FLAIR shows fluid dark and water in tissue bright; a lower-grade glioma is dark on T1,
bright on FLAIR, and takes up little contrast (Osborn et al., Diagnostic Imaging: Brain, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medimg_core.training.phantoms.head import Head, section, vessels
from medimg_core.training.phantoms.texture import blurred, clouds, ellipse, over, soft
from medimg_core.types import FloatArray

_TISSUES = ("skin", "fat", "skull", "marrow", "inside", "brain", "white", "nuclei")
_LEVELS = {
    # skin, fat, skull, marrow, inside, brain, white, nuclei; then fluid and glioma
    "before": ((0.30, 0.72, 0.06, 0.34, 0.09, 0.215, 0.255, 0.225), 0.085, 0.150),
    "flair": ((0.26, 0.56, 0.05, 0.26, 0.06, 0.235, 0.195, 0.235), 0.045, 0.440),
    "after": ((0.31, 0.74, 0.06, 0.35, 0.10, 0.225, 0.260, 0.235), 0.090, 0.165),
}
"""Display values of the tissues in each sequence."""


@dataclass(frozen=True, slots=True)
class Glioma:
    """A growth without a clear edge; place and radii in shares of the side, as `ellipse` takes them."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    tilt: float
    ragged: float = 0.012


def brain_sequences(seed: int, side: int, heights: tuple[float, ...], glioma: Glioma) -> NDArray[np.uint8]:
    """Slices of one head, the glioma largest at height 0.

    Args:
        heights: of the slices in shares of the side, from the middle of the glioma, which is as high as it is wide.

    Returns:
        uint8 `[slices, side, side, 3]`: before contrast, FLAIR, after contrast.
    """
    return np.stack([_slice(seed, side, height, glioma) for height in heights])


def glioma_mask(seed: int, side: int, height: float, glioma: Glioma) -> NDArray[np.bool_]:
    """Where the glioma of `brain_sequences` is, bool `[side, side]`: the middle of its soft edge."""
    rng = np.random.default_rng(seed)
    head = section(rng, side, 0.375, 0.310)
    return np.asarray(_edge(rng, head, height, glioma) < 0, np.bool_)


def _edge(rng: np.random.Generator, head: Head, height: float, glioma: Glioma) -> FloatArray:
    """Distance from the glioma's edge, negative inside; infinite where the slice passes above or below it."""
    ragged = np.float32(glioma.ragged) * clouds(rng, head.depth.shape, 1.6)
    share = 1 - (height / glioma.radii[0]) ** 2
    if share <= 0:
        return np.full_like(head.depth, np.inf)
    radii = (glioma.radii[0] * share**0.5, glioma.radii[1] * share**0.5)
    edge = ellipse(head.at, glioma.centre, radii, glioma.tilt) + ragged
    return np.asarray(np.maximum(edge, head.depth + np.float32(0.004)), np.float32)


def _slice(seed: int, side: int, height: float, glioma: Glioma) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    head = section(rng, side, 0.375, 0.310)
    edge = _edge(rng, head, height, glioma)
    # Folds and grain differ from slice to slice, the anatomy of so few slices does not.
    rng = np.random.default_rng((seed, round(height * 1e4) % 2**16))
    uneven = clouds(rng, head.depth.shape, 2.5)
    return np.stack([_sequence(name, rng, head, edge, uneven) for name in _LEVELS], axis=-1)


def _sequence(
    name: str, rng: np.random.Generator, head: Head, edge: FloatArray, uneven: FloatArray
) -> NDArray[np.uint8]:
    levels, fluid, lesion = _LEVELS[name]
    out = np.full_like(head.depth, 0.008)
    for tissue, value in zip(_TISSUES, levels, strict=True):
        out = over(out, value, getattr(head, tissue))
    out += head.brain * np.float32(0.007) * clouds(rng, out.shape, 1.2)
    out = over(out, fluid, head.fluid * head.inside)
    if name == "after":
        sinus = soft(ellipse(head.at, (0.5, 0.5 + 0.375 - 0.045), (0.012, 0.012)), 0.006)
        out = vessels(over(out, 0.55, sinus), head, rng, 0.42)
    if np.isfinite(edge).all():
        grown = np.asarray(lesion + 0.02 * clouds(rng, out.shape, 1.4), np.float32)
        out = over(out, grown, 0.92 * soft(edge, 0.012) * head.brain)
    out = blurred(out * (1 + np.float32(0.06) * uneven), 0.8)
    real, other = (0.006 * rng.standard_normal(out.shape) for _ in range(2))
    return np.asarray(np.rint(255 * np.clip(np.hypot(out + real, other), 0, 1)), np.uint8)
