"""ROC curves and the area under them, with DeLong's intervals and paired test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medimg_core.metrics.intervals import Z95, Floats, bootstrap, group_index, normal_p, wilson
from medimg_core.types import Interval

Bools = NDArray[np.bool_]

ROC_GRID: Floats = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
    """A ROC curve with its pointwise 95 % band.

    Attributes:
        fpr, tpr: corners of the curve from (0, 0) to (1, 1), float64 `[k]`.
        thresholds: score at which a film is called positive (`score >= threshold`) for each corner; inf first.
        grid: false positive rates at which the band is given, float64 `[101]`.
        low, high: band of the sensitivity at `grid`.
        auroc: area with its interval.
    """

    fpr: Floats
    tpr: Floats
    thresholds: Floats
    grid: Floats
    low: Floats
    high: Floats
    auroc: Interval


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Two figures on the same films: their difference `a - b` with its interval, and the p value."""

    a: Interval
    b: Interval
    difference: Interval
    p: float


def both_classes(labels: ArrayLike, *scores: ArrayLike) -> tuple[Bools, list[Floats]]:
    """Check labels and scores of one length, finite, both classes present.

    Raises:
        ValueError: otherwise.
    """
    y = np.asarray(labels).astype(bool)
    arrays = [np.asarray(s, np.float64) for s in scores]
    if any(a.shape != y.shape or y.ndim != 1 for a in arrays):
        raise ValueError("labels and scores must be vectors of one length")
    if not all(np.isfinite(a).all() for a in arrays):
        raise ValueError("scores must be finite numbers")
    if y.all() or not y.any():
        raise ValueError("both classes must be present")
    return y, arrays


def auroc(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike | None = None) -> Interval:
    """Area under the ROC curve with DeLong's 95 % interval on the logit scale.

    DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837; several films of a patient as Obuchowski, Biometrics
    53 (1997) 567. Where DeLong's variance is zero (an area of 1 above all), the score-type interval of Newcombe,
    Statistics in Medicine 25 (2006) 559, method 5, which is right there.

    Args:
        labels: `[n]`, true or 1 for the positive class; both classes must be present.
        scores: `[n]`, finite, larger for positive.
        groups: patient of each row, `[n]`; None takes every row for its own patient.
    """
    y, (s,) = both_classes(labels, scores)
    area, (v10, v01) = _components(y, s)
    variance = _covariance(y, [v10], [v01], groups)[0, 0]
    if variance > 1e-12 and 0.0 < area < 1.0:
        centre, half = math.log(area / (1 - area)), Z95 * math.sqrt(variance) / (area * (1 - area))
        return Interval(area, _expit(centre - half), _expit(centre + half), y.size)
    index = group_index(y.size, groups)
    low, high = _newcombe(area, np.unique(index[y]).size, np.unique(index[~y]).size)
    return Interval(area, low, high, y.size)


def delong_test(labels: ArrayLike, a: ArrayLike, b: ArrayLike, groups: ArrayLike | None = None) -> PairedTest:
    """DeLong's test of two areas on the same films, patients kept together where `groups` is given.

    Args:
        a, b: scores of the two models, `[n]`.
    """
    y, scores = both_classes(labels, a, b)
    parts = [_components(y, s) for s in scores]
    covariance = _covariance(y, [p[1][0] for p in parts], [p[1][1] for p in parts], groups)
    difference = parts[0][0] - parts[1][0]
    error = math.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0))
    # Without variance the test knows two answers only: the same areas, or areas that no film contradicts.
    p = normal_p(difference / error) if error > 1e-12 else float(difference == 0)
    span = Interval(difference, max(difference - Z95 * error, -1.0), min(difference + Z95 * error, 1.0), y.size)
    return PairedTest(auroc(y, scores[0], groups), auroc(y, scores[1], groups), span, p)


def roc_curve(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike | None = None, draws: int = 1000, seed: int = 0
) -> RocCurve:
    """The ROC curve with a pointwise 95 % band of the sensitivity.

    The band joins the percentiles of the bootstrap by patient with Wilson's interval of the sensitivity: the bootstrap
    alone has no width where every draw agrees, as at an area of 1.
    """
    y, (s,) = both_classes(labels, scores)
    order = np.argsort(-s, kind="stable")
    sorted_scores, sorted_labels = s[order], y[order]
    ends = np.append(np.flatnonzero(np.diff(sorted_scores)), y.size - 1)

    def curve(weights: Floats) -> tuple[Floats, Floats]:
        true = np.cumsum(weights * sorted_labels, axis=-1)[..., ends]
        false = np.cumsum(weights * ~sorted_labels, axis=-1)[..., ends]
        return false, true

    def at_grid(weights: Floats) -> Floats:
        false, true = curve(weights[:, order])
        return np.stack([_interpolate(f, t) for f, t in zip(false, true, strict=True)])

    false, true = curve(np.ones(y.size))
    sampled = bootstrap(at_grid, y.size, groups, draws, seed)
    low, high = np.nanpercentile(sampled, (2.5, 97.5), axis=0)
    m = int(y.sum())
    middle = _interpolate(false, true)
    binomial = [wilson(t * m, m) for t in middle]
    return RocCurve(
        fpr=np.append(0.0, false / false[-1]),
        tpr=np.append(0.0, true / true[-1]),
        thresholds=np.append(np.inf, sorted_scores[ends]),
        grid=ROC_GRID,
        low=np.minimum(low, [i.low for i in binomial]),
        high=np.maximum(high, [i.high for i in binomial]),
        auroc=auroc(y, s, groups),
    )


def _interpolate(false: Floats, true: Floats) -> Floats:
    """Sensitivity on the grid; NaN for a draw without one of the classes. At a step the upper end counts."""
    if false[-1] == 0 or true[-1] == 0:
        return np.full(ROC_GRID.size, np.nan)
    fpr, tpr = np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])
    last = np.append(np.diff(fpr) > 0, True)
    return np.asarray(np.interp(ROC_GRID, fpr[last], tpr[last]), np.float64)


def _components(y: Bools, scores: Floats) -> tuple[float, tuple[Floats, Floats]]:
    """Area and structural components: for each positive the share of negatives below it, and the reverse.

    By midranks in n log n (Sun and Xu, IEEE Signal Processing Letters 21 (2014) 1389).
    """
    ranks = _midranks(scores)
    positive, negative = scores[y], scores[~y]
    v10 = (ranks[y] - _midranks(positive)) / negative.size
    v01 = 1.0 - (ranks[~y] - _midranks(negative)) / positive.size
    return float(v10.mean()), (v10, v01)


def _midranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse], np.float64)


def _covariance(y: Bools, v10: list[Floats], v01: list[Floats], groups: ArrayLike | None) -> Floats:
    """Covariance `[k, k]` of the areas of k models (Obuchowski 1997; one film a patient gives DeLong's)."""
    index = group_index(y.size, groups)
    total = int(index.max()) + 1
    sums10 = np.stack([np.bincount(index[y], v - v.mean(), total) for v in v10])
    sums01 = np.stack([np.bincount(index[~y], v - v.mean(), total) for v in v01])
    m, n = int(y.sum()), int((~y).sum())
    clusters10, clusters01 = np.unique(index[y]).size, np.unique(index[~y]).size
    cross = sums10 @ sums01.T * (total / max(total - 1, 1)) / (m * n)
    first = sums10 @ sums10.T * (clusters10 / max(clusters10 - 1, 1)) / m**2
    second = sums01 @ sums01.T * (clusters01 / max(clusters01 - 1, 1)) / n**2
    return np.asarray(first + second + cross + cross.T, np.float64)


def _newcombe(area: float, m: int, n: int) -> tuple[float, float]:
    """Score-type interval with the Hanley-McNeil variance at the limit itself (Newcombe 2006, method 5)."""
    star = (m + n) / 2 - 1

    def beyond(limit: float) -> bool:
        spread = 1 + star * (1 - limit) / (2 - limit) + star * limit / (1 + limit)
        return (area - limit) ** 2 > Z95**2 * limit * (1 - limit) * spread / (m * n)

    def search(far: float) -> float:
        near = area
        for _ in range(60):
            middle = (near + far) / 2
            near, far = (near, middle) if beyond(middle) else (middle, far)
        return (near + far) / 2

    return (search(0.0) if area > 0 else 0.0), (search(1.0) if area < 1 else 1.0)


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
