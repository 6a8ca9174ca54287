"""The head of an unborn child in the plane in which its circumference is measured, seen through the mother's belly.

Landmarks of the plane after Salomon et al., Ultrasound Obstet Gynecol 37 (2011) 116: skull as an ellipse, midline
broken by the cavum septi pellucidi, thalami on both sides of it, no cerebellum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medimg_core.training.phantoms.sound import Fan, speckle
from medimg_core.training.phantoms.texture import Plane, blurred, clouds, ellipse, line, over, soft
from medimg_core.types import FloatArray

_LOOKS = 2
_PULSE = (2.6, 1.5)


@dataclass(frozen=True, slots=True)
class Head:
    """A head, in mm from the middle of the picture's top.

    Attributes:
        centre: of the skull, `(x, y)`.
        long, short: outer diameters along the midline and across it.
        tilt: of the midline, degrees clockwise on the picture.
    """

    centre: tuple[float, float]
    long: float
    short: float
    tilt: float

    @property
    def circumference(self) -> float:
        """Of the outer edge, mm (Ramanujan's second formula)."""
        a, b = self.long / 2, self.short / 2
        h = ((a - b) / (a + b)) ** 2
        return float(np.pi * (a + b) * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h))))


def fetal_head(seed: int, rows: int, columns: int, mm: float, head: Head) -> FloatArray:
    """A picture of a curved probe, float32 `[rows, columns]` in [0, 1], `mm` a pixel."""
    rng = np.random.default_rng(seed)
    fan = Fan((0.0, -45.0), 46.0, 45.0 + rows * mm - 1.0, 36.0, 560, 360)
    at = fan.places()
    bent = Plane(*(side + 0.7 * clouds(rng, at.x.shape, 2.0) for side in (at.x, at.y)))
    own = _own(bent, head)
    skull = np.asarray(ellipse(own, (0.0, 0.0), (head.long / 2, head.short / 2)), np.float32)
    echo = _outside(rng, at, skull)
    echo = over(echo, _brain(rng, own, head), soft(skull, 0.6))
    echo = over(echo, _bone(at, own, skull, rng), soft(np.abs(skull + 1.0) - 0.9, 0.8))
    power = speckle(rng, echo, _PULSE, _LOOKS)
    decibel = 10 * np.log10(power + 1e-4) + _gain(rng, at, fan, skull, own, head)
    level = blurred(np.clip((decibel + 34) / 50, 0, 1), 0.5) ** np.float32(1.5)
    return fan.shown(np.asarray(level, np.float32), rows, columns, mm)


def _own(at: Plane, head: Head) -> Plane:
    """Places on the axes of the head, mm: `x` along the midline towards the brow, `y` across it."""
    turn = np.deg2rad(head.tilt)
    dx, dy = at.x - np.float32(head.centre[0]), at.y - np.float32(head.centre[1])
    x, y = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    return Plane(np.asarray(x, np.float32), np.asarray(y, np.float32))


def _outside(rng: np.random.Generator, at: Plane, skull: FloatArray) -> FloatArray:
    """The mother's layers, the wall of the womb, an afterbirth, fluid around the head, and what lies behind."""
    shape = at.x.shape
    wave = 2.2 * clouds(rng, shape, 2.3)
    out = np.asarray(0.22 * np.exp(0.8 * clouds(rng, shape, 1.1)), np.float32)
    layers = 0.5 + 0.5 * np.sin((at.y + 0.5 * wave) * 1.9)
    out = over(out, np.asarray(0.9 * layers, np.float32), soft(at.y + wave - 9, 3.0))
    fluid = soft(ellipse(at, (2.0, 42.0), (47.0, 30.0)) + 1.6 * wave, 2.5)
    out = over(out, 0.004, np.asarray(fluid, np.float32))
    placenta = np.maximum(ellipse(at, (-16.0, 14.0), (36.0, 9.0), 8.0) + 0.8 * wave, 9 - at.y)
    out = over(out, np.asarray(0.30 * np.exp(0.5 * clouds(rng, shape, 1.0)), np.float32), soft(placenta, 2.0))
    scalp = soft(np.abs(skull - 0.7) - 0.7, 0.8)
    return over(out, 0.05, 0.6 * scalp)


def _bone(at: Plane, own: Plane, skull: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The skull throws back most where the beam meets it squarely; sutures and the sides come out weak."""
    beam = np.hypot(at.x, at.y + 45)
    down, right = np.gradient(skull)
    square = np.abs(down) / np.maximum(np.hypot(down, right * 2.0), 1e-6)
    uneven = np.exp(0.5 * clouds(rng, own.x.shape, 1.6))
    return np.asarray((0.5 + 11 * square**3) * uneven * np.exp(-(beam - 46) / 120), np.float32)


def _brain(rng: np.random.Generator, own: Plane, head: Head) -> FloatArray:
    """Dark hemispheres with a bright midline, a cavum in front, thalami behind it, the walls of the ventricles."""
    unit = head.long / 60  # sizes below are those of a head of 60 mm
    x, y = own.x / unit, own.y / unit
    scaled = Plane(np.asarray(x, np.float32), np.asarray(y, np.float32))
    out = np.asarray(0.030 * np.exp(0.9 * clouds(rng, x.shape, 1.2)), np.float32)
    for side in (-1, 1):
        thalamus = ellipse(scaled, (-3.5, side * 5.0), (6.5, 4.2), side * 15.0)
        out = over(out, 0.020, 0.9 * soft(thalamus, 0.8))
        wall = [(-20.0, side * 9.0), (-10.0, side * 11.5), (0.0, side * 11.0), (10.0, side * 8.5), (16.0, side * 5.5)]
        out = over(out, 0.7, 0.7 * soft(line(scaled, wall) - 0.35, 0.7))
        fissure = [(-8.0, side * 19.5), (0.0, side * 17.0), (7.0, side * 17.8)]
        out = over(out, 0.5, 0.6 * soft(line(scaled, fissure) - 0.5, 0.9))
        plexus = ellipse(scaled, (-15.0, side * 8.5), (5.0, 2.0), side * -12.0)
        out = over(out, 0.45, 0.8 * soft(plexus, 0.8))
    middle = np.maximum(np.abs(y) - 0.35, np.abs(x) - 27.0)
    out = over(out, 2.2, 0.85 * soft(np.asarray(middle, np.float32), 0.6))
    box = np.maximum(np.abs(x - 12.0) - 4.0, np.abs(y) - 1.9)
    out = over(out, 1.6, soft(np.abs(box) - 0.25, 0.6))
    return over(out, 0.004, soft(np.asarray(box + 0.5, np.float32), 0.6))


def _gain(rng: np.random.Generator, at: Plane, fan: Fan, skull: FloatArray, own: Plane, head: Head) -> FloatArray:
    """Decibels that depth, the sides of the fan and the skull in front take away."""
    inside = np.cumsum(soft(skull, 1.0), axis=0) * np.float32((fan.far - fan.near) / fan.samples)
    shadow = -3.0 * np.minimum(inside, 4) / 4 - 3.5 * soft(head.short - inside, 8.0) * (inside > 1)
    edge = -9.0 * np.exp(-(((np.abs(own.x) - head.long / 2 + 1) / 3.0) ** 2)) * (own.y > 0) * soft(-skull, 3.0)
    angle = np.rad2deg(np.arctan2(at.x, at.y + 45)) / fan.half
    return np.asarray(
        shadow + edge - 0.06 * np.maximum(at.y - 20, 0) - 5 * np.abs(angle) ** 6 + 1.8 * clouds(rng, at.x.shape, 2.0),
        np.float32,
    )
