"""Sizes and shapes of masks: area, diameters, chords and the fitted ellipse, right for pixels that are not square.

Everything is computed from the outline in millimetres; 1.0 for both pixel sides gives pixels. Outlines pass through
the middles of pixel edges (`outline.polygons`), so that diameters run from outer edge to outer edge of the pixels.
Holes are part of what surrounds them, except in `area`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.imaging.outline import TOLERANCE, Points, largest_part, polygons
from medimg_core.types import MaskArray, Spacing

PERPENDICULAR_TOLERANCE = 3.0
"""Degrees by which a perpendicular diameter may deviate from 90 degrees to the longest one."""

_MOST_LINES = 512
_OUTLINE_POINTS = 360


class Diameter(NamedTuple):
    """A length and its two ends `[2, 2]`, (x, y) in image coordinates (pixels)."""

    length: float
    ends: Points


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse fitted in millimetres.

    Attributes:
        centre: (x, y) in image coordinates (pixels).
        semi_major, semi_minor: half axes in mm, the longer one first.
        angle: direction of the longer axis in mm space, degrees from the row direction (to the right) towards the
            column direction (downwards), 0 to 180; of no meaning for a circle.
    """

    centre: tuple[float, float]
    semi_major: float
    semi_minor: float
    angle: float

    @property
    def circumference(self) -> float:
        """In mm."""
        return ellipse_circumference(self.semi_major, self.semi_minor)

    def mask(self, shape: tuple[int, ...], row_mm: float = 1.0, column_mm: float = 1.0) -> MaskArray:
        """The pixels whose centres lie inside, bool `[H, W]`."""
        x = (np.arange(shape[1]) + 0.5 - self.centre[0]) * column_mm
        y = (np.arange(shape[0])[:, None] + 0.5 - self.centre[1]) * row_mm
        turn = np.deg2rad(self.angle)
        along = (x * np.cos(turn) + y * np.sin(turn)) / self.semi_major
        across = (y * np.cos(turn) - x * np.sin(turn)) / self.semi_minor
        return np.asarray(along**2 + across**2 <= 1, np.bool_)


def area(mask: MaskArray, spacing: Spacing | None) -> float:
    """Pixels that are set times the area of one: mm2; pixels (px2) where the spacing is unknown."""
    pixel = spacing.row_mm * spacing.column_mm if spacing else 1.0
    return int(np.count_nonzero(mask)) * pixel


def outer_ring(mask: MaskArray, row_mm: float = 1.0, column_mm: float = 1.0, tolerance: float = 0.0) -> Points:
    """The outline of the largest part in mm, holes filled: float64 `[N, 2]` of (x, y); simplified by `tolerance` px.

    Raises:
        ValueError: the mask is empty.
    """
    rings = polygons(largest_part(mask), tolerance)
    if not rings:
        raise ValueError("the mask is empty")
    return rings[0] * (column_mm, row_mm)


def longest_diameter(mask: MaskArray, row_mm: float = 1.0, column_mm: float = 1.0) -> Diameter:
    """The longest distance between two points of the outline of the largest part, in mm.

    The longest diameter of RECIST 1.1 (Eisenhauer et al., Eur J Cancer 2009;45:228-247), from the convex hull: in a
    part that is not convex the line may leave it. As the largest of many distances it takes the pixels that stick out:
    of drawn circles it is up to a pixel too long.

    Raises:
        ValueError: the mask is empty.
    """
    ring = outer_ring(mask, row_mm, column_mm)
    hull = ring[np.ravel(cv2.convexHull(ring.astype(np.float32), returnPoints=False))]
    distances = np.hypot(*(hull[:, None] - hull[None]).transpose(2, 0, 1))
    one, other = np.unravel_index(int(np.argmax(distances)), distances.shape)
    return Diameter(float(distances[one, other]), hull[[one, other]] / (column_mm, row_mm))


def perpendicular_diameter(mask: MaskArray, row_mm: float = 1.0, column_mm: float = 1.0) -> Diameter:
    """The longest chord inside the largest part that is perpendicular to its longest diameter, in mm.

    The second diameter of bidimensional measurement (WHO: Miller et al., Cancer 1981;47:207-214) and the short axis
    of RECIST 1.1. The rule here: in mm space, within 3 degrees of 90 to the longest diameter, without a break inside
    the outline; it need not cross the longest diameter.

    Raises:
        ValueError: the mask is empty.
    """
    ring = outer_ring(mask, row_mm, column_mm, TOLERANCE)
    long_ends = longest_diameter(mask, row_mm, column_mm).ends * (column_mm, row_mm)
    along = long_ends[1] - long_ends[0]
    best = Diameter(0.0, np.repeat(long_ends[:1], 2, axis=0))
    base = np.arctan2(along[1], along[0]) + np.pi / 2
    for turn in np.linspace(-1, 1, 7) * np.radians(PERPENDICULAR_TOLERANCE):
        direction = np.array([np.cos(base + turn), np.sin(base + turn)])
        normal = np.array([-direction[1], direction[0]])
        crossings = chords([ring], direction, _corner_lines(ring @ normal))
        runs = _runs(crossings.positions)
        line, run = np.unravel_index(int(np.argmax(runs)), runs.shape)
        if runs[line, run] > best.length:
            at = crossings.positions[line, [2 * run, 2 * run + 1]]
            ends = at[:, None] * direction + crossings.offsets[line] * normal
            best = Diameter(float(runs[line, run]), ends)
    return Diameter(best.length, best.ends / (column_mm, row_mm))


class Crossings(NamedTuple):
    """Where parallel lines cross an outline.

    Attributes:
        offsets: float64 `[J]`, the lines' distances from the origin along the normal (-dy, dx) of their direction.
        positions: float64 `[J, 2 K]`, crossings along the direction in rising order; inside lies between the first and
            second, third and fourth and so on; inf where there are no more.
    """

    offsets: NDArray[np.float64]
    positions: NDArray[np.float64]

    @property
    def lengths(self) -> NDArray[np.float64]:
        """Length `[J]` of each line inside."""
        return np.asarray(_runs(self.positions).sum(axis=1), np.float64)


def chords(rings: Sequence[Points], direction: Points, offsets: NDArray[np.float64]) -> Crossings:
    """Cut rings by parallel lines.

    Args:
        rings: closed by themselves, `[N, 2]` of (x, y); inside is what an odd number of them surrounds.
        direction: unit vector `[2]` of the lines.
        offsets: `[J]`, see `Crossings`.
    """
    normal = np.array([-direction[1], direction[0]])
    start, end = np.concatenate(rings), np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    s0, s1, t0, t1 = start @ direction, end @ direction, start @ normal, end @ normal
    crossed = (t0 <= offsets[:, None]) != (t1 <= offsets[:, None])
    slope = np.divide(s1 - s0, t1 - t0, out=np.zeros_like(s0), where=t1 != t0)
    positions = np.sort(np.where(crossed, s0 + (offsets[:, None] - t0) * slope, np.inf), axis=1)
    most = int(crossed.sum(axis=1).max(initial=2))
    return Crossings(offsets, positions[:, :most])


def _runs(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lengths `[J, K]` of the pieces inside; 0 where there are no more."""
    ends = np.where(np.isfinite(positions), positions, 0.0)
    return np.asarray(ends[:, 1::2] - ends[:, 0::2], np.float64)


def _corner_lines(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lines just beside every corner (a chord is longest there), or evenly spread where there are too many."""
    low, high = float(offsets.min()), float(offsets.max())
    if 2 * offsets.size > _MOST_LINES:
        return np.linspace(low, high, _MOST_LINES + 2)[1:-1]
    beside = 1e-7 * (high - low)
    return np.concatenate([offsets - beside, offsets + beside])


def ellipse_circumference(a: float, b: float) -> float:
    """Circumference of an ellipse from its half axes.

    Ramanujan's second formula, pi (a + b) (1 + 3 h / (10 + sqrt(4 - 3 h))) with h = ((a - b) / (a + b))^2 (Modular
    equations and approximations to pi, Quart J Math 1914;45:350-372): off by less than 1e-9 of itself for heads, by
    4e-4 for a line.
    """
    if a + b <= 0:
        return 0.0
    h = ((a - b) / (a + b)) ** 2
    return float(np.pi * (a + b) * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h))))


def fit_ellipse(mask: MaskArray, row_mm: float = 1.0, column_mm: float = 1.0) -> Ellipse:
    """The ellipse nearest to the outline of the largest part, in mm.

    Direct least squares (Fitzgibbon, Pilu, Fisher, IEEE TPAMI 1999;21:476-480, in the stable form of Halir and
    Flusser, WSCG 1998) to points evenly spread along the outline. Where that fails or differs much from the ellipse
    of the same second moments (a few pixels, a line), the latter.

    Raises:
        ValueError: the mask is empty.
    """
    part = largest_part(mask)
    scale = np.array([column_mm, row_mm])
    rings = polygons(part, 0.0)
    if not rings:
        raise ValueError("the mask is empty")
    by_moments = _moment_ellipse(part, scale)
    fitted = _direct_ellipse(evenly(rings[0] * scale, _OUTLINE_POINTS))
    if fitted is None:
        return by_moments
    same = 0.5 < fitted.semi_major / by_moments.semi_major < 2 and 0.5 < fitted.semi_minor / by_moments.semi_minor < 2
    if not same:
        return by_moments
    return Ellipse(_point(np.array(fitted.centre) / scale), fitted.semi_major, fitted.semi_minor, fitted.angle)


def evenly(ring: Points, count: int) -> Points:
    """`count` points at equal distances along a closed ring, float64 `[count, 2]`."""
    closed = np.concatenate([ring, ring[:1]])
    reached = np.append(0.0, np.cumsum(np.hypot(*np.diff(closed, axis=0).T)))
    wanted = np.arange(count) * (reached[-1] / count)
    return np.stack([np.interp(wanted, reached, closed[:, axis]) for axis in (0, 1)], axis=1)


def _moment_ellipse(mask: MaskArray, scale: Points) -> Ellipse:
    """The ellipse with centre and second moments of the pixels; their own extent counts (1/12 of a side squared)."""
    points = (np.argwhere(mask)[:, ::-1] + 0.5) * scale
    spread = np.cov(points.T, bias=True) + np.diag(scale**2 / 12)
    values, vectors = np.linalg.eigh(spread)
    minor, major = 2 * np.sqrt(values)
    return Ellipse(_point(points.mean(axis=0) / scale), float(major), float(minor), _angle(vectors[:, 1]))


def _direct_ellipse(points: Points) -> Ellipse | None:
    """Halir and Flusser's fit to points `[N, 2]`, centre in their units; None where there is no ellipse."""
    middle = points.mean(axis=0)
    size = float(np.abs(points - middle).max())
    x, y = ((points - middle) / size).T
    square, linear = np.stack([x * x, x * y, y * y], axis=1), np.stack([x, y, np.ones_like(x)], axis=1)
    try:
        reduce = -np.linalg.solve(linear.T @ linear, linear.T @ square)
        system = square.T @ square + square.T @ linear @ reduce
        _, vectors = np.linalg.eig(np.array([system[2] / 2, -system[1], system[0] / 2]))
    except np.linalg.LinAlgError:
        return None
    vectors = vectors.real
    shapes = vectors[:, 4 * vectors[0] * vectors[2] - vectors[1] ** 2 > 0]
    if not shapes.shape[1]:
        return None
    conic = np.concatenate([shapes[:, 0], reduce @ shapes[:, 0]])
    return _from_conic(conic, middle, size)


def _from_conic(conic: NDArray[np.float64], middle: Points, size: float) -> Ellipse | None:
    """Centre and half axes of A x2 + B xy + C y2 + D x + E y + F = 0, scaled by `size` and moved by `middle`."""
    a, b, c, d, e, f = conic
    form = np.array([[a, b / 2], [b / 2, c]])
    centre = np.linalg.solve(form, [-d / 2, -e / 2])
    level = -(f + (d * centre[0] + e * centre[1]) / 2)
    values, vectors = np.linalg.eigh(form)
    squares = level / values
    if not (np.isfinite(squares).all() and (squares > 0).all()):
        return None
    major = int(np.argmax(squares))
    axes = np.sqrt(squares) * size
    return Ellipse(
        _point(middle + centre * size), float(axes[major]), float(axes[1 - major]), _angle(vectors[:, major])
    )


def _angle(direction: Points) -> float:
    return float(np.degrees(np.arctan2(direction[1], direction[0])) % 180)


def _point(values: Points) -> tuple[float, float]:
    return float(values[0]), float(values[1])
