"""Figures of answers with more than two classes: kinds (softmax) and grades, with intervals by patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medimg_core.metrics.confusion import confusion_matrix
from medimg_core.metrics.intervals import (
    Floats,
    bootstrap,
    group_index,
    mean_interval,
    percentile_interval,
    proportion,
    wilson,
)
from medimg_core.metrics.roc import PairedTest, auroc
from medimg_core.types import Interval

RATES = ("sensitivity", "specificity", "precision", "f1")


@dataclass(frozen=True, slots=True)
class Undecided:
    """How often a model left a question open, and how often it erred where it did and where it did not.

    Attributes:
        share: films whose prediction set does not hold exactly one class.
        error_when_sure, error_when_unsure: share of wrong decisions; None where there is no such film.
    """

    share: Interval
    error_when_sure: Interval | None
    error_when_unsure: Interval | None


class _Areas:
    """Area under every class's one-against-the-rest ROC curve, for many weightings of the films at once.

    Classes without a film, or with all films, have no area and are left out.
    """

    def __init__(self, truth: NDArray[np.intp], scores: Floats) -> None:
        n = truth.size
        self.classes = [k for k in range(scores.shape[1]) if 0 < int((truth == k).sum()) < n]
        self._sorted: list[tuple[NDArray[np.intp], Floats, NDArray[np.intp]]] = []
        for k in self.classes:
            order = np.argsort(scores[:, k], kind="stable")
            starts = np.append(0, np.flatnonzero(np.diff(scores[order, k])) + 1)
            self._sorted.append((order, (truth[order] == k).astype(np.float64), starts))

    def __call__(self, weights: Floats) -> Floats:
        """Areas `[b, classes]` of weights `[b, n]`; NaN where a draw lacks one of the sides. Ties count half."""
        found = []
        for order, of_class, starts in self._sorted:
            drawn = weights[:, order]
            inside = np.add.reduceat(drawn * of_class, starts, axis=1)
            outside = np.add.reduceat(drawn * (1 - of_class), starts, axis=1)
            below = np.cumsum(outside, axis=1) - outside / 2
            pairs = inside.sum(axis=1) * outside.sum(axis=1)
            area = np.full(len(weights), np.nan)
            np.divide((inside * below).sum(axis=1), pairs, out=area, where=pairs > 0)
            found.append(area)
        return np.stack(found, axis=1)


def macro_auroc(
    truth: ArrayLike, scores: ArrayLike, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0
) -> Interval:
    """Mean of the areas of every class against the rest (Provost and Domingos 2000, unweighted), over the classes that
    occur; percentile bootstrap by patient. Where every area is 1 no draw differs: then the mean of the classes' own
    lower limits (`auroc`).

    Args:
        truth: class numbers `[n]`.
        scores: `[n, classes]`, finite.

    Raises:
        ValueError: fewer than two classes occur.
    """
    t, s = _checked(truth, scores)
    areas = _Areas(t, s)
    if not areas.classes:
        raise ValueError("at least two classes must be present")
    value = float(areas(np.ones((1, t.size))).mean())
    drawn = bootstrap(lambda w: np.asarray(areas(w).mean(axis=1), np.float64), t.size, groups, draws, seed)
    interval = percentile_interval(value, drawn, t.size)
    if interval.high - interval.low < 1e-9:
        single = [auroc(t == k, s[:, k], groups) for k in areas.classes]
        low, high = (float(np.mean([getattr(i, end) for i in single])) for end in ("low", "high"))
        interval = Interval(value, min(low, value), max(high, value), t.size)
    return interval


def macro_auroc_test(
    truth: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    groups: ArrayLike | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> PairedTest:
    """Two models' macro areas on the same films; interval and two-sided p value of the difference by the paired
    bootstrap by patient (Davison and Hinkley 1997, 4.4): twice the smaller share of draws on either side of zero.

    Args:
        a, b: scores of the two models, `[n, classes]`.
    """
    (t, first), (_, second) = _checked(truth, a), _checked(truth, b)
    one, other = _Areas(t, first), _Areas(t, second)

    def gap(weights: Floats) -> Floats:
        return np.asarray(one(weights).mean(axis=1) - other(weights).mean(axis=1), np.float64)

    drawn = bootstrap(gap, t.size, groups, draws, seed)
    difference = percentile_interval(float(gap(np.ones((1, t.size)))[0]), drawn, t.size)
    return PairedTest(
        macro_auroc(t, first, groups, draws, seed),
        macro_auroc(t, second, groups, draws, seed),
        difference,
        bootstrap_p(drawn),
    )


def bootstrap_p(draws: Floats) -> float:
    """Two-sided p value of "no difference" from bootstrap draws of a difference, never below 2 / (draws + 1)."""
    defined = draws[np.isfinite(draws)]
    sides = ((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (min(sides) + 1) / (defined.size + 1)))


def macro_rates(
    truth: ArrayLike,
    decided: ArrayLike,
    classes: int,
    groups: ArrayLike | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Sensitivity, specificity, precision and F1 of every class against the rest, their mean over the classes that
    occur; a class that was never decided has a precision of 0. Percentile bootstrap by patient; at a mean of 1, where
    no draw differs, Wilson's lower limit over the patients.
    """
    t, d = np.asarray(truth).astype(np.intp), np.asarray(decided).astype(np.intp)
    table = confusion_matrix(t, d, classes)
    occurring = np.flatnonzero(table.sum(axis=1))
    cells = np.eye(classes * classes)[t * classes + d]

    def means(weights: Floats) -> Floats:
        return _means((weights @ cells).reshape(-1, classes, classes), occurring)

    values = means(np.ones((1, t.size)))[0]
    drawn = bootstrap(means, t.size, groups, draws, seed)
    patients = int(group_index(t.size, groups).max()) + 1
    found = {}
    for i, name in enumerate(RATES):
        if not np.isfinite(values[i]):
            continue
        interval = percentile_interval(float(values[i]), drawn[:, i], t.size)
        if interval.high - interval.low < 1e-9 and values[i] in (0.0, 1.0):
            edge = wilson(float(values[i]) * patients, patients)
            interval = Interval(float(values[i]), edge.low, edge.high, t.size)
        found[name] = interval
    return found


def _means(tables: Floats, occurring: NDArray[np.intp]) -> Floats:
    """`RATES` `[b, 4]` of tables `[b, k, k]`, means over some classes; NaN where a draw lacks one of them."""
    hits = np.diagonal(tables, axis1=1, axis2=2)[:, occurring]
    true, called = tables.sum(axis=2)[:, occurring], tables.sum(axis=1)[:, occurring]
    rest = tables.sum(axis=(1, 2))[:, None] - true
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity = hits / true
        specificity = (rest - (called - hits)) / rest
        precision = np.where(called > 0, hits / np.maximum(called, 1), 0.0)
        f1 = np.where(true > 0, 2 * hits / np.maximum(true + called, 1), np.nan)
    return np.stack([part.mean(axis=1) for part in (sensitivity, specificity, precision, f1)], axis=1)


def brier_kinds(
    truth: ArrayLike, scores: ArrayLike, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0
) -> Interval:
    """Brier's score over all classes, the mean of `sum_k (p_k - y_k)^2`, 0 to 2 (Monthly Weather Review 78 (1950) 1).

    Args:
        truth: class numbers `[n]`.
        scores: probabilities `[n, classes]`.
    """
    t, s = _checked(truth, scores)
    squares = ((s - np.eye(s.shape[1])[t]) ** 2).sum(axis=1)
    return mean_interval(squares, groups, draws, seed)


def grade_error(
    truth: ArrayLike, decided: ArrayLike, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0
) -> Interval:
    """Mean absolute difference of grades, in grades, with its percentile bootstrap by patient."""
    gaps = np.abs(np.asarray(truth).astype(np.intp) - np.asarray(decided).astype(np.intp)).astype(np.float64)
    return mean_interval(gaps, groups, draws, seed)


def undecided(right: ArrayLike, classes_left: ArrayLike, groups: ArrayLike | None = None) -> Undecided:
    """Rates of open questions; intervals are Wilson's, aware of repeated patients.

    Args:
        right: whether the one class decided is the truth, bool `[n]`.
        classes_left: how many classes the prediction set holds, `[n]`; anything but one leaves the question open.
    """
    wrong = ~np.asarray(right).astype(bool)
    unsure = np.asarray(classes_left) != 1
    patients = None if groups is None else np.asarray(groups)

    def errors(among: NDArray[np.bool_]) -> Interval | None:
        if not among.any():
            return None
        return proportion(wrong[among], None if patients is None else patients[among])

    return Undecided(proportion(unsure, patients), errors(~unsure), errors(unsure))


def _checked(truth: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.intp], Floats]:
    t, s = np.asarray(truth).astype(np.intp), np.asarray(scores, np.float64)
    if s.ndim != 2 or t.shape != s.shape[:1] or t.size == 0:
        raise ValueError("there must be a row of scores for every film")
    if not np.isfinite(s).all():
        raise ValueError("scores must be finite numbers")
    if t.min() < 0 or t.max() >= s.shape[1]:
        raise ValueError("the truth must be a class number")
    return t, s
