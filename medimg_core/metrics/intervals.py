"""Intervals of proportions and the bootstrap by patient; everything else in `metrics` stands on these."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medimg_core.types import Interval

Floats = NDArray[np.float64]

Z95 = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution."""

_CHUNK = 4_000_000
"""Weights held at once while resampling (32 MB), so that memory does not grow with the number of draws."""


def normal_p(z: float) -> float:
    """Two-sided p value of a standard normal deviate."""
    return math.erfc(abs(z) / math.sqrt(2))


def group_index(n: int, groups: ArrayLike | None) -> NDArray[np.intp]:
    """Number the patients from 0: intp `[n]`; every row its own patient when `groups` is None."""
    if groups is None:
        return np.arange(n, dtype=np.intp)
    names = np.asarray(groups)
    if names.shape != (n,):
        raise ValueError(f"{n} rows but {names.shape[0] if names.ndim else 0} patients")
    return np.unique(names, return_inverse=True)[1].astype(np.intp)


def wilson(successes: float, n: float) -> Interval:
    """Wilson's score interval of a proportion (Wilson, JASA 22 (1927) 209).

    Args:
        successes: may be fractional (effective counts).
        n: number of trials, above 0.
    """
    if not n > 0:
        raise ValueError("a proportion needs at least one trial")
    p = successes / n
    z2 = Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # Rounding must not leave the ends of 0/n and n/n a hair away from 0 and 1.
    low = 0.0 if successes <= 0 else min(centre - half, p)
    high = 1.0 if successes >= n else max(centre + half, p)
    return Interval(p, low, high, round(n))


def proportion(hits: ArrayLike, groups: ArrayLike | None = None) -> Interval:
    """Share of true values with a 95 % interval that knows about repeated patients.

    Without `groups` this is Wilson's interval. With groups the same interval is taken at the effective sample size
    n / design effect (Rao and Scott, Biometrics 48 (1992) 577); where all values agree, the design effect cannot be
    seen and the number of patients stands for n.

    Args:
        hits: bool `[n]`, n >= 1.
        groups: patient of each row, `[n]`.
    """
    values = np.asarray(hits, np.float64)
    n = values.size
    if n == 0:
        raise ValueError("a proportion needs at least one trial")
    p = float(values.mean())
    index = group_index(n, groups)
    clusters = int(index.max()) + 1
    effective: float = n
    if clusters < n:
        effective = clusters
        if 0.0 < p < 1.0 and clusters > 1:
            residual = np.bincount(index, values - p)
            variance = clusters / (clusters - 1) * float(residual @ residual) / n**2
            effective = min(n, p * (1 - p) / variance) if variance > 0 else n
    interval = wilson(p * effective, effective)
    return Interval(p, interval.low, interval.high, n)


def resampled_weights(n: int, groups: ArrayLike | None, draws: int, seed: int) -> Iterator[Floats]:
    """Bootstrap by patient as weights: how often each row is drawn.

    Patients are drawn with replacement, all rows of a patient together (Field and Welsh, JRSS B 69 (2007) 369).

    Yields:
        float64 `[b, n]` blocks; the blocks have `draws` rows together.
    """
    index = group_index(n, groups)
    clusters = int(index.max()) + 1
    rng = np.random.default_rng(seed)
    block = max(1, _CHUNK // max(n, 1))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        counts = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=size)
        yield counts[:, index].astype(np.float64)


def bootstrap(
    statistic: Callable[[Floats], Floats], n: int, groups: ArrayLike | None, draws: int = 2000, seed: int = 0
) -> Floats:
    """Values of a weighted statistic over bootstrap draws.

    Args:
        statistic: weights `[b, n]` -> values `[b, ...]`; NaN where a draw leaves it undefined.

    Returns:
        float64 `[draws, ...]`.
    """
    return np.concatenate([statistic(weights) for weights in resampled_weights(n, groups, draws, seed)])


def percentile_interval(value: float, draws: Floats, n: int) -> Interval:
    """The 2.5th and 97.5th percentile of bootstrap draws around a value; undefined draws are left out."""
    defined = draws[np.isfinite(draws)]
    if defined.size == 0:
        raise ValueError("no bootstrap draw defines this figure")
    low, high = (float(v) for v in np.percentile(defined, (2.5, 97.5)))
    return Interval(value, min(low, value), max(high, value), n)


def share_interval(value: float, draws: Floats, n: int, patients: int) -> Interval:
    """`percentile_interval` of a figure in [0, 1]. Where no draw differs (one patient, or every value 0 or 1), the
    draws say nothing about chance; then Wilson's interval over the patients, which is wide enough for any mean in
    [0, 1], whose variance is at most p (1 - p) / patients.
    """
    interval = percentile_interval(value, draws, n)
    if interval.high - interval.low < 1e-9:
        p = min(max(value, 0.0), 1.0)
        edge = wilson(p * patients, patients)
        interval = Interval(value, min(edge.low, value), max(edge.high, value), n)
    return interval


def mean_interval(
    values: ArrayLike,
    groups: ArrayLike | None = None,
    draws: int = 2000,
    seed: int = 0,
    *,
    share: bool = False,
) -> Interval:
    """Mean of one figure an image, with its percentile bootstrap by patient; `n` counts the values.

    Args:
        values: finite `[n]`, n >= 1, in any unit.
        groups: patient of each value, `[n]`.
        share: the values lie in [0, 1] (Dice, IoU): then also a single patient gets an honest interval, see
            `share_interval`. Elsewhere the interval of a single patient has no width and means nothing.

    Raises:
        ValueError: no value, values that are not finite, or a share outside [0, 1].
    """
    v = np.asarray(values, np.float64)
    if v.ndim != 1 or v.size == 0 or not np.isfinite(v).all():
        raise ValueError("a mean needs a vector of finite numbers")
    if share and not ((v >= 0) & (v <= 1)).all():
        raise ValueError("shares must lie between 0 and 1")
    drawn = bootstrap(lambda w: np.asarray(w @ v / w.sum(axis=1), np.float64), v.size, groups, draws, seed)
    if share:
        return share_interval(float(v.mean()), drawn, v.size, np.unique(group_index(v.size, groups)).size)
    return percentile_interval(float(v.mean()), drawn, v.size)


def median_interval(
    values: ArrayLike, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0
) -> Interval | None:
    """Median of one figure an image, with its percentile bootstrap by patient; `n` counts the values.

    Args:
        values: `[n]`, n >= 1; infinity where no number is bad enough (`hd95` of a missed outline).
        groups: patient of each value, `[n]`.

    Returns:
        None where the median is not finite; a limit that no draw leaves finite is that of the draws that are.

    Raises:
        ValueError: no value, or one that is no number.
    """
    v = np.asarray(values, np.float64)
    if v.ndim != 1 or v.size == 0 or np.isnan(v).any():
        raise ValueError("a median needs a vector of numbers")
    value = float(np.median(v))
    if not math.isfinite(value):
        return None
    order = np.argsort(v, kind="stable")
    ranked = v[order]

    def middle(weights: Floats) -> Floats:
        counts = np.cumsum(weights[:, order], axis=1)
        half = counts[:, -1:] / 2
        lower, upper = (counts < half).sum(axis=1), (counts <= half).sum(axis=1)
        return np.asarray((ranked[lower] + ranked[np.minimum(upper, v.size - 1)]) / 2, np.float64)

    return percentile_interval(value, bootstrap(middle, v.size, groups, draws, seed), v.size)
