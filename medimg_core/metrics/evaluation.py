"""One model on one set of films: every figure, curve and table that a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from medimg_core.metrics.calibration import ReliabilityBin, ece_null_95, reliability
from medimg_core.metrics.confusion import confusion_matrix
from medimg_core.metrics.precision_recall import PrCurve, pr_curve
from medimg_core.metrics.registry import Answers, Form, measure, metrics_of
from medimg_core.metrics.roc import RocCurve, roc_curve
from medimg_core.metrics.several import Undecided, undecided
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
        roc, pr: of the positive side; None where it, or the rest, is missing or nothing is singled out.
        bins, ece_null_95: calibration of the answered films, of several kinds that of the class decided; empty and
            None without any.
        titles: figure -> how it is headed, in the order in which they are shown.
        kinds: of several kinds, class -> its curve against the rest.
        undecided: None where the prediction sets are not known.
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
    form: Form = "yes_no"
    titles: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, RocCurve] = field(default_factory=dict)
    undecided: Undecided | None = None


def evaluate_answers(
    answers: Answers, answered: NDArray[np.bool_], classes_left: NDArray[np.intp] | None = None
) -> Evaluation:
    """Measure a classifier.

    Args:
        answers: all films with a known truth; decision and probability of unanswered ones are not looked at.
        answered: bool `[n]`, false for refused and unreadable films.
        classes_left: how many classes each film's prediction set holds, `[n]`; None where that is not known.
    """
    given = subset(answers, answered)
    both = bool(given.labels.any() and not given.labels.all()) and given.two_sided
    left_out = measure(given)
    hits, certain = (given.right, given.top) if given.form == "one_of" else (given.labels, given.probability)
    some = bool(answered.any())
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
        bins=reliability(hits, certain, given.patients) if some else (),
        ece_null_95=ece_null_95(certain) if some else None,
        form=answers.form,
        titles={metric.name: metric.title for metric in metrics_of(answers)},
        kinds=_curves(given) if given.form == "one_of" else {},
        undecided=undecided(given.right, classes_left[answered], given.patients)
        if some and classes_left is not None
        else None,
    )


def _curves(given: Answers) -> Mapping[str, RocCurve]:
    """Every class against the rest; those without films on both sides have no curve."""
    sides = {number: given.truth == number for number in range(given.classes)}
    return {
        given.name(number): roc_curve(inside, given.all_scores[:, number], given.patients)
        for number, inside in sides.items()
        if inside.any() and not inside.all()
    }


def subset(answers: Answers, keep: NDArray[np.bool_] | NDArray[np.intp]) -> Answers:
    """Some of the films: where `keep` is true, or those of these numbers, in this order."""
    return replace(
        answers,
        truth=answers.truth[keep],
        decided=answers.decided[keep],
        probability=answers.probability[keep],
        patients=answers.patients[keep],
        scores=None if answers.scores is None else answers.scores[keep],
        called=None if answers.called is None else answers.called[keep],
    )


def as_wrong(answers: Answers, answered: NDArray[np.bool_]) -> Answers:
    """All films; unanswered ones get the class farthest from the truth, and certainty for the wrong side."""
    farthest = np.where(2 * answers.truth < answers.classes - 1, answers.classes - 1, 0)
    scores, called = answers.scores, answers.called
    return replace(
        answers,
        decided=np.where(answered, answers.decided, farthest),
        probability=np.where(answered, answers.probability, np.where(answers.labels, 0.0, 1.0)),
        scores=None if scores is None else np.where(answered[:, None], scores, np.eye(answers.classes)[farthest]),
        called=None if called is None else np.where(answered, called, ~answers.labels),
    )
