"""The area of the ventricle through a clip, as a thin line with the two chosen frames marked.

HTML, because Streamlit's `st.html` lets no SVG through: the line is an element cut out by `clip-path`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from medimg_core.inference.measures import Phases

_WIDE, _HIGH = 320.0, 60.0
"""Size that the line is cut out for; it follows the width of the panel."""

_HALF = 0.75
"""Half the thickness of the line."""

Point = tuple[float, float]

_EDGE, _NEAR = 0.2, 0.35
"""Shares of the width: how near an end a name stands beside its line, and how near another it would touch that."""


def html(areas: Sequence[float], phases: Phases | None, unit: str, scale: float) -> str:
    """The curve; gaps stay where no ventricle was found. Empty with fewer than two frames that show one.

    Args:
        areas: in pixels, nan where there is none.
        unit, scale: what the axis says, and what a pixel is in it.
    """
    known = [area for area in areas if math.isfinite(area)]
    if len(known) < 2:
        return ""
    top, last = max(known) * 1.05, max(1, len(areas) - 1)
    points = [(_WIDE * i / last, _HIGH * (1 - area / top)) for i, area in enumerate(areas)]
    lines = "".join(f"<i class='line' style='clip-path:polygon({_band(run)})'></i>" for run in _runs(points))
    marks = ""
    named = (("ED", phases.end_diastole), ("ES", phases.end_systole)) if phases else ()
    for name, index in named:
        (x, y), side = points[index], _side(index / last, [other / last for _, other in named if other != index])
        place = f"left:{100 * x / _WIDE:.2f}%"
        marks += f"<i class='mark' style='{place}'></i><i class='dot' style='{place};top:{y:.1f}px'></i>"
        marks += f"<em class='{side}' style='{place}'>{name}, frame {index + 1}</em>"
    ends = f"<small class='low'>frame 1</small><small class='low r'>{len(areas)}</small>"
    high = f"<small class='high'>{_figure(max(known) * scale)} {unit}</small><small class='zero'>0</small>"
    said = f"Area of the left ventricle in {len(areas)} frames, at most {_figure(max(known) * scale)} {unit}"
    body = f"<div class='plot'>{lines}{marks}{ends}{high}</div>"
    return f"<div class='mi-curve' role='img' aria-label='{said}'>{body}</div>"


def _side(share: float, others: Sequence[float]) -> str:
    """Names near an end stand beside their line, so that they stay inside; those of near lines away from each other."""
    if share < _EDGE or share > 1 - _EDGE:
        return "l" if share < _EDGE else "r"
    near = [other for other in others if abs(other - share) < _NEAR]
    return "c" if not near else "l" if near[0] < share else "r"


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """The parts of the line that have no gap."""
    runs: list[list[Point]] = [[]]
    for x, y in points:
        if math.isfinite(y):
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if len(run) > 1]


def _band(run: Sequence[Point]) -> str:
    """A thin band along a line, as the corners of a polygon: there on one side, back on the other."""
    sides: tuple[list[str], list[str]] = ([], [])
    for i, (x, y) in enumerate(run):
        (u, v), (s, t) = run[max(0, i - 1)], run[min(len(run) - 1, i + 1)]
        size = math.hypot(s - u, t - v) or 1.0
        dx, dy = -(t - v) / size * _HALF, (s - u) / size * _HALF
        for side, sign in zip(sides, (1, -1), strict=True):
            side.append(f"{100 * (x + sign * dx) / _WIDE:.2f}% {y + sign * dy:.2f}px")
    return ",".join([*sides[0], *reversed(sides[1])])


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
