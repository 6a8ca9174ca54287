"""Precision against recall, and the average precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from medimg_core.metrics.intervals import Floats, bootstrap, group_index, percentile_interval, wilson
from medimg_core.metrics.roc import both_classes
from medimg_core.types import Interval


@dataclass(frozen=True, slots=True, eq=False)
class PrCurve:
    """Precision and recall at every distinct score, from the highest down.

    Attributes:
        precision, recall, thresholds: float64 `[k]`; a film is called positive where `score >= threshold`.
        auprc: average precision with its interval.
        prevalence: the precision of a model that knows nothing.
    """

    precision: Floats
    recall: Floats
    thresholds: Floats
    auprc: Interval
    prevalence: float


def pr_curve(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0
) -> PrCurve:
    """The precision-recall curve; the area is `sum((recall_i - recall_(i-1)) * precision_i)`, never interpolated.

    The interval is the percentile bootstrap by patient; at an area of 1, where no draw differs, Wilson's interval
    over the patients with a positive film.
    """
    y, (s,) = both_classes(labels, scores)
    order = np.argsort(-s, kind="stable")
    hits, sorted_scores = y[order].astype(np.float64), s[order]
    ends = np.append(np.flatnonzero(np.diff(sorted_scores)), y.size - 1)

    def curve(weights: Floats) -> tuple[Floats, Floats]:
        true = np.cumsum(weights * hits, axis=-1)[..., ends]
        called = np.cumsum(weights, axis=-1)[..., ends]
        with np.errstate(invalid="ignore"):
            # A draw may hold nobody above a score: 0 / 0, which adds no recall. A draw without positives stays NaN.
            return np.where(called > 0, true / np.maximum(called, 1), 0.0), true / true[..., -1:]

    def average(weights: Floats) -> Floats:
        precision, recall = curve(weights)
        return np.asarray((np.diff(recall, axis=-1, prepend=0.0) * precision).sum(axis=-1), np.float64)

    precision, recall = curve(np.ones(y.size))
    area = float(average(np.ones((1, y.size)))[0])
    interval = percentile_interval(area, bootstrap(lambda w: average(w[:, order]), y.size, groups, draws, seed), y.size)
    if interval.high - interval.low < 1e-9:
        patients = np.unique(group_index(y.size, groups)[y]).size
        interval = Interval(area, wilson(area * patients, patients).low, interval.high, y.size)
    return PrCurve(precision, recall, sorted_scores[ends], interval, float(y.mean()))


def auprc(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0
) -> Interval:
    """Average precision with its interval; see `pr_curve`."""
    return pr_curve(labels, scores, groups, draws, seed).auprc
