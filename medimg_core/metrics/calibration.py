"""Does a probability of 0.3 mean 30 of 100? Brier score, calibration error, reliability curve."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medimg_core.metrics.intervals import Floats, bootstrap, mean_interval, proportion
from medimg_core.types import Interval

_CHUNK = 4_000_000


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bin: mean probability and observed share of positives with its interval."""

    predicted: float
    observed: float
    low: float
    high: float
    n: int


def brier(
    labels: ArrayLike, probabilities: ArrayLike, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0
) -> Interval:
    """Brier score, the mean of (p - y)^2 (Monthly Weather Review 78 (1950) 1), with a bootstrap interval by patient.

    Args:
        labels: `[n]`, true or 1 for the positive class.
        probabilities: `[n]` in [0, 1].
    """
    y, p = _checked(labels, probabilities)
    return mean_interval((p - y) ** 2, groups, draws, seed)


def ece(
    labels: ArrayLike,
    probabilities: ArrayLike,
    groups: ArrayLike | None = None,
    bins: int = 10,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Expected calibration error over bins of equal mass: the mean of |mean p - share of positives|, weighted by n.

    Equal probabilities always share a bin, so the order of the rows does not matter. The interval is the basic
    bootstrap by patient, cut at 0: the error is never below zero and so reads too high when resampled, and the basic
    interval takes that off again. Compare the value with `ece_null_95`.
    """
    y, p = _checked(labels, probabilities)
    order = np.argsort(p, kind="stable")
    starts = _starts(p[order], bins)
    gaps = (p - y)[order]

    def error(weights: Floats) -> Floats:
        sums = np.add.reduceat(weights[:, order] * gaps, starts, axis=1)
        return np.asarray(np.abs(sums).sum(axis=1) / weights.sum(axis=1), np.float64)

    value = float(error(np.ones((1, y.size)))[0])
    low, high = (float(v) for v in np.percentile(bootstrap(error, y.size, groups, draws, seed), (2.5, 97.5)))
    return Interval(value, max(min(2 * value - high, value), 0.0), max(2 * value - low, value), y.size)


def ece_null_95(probabilities: ArrayLike, bins: int = 10, draws: int = 5000, seed: int = 0) -> float:
    """The 95th percentile of the calibration error of a perfectly calibrated model with these probabilities.

    Labels are drawn from the probabilities themselves (consistency resampling: Broecker and Smith, Weather and
    Forecasting 22 (2007) 651). A measured error below this value is what chance alone explains.
    """
    p = np.sort(np.asarray(probabilities, np.float64))
    starts = _starts(p, bins)
    rng = np.random.default_rng(seed)
    block = max(1, _CHUNK // p.size)
    errors: list[Floats] = []
    for start in range(0, draws, block):
        drawn = rng.random((min(block, draws - start), p.size)) < p
        errors.append(np.abs(np.add.reduceat(p - drawn, starts, axis=1)).sum(axis=1) / p.size)
    return float(np.percentile(np.concatenate(errors), 95))


def reliability(
    labels: ArrayLike, probabilities: ArrayLike, groups: ArrayLike | None = None, bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """The reliability curve over bins of equal mass; intervals are Wilson's, aware of repeated patients."""
    y, p = _checked(labels, probabilities)
    patients = None if groups is None else np.asarray(groups)
    order = np.argsort(p, kind="stable")
    edges = [*_starts(p[order], bins).tolist(), p.size]
    curve = []
    for start, stop in pairwise(edges):
        rows = order[start:stop]
        share = proportion(y[rows] > 0, None if patients is None else patients[rows])
        curve.append(ReliabilityBin(float(p[rows].mean()), share.value, share.low, share.high, rows.size))
    return tuple(curve)


def _starts(ordered: Floats, bins: int) -> NDArray[np.intp]:
    """First row of each bin of (nearly) equal mass in sorted probabilities; ties are not torn apart."""
    equal = np.arange(bins) * ordered.size // bins
    return np.unique(np.searchsorted(ordered, ordered[equal], side="left"))


def _checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[Floats, Floats]:
    y, p = np.asarray(labels).astype(bool).astype(np.float64), np.asarray(probabilities, np.float64)
    if y.shape != p.shape or y.ndim != 1 or y.size == 0:
        raise ValueError("labels and probabilities must be vectors of one length")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must lie between 0 and 1")
    return y, p
