"""Pure statistics: arrays in, frozen results with 95 % intervals out. Needs numpy, and scipy for distances between
outlines and for Student's t, which is loaded when they are asked for.

`groups` is everywhere the patient of each row: intervals then count patients, not films.
"""

from medimg_core.metrics.agreement import BlandAltman, bland_altman, concordance, mean_absolute_error, within_tolerance
from medimg_core.metrics.calibration import ReliabilityBin, brier, ece, ece_null_95, reliability
from medimg_core.metrics.confusion import Rates, cohen_kappa, confusion_matrix, matthews, rates
from medimg_core.metrics.detection import (
    FROC_RATES,
    AveragePrecision,
    Froc,
    ImageBoxes,
    average_precision,
    average_precision_test,
    box_iou,
    froc,
    match,
)
from medimg_core.metrics.evaluation import Evaluation, evaluate_answers
from medimg_core.metrics.intervals import mean_interval, median_interval, proportion, share_interval, wilson
from medimg_core.metrics.overlap import average_surface_distance, dice, dice_per_patient, hd95, iou
from medimg_core.metrics.paired import (
    McNemar,
    figure_differences,
    headline_test,
    holm,
    mcnemar,
    mean_difference,
    paired_difference,
    sign_flip_test,
)
from medimg_core.metrics.pixelwise import PixelPr, pixel_histogram, pixel_pr
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
    "FROC_RATES",
    "METRICS",
    "Answers",
    "AveragePrecision",
    "BlandAltman",
    "Evaluation",
    "Form",
    "Froc",
    "ImageBoxes",
    "McNemar",
    "Metric",
    "PairedTest",
    "PixelPr",
    "PrCurve",
    "Rates",
    "ReliabilityBin",
    "RocCurve",
    "Undecided",
    "auprc",
    "auroc",
    "average_precision",
    "average_precision_test",
    "average_surface_distance",
    "bland_altman",
    "box_iou",
    "brier",
    "brier_kinds",
    "cohen_kappa",
    "concordance",
    "confusion_matrix",
    "delong_test",
    "dice",
    "dice_per_patient",
    "ece",
    "ece_null_95",
    "evaluate_answers",
    "figure_differences",
    "froc",
    "grade_error",
    "hd95",
    "headline_test",
    "holm",
    "iou",
    "macro_auroc",
    "macro_auroc_test",
    "macro_rates",
    "match",
    "matthews",
    "mcnemar",
    "mean_absolute_error",
    "mean_difference",
    "mean_interval",
    "measure",
    "median_interval",
    "metrics_of",
    "paired_difference",
    "pixel_histogram",
    "pixel_pr",
    "pr_curve",
    "proportion",
    "rates",
    "reliability",
    "roc_curve",
    "share_interval",
    "sign_flip_test",
    "undecided",
    "wilson",
    "within_tolerance",
]
