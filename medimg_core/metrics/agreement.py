"""Two measurements of one quantity: bias, limits of agreement, error, concordance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medimg_core.metrics.intervals import (
    Floats,
    bootstrap,
    group_index,
    mean_interval,
    percentile_interval,
    proportion,
)
from medimg_core.types import Interval

LIMITS_Z = 1.96
"""Standard deviations from the bias to a limit, as Bland and Altman write it."""


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Bias and limits of agreement of differences `found - truth`, in the unit of the measurements.

    Attributes:
        n: pairs; `patients` they come from.
        bias: mean difference over the pairs.
        sd: standard deviation of the difference of a single pair.
        lower, upper: limits within which about 95 % of such differences lie, bias -+ 1.96 sd.
    """

    n: int
    patients: int
    bias: Interval
    sd: float
    lower: Interval
    upper: Interval


def bland_altman(truth: ArrayLike, found: ArrayLike, groups: ArrayLike | None = None) -> BlandAltman:
    """Limits of agreement (Bland and Altman, Lancet 327 (1986) 307) with closed intervals.

    With one pair a patient the standard deviation is that of the differences, and the intervals are those of Bland
    and Altman, Stat Methods Med Res 8 (1999) 135, 2.2: Student's t on n - 1 degrees of freedom with the variance
    sd^2 (1 / n + 1.96^2 / (2 (n - 1))) of a limit. With several pairs of a patient sd^2 is the sum of the variance
    between and within patients of a one-way analysis of variance (Bland and Altman, J Biopharm Stat 17 (2007) 571,
    true value varies); the bias then has the variance of sums over patients, sd^2 that of its two mean squares
    (Satterthwaite, Biometrics Bulletin 2 (1946) 110), and t has patients - 1 degrees of freedom. In simulations with
    10 to 100 patients 93 to 96 % of these intervals held the true limit; of the percentile bootstrap by patient, which
    resamples too small a spread, 84 to 94 %.

    Args:
        truth, found: finite measurements of the same things in one unit, `[n]`.
        groups: patient of each pair, `[n]`; every pair its own patient when None.

    Raises:
        ValueError: fewer than two patients, or measurements that are not finite vectors of one length.
    """
    gaps = _gaps(truth, found)
    index = group_index(gaps.size, groups)
    patients = int(index.max()) + 1
    if patients < 2:
        raise ValueError("limits of agreement need at least two patients")
    bias = float(gaps.mean())
    variance, uncertainty = _total_variance(gaps, index)
    sd = math.sqrt(variance)
    residuals = np.bincount(index, gaps - bias)
    of_bias = patients / (patients - 1) * float(residuals @ residuals) / gaps.size**2
    # The variance of a standard deviation is that of its square over 4 sd^2.
    of_limit = of_bias + (LIMITS_Z**2 * uncertainty / (4 * variance) if variance > 0 else 0.0)
    t = _student(patients - 1)

    def around(value: float, squared_error: float) -> Interval:
        half = t * math.sqrt(squared_error)
        return Interval(value, value - half, value + half, gaps.size)

    return BlandAltman(
        n=gaps.size,
        patients=patients,
        bias=around(bias, of_bias),
        sd=sd,
        lower=around(bias - LIMITS_Z * sd, of_limit),
        upper=around(bias + LIMITS_Z * sd, of_limit),
    )


def mean_absolute_error(
    truth: ArrayLike, found: ArrayLike, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0
) -> Interval:
    """Mean of |found - truth| over the pairs, in their unit, with its percentile bootstrap by patient.

    Of grades there is `grade_error`, which is the same figure of whole numbers. Arguments as for `bland_altman`.

    Raises:
        ValueError: fewer than two patients, whose interval would have no width.
    """
    gaps = _gaps(truth, found)
    if np.unique(group_index(gaps.size, groups)).size < 2:
        raise ValueError("the interval of an error needs at least two patients")
    return mean_interval(np.abs(gaps), groups, draws, seed)


def within_tolerance(truth: ArrayLike, found: ArrayLike, tolerance: float, groups: ArrayLike | None = None) -> Interval:
    """Share of pairs with |found - truth| <= tolerance; the interval is `proportion`'s (Wilson, Rao and Scott).

    Args:
        tolerance: in the unit of the measurements, 0 or more. A difference that exceeds it by less than a billionth
            of the larger of the two numbers is taken for rounding.
    """
    if not tolerance >= 0:
        raise ValueError("a tolerance is 0 or more")
    gaps = np.abs(_gaps(truth, found))
    size = np.maximum(np.abs(np.asarray(truth, np.float64)), np.abs(np.asarray(found, np.float64)))
    return proportion(gaps <= tolerance + 1e-9 * size, groups)


def concordance(
    truth: ArrayLike, found: ArrayLike, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0
) -> Interval:
    """Lin's concordance correlation 2 s_xy / (s_x^2 + s_y^2 + (mean x - mean y)^2), Biometrics 45 (1989) 255.

    Variances have 1 / n, as there. The interval is the percentile bootstrap by patient; where every pair is equal it
    has no width. Like every correlation it grows with the spread of the truth: compare it on one set of data only.

    Raises:
        ValueError: both measurements are constant and equal, which leaves it undefined; fewer than two patients.
    """
    gaps = _gaps(truth, found)
    if np.unique(group_index(gaps.size, groups)).size < 2:
        raise ValueError("a concordance needs at least two patients")
    x, y = np.asarray(truth, np.float64), np.asarray(found, np.float64)
    # One common shift and scale changes nothing and keeps large values from losing digits.
    middle = (x.mean() + y.mean()) / 2
    spread = max(float(np.abs(x - middle).max()), float(np.abs(y - middle).max()))
    if spread == 0:
        raise ValueError("measurements that are all equal have no concordance")
    x, y = (x - middle) / spread, (y - middle) / spread

    def statistic(weights: Floats) -> Floats:
        n = weights.sum(axis=1)
        mx, my = weights @ x / n, weights @ y / n
        covariance = weights @ (x * y) / n - mx * my
        below = weights @ (x**2 + y**2) / n - mx**2 - my**2 + (mx - my) ** 2
        out = np.full(n.shape, np.nan)
        np.divide(2 * covariance, below, out=out, where=below > 1e-12)
        return out

    value = float(statistic(np.ones((1, x.size)))[0])
    return percentile_interval(value, bootstrap(statistic, x.size, groups, draws, seed), x.size)


def _total_variance(gaps: Floats, index: np.ndarray[tuple[int], np.dtype[np.intp]]) -> tuple[float, float]:
    """Variance of one difference, and the variance of that estimate under normality."""
    counts, sums = np.bincount(index).astype(np.float64), np.bincount(index, gaps)
    n, patients = gaps.size, counts.size
    means = sums / counts
    between = float(counts @ (means - gaps.mean()) ** 2) / (patients - 1)
    spare = n - patients
    if spare == 0:
        return between, 2 * between**2 / (patients - 1)
    within = float(((gaps - means[index]) ** 2).sum()) / spare
    if between <= within:  # no variance between patients to be seen
        return within, 2 * within**2 / spare
    each = (n - float(counts @ counts) / n) / (patients - 1)
    total = within + (between - within) / each
    return total, 2 / each**2 * (between**2 / (patients - 1) + (each - 1) ** 2 * within**2 / spare)


def _student(degrees: int) -> float:
    """The 97.5th percentile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.975))


def _gaps(truth: ArrayLike, found: ArrayLike) -> Floats:
    x, y = np.asarray(truth, np.float64), np.asarray(found, np.float64)
    if x.shape != y.shape or x.ndim != 1 or x.size == 0:
        raise ValueError("both measurements must be vectors of one length")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("measurements must be finite numbers")
    return y - x
