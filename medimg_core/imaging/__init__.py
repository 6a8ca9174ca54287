"""Pure pixel functions: window, geometry and its inverse, preparation, quality."""

from medimg_core.imaging.geometry import Geometry
from medimg_core.imaging.prepare import model_grid, normalise, prepare, window_round
from medimg_core.imaging.window import apply_voi_lut, apply_window, auto_window, default_window, to_display

__all__ = [
    "Geometry",
    "apply_voi_lut",
    "apply_window",
    "auto_window",
    "default_window",
    "model_grid",
    "normalise",
    "prepare",
    "to_display",
    "window_round",
]
