"""Colours of evidence for the browser: those of exports. The page's own colours are in `look.css` and config.toml."""

from __future__ import annotations

from medimg_core.render.colours import AGAINST, FOR, OPACITY, THRESHOLD, Rgb

__all__ = ["OPACITY", "RAMPS", "THRESHOLD"]


def _hex(stops: tuple[Rgb, ...]) -> list[str]:
    return ["#{:02X}{:02X}{:02X}".format(*stop) for stop in stops]


RAMPS = {"for": _hex(FOR), "against": _hex(AGAINST)}
"""Equally spaced stops from weak to strong. Orange against blue survives the usual colour vision deficiencies."""
