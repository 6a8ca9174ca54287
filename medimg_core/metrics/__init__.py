"""Pure statistics: arrays in, frozen results with 95 % intervals out. Needs numpy only.

`groups` is everywhere the patient of each row: intervals then count patients, not films.
"""

from medimg_core.metrics.calibration import ReliabilityBin, brier, ece, ece_null_95, reliability
from medimg_core.metrics.confusion import Rates, cohen_kappa, confusion_matrix, matthews, rates
from medimg_core.metrics.evaluation import Evaluation, evaluate_answers
from medimg_core.metrics.intervals import proportion, wilson
from medimg_core.metrics.overlap import dice
from medimg_core.metrics.paired import McNemar, figure_differences, holm, mcnemar, mean_difference, paired_difference
from medimg_core.metrics.precision_recall import PrCurve, auprc, pr_curve
from medimg_core.metrics.registry import METRICS, Answers, Metric, measure
from medimg_core.metrics.roc import PairedTest, RocCurve, auroc, delong_test, roc_curve

__all__ = [
    "METRICS",
    "Answers",
    "Evaluation",
    "McNemar",
    "Metric",
    "PairedTest",
    "PrCurve",
    "Rates",
    "ReliabilityBin",
    "RocCurve",
    "auprc",
    "auroc",
    "brier",
    "cohen_kappa",
    "confusion_matrix",
    "delong_test",
    "dice",
    "ece",
    "ece_null_95",
    "evaluate_answers",
    "figure_differences",
    "holm",
    "matthews",
    "mcnemar",
    "mean_difference",
    "measure",
    "paired_difference",
    "pr_curve",
    "proportion",
    "rates",
    "reliability",
    "roc_curve",
    "wilson",
]
