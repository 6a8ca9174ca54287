"""The figures that `evaluate` states: one row a metric. Adding a metric is a function and a row here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medimg_core.metrics.calibration import brier, ece
from medimg_core.metrics.confusion import Rates, cohen_kappa, matthews, rates
from medimg_core.metrics.intervals import proportion
from medimg_core.metrics.precision_recall import auprc
from medimg_core.metrics.roc import auroc
from medimg_core.types import Interval


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a classifier said about some films, and what is true.

    Attributes:
        truth, decided: class numbers, intp `[n]`.
        probability: calibrated probability of the class `positive`, float64 `[n]`.
        classes: number of classes.
        patients: patient of each row `[n]`.
    """

    truth: NDArray[np.intp]
    decided: NDArray[np.intp]
    probability: NDArray[np.float64]
    patients: NDArray[np.str_]
    positive: int = 1
    classes: int = 2

    @property
    def labels(self) -> NDArray[np.bool_]:
        """True for films of the positive class."""
        return np.asarray(self.truth == self.positive, np.bool_)


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
    return rates(a.labels, a.decided == a.positive, a.patients)


METRICS: tuple[Metric, ...] = (
    Metric("auroc", "AUROC", True, lambda a: auroc(a.labels, a.probability, a.patients)),
    Metric("auprc", "Average precision", True, lambda a: auprc(a.labels, a.probability, a.patients)),
    Metric("accuracy", "Accuracy", False, lambda a: proportion(a.truth == a.decided, a.patients)),
    Metric("sensitivity", "Sensitivity", False, lambda a: _rate(a).sensitivity),
    Metric("specificity", "Specificity", False, lambda a: _rate(a).specificity),
    Metric("precision", "Precision", False, lambda a: _rate(a).precision),
    Metric("f1", "F1", False, lambda a: _rate(a).f1),
    Metric(
        "kappa_quadratic", "Kappa, quadratic", True, lambda a: cohen_kappa(a.truth, a.decided, a.classes, a.patients)
    ),
    Metric("mcc", "Matthews correlation", True, lambda a: matthews(a.truth, a.decided, a.classes, a.patients)),
    Metric("brier", "Brier score", False, lambda a: brier(a.labels, a.probability, a.patients)),
    Metric("ece", "Calibration error", False, lambda a: ece(a.labels, a.probability, a.patients)),
)


def measure(answers: Answers) -> Mapping[str, Interval]:
    """Every figure that these answers define, by name, in the order of the registry."""
    if answers.truth.size == 0:
        return {}
    both = bool(answers.labels.any() and not answers.labels.all())
    found = {m.name: m.function(answers) for m in METRICS if both or not m.needs_both}
    return {name: interval for name, interval in found.items() if interval is not None}
