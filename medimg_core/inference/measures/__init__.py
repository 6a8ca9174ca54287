"""From predicted regions to measurements with intervals: `measure(kind, regions, image, errors)`."""

from medimg_core.inference.measures import fetal_head, fundus, heart, lesion, lungs  # noqa: F401  (each registers)
from medimg_core.inference.measures.cine import Phases, pick_frames
from medimg_core.inference.measures.heart import Ejection, ejection_fraction
from medimg_core.inference.measures.registry import ErrorFit, kinds, measure, register

__all__ = ["Ejection", "ErrorFit", "Phases", "ejection_fraction", "kinds", "measure", "pick_frames", "register"]
