"""What drawn pictures are made of: noise with a falling spectrum, bent coordinates, soft shapes.

Coordinates are in shares of the picture's side, `x` to the right and `y` down; `(0.5, 0.5)` is the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.types import FloatArray

Numbers = NDArray[np.floating[Any]]


def clouds(rng: np.random.Generator, shape: tuple[int, int], exponent: float) -> FloatArray:
    """Noise whose amplitude falls with frequency as `f ** -exponent`; mean 0, deviation 1, float32 `shape`.

    0 is white; 1 has as much variance in every octave; 1.5 is what dense tissue shows in mammograms (Burgess et al.,
    Med. Phys. 28 (2001) 419: power falls as `f ** -3`).
    """
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None])
    frequency[0, 0] = 1.0
    spectrum = np.fft.fft2(rng.standard_normal(shape)) / frequency**exponent
    spectrum[0, 0] = 0.0
    noise = np.real(np.fft.ifft2(spectrum))
    return np.asarray(noise / noise.std(), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """Where each pixel lies: float32 `[H, W]` each, in shares of the longer side, the picture's middle at 0.5."""

    x: FloatArray
    y: FloatArray

    @property
    def pixel(self) -> float:
        """Distance of two pixels of one side in these units, before any bending."""
        return 1.0 / float(max(self.x.shape))

    def bent(self, rng: np.random.Generator, reach: float) -> Plane:
        """The same plane through a smooth random lens; `reach` is the deviation of the displacement."""
        shape = (self.x.shape[0], self.x.shape[1])
        by, down = (np.float32(reach) * clouds(rng, shape, 2.2) for _ in range(2))
        return Plane(self.x + by, self.y + down)


def plane(rows: int, columns: int) -> Plane:
    """The plane of a picture of this size."""
    side = max(rows, columns)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    return Plane((x + np.float32(0.5 - columns / 2)) / side + 0.5, (y + np.float32(0.5 - rows / 2)) / side + 0.5)


def ellipse(at: Plane, centre: tuple[float, float], radii: tuple[float, float], tilt: float = 0.0) -> FloatArray:
    """How far outside an ellipse each place lies, about in units of the plane; negative inside.

    Args:
        tilt: degrees, clockwise on the picture.
    """
    turn = np.deg2rad(tilt)
    dx, dy = at.x - np.float32(centre[0]), at.y - np.float32(centre[1])
    u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    radius = np.hypot(u / radii[0], v / radii[1])
    return np.asarray((radius - 1) * min(radii), np.float32)


def soft(outside: Numbers, width: float) -> FloatArray:
    """1 inside, 0 outside, one half on the edge; `width` is the length over which it falls (partial volume)."""
    return np.asarray(1 / (1 + np.exp(np.clip(outside / np.float32(width / 4), -40, 40))), np.float32)


def line(at: Plane, points: list[tuple[float, float]]) -> FloatArray:
    """Distance from a polygon's line, in units of the plane."""
    out = np.full(at.x.shape, np.inf, np.float32)
    for (x0, y0), (x1, y1) in pairwise(points):
        dx, dy = x1 - x0, y1 - y0
        share = np.clip(((at.x - x0) * dx + (at.y - y0) * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
        out = np.minimum(out, np.hypot(at.x - x0 - share * dx, at.y - y0 - share * dy))
    return out


def over(below: Numbers, value: Numbers | float, amount: Numbers) -> FloatArray:
    """`value` laid over a picture with an opacity in [0, 1]."""
    return np.asarray(below + amount * (value - below), np.float32)


def blurred(picture: Numbers, sigma: float) -> FloatArray:
    """Through a Gaussian of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(np.asarray(picture, np.float32), (0, 0), sigma), np.float32)
