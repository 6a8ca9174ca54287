"""What ultrasound makes of scatterers: speckle, and the fan that the beams of a curved or phased probe sweep."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from medimg_core.training.phantoms.texture import Plane
from medimg_core.types import FloatArray

LOOKS = 5
"""Directions that are averaged, as scanners do (spatial compounding), so that speckle is mild."""


def speckle(
    rng: np.random.Generator,
    echo: FloatArray,
    pulse: tuple[float, float],
    looks: int = LOOKS,
    origin: Plane | None = None,
) -> FloatArray:
    """Power of the received echoes, float32 like `echo`, whose expectation it has where that is even.

    Args:
        echo: strength of the scatterers.
        pulse: deviation of the pulse across and along the beam, in pixels.
        looks: how many directions are averaged.
        origin: column and row where each scatterer lay before it moved: with the same numbers, speckle moves along.
    """
    power = np.zeros_like(echo)
    for _ in range(2 * looks):  # real and imaginary part of each look
        noise = rng.standard_normal(echo.shape)
        scatterers = noise if origin is None else carried(noise.astype(np.float32), origin, cv2.INTER_NEAREST)
        strength = (scatterers * np.sqrt(echo)).astype(np.float32)
        power += cv2.GaussianBlur(strength, (0, 0), sigmaX=pulse[0], sigmaY=pulse[1]) ** 2 / (2 * looks)
    return np.asarray(power * np.float32(4 * np.pi * pulse[0] * pulse[1]), np.float32)


def carried(picture: FloatArray, origin: Plane, interpolation: int = cv2.INTER_LINEAR) -> FloatArray:
    """A picture whose points come from the columns and rows `origin` of another; the rim is mirrored."""
    return np.asarray(
        cv2.remap(picture, origin.x, origin.y, interpolation, borderMode=cv2.BORDER_REFLECT_101), np.float32
    )


@dataclass(frozen=True, slots=True)
class Fan:
    """The sector that a probe sweeps; lengths in mm, x to the right and y down from the middle of the picture's top.

    Attributes:
        origin: `(x, y)` where all beams would meet; above the picture for a curved probe.
        near, far: distance from there at which beams begin and end.
        half: angle in degrees between the middle beam and the outermost one.
        samples, beams: rows and columns of pictures in beam space.
    """

    origin: tuple[float, float]
    near: float
    far: float
    half: float
    samples: int
    beams: int

    def places(self) -> Plane:
        """Where each sample of each beam lies, mm, float32 `[samples, beams]` each."""
        reach = np.linspace(self.near, self.far, self.samples, dtype=np.float32)[:, None]
        angle = np.deg2rad(np.linspace(-self.half, self.half, self.beams, dtype=np.float32))[None]
        x, y = self.origin[0] + reach * np.sin(angle), self.origin[1] + reach * np.cos(angle)
        return Plane(np.asarray(x, np.float32), np.asarray(y, np.float32))

    def indices(self, at: Plane) -> Plane:
        """Beam and sample, as columns and rows in beam space, of places in mm."""
        x, y = at.x - np.float32(self.origin[0]), at.y - np.float32(self.origin[1])
        beam = (np.rad2deg(np.arctan2(x, y)) / (2 * self.half) + 0.5) * (self.beams - 1)
        sample = (np.hypot(x, y) - self.near) / (self.far - self.near) * (self.samples - 1)
        return Plane(np.asarray(beam, np.float32), np.asarray(sample, np.float32))

    def shown(self, beams: FloatArray, rows: int, columns: int, mm: float) -> FloatArray:
        """Scan conversion: a picture in beam space on pixels of `mm`, 0 outside the fan; float32 `[rows, columns]`."""
        at = self.indices(pixels_mm(rows, columns, mm))
        inside = (np.abs(at.x / (self.beams - 1) - 0.5) <= 0.5) & (np.abs(at.y / (self.samples - 1) - 0.5) <= 0.5)
        return np.asarray(np.where(inside, carried(beams, at), 0), np.float32)


def pixels_mm(rows: int, columns: int, mm: float) -> Plane:
    """Where the pixels of a picture lie, in mm from the middle of its top."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    return Plane((x + np.float32(0.5 - columns / 2)) * np.float32(mm), (y + np.float32(0.5)) * np.float32(mm))
