"""From an image to a calibrated answer: gate, runtimes, calibration, batches."""

from medimg_core.inference.answer import Answer, predict, predict_batch
from medimg_core.inference.calibration import at_prevalence
from medimg_core.inference.health import Health, health
from medimg_core.inference.pool import runtime_for
from medimg_core.inference.runtime import Forward, Runtime

__all__ = [
    "Answer",
    "Forward",
    "Health",
    "Runtime",
    "at_prevalence",
    "health",
    "predict",
    "predict_batch",
    "runtime_for",
]
