"""End-diastole and end-systole of a cine from the area of the left ventricle in its frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MISSING = 0.2
"""Share of frames without a ventricle from which on the choice is in doubt."""

FLAT = 0.1
"""A curve that falls by less than this share of its largest value shows no beat."""

_FEWEST = 5
_KERNEL = np.array([0.25, 0.5, 0.25])


@dataclass(frozen=True, slots=True)
class Phases:
    """Numbers of the chosen frames from 0 on, and sentences about what makes the choice doubtful."""

    end_diastole: int
    end_systole: int
    doubts: tuple[str, ...] = ()


def pick_frames(areas: Sequence[float]) -> Phases | None:
    """The end-diastolic and the end-systolic frame of a cine by its curve of left ventricular areas.

    Missing areas are interpolated, the curve is smoothed (median of three, then 1-2-1). End-diastole is its highest
    frame with a ventricle; end-systole the lowest one of the same beat: of the run below half height that follows,
    or, where none follows or the clip breaks off in it, of the run before.

    Args:
        areas: of the left ventricle frame by frame in time order, any unit; nan or 0 where none was found.

    Returns:
        None where fewer than two frames show a ventricle.
    """
    raw = np.asarray(areas, np.float64)
    seen = np.isfinite(raw) & (raw > 0)
    if seen.sum() < 2:
        return None
    curve = _smoothed(np.interp(np.arange(raw.size), np.flatnonzero(seen), raw[seen]))
    ed = int(np.argmax(np.where(seen, curve, -np.inf)))
    es, complete = _systole(curve, seen, ed)
    doubts = []
    if raw.size < _FEWEST:
        doubts.append(f"The clip has only {raw.size} frames.")
    if (~seen).mean() > MISSING:
        doubts.append(f"No left ventricle was found in {int((~seen).sum())} of {raw.size} frames.")
    if curve[es] > (1 - FLAT) * curve[ed]:
        doubts.append("The area of the left ventricle hardly changes: the clip may not show a whole beat.")
    elif not complete:
        doubts.append("The clip breaks off before the ventricle grows again: the smallest area may not be in it.")
    return Phases(ed, es, tuple(doubts))


def _smoothed(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    framed = np.pad(curve, 1, mode="edge")
    middle = np.median(np.stack([framed[:-2], framed[1:-1], framed[2:]]), axis=0)
    return np.convolve(np.pad(middle, 1, mode="edge"), _KERNEL, mode="valid")


def _systole(curve: NDArray[np.float64], seen: NDArray[np.bool_], ed: int) -> tuple[int, bool]:
    """The lowest frame of the beat, and whether the clip goes on beyond it."""
    half = (curve.max() + curve.min()) / 2
    found = []
    for way in (np.arange(ed + 1, curve.size), np.arange(ed - 1, -1, -1)):
        low = curve[way] < half
        if not low.any():
            continue
        first = int(np.argmax(low))
        after = np.flatnonzero(~low[first:])
        run = way[first : first + int(after[0])] if after.size else way[first:]
        lowest = int(run[np.argmin(np.where(seen[run], curve[run], np.inf))])
        if seen[lowest]:
            found.append((lowest, lowest not in (0, curve.size - 1)))
    if not found:
        others = np.where(seen, curve, np.inf)
        others[ed] = np.inf
        return int(np.argmin(others)), False
    return next((one for one in found if one[1]), found[0])
