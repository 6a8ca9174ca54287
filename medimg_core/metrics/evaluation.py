"""One model on one set of films: every figure, curve and table that a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medimg_core.metrics.calibration import ReliabilityBin, ece_null_95, reliability
from medimg_core.metrics.confusion import confusion_matrix
from medimg_core.metrics.precision_recall import PrCurve, pr_curve
from medimg_core.metrics.registry import Answers, measure
from medimg_core.metrics.roc import RocCurve, roc_curve
from medimg_core.types import Interval


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What was measured, with unanswered films counted both ways.

    Attributes:
        n: films with a known truth; `positives` of them of the positive class, of `patients` patients.
        unanswered: of these, films without an answer (refused or unreadable).
        left_out: figures over the answered films.
        wrong: figures over all films, an unanswered film counting as the wrong answer given with certainty.
        confusion: answered films, int64 `[k, k]`, rows the truth.
        roc, pr: None where one class is missing.
        bins, ece_null_95: calibration of the answered films; empty and None without any.
    """

    n: int
    positives: int
    patients: int
    unanswered: int
    left_out: Mapping[str, Interval]
    wrong: Mapping[str, Interval]
    confusion: NDArray[np.int64]
    roc: RocCurve | None
    pr: PrCurve | None
    bins: tuple[ReliabilityBin, ...]
    ece_null_95: float | None


def evaluate_answers(answers: Answers, answered: NDArray[np.bool_]) -> Evaluation:
    """Measure a classifier.

    Args:
        answers: all films with a known truth; decision and probability of unanswered ones are not looked at.
        answered: bool `[n]`, false for refused and unreadable films.
    """
    given = subset(answers, answered)
    both = bool(given.labels.any() and not given.labels.all())
    left_out = measure(given)
    return Evaluation(
        n=answers.truth.size,
        positives=int(answers.labels.sum()),
        patients=np.unique(answers.patients).size,
        unanswered=int((~answered).sum()),
        left_out=left_out,
        wrong=left_out if answered.all() else measure(as_wrong(answers, answered)),
        confusion=confusion_matrix(given.truth, given.decided, answers.classes),
        roc=roc_curve(given.labels, given.probability, given.patients) if both else None,
        pr=pr_curve(given.labels, given.probability, given.patients) if both else None,
        bins=reliability(given.labels, given.probability, given.patients) if answered.any() else (),
        ece_null_95=ece_null_95(given.probability) if answered.any() else None,
    )


def subset(answers: Answers, keep: NDArray[np.bool_]) -> Answers:
    """Some of the films."""
    return replace(
        answers,
        truth=answers.truth[keep],
        decided=answers.decided[keep],
        probability=answers.probability[keep],
        patients=answers.patients[keep],
    )


def as_wrong(answers: Answers, answered: NDArray[np.bool_]) -> Answers:
    """All films; unanswered ones get the class farthest from the truth, and certainty for the wrong side."""
    farthest = np.where(2 * answers.truth < answers.classes - 1, answers.classes - 1, 0)
    return replace(
        answers,
        decided=np.where(answered, answers.decided, farthest),
        probability=np.where(answered, answers.probability, np.where(answers.labels, 0.0, 1.0)),
    )
