"""A drawn radiograph of a hand: bones as hollow tapered tubes in soft tissue, attenuated by Beer and Lambert's law.

It is the demo case that must be refused: a film, but none of a chest. No image was used to make it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from medimg_core.training.appearance.blend import random_fields
from medimg_core.types import FloatArray


@dataclass(frozen=True, slots=True)
class Bone:
    """A tube from `start` to `end`, `(x, y)`; `radius` at mid-shaft, `flare` is how much wider the ends are."""

    start: tuple[float, float]
    end: tuple[float, float]
    radius: float
    flare: float = 0.45


# Lengths and radii in units of the film's height. Rays: degrees from upright, foot, metacarpal and phalanges.
_RAYS = (
    (-46.0, (0.452, 0.668), (0.125, 0.088, 0.064), 0.0145),
    (-13.0, (0.468, 0.610), (0.178, 0.105, 0.066, 0.046), 0.0130),
    (-2.5, (0.503, 0.602), (0.172, 0.118, 0.076, 0.048), 0.0130),
    (8.0, (0.537, 0.608), (0.152, 0.110, 0.072, 0.047), 0.0118),
    (20.0, (0.568, 0.624), (0.138, 0.088, 0.052, 0.043), 0.0110),
)
_CARPALS = (
    ((0.462, 0.646), (0.474, 0.634), 0.021),
    ((0.505, 0.628), (0.507, 0.658), 0.022),
    ((0.548, 0.640), (0.552, 0.652), 0.022),
    ((0.462, 0.688), (0.474, 0.672), 0.021),
    ((0.506, 0.694), (0.514, 0.690), 0.023),
    ((0.556, 0.688), (0.558, 0.680), 0.021),
)
_FOREARM = (Bone((0.478, 0.728), (0.470, 1.15), 0.031, 0.5), Bone((0.556, 0.735), (0.558, 1.15), 0.021, 0.35))
_GAP = 0.006  # joint space
_CORTEX = 0.62  # inner over outer radius
_MU_CORTEX, _MU_MARROW, _MU_TISSUE = 30.0, 11.0, 2.4  # per film height


def hand(height: int, width: int, seed: int) -> FloatArray:
    """A hand, palm down, float32 `[height, width]` in [0, 1], bone bright."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x = (x + np.float32(0.5) - np.float32(width / 2)) / height + np.float32(0.5)
    y = (y + np.float32(0.5)) / height
    bones = _bones()
    depth = _MU_TISSUE * _tissue(x, y, bones)
    for bone in bones:
        outer, inner = chords(x, y, bone)
        spongy = 1 + 0.25 * random_fields(rng, 1, (height, width), height / 110)[0] * (inner > 0)
        depth += _MU_CORTEX * (outer - inner) + _MU_MARROW * inner * spongy
    film = 1 - np.exp(-depth)
    film = cv2.GaussianBlur(np.asarray(film, np.float32), (0, 0), height / 700)
    uneven = 1 + 0.03 * random_fields(rng, 1, (height, width), height / 2)[0]
    return np.asarray(np.clip(film * uneven, 0, 1) ** np.float32(1.15), np.float32)


def _bones() -> tuple[Bone, ...]:
    bones = [Bone(start, end, radius, 0.1) for start, end, radius in _CARPALS]
    for degrees, foot, lengths, radius in _RAYS:
        angle, at, thick = np.deg2rad(degrees), np.array(foot), radius
        for length in lengths:
            step = np.array([np.sin(angle), -np.cos(angle)])
            end = at + step * length
            bones.append(Bone((at[0], at[1]), (end[0], end[1]), thick))
            at = end + step * (_GAP + 0.55 * thick)
            angle *= 0.93  # fingers straighten a little towards the tip
            thick *= 0.84
    return (*bones, *_FOREARM)


def _along(x: FloatArray, y: FloatArray, bone: Bone) -> tuple[FloatArray, FloatArray]:
    """Position along the bone, 0 to 1, and distance from its axis."""
    dx, dy = bone.end[0] - bone.start[0], bone.end[1] - bone.start[1]
    s = np.clip(((x - bone.start[0]) * dx + (y - bone.start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    distance = np.hypot(x - bone.start[0] - s * dx, y - bone.start[1] - s * dy)
    return s.astype(np.float32), distance.astype(np.float32)


def chords(x: FloatArray, y: FloatArray, bone: Bone) -> tuple[FloatArray, FloatArray]:
    """How far a ray travels inside the bone, and inside its hollow; the cortex thins towards the ends."""
    s, distance = _along(x, y, bone)
    ends = (2 * s - 1) ** 4
    radius = bone.radius * (0.86 + bone.flare * ends)
    hollow = radius * (_CORTEX + (0.93 - _CORTEX) * ends)
    outer = 2 * np.sqrt(np.maximum(radius**2 - distance**2, 0))
    inner = 2 * np.sqrt(np.maximum(hollow**2 - distance**2, 0))
    return outer.astype(np.float32), inner.astype(np.float32)


def _tissue(x: FloatArray, y: FloatArray, bones: tuple[Bone, ...]) -> FloatArray:
    """Thickness of the soft tissue: a smooth union of sleeves round the bones."""
    closeness = np.zeros_like(x)
    for bone in bones:
        _, distance = _along(x, y, bone)
        reach = bone.radius * 1.6 + 0.024
        closeness += np.exp(-np.float32(2.0) * (distance / np.float32(reach)) ** 2)
    return np.asarray(0.26 * np.sqrt(np.maximum(np.minimum(closeness, 1.6) - 0.16, 0)), np.float32)
