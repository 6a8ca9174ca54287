"""Pure statistics: arrays in, frozen results with 95 % intervals out. Needs numpy only.

`groups` is everywhere the patient of each row: intervals then count patients, not films.
"""

from medimg_core.metrics.calibration import ReliabilityBin, brier, ece, ece_null_95, reliability
from medimg_core.metrics.confusion import Rates, cohen_kappa, confusion_matrix, matthews, rates
from medimg_core.metrics.evaluation import Evaluation, evaluate_answers
from medimg_core.metrics.intervals import proportion, wilson
from medimg_core.metrics.overlap import dice
from medimg_core.metrics.paired import (
    McNemar,
    figure_differences,
    headline_test,
    holm,
    mcnemar,
    mean_difference,
    paired_difference,
)
from medimg_core.metrics.precision_recall import PrCurve, auprc, pr_curve
from medimg_core.metrics.registry import METRICS, Answers, Form, Metric, measure, metrics_of
from medimg_core.metrics.roc import PairedTest, RocCurve, auroc, delong_test, roc_curve
from medimg_core.metrics.several import (
    Undecided,
    brier_kinds,
    grade_error,
    macro_auroc,
    macro_auroc_test,
    macro_rates,
    undecided,
)

__all__ = [
    "METRICS",
    "Answers",
    "Evaluation",
    "Form",
    "McNemar",
    "Metric",
    "PairedTest",
    "PrCurve",
    "Rates",
    "ReliabilityBin",
    "RocCurve",
    "Undecided",
    "auprc",
    "auroc",
    "brier",
    "brier_kinds",
    "cohen_kappa",
    "confusion_matrix",
    "delong_test",
    "dice",
    "ece",
    "ece_null_95",
    "evaluate_answers",
    "figure_differences",
    "grade_error",
    "headline_test",
    "holm",
    "macro_auroc",
    "macro_auroc_test",
    "macro_rates",
    "matthews",
    "mcnemar",
    "mean_difference",
    "measure",
    "metrics_of",
    "paired_difference",
    "pr_curve",
    "proportion",
    "rates",
    "reliability",
    "roc_curve",
    "undecided",
    "wilson",
]
