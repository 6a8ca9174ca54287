"""A drawn film of a lower leg: two long bones as hollow tubes between knee and ankle, whole or broken."""

from __future__ import annotations

import numpy as np

from medimg_core.training.appearance.limb import Bone, chords
from medimg_core.training.phantoms.texture import Plane, blurred, clouds, ellipse, plane, soft
from medimg_core.types import FloatArray

_CORTEX, _MARROW, _TISSUE = 15.0, 3.6, 1.75
"""Attenuation per height of the film."""


def leg(seed: int, rows: int, columns: int, *, broken: bool) -> FloatArray:
    """A film from the front, float32 `[rows, columns]` in [0, 1], bone bright.

    Args:
        broken: both shafts are cut through obliquely and the lower parts are moved aside.
    """
    rng = np.random.default_rng(seed)
    at = plane(rows, columns)
    bent = at.bent(rng, 0.0025)
    bones = _bones(bent, rng)
    if broken:
        above = _above(bent, rng)
        moved = Plane(bent.x - np.float32(0.017) - np.float32(0.06) * (bent.y - 0.55), bent.y + np.float32(0.010))
        bones = bones * (1 - soft(above - 0.002, 0.003)) + _bones(moved, rng) * soft(above + 0.002, 0.003)
    depth = bones + _TISSUE * _sleeve(bent)
    film = 1 - np.exp(-depth)
    film = blurred(film, rows / 900)
    rng = np.random.default_rng([seed, 1])  # the same film, whether the leg is broken or not
    film *= 1 + np.float32(0.05) * clouds(rng, film.shape, 2.3)
    film += 0.035 + 0.008 * blurred(rng.standard_normal(film.shape), 0.6)
    return np.asarray(np.clip(film, 0, 1) ** np.float32(1.1), np.float32)


def _above(at: Plane, rng: np.random.Generator) -> FloatArray:
    """Positive above the break, negative below it: an oblique, ragged line."""
    ragged = 0.006 * clouds(rng, at.x.shape, 1.2)
    return np.asarray(0.585 - at.y + 0.75 * (at.x - 0.5) + ragged, np.float32)


def _bones(at: Plane, rng: np.random.Generator) -> FloatArray:
    """Attenuation by tibia, fibula, the lower end of the femur, the knee cap and the ankle bone."""
    depth = np.zeros_like(at.x)
    spongy = 1 + 0.20 * clouds(rng, at.x.shape, 0.9) + 0.12 * clouds(rng, at.x.shape, 1.6)
    for bone in (
        Bone((0.490, 0.238), (0.500, 0.845), 0.0295, 1.05),
        Bone((0.572, 0.285), (0.560, 0.885), 0.0125, 0.65),
        Bone((0.488, -0.35), (0.488, 0.104), 0.0330, 1.20),
        Bone((0.470, 0.900), (0.525, 0.905), 0.0330, 0.05),
        Bone((0.500, 0.955), (0.505, 1.05), 0.0330, 0.10),
    ):
        outer, inner = chords(at.x, at.y, bone)
        depth += _CORTEX * (outer - inner) + _MARROW * inner * spongy
    cap = soft(ellipse(at, (0.488, 0.100), (0.030, 0.034)), 0.01)
    return np.asarray(depth + 0.12 * cap, np.float32)


def _sleeve(at: Plane) -> FloatArray:
    """Thickness of the soft tissue: thigh, calf and ankle as one sleeve whose width changes on the way down."""
    depths, halves = (0.0, 0.16, 0.24, 0.40, 0.62, 0.84, 1.0), (0.125, 0.098, 0.092, 0.112, 0.080, 0.056, 0.075)
    half = blurred(np.interp(at.y, depths, halves), at.x.shape[0] / 30)
    across = np.abs(at.x - 0.512) / half
    return np.asarray(2 * half * np.sqrt(np.maximum(1 - across**2, 0)), np.float32)
