"""Figures at one operating point: the confusion matrix and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medimg_core.metrics.intervals import Floats, bootstrap, percentile_interval, proportion
from medimg_core.types import Interval


@dataclass(frozen=True, slots=True)
class Rates:
    """Figures of a yes/no answer, each with its 95 % interval; None where the data cannot define it."""

    accuracy: Interval
    sensitivity: Interval | None
    specificity: Interval | None
    precision: Interval | None
    f1: Interval | None


def confusion_matrix(truth: ArrayLike, decided: ArrayLike, classes: int = 2) -> NDArray[np.int64]:
    """Counts int64 `[classes, classes]`: rows are the truth, columns the decision.

    Args:
        truth, decided: class numbers `[n]` from 0.
    """
    t, d = np.asarray(truth).astype(np.intp), np.asarray(decided).astype(np.intp)
    if t.shape != d.shape or (t.size and (min(t.min(), d.min()) < 0 or max(t.max(), d.max()) >= classes)):
        raise ValueError("truth and decision must be class numbers of one length")
    return np.bincount(t * classes + d, minlength=classes * classes).reshape(classes, classes)


def rates(truth: ArrayLike, decided: ArrayLike, groups: ArrayLike | None = None) -> Rates:
    """Accuracy, sensitivity, specificity, precision and F1 of yes/no answers.

    All intervals are Wilson's, at the effective sample size where a patient has several films. F1 is a function of
    one proportion, J = TP / (TP + FP + FN), by F1 = 2 J / (1 + J), and so takes over J's interval.

    Args:
        truth, decided: bool `[n]`, true for the positive class.
        groups: patient of each row, `[n]`.
    """
    t, d = np.asarray(truth).astype(bool), np.asarray(decided).astype(bool)
    patients = None if groups is None else np.asarray(groups)

    def share(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> Interval | None:
        if not among.any():
            return None
        return proportion(hits[among], None if patients is None else patients[among])

    accuracy = share(t == d, np.ones_like(t))
    if accuracy is None:
        raise ValueError("there are no rows")
    jaccard = share(t & d, t | d)
    return Rates(
        accuracy=accuracy,
        sensitivity=share(d, t),
        specificity=share(~d, ~t),
        precision=share(t, d),
        f1=None if jaccard is None else _f1(jaccard, t.size),
    )


def cohen_kappa(
    truth: ArrayLike,
    decided: ArrayLike,
    classes: int = 2,
    groups: ArrayLike | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Cohen's kappa with quadratic weights (Psychological Bulletin 70 (1968) 213); plain kappa for two classes.

    The interval is the percentile bootstrap by patient. Without a single error no draw differs; then Wilson's upper
    limit of the error rate stands for the disagreement.

    Returns:
        A value of 0 where truth or decisions know one class only and agree no better than that.
    """
    return _agreement(truth, decided, classes, groups, draws, seed, quadratic_kappa)


def matthews(
    truth: ArrayLike,
    decided: ArrayLike,
    classes: int = 2,
    groups: ArrayLike | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Matthews' correlation coefficient, for any number of classes as Gorodkin, Comput Biol Chem 28 (2004) 367.

    Interval as for `cohen_kappa`; 0 where one side knows one class only.
    """
    return _agreement(truth, decided, classes, groups, draws, seed, _mcc)


def _agreement(
    truth: ArrayLike,
    decided: ArrayLike,
    classes: int,
    groups: ArrayLike | None,
    draws: int,
    seed: int,
    figure: Callable[[Floats], Floats],
) -> Interval:
    table = confusion_matrix(truth, decided, classes)
    t, d = np.asarray(truth).astype(np.intp), np.asarray(decided).astype(np.intp)
    cells = np.eye(classes * classes)[t * classes + d]
    value = float(figure(table[None].astype(np.float64))[0])
    sampled = bootstrap(lambda w: figure((w @ cells).reshape(-1, classes, classes)), t.size, groups, draws, seed)
    interval = percentile_interval(value, sampled, t.size)
    if np.trace(table) == t.size and value == 1.0:
        chance = 1.0 - float(((table.sum(axis=1) / t.size) ** 2).sum())
        low = 1.0 - (1.0 - proportion(t == d, groups).low) / chance
        interval = Interval(value, max(low, -1.0), 1.0, t.size)
    return interval


def quadratic_kappa(tables: Floats) -> Floats:
    """Quadratic kappa `[b]` of tables `[b, k, k]`; 0 where chance alone agrees as well."""
    steps = np.arange(tables.shape[-1])
    weights = (steps[:, None] - steps[None, :]) ** 2
    n = tables.sum(axis=(1, 2))
    expected = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :] / n[:, None, None]
    by_chance = (weights * expected).sum(axis=(1, 2))
    observed = (weights * tables).sum(axis=(1, 2))
    return np.asarray(np.where(by_chance > 0, 1.0 - observed / np.where(by_chance > 0, by_chance, 1.0), 0.0))


def _mcc(tables: Floats) -> Floats:
    """Matthews' coefficient of tables `[b, k, k]`."""
    true, called = tables.sum(axis=2), tables.sum(axis=1)
    n = tables.sum(axis=(1, 2))
    above = np.trace(tables, axis1=1, axis2=2) * n - (true * called).sum(axis=1)
    below = np.sqrt((n**2 - (called**2).sum(axis=1)) * (n**2 - (true**2).sum(axis=1)))
    return np.asarray(np.where(below > 0, above / np.where(below > 0, below, 1.0), 0.0))


def _f1(jaccard: Interval, n: int) -> Interval:
    value, low, high = (2 * j / (1 + j) for j in (jaccard.value, jaccard.low, jaccard.high))
    return Interval(value, low, high, n)
