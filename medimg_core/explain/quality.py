"""Does a map deserve trust? Pure functions on maps and masks, and perturbation tests on one film.

Maps are float32 `[H, W]`; only positive values count as evidence. Masks are bool of the same shape. An empty map
points nowhere: it scores 0, it is not left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.types import FloatArray, MaskArray

IOU_SHARE = 0.2
"""Share of a map's maximum above which a place counts as marked (Zhou et al., CVPR 2016, section 3.2)."""


def pointing_game(values: FloatArray, truth: MaskArray) -> float:
    """1 where the largest value lies inside the truth, else 0; of equal largest values the share inside.

    Zhang et al., IJCV 126 (2018), doi 10.1007/s11263-017-1059-x, without their tolerance of 15 pixels.
    """
    peak = values.max(initial=0.0)
    return float(truth[values == peak].mean()) if peak > 0 else 0.0


def energy_inside(values: FloatArray, truth: MaskArray) -> float:
    """Share of the positive evidence that lies inside the truth (Wang et al., CVPR Workshops 2020, section 4.3)."""
    positive = np.maximum(values, 0)
    total = float(positive.sum(dtype=np.float64))
    return float(positive[truth].sum(dtype=np.float64)) / total if total > 0 else 0.0


def iou(values: FloatArray, truth: MaskArray, share: float = IOU_SHARE) -> float:
    """Intersection over union of the truth and the places at or above `share` of the map's maximum."""
    peak = float(values.max(initial=0.0))
    marked = values >= share * peak if peak > 0 else np.zeros(truth.shape, np.bool_)
    union = int((marked | truth).sum())
    return int((marked & truth).sum()) / union if union else 0.0


def centre_hit(truth: MaskArray) -> float:
    """The pointing game of one who always points at the film's centre (of an even size: the middle pixels' share)."""
    rows, columns = truth.shape
    return float(truth[(rows - 1) // 2 : rows // 2 + 1, (columns - 1) // 2 : columns // 2 + 1].mean())


def correlation(first: FloatArray, second: FloatArray) -> float:
    """Pearson's correlation of two maps of one shape; 0 where one of them is constant."""
    a, b = (np.asarray(v, np.float64).ravel() - float(v.mean()) for v in (first, second))
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 0 else 0.0


def gaussian(shape: tuple[int, int], share: float = 0.25) -> FloatArray:
    """A bell at the centre, maximum 1, whose deviation is `share` of each side: the guess of one who saw no film."""
    rows, columns = (np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / share) ** 2) for n in shape)
    return np.asarray(np.outer(rows, columns), np.float32)


@dataclass(frozen=True, slots=True)
class Curve:
    """Probability of the target against the share of the film that was changed, and the area below it."""

    shares: tuple[float, ...]
    probabilities: tuple[float, ...]

    @property
    def area(self) -> float:
        """Area under the curve by the trapezium rule, 0 to 1."""
        return float(np.trapezoid(self.probabilities, self.shares))


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Deletion and insertion areas of a map on one film, beside those of two maps that know nothing.

    A faithful map has a smaller deletion and a larger insertion area than `random` (mean of several noise maps)
    and `centre` (a centred bell).
    """

    deletion: float
    insertion: float
    random_deletion: float
    random_insertion: float
    centre_deletion: float
    centre_insertion: float

    @property
    def better_than_chance(self) -> bool:
        """Both areas better than both baselines."""
        return self.deletion < min(self.random_deletion, self.centre_deletion) and self.insertion > max(
            self.random_insertion, self.centre_insertion
        )


def perturbation_curve(
    probability: Callable[[FloatArray], float],
    start: FloatArray,
    end: FloatArray,
    order: NDArray[np.intp],
    steps: int = 10,
) -> Curve:
    """Turn `start` into `end` place by place and watch the probability.

    Args:
        probability: prepared input `[H, W, C]` -> probability of the target.
        start, end: float32 `[H, W, C]`.
        order: indices of places `[H * W]`, the first is changed first.
        steps: equal parts; `steps + 1` passes.
    """
    current = start.reshape(-1, start.shape[-1]).copy()
    goal = end.reshape(-1, end.shape[-1])
    edges = np.round(np.linspace(0, order.size, steps + 1)).astype(int)
    values = [probability(start)]
    for low, high in itertools.pairwise(edges):
        current[order[low:high]] = goal[order[low:high]]
        values.append(probability(current.reshape(start.shape)))
    return Curve(tuple(float(e) / order.size for e in edges), tuple(values))


def faithfulness(
    probability: Callable[[FloatArray], float],
    x: FloatArray,
    grid: FloatArray,
    *,
    steps: int = 10,
    randoms: int = 3,
    seed: int = 0,
) -> Faithfulness:
    """Deletion and insertion on one film (Petsiuk et al., BMVC 2018, arXiv 1806.07421).

    Deletion covers places with the film's mean, most evident first; insertion brings them back into the blurred
    film. `2 * (steps + 1) * (randoms + 2)` passes.

    Args:
        x: prepared input `[H, W, C]`.
        grid: the map on any grid that covers the input.
    """
    shape = (x.shape[0], x.shape[1])
    rng = np.random.default_rng(seed)
    maps = [grid, gaussian(shape), *(rng.random(grid.shape, np.float32) for _ in range(randoms))]
    covered = np.broadcast_to(x.mean(axis=(0, 1), keepdims=True), x.shape).astype(np.float32)
    blurred = np.asarray(cv2.GaussianBlur(x, (0, 0), sigmaX=max(shape) / 16), np.float32).reshape(x.shape)
    deletion, insertion = [], []
    for values in maps:
        order = np.argsort(-cv2.resize(values, shape[::-1], interpolation=cv2.INTER_LINEAR), axis=None, kind="stable")
        deletion.append(perturbation_curve(probability, x, covered, order, steps).area)
        insertion.append(perturbation_curve(probability, blurred, x, order, steps).area)
    return Faithfulness(
        deletion=deletion[0],
        insertion=insertion[0],
        random_deletion=float(np.mean(deletion[2:])),
        random_insertion=float(np.mean(insertion[2:])),
        centre_deletion=deletion[1],
        centre_insertion=insertion[1],
    )
