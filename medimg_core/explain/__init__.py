"""Saliency maps: what in the film speaks for a class, computed on the model's grid and raised to the film's own.

Importing this package fills the registry. Add a method: write one file, end it with `register(Method(...))`, and
name the file in the import below.
"""

from medimg_core.explain import cam, gradients, occlusion, scorecam, segcam
from medimg_core.explain.engine import ENGINES, available, available_places, compute, raise_grid, target_weights
from medimg_core.explain.registry import Method, Query, method, methods, register
from medimg_core.explain.trust import Verdict, verdict

__all__ = [
    "ENGINES",
    "Method",
    "Query",
    "Verdict",
    "available",
    "available_places",
    "cam",
    "compute",
    "gradients",
    "method",
    "methods",
    "occlusion",
    "raise_grid",
    "register",
    "scorecam",
    "segcam",
    "target_weights",
    "verdict",
]
