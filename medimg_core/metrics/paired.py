"""Two models on the same films, and corrections for asking more than one question."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medimg_core.metrics.confusion import quadratic_kappa
from medimg_core.metrics.intervals import Floats, bootstrap, percentile_interval, wilson
from medimg_core.metrics.registry import Answers
from medimg_core.metrics.roc import PairedTest, delong_test
from medimg_core.metrics.several import macro_auroc_test
from medimg_core.types import Interval


@dataclass(frozen=True, slots=True)
class McNemar:
    """Films that only one of two models got right, and the exact two-sided p value."""

    only_a: int
    only_b: int
    p: float


def mcnemar(a_right: ArrayLike, b_right: ArrayLike) -> McNemar:
    """The exact McNemar test (Psychometrika 12 (1947) 153) of two models' right answers on the same films.

    Args:
        a_right, b_right: bool `[n]`. Films of one patient count as independent here: `paired_difference` does not
            need that.
    """
    a, b = np.asarray(a_right).astype(bool), np.asarray(b_right).astype(bool)
    if a.shape != b.shape:
        raise ValueError("both models must have answered the same films")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n = only_a + only_b
    # Whole numbers until the last division: exact however many films there are.
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))
    return McNemar(only_a, only_b, min(1.0, 2 * tail / 2**n))


def paired_difference(
    statistic: Callable[[Floats], Floats], n: int, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0
) -> Interval:
    """A difference of two models with its percentile bootstrap interval; whole patients are drawn, for both at once.

    Args:
        statistic: weights `[b, n]` -> differences `[b]`; weights of one give the value itself.
    """
    value = float(statistic(np.ones((1, n)))[0])
    return percentile_interval(value, bootstrap(statistic, n, groups, draws, seed), n)


def mean_difference(
    a: ArrayLike, b: ArrayLike, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0
) -> Interval:
    """Difference of two means over the same films (accuracy from right answers, Brier from squared errors)."""
    gap = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return paired_difference(
        lambda w: np.asarray(w @ gap / w.sum(axis=1), np.float64), gap.size, groups, draws=draws, seed=seed
    )


def sign_flip_test(gaps: ArrayLike, draws: int = 20_000, seed: int = 0) -> float:
    """Two-sided p value of a mean difference under random signs (Fisher, The Design of Experiments (1935), 21; Pitman,
    J R Statist Soc Suppl 4 (1937) 119).

    All signs are tried up to 14 pairs; beyond that a seeded sample of them, the observed ones counted in.

    Args:
        gaps: differences `a - b`, one a patient, finite `[n]`, n >= 1.
    """
    d = np.asarray(gaps, np.float64)
    if d.ndim != 1 or d.size == 0 or not np.isfinite(d).all():
        raise ValueError("a test of differences needs a vector of finite numbers")
    observed = abs(float(d.sum()))
    slack = 1e-12 * max(1.0, float(np.abs(d).sum()))
    if d.size <= 14:
        signs = 1.0 - 2.0 * ((np.arange(2**d.size)[:, None] >> np.arange(d.size)) & 1)
        return float((np.abs(signs @ d) >= observed - slack).mean())
    rng, reached = np.random.default_rng(seed), 1
    for start in range(0, draws, 1000):
        signs = rng.choice((-1.0, 1.0), (min(1000, draws - start), d.size))
        reached += int((np.abs(signs @ d) >= observed - slack).sum())
    return reached / (draws + 1)


def figure_differences(a: Answers, b: Answers, draws: int = 2000, seed: int = 0) -> Mapping[str, Interval]:
    """Differences `a - b` of the figures at the operating point and of the Brier score, by name; of grades also of
    kappa and of the mean error. Of several kinds the rates are those of the class that is singled out, if one is.

    Intervals are percentiles of the bootstrap by patient. Where the models agree on every film no draw differs; then
    Wilson's upper limit of the share of patients on whom they may still differ, to either side.

    Args:
        a, b: answers to the same films in the same order. A figure that the films do not define is left out.
    """
    found = {}
    for name, (among, statistic) in _statistics(a, b).items():
        if not np.isfinite(statistic(np.ones((1, a.truth.size)))[0]):
            continue
        interval = paired_difference(statistic, a.truth.size, a.patients, draws, seed)
        if interval.high - interval.low < 1e-9:
            reach = wilson(0, np.unique(a.patients[among]).size).high
            interval = Interval(interval.value, max(interval.low - reach, -1.0), min(interval.high + reach, 1.0))
        found[name] = replace(interval, n=int(among.sum()))
    return found


def _statistics(a: Answers, b: Answers) -> dict[str, tuple[NDArray[np.bool_], Callable[[Floats], Floats]]]:
    """Figure -> the films that it counts, and its difference as a function of weights `[b, n]`."""
    labels = a.labels
    right = a.right.astype(np.float64) - b.right
    squares = _squares(a) - _squares(b)
    called = a.flagged | b.flagged
    everything = np.ones_like(labels)
    parts: dict[str, tuple[NDArray[np.bool_], Callable[[Floats], Floats]]] = {
        "accuracy": (everything, lambda w: _ratio(w @ right, w.sum(axis=1))),
    }
    if a.form == "grade":
        errors = (np.abs(a.truth - a.decided) - np.abs(b.truth - b.decided)).astype(np.float64)
        parts["kappa_quadratic"] = (everything, lambda w: _weighted_kappa(w, a) - _weighted_kappa(w, b))
        parts["mae"] = (everything, lambda w: _ratio(w @ errors, w.sum(axis=1)))
    if a.two_sided:
        parts |= {
            "sensitivity": (labels, lambda w: _rate(w, a, labels) - _rate(w, b, labels)),
            "specificity": (~labels, lambda w: _rate(w, b, ~labels) - _rate(w, a, ~labels)),
            "precision": (called, lambda w: _precision(w, a) - _precision(w, b)),
            "f1": (called | labels, lambda w: _f1(w, a) - _f1(w, b)),
        }
    parts["brier"] = (everything, lambda w: _ratio(w @ squares, w.sum(axis=1)))
    return parts


def headline_test(a: Answers, b: Answers, draws: int = 2000, seed: int = 0) -> PairedTest:
    """The test of two models' areas: DeLong's, and of several kinds the bootstrap of the macro area."""
    if a.form == "one_of":
        return macro_auroc_test(a.truth, a.all_scores, b.all_scores, a.patients, draws, seed)
    return delong_test(a.labels, a.probability, b.probability, a.patients)


def _squares(answers: Answers) -> Floats:
    if answers.form == "one_of":
        return np.asarray(((answers.all_scores - np.eye(answers.classes)[answers.truth]) ** 2).sum(axis=1), np.float64)
    return np.asarray((answers.probability - answers.labels) ** 2, np.float64)


def _weighted_kappa(weights: Floats, answers: Answers) -> Floats:
    """Quadratic kappa of weights `[b, n]`."""
    k = answers.classes
    cells = np.eye(k * k)[answers.truth * k + answers.decided]
    return quadratic_kappa((weights @ cells).reshape(-1, k, k))


def _rate(weights: Floats, answers: Answers, among: NDArray[np.bool_]) -> Floats:
    """Share called positive among some of the films."""
    return _ratio(weights @ (answers.flagged & among), weights @ among)


def _precision(weights: Floats, answers: Answers) -> Floats:
    called = answers.flagged
    return _ratio(weights @ (called & answers.labels), weights @ called)


def _f1(weights: Floats, answers: Answers) -> Floats:
    called = answers.flagged
    return _ratio(2 * (weights @ (called & answers.labels)), weights @ called + weights @ answers.labels)


def _ratio(above: Floats, below: Floats) -> Floats:
    """NaN where nothing is counted."""
    out = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down adjusted p values (Scand J Statist 6 (1979) 65), in the order given."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return tuple(adjusted.tolist())
