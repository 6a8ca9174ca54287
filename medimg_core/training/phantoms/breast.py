"""The breast: an ultrasound picture by the physics of speckle, and a mammogram by noise with its known spectrum."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from medimg_core.training.phantoms.sound import speckle
from medimg_core.training.phantoms.texture import Numbers, Plane, blurred, clouds, ellipse, line, over, plane, soft
from medimg_core.types import FloatArray


@dataclass(frozen=True, slots=True)
class Lesion:
    """A lesion in an ultrasound picture.

    Attributes:
        echo: its echoes by those of fat around it (0: fluid).
        ragged: how far the edge departs from the ellipse, in shares of the side.
        behind: brightness behind it: below 1 a shadow, above 1 through-transmission.
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    tilt: float
    echo: float
    ragged: float
    behind: float


def ultrasound(seed: int, rows: int, columns: int, lesion: Lesion | None) -> FloatArray:
    """A picture of a linear probe, float32 `[rows, columns]` in [0, 1], skin at the top.

    Speckle: scatterers with complex Gaussian strength, seen through a pulse that is short along the beam and wide
    across it; the logarithm of its envelope is shown (Goodman; Burckhardt, IEEE SU-25 (1978) 1).
    """
    rng = np.random.default_rng(seed)
    at = plane(rows, columns)
    echo = _layers(rng, at)
    if lesion is not None:
        echo = _put(rng, at, echo, lesion)
    envelope = np.sqrt(speckle(rng, echo, (1.9 * columns / 500, 0.95 * columns / 500)))
    decibel = 20 * np.log10(envelope + 0.01)
    shown = blurred((decibel + 26) / 38, 0.6)
    return np.asarray(np.clip(shown, 0, 1) ** np.float32(1.25), np.float32)


def _layers(rng: np.random.Generator, at: Plane) -> FloatArray:
    """Strength of the scatterers: skin, fat with septa, glandular tissue, muscle, and what depth takes away."""
    shape = at.x.shape
    depth = (at.y - at.y.min()) / float(at.y.max() - at.y.min())
    bent = depth + 0.035 * _stretched(rng, shape, 3.0, 1.9)
    out = np.full(shape, 0.10, np.float32)
    gland = soft(np.abs(bent - 0.42) - 0.19, 0.05)
    weave = np.exp(1.25 * _stretched(rng, shape, 4.5, 1.25) + 0.45 * clouds(rng, shape, 0.9))
    out = over(out, np.asarray(0.75 * weave, np.float32), gland)
    septa = np.exp(-((_stretched(rng, shape, 3.2, 1.3) / 0.10) ** 2)) * soft(bent - 0.30, 0.1)
    out = over(out, 2.6, np.asarray(0.75 * septa, np.float32))
    muscle = soft(0.68 - bent, 0.03)
    fibres = np.exp(1.1 * _stretched(rng, shape, 9.0, 1.0))
    out = over(out, np.asarray(0.30 * fibres, np.float32), muscle)
    out = over(out, 3.5, soft(np.abs(bent - 0.675) - 0.004, 0.012))
    out = over(out, 4.5, soft(depth - 0.022, 0.012))
    out = over(out, 0.5, soft(np.abs(depth - 0.040) - 0.010, 0.012))
    shade = np.exp(0.22 * _columns(rng, shape))
    return np.asarray(out * shade * 10 ** (-1.35 * np.maximum(depth - 0.12, 0)), np.float32)


def _stretched(rng: np.random.Generator, shape: tuple[int, int], stretch: float, exponent: float) -> FloatArray:
    """Noise that runs along the layers, deviation 1."""
    rows, columns = shape
    narrow = clouds(rng, (rows, max(8, round(columns / stretch))), exponent)
    wide = cv2.resize(narrow, (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.asarray(wide / wide.std(), np.float32)


def _columns(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Streaks that run down the beam, from what shades near the skin."""
    coarse = rng.standard_normal((1, 14)).astype(np.float32)
    return np.asarray(
        np.repeat(cv2.resize(coarse, (shape[1], 1), interpolation=cv2.INTER_CUBIC), shape[0], 0), np.float32
    )


def _put(rng: np.random.Generator, at: Plane, echo: FloatArray, lesion: Lesion) -> FloatArray:
    x, y = lesion.centre
    edge = ellipse(at, lesion.centre, lesion.radii, lesion.tilt)
    edge = edge + np.float32(lesion.ragged) * clouds(rng, echo.shape, 1.35)
    below = soft(np.abs(at.x - x) - 0.72 * lesion.radii[0], 0.05) * soft(y - at.y, 0.05)
    out = echo * (1 + (lesion.behind - 1) * below)
    halo = soft(np.abs(edge) - 0.006, 0.012)
    out = over(out, out * np.float32(1.8), halo)
    inside = lesion.echo * 0.10 * np.exp(0.45 * clouds(rng, echo.shape, 1.2))
    return over(np.asarray(out, np.float32), np.asarray(inside, np.float32), soft(edge, 0.010))


@dataclass(frozen=True, slots=True)
class Mass:
    """A dense mass with strands from it, in a mammogram."""

    centre: tuple[float, float]
    radius: float


def mammogram(seed: int, side: int, *, right: bool, density: float, mass: Mass | None) -> FloatArray:
    """A mediolateral oblique view, float32 `[side, side]` in [0, 1]; the chest wall is at the right for a right breast.

    Args:
        density: share of the breast that is glandular, about.
        mass: placed as in a left breast (chest wall at the left).
    """
    rng = np.random.default_rng(seed)
    flat = plane(side, side)
    at = Plane(1 - flat.x, flat.y) if right else flat
    wall = 0.17  # left of it there is no film
    bent = at.bent(rng, 0.006)
    skin = _outline(bent, wall)
    thick = 1 - np.exp(np.minimum(skin, 0) / np.float32(0.045))  # the breast is pressed flat but for its rim
    out: Numbers = 0.36 * thick
    gland = _gland(rng, bent, wall, density)
    out = out + 0.38 * gland * thick
    strands = np.exp(-((clouds(rng, at.x.shape, 1.5) / 0.06) ** 2))
    out = out + 0.06 * blurred(strands, side / 400) * thick
    out = out + 0.035 * clouds(rng, at.x.shape, 1.5) * thick
    if mass is not None:
        out = _mass(rng, at, out, mass)
    out = over(out, 0.36, 0.3 * soft(np.abs(skin + 0.004) - 0.002, 0.006))
    pectoral = (bent.x - wall) * 0.62 / 0.20 + bent.y - 0.58
    muscle = np.asarray(0.74 + 0.03 * clouds(rng, at.x.shape, 1.5), np.float32)
    out = over(out, np.maximum(out + 0.12, muscle), soft(np.maximum(pectoral * 0.36, 0.9 * (skin + 0.01)), 0.035))
    film = np.maximum(out * soft(skin, 0.008), 0.035)
    film = film * soft(wall - at.x, 2 * flat.pixel) * soft(at.x - 0.86, 2 * flat.pixel)
    film = film + 0.006 * rng.standard_normal(film.shape)
    return np.asarray(np.clip(film, 0, 1), np.float32)


def _outline(at: Plane, wall: float) -> FloatArray:
    """Distance outside the breast: an ellipse whose lower half is fuller, running up into the armpit, and a nipple."""
    fuller = np.where(at.y > 0.56, 0.36, 0.80)
    radius = np.hypot((at.x - wall) / 0.46, (at.y - 0.56) / fuller)
    outside = (radius - 1) * 0.40
    nipple = ellipse(at, (wall + 0.462, 0.575), (0.020, 0.026))
    return np.asarray(np.minimum(outside, nipple) - 0.004 * np.exp(-np.abs(outside - nipple) / 0.006), np.float32)


def _gland(rng: np.random.Generator, at: Plane, wall: float, density: float) -> FloatArray:
    """Glandular tissue: clouds inside a cone that opens from the nipple to the chest wall."""
    place = ellipse(at, (wall + 0.235, 0.55), (0.19, 0.225), -12.0)
    weight = soft(place + 0.07 * clouds(rng, at.x.shape, 1.6), 0.16)
    lumps = 1 / (1 + np.exp(-2.2 * (clouds(rng, at.x.shape, 1.45) + 2.2 * (density - 0.5))))
    toward = np.clip((at.x - wall) / 0.45, 0, 1)
    ducts = np.exp(-((np.arctan2(at.y - 0.575, wall + 0.47 - at.x) * 9 % 1 - 0.5) ** 2) / 0.03) * toward**2
    return np.asarray(weight * np.clip(lumps + 0.12 * ducts, 0, 1.2), np.float32)


def _mass(rng: np.random.Generator, at: Plane, out: Numbers, mass: Mass) -> FloatArray:
    edge = ellipse(at, mass.centre, (mass.radius, 0.9 * mass.radius)) + 0.006 * clouds(rng, out.shape, 1.4)
    added = 0.24 * soft(edge, 0.02)
    for _ in range(16):
        angle, reach = rng.uniform(0, 2 * np.pi), mass.radius * rng.uniform(1.4, 2.3)
        end = (mass.centre[0] + reach * float(np.cos(angle)), mass.centre[1] + reach * float(np.sin(angle)))
        added = np.maximum(added, 0.10 * soft(line(at, [mass.centre, end]) - 0.0015, 0.006))
    return np.asarray(out + added, np.float32)
