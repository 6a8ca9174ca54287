"""Overlays, figures and reports as files; nothing here knows the browser."""

from medimg_core.render.overlay import DISCLAIMER, colour_bar, overlay, overlay_png, provenance, to_png

__all__ = ["DISCLAIMER", "colour_bar", "overlay", "overlay_png", "provenance", "to_png"]
