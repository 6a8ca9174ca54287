"""Masks and their outlines: rings of points in image coordinates, the way back, and the parts of a mask.

Image coordinates are (x, y) = (column, row) with the outer corner of the first pixel at (0, 0) and its centre at
(0.5, 0.5), as the viewer draws them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.types import MaskArray

Points = NDArray[np.float64]
"""`[N, 2]`, (x, y)."""

TOLERANCE = 0.25
"""Pixels by which `polygons` may simplify. Below 0.35 no pixel centre changes sides, so that nothing is lost."""

# Around a pixel clockwise on the screen, the inside on the right: start and end of its top, right, bottom, left edge.
_STARTS = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
_STEPS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])


def polygons(mask: MaskArray, tolerance: float = TOLERANCE) -> tuple[Points, ...]:
    """The rings around the parts and the holes of a mask, largest first.

    A ring runs through the middles of the pixel edges (marching squares at level 0.5), so that a digital straight
    line of 45 degrees is straight, and is simplified (Ramer 1972; Douglas and Peucker 1973). Pixels that touch at a
    corner belong together. With the default tolerance no point is farther than 0.5 pixels from the pixel edges and
    `fill` returns the very mask; the area inside a ring is the number of pixels less one half (cut corners) and less
    what simplification takes off, at most a sixth of a pixel along the outline.

    Args:
        mask: bool `[H, W]`.
        tolerance: largest distance in pixels by which a ring is simplified; 0 keeps every point.

    Returns:
        Rings float64 `[N, 2]` of (x, y), not closed by a repeated point; parts have a positive shoelace sum, holes a
        negative one. Empty where nothing is set. The first is the outline of a part.
    """
    rings = _rings(np.asarray(mask, np.bool_))
    rings.sort(key=lambda ring: -abs(ring_area(ring)))
    return tuple(_simplified(ring, tolerance) for ring in rings)


def fill(rings: Sequence[Points], shape: tuple[int, int]) -> MaskArray:
    """The pixels whose centres lie inside an odd number of rings: the inverse of `polygons`.

    Args:
        rings: `[N, 2]` of (x, y), closed by themselves; they may reach beyond the picture.
        shape: rows and columns of the mask.

    Returns:
        bool `[H, W]`.
    """
    crossed = np.zeros((shape[0], shape[1] + 1), np.bool_)
    for ring in rings:
        points = np.asarray(ring, np.float64).reshape(-1, 2)
        if len(points) < 3:
            continue
        ahead = np.roll(points, -1, axis=0)
        # An edge crosses the rows whose centre lies in [its upper end, its lower end).
        first = np.ceil(np.minimum(points[:, 1], ahead[:, 1]) - 0.5).clip(0, shape[0]).astype(np.intp)
        last = np.ceil(np.maximum(points[:, 1], ahead[:, 1]) - 0.5).clip(0, shape[0]).astype(np.intp)
        count = last - first
        edge = np.repeat(np.arange(len(points)), count)
        row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
        share = (row + 0.5 - points[edge, 1]) / (ahead[edge, 1] - points[edge, 1])
        x = points[edge, 0] + share * (ahead[edge, 0] - points[edge, 0])
        column = np.ceil(x - 0.5).clip(0, shape[1]).astype(np.intp)
        np.logical_xor.at(crossed, (row, column), True)
    return np.asarray(np.logical_xor.accumulate(crossed, axis=1)[:, :-1], np.bool_)


def ring_area(ring: Points) -> float:
    """Area inside a ring in square pixels by the shoelace sum; negative for holes."""
    x, y = ring.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def box_of(mask: MaskArray) -> tuple[float, float, float, float] | None:
    """The smallest box (x0, y0, x1, y1) around all pixels that are set, to their outer edges; None where none is."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not columns.size:
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def largest_part(mask: MaskArray) -> MaskArray:
    """The connected part (eight neighbours) with most pixels, the first of equals: bool `[H, W]`; empty stays empty."""
    labels, sizes = _parts(mask)
    if not sizes.size:
        return np.zeros(mask.shape, np.bool_)
    return np.asarray(labels == 1 + int(np.argmax(sizes)), np.bool_)


def without_specks(mask: MaskArray, smallest: int) -> MaskArray:
    """The mask without connected parts (eight neighbours) of fewer than `smallest` pixels: bool `[H, W]`."""
    labels, sizes = _parts(mask)
    return np.asarray(np.append(False, sizes >= smallest)[labels], np.bool_)


def count_parts(mask: MaskArray) -> int:
    """Number of connected parts (eight neighbours)."""
    return int(_parts(mask)[1].size)


def _parts(mask: MaskArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number of the part of every pixel, 0 outside, and the pixels of each part from number 1 on."""
    if not mask.size:
        return np.zeros(mask.shape, np.intp), np.zeros(0, np.intp)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(np.ascontiguousarray(mask, np.uint8), connectivity=8)
    return np.asarray(labels, np.intp), np.asarray(stats[1:, cv2.CC_STAT_AREA], np.intp)


def _rings(mask: MaskArray) -> list[Points]:
    """Every ring through the middles of the pixel edges, unsimplified."""
    starts, directions = _edges(mask)
    if not directions.size:
        return []
    wide = mask.shape[1] + 1
    ends = starts + _STEPS[directions]
    keys = (starts[:, 1] * wide + starts[:, 0]) * 4 + directions
    order = np.argsort(keys)
    keys, starts, directions, ends = keys[order], starts[order], directions[order], ends[order]
    following = np.zeros(len(keys), np.intp)
    # One edge leaves the end of each; where two do, pixels touch at a corner, and the left one joins them.
    for turn in (1, 0, -1):
        sought = (ends[:, 1] * wide + ends[:, 0]) * 4 + (directions + turn) % 4
        at = np.searchsorted(keys, sought).clip(max=len(keys) - 1)
        following = np.where(keys[at] == sought, at, following)
    middles = (starts + ends) / 2
    return [middles[ring] for ring in _cycles(following.tolist())]


def _edges(mask: MaskArray) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Start `[E, 2]` and direction `[E]` (0 right, 1 down, 2 left, 3 up) of the edges between inside and outside."""
    framed = np.pad(mask, 1)
    beyond = (framed[:-2, 1:-1], framed[1:-1, 2:], framed[2:, 1:-1], framed[1:-1, :-2])
    found = [np.argwhere(mask & ~outside)[:, ::-1] + _STARTS[way] for way, outside in enumerate(beyond)]
    directions = np.repeat(np.arange(4), [len(edges) for edges in found])
    return np.concatenate(found), directions


def _cycles(following: list[int]) -> list[list[int]]:
    """The cycles of a permutation."""
    seen = bytearray(len(following))
    cycles = []
    for start in range(len(following)):
        if seen[start]:
            continue
        cycle, here = [], start
        while not seen[here]:
            seen[here] = 1
            cycle.append(here)
            here = following[here]
        cycles.append(cycle)
    return cycles


def _simplified(ring: Points, tolerance: float) -> Points:
    """The ring with the points that Ramer, Douglas and Peucker keep, from two that lie far apart."""
    if tolerance <= 0:
        return ring
    ring = np.roll(ring, -int(np.argmax(np.hypot(*(ring - ring.mean(axis=0)).T))), axis=0)
    half = int(np.argmax(np.hypot(*(ring - ring[0]).T)))
    closed = np.concatenate([ring, ring[:1]])
    keep = np.zeros(len(closed), np.bool_)
    keep[[0, half]] = True
    waiting = [(0, half), (half, len(ring))]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        distances = _to_segment(closed[first + 1 : last], closed[first], closed[last])
        farthest = int(np.argmax(distances))
        if distances[farthest] > tolerance:
            middle = first + 1 + farthest
            keep[middle] = True
            waiting += [(first, middle), (middle, last)]
    return ring[keep[:-1]]


def _to_segment(points: Points, start: Points, end: Points) -> NDArray[np.float64]:
    """Distance of points `[N, 2]` from the segment between two others."""
    along = end - start
    length = float(along @ along)
    share = ((points - start) @ along / length).clip(0, 1) if length else np.zeros(len(points))
    return np.asarray(np.hypot(*(points - start - share[:, None] * along).T), np.float64)
