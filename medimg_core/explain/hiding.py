"""Does a map of an outline say what the outline rests on? Places outside the outline are hidden, and it is asked again.

Pure functions on one prepared input. A map is compared with two that know nothing: random ones as coarse as the map,
and the places nearest to the outline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from medimg_core.metrics import dice
from medimg_core.types import FloatArray, MaskArray

SHARE = 0.1
"""Of the picture outside the outline and its margin, the part that is hidden."""

RANDOMS = 3
"""Random maps; the mean of what they move counts."""


@dataclass(frozen=True, slots=True)
class Moved:
    """By how much an outline changes, as 1 less the Dice of before and after, 0 to 1.

    Attributes:
        map: where the most highlighted places are hidden.
        random: where random ones are, mean over several.
        beside: where those nearest to the outline are.
    """

    map: float
    random: float
    beside: float


def hide_outside(
    outline: Callable[[FloatArray], MaskArray],
    x: FloatArray,
    mask: MaskArray,
    grid: FloatArray,
    *,
    seed: int = 0,
) -> Moved | None:
    """Hide the most highlighted tenth of what lies outside an outline, and as much elsewhere outside.

    The margin round the outline is one cell of the map: nearer to it the map cannot tell inside from outside. Where the
    map highlights less than a tenth, so much is hidden. `RANDOMS + 2` calls of `outline`.

    Args:
        outline: prepared input `[H, W, C]` -> what the network then outlines, bool `[H, W]`.
        x: prepared input.
        mask: what it outlines in `x`.
        grid: the map `[h, w]`, on a grid that covers the input.

    Returns:
        None where nothing can be hidden: the outline and its margin fill the picture, or the map is empty outside.
    """
    outside = outside_of(mask, grid.shape)
    values = raised(grid, mask.shape)
    count = min(int(SHARE * outside.sum()), int((values[outside] > 0).sum()))
    if count == 0:
        return None
    blurred = blur(x)
    rng = np.random.default_rng(seed)

    def moved(order: FloatArray) -> float:
        hidden = np.where(strongest(order, outside, count)[..., None], blurred, x)
        return 1.0 - dice(mask, outline(np.asarray(hidden, np.float32)))

    noise = [raised(rng.random(grid.shape, np.float32), mask.shape) for _ in range(RANDOMS)]
    return Moved(
        map=moved(values),
        random=float(np.mean([moved(random) for random in noise])),
        beside=moved(-distance_to(mask)),
    )


def outside_of(mask: MaskArray, cells: tuple[int, ...]) -> MaskArray:
    """Pixels farther from an outline `[H, W]` than one cell of a map of `cells` rows and columns."""
    margin = max(mask.shape[0] / cells[0], mask.shape[1] / cells[1])
    return np.asarray(distance_to(mask) > margin, np.bool_)


def distance_to(mask: MaskArray) -> FloatArray:
    """Distance of each pixel to the nearest one of a mask, in pixels; far larger than any picture where it is empty."""
    if not mask.any():
        return np.full(mask.shape, 1e9, np.float32)
    return np.asarray(cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def strongest(values: FloatArray, outside: MaskArray, count: int) -> MaskArray:
    """The `count` largest values among the pixels outside, bool `[H, W]`; of equal ones the first."""
    order = np.argsort(-np.where(outside, values, -np.inf), axis=None, kind="stable")
    chosen = np.zeros(outside.size, np.bool_)
    chosen[order[:count]] = True
    return chosen.reshape(outside.shape)


def raised(grid: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """A map on the grid of the input, bilinear."""
    return np.asarray(cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def blur(x: FloatArray) -> FloatArray:
    """An input `[H, W, C]` without its detail: Gaussian, standard deviation a sixteenth of the longer side."""
    sigma = max(x.shape[:2]) / 16
    return np.asarray(cv2.GaussianBlur(x, (0, 0), sigmaX=sigma), np.float32).reshape(x.shape)
