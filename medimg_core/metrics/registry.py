"""The figures that `evaluate` states: one row a metric. Adding a metric is a function and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medimg_core.metrics.calibration import brier, ece
from medimg_core.metrics.confusion import Rates, cohen_kappa, matthews, rates
from medimg_core.metrics.intervals import Floats, proportion
from medimg_core.metrics.precision_recall import auprc
from medimg_core.metrics.roc import auroc
from medimg_core.metrics.several import RATES, brier_kinds, grade_error, macro_auroc, macro_rates
from medimg_core.types import Interval

Form = Literal["yes_no", "one_of", "grade"]
"""How a model answers, spelt as on the card: see `catalog.Form`."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a classifier said about some films, and what is true.

    Attributes:
        truth, decided: class numbers, intp `[n]`.
        probability: calibrated probability of the positive side, float64 `[n]`: of the class `positive`, or of grades
            that the grade is `positive` or higher.
        patients: patient of each row `[n]`.
        positive: the class that counts as positive; of grades the first one; of several kinds the one singled out,
            0 where none is.
        classes: number of classes.
        form: decides which figures there are.
        scores: calibrated probability of every class, float64 `[n, classes]`; needed for several kinds.
        called: bool `[n]`, whether `probability` reaches the operating point; needed for grades, elsewhere the
            decision says it.
        names: classes as they are spelt in the names of figures; numbers where empty.
    """

    truth: NDArray[np.intp]
    decided: NDArray[np.intp]
    probability: Floats
    patients: NDArray[np.str_]
    positive: int = 1
    classes: int = 2
    form: Form = "yes_no"
    scores: Floats | None = None
    called: NDArray[np.bool_] | None = None
    names: tuple[str, ...] = ()

    @property
    def labels(self) -> NDArray[np.bool_]:
        """True for films of the positive side."""
        found = self.truth >= self.positive if self.form == "grade" else self.truth == self.positive
        return np.asarray(found, np.bool_)

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """True for films that the model put on the positive side."""
        return np.asarray(self.decided == self.positive if self.called is None else self.called, np.bool_)

    @property
    def right(self) -> NDArray[np.bool_]:
        """True where the class decided is the true one."""
        return np.asarray(self.truth == self.decided, np.bool_)

    @property
    def two_sided(self) -> bool:
        """Whether one class, or the grades from one on, stand against the rest: of several kinds only where one is
        singled out.
        """
        return self.form != "one_of" or self.positive > 0

    @property
    def top(self) -> Floats:
        """Calibrated probability of the class decided, of several kinds."""
        return self.all_scores[np.arange(self.decided.size), self.decided]

    @property
    def all_scores(self) -> Floats:
        """`scores`; several kinds cannot be measured without."""
        if self.scores is None:
            raise ValueError("answers of several kinds need the probability of every class")
        return self.scores

    @property
    def comparable(self) -> bool:
        """Whether films of both sides (of several kinds: of two classes) are there, as areas need."""
        if self.form == "one_of":
            return np.unique(self.truth).size > 1
        return bool(self.labels.any() and not self.labels.all())

    def name(self, number: int) -> str:
        """A class as it is spelt in the names of figures."""
        return self.names[number] if self.names else str(number)


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a set of answers.

    Attributes:
        needs_both: defined only where films with and without the positive class are present.
        function: answers -> figure with its interval; None where these answers do not define it.
    """

    name: str
    title: str
    needs_both: bool
    function: Callable[[Answers], Interval | None]


def _rate(a: Answers) -> Rates:
    return rates(a.labels, a.flagged, a.patients)


_AUROC = Metric("auroc", "AUROC", True, lambda a: auroc(a.labels, a.probability, a.patients))
_AUPRC = Metric("auprc", "Average precision", True, lambda a: auprc(a.labels, a.probability, a.patients))
_ACCURACY = Metric("accuracy", "Accuracy", False, lambda a: proportion(a.right, a.patients))
_RATES = (
    Metric("sensitivity", "Sensitivity", False, lambda a: _rate(a).sensitivity),
    Metric("specificity", "Specificity", False, lambda a: _rate(a).specificity),
    Metric("precision", "Precision", False, lambda a: _rate(a).precision),
    Metric("f1", "F1", False, lambda a: _rate(a).f1),
)
_KAPPA = Metric(
    "kappa_quadratic", "Kappa, quadratic", True, lambda a: cohen_kappa(a.truth, a.decided, a.classes, a.patients)
)
_MCC = Metric("mcc", "Matthews correlation", True, lambda a: matthews(a.truth, a.decided, a.classes, a.patients))
_BRIER = Metric("brier", "Brier score", False, lambda a: brier(a.labels, a.probability, a.patients))
_ECE = Metric("ece", "Calibration error", False, lambda a: ece(a.labels, a.probability, a.patients))

METRICS: tuple[Metric, ...] = (_AUROC, _AUPRC, _ACCURACY, *_RATES, _KAPPA, _MCC, _BRIER, _ECE)
"""Of yes/no answers."""

GRADES: tuple[Metric, ...] = (
    _AUROC,
    _AUPRC,
    _ACCURACY,
    Metric("kappa_quadratic", "Kappa, quadratic", False, _KAPPA.function),
    Metric("mae", "Mean error in grades", False, lambda a: grade_error(a.truth, a.decided, a.patients)),
    *_RATES,
    _BRIER,
    _ECE,
)
"""Of grades; those with a positive side speak of the grade `positive` or higher."""


def metrics_of(answers: Answers) -> tuple[Metric, ...]:
    """The figures of the answers' form, in the order in which they are shown."""
    if answers.form == "yes_no":
        return METRICS
    return GRADES if answers.form == "grade" else _kinds(answers)


def _kinds(answers: Answers) -> tuple[Metric, ...]:
    """Of several kinds: means over the classes; rates of the one that is singled out, where one is."""

    def against_rest(number: int) -> Metric:
        def area(a: Answers) -> Interval | None:
            of_class = a.truth == number
            if of_class.all() or not of_class.any():
                return None
            return auroc(of_class, a.all_scores[:, number], a.patients)

        name = answers.name(number)
        return Metric(f"auroc_{name}", f"AUROC, {name}", True, area)

    return (
        Metric("auroc", "AUROC, mean", True, lambda a: macro_auroc(a.truth, a.all_scores, a.patients)),
        *(against_rest(number) for number in range(answers.classes)),
        _ACCURACY,
        *(_RATES if answers.two_sided else _mean_rates()),
        _MCC,
        Metric("brier", "Brier score", False, lambda a: brier_kinds(a.truth, a.all_scores, a.patients)),
        Metric("ece", "Calibration error", False, lambda a: ece(a.right, a.top, a.patients)),
    )


def _mean_rates() -> tuple[Metric, ...]:
    def mean(name: str) -> Callable[[Answers], Interval | None]:
        return lambda a: macro_rates(a.truth, a.decided, a.classes, a.patients).get(name)

    titles = ("Sensitivity, mean", "Specificity, mean", "Precision, mean", "F1, mean")
    return tuple(Metric(name, title, False, mean(name)) for name, title in zip(RATES, titles, strict=True))


def measure(answers: Answers) -> Mapping[str, Interval]:
    """Every figure that these answers define, by name, in the order of the registry."""
    if answers.truth.size == 0:
        return {}
    both = answers.comparable
    found = {m.name: m.function(answers) for m in metrics_of(answers) if both or not m.needs_both}
    return {name: interval for name, interval in found.items() if interval is not None}
