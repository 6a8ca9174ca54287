"""A beat of the heart in the apical four-chamber view, frame by frame, as the fan of a phased probe shows it.

Sizes are those of healthy adults (Lang et al., J Am Soc Echocardiogr 28 (2015) 1): a ventricle 80 mm long and 46 mm
wide, a wall of 9 mm, an atrium behind it that fills while the ventricle empties and the mitral ring moves up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medimg_core.training.phantoms.sound import Fan, carried, speckle
from medimg_core.training.phantoms.texture import Numbers, Plane, blurred, clouds, ellipse, line, over, soft
from medimg_core.types import FloatArray

FAN = Fan((0.0, 1.0), 2.0, 160.0, 37.5, 480, 190)
SYSTOLE, FILLED = 0.37, 0.60
"""Shares of the beat at which the ventricle is smallest, and at which it has filled but for what the atrium adds."""

_LOOKS = 2
_PULSE = (5.0, 3.0)
_BLOOM = 1.8
"""How far the pulse smears a wall over the blood beside it, mm; cavities are drawn that much wider than they look."""

_APEX, _TILT = (2.0, 20.0), -6.0


@dataclass(frozen=True, slots=True)
class Ventricle:
    """The left ventricle at one moment, in mm: an ellipse that is cut off by the mitral plane.

    Attributes:
        length: from apex to mitral plane.
        half: half of the greatest width.
        wall: thickness beside it.
    """

    length: float
    half: float
    wall: float

    @property
    def semi(self) -> float:
        """Half of the ellipse's long axis, of which the mitral plane leaves three quarters."""
        return self.length / 1.5

    @property
    def area(self) -> float:
        """Of the cavity, mm2: the part of the ellipse above the cut at half of its lower semi-axis."""
        share = np.pi / 4 + (np.arcsin(0.5) + 0.5 * np.sqrt(0.75)) / 2
        return float(2 * self.half * self.semi * share)

    @property
    def volume(self) -> float:
        """Of the cavity turned round its axis, ml."""
        return float(np.pi * self.half**2 * self.semi * 1.125 / 1000)


WIDE, NARROW = Ventricle(80.0, 23.0, 9.0), Ventricle(68.0, 15.5, 13.5)
"""At the ends of diastole and of systole."""


def contraction(share: float) -> float:
    """How far the ventricle has gone from `WIDE` (0) to `NARROW` (1) at a share of the beat, which starts wide.

    It empties along half a cosine, fills fast to a fifth, rests, and gets the rest from the atrium (Wiggers).
    """
    if share < SYSTOLE:
        return float(0.5 - 0.5 * np.cos(np.pi * share / SYSTOLE))
    if share < FILLED:
        return float(0.6 + 0.4 * np.cos(np.pi * (share - SYSTOLE) / (FILLED - SYSTOLE)))
    return float(0.2 - 0.2 * max(0.0, (share - 0.82) / 0.18) ** 2 * (3 - 2 * max(0.0, (share - 0.82) / 0.18)))


def ventricle(share: float) -> Ventricle:
    """The left ventricle at a share of the beat."""
    done = contraction(share)
    pairs = ((WIDE.length, NARROW.length), (WIDE.half, NARROW.half), (WIDE.wall, NARROW.wall))
    return Ventricle(*(wide + done * (narrow - wide) for wide, narrow in pairs))


def beat(seed: int, frames: int, rows: int, columns: int, mm: float) -> FloatArray:
    """One beat from the end of diastole on, float32 `[frames, rows, columns]` in [0, 1], `mm` a pixel."""
    weave = {name: clouds(np.random.default_rng(seed + i), (FAN.samples, FAN.beams), e) for i, (name, e) in _WEAVE}
    return np.stack([_frame(seed, i / frames, i, weave, rows, columns, mm) for i in range(frames)])


_WEAVE = tuple(enumerate((("muscle", 1.0), ("outside", 1.2), ("gain", 1.9)), start=1))


def _frame(
    seed: int, share: float, number: int, weave: dict[str, FloatArray], rows: int, columns: int, mm: float
) -> FloatArray:
    at = FAN.places()
    now = ventricle(share)
    own = _along(at)
    origin = FAN.indices(_before(at, own, now))
    moved = {name: noise if name == "gain" else carried(noise, origin) for name, noise in weave.items()}
    tissue, blood = _echoes(at, own, now, share, moved)
    power = speckle(np.random.default_rng(seed), tissue, _PULSE, _LOOKS, origin)
    power += speckle(np.random.default_rng([seed, number]), blood, _PULSE, _LOOKS)
    decibel = 10 * np.log10(power + 1e-4) + _gain(at, moved["gain"])
    level = blurred(np.clip((decibel + 32) / 48, 0, 1), 0.5) ** np.float32(1.6)
    return FAN.shown(np.asarray(level, np.float32), rows, columns, mm)


def _along(at: Plane) -> Plane:
    """Places on the axes of the left ventricle, mm: `x` across, `y` from its apex towards its base."""
    turn = np.deg2rad(_TILT)
    dx, dy = at.x - np.float32(_APEX[0]), at.y - np.float32(_APEX[1])
    x, y = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    return Plane(np.asarray(x, np.float32), np.asarray(y, np.float32))


def _before(at: Plane, own: Plane, now: Ventricle) -> Plane:
    """Where the tissue at a place lay at the end of diastole: further out and further down, less so far away."""
    near = np.exp(-((np.maximum(np.abs(own.x) - now.half, 0) / 22) ** 2))
    away = np.exp(-((np.maximum(own.y - now.length - 4, 0) / 22) ** 2)) * near
    out = np.sign(own.x) * np.minimum(np.abs(own.x) / now.half, 1) * (WIDE.half - now.half) * near * away
    down = np.clip(own.y / now.length, 0, 1) * (WIDE.length - now.length) * away
    turn = np.deg2rad(_TILT)
    x, y = out * np.cos(turn) - down * np.sin(turn), out * np.sin(turn) + down * np.cos(turn)
    return Plane(np.asarray(at.x + x, np.float32), np.asarray(at.y + y, np.float32))


def _echoes(
    at: Plane, own: Plane, now: Ventricle, share: float, weave: dict[str, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Strength of the scatterers that stay with the tissue, and of those in blood."""
    muscle = np.asarray(0.55 * np.exp(0.55 * weave["muscle"]), np.float32)
    out = np.asarray(0.09 * np.exp(1.1 * weave["outside"]), np.float32)
    outer = ellipse(own, (0.0, now.semi - 1.0), (now.half + now.wall - 1.0, now.semi + 6.0))
    outer = np.maximum(outer, own.y - now.length - 3)
    blood = np.zeros_like(out)
    for cavity, wall in _right_and_atria(own, now):
        ragged = cavity + 1.0 * weave["muscle"]
        out = over(out, 0.8 * muscle, soft(ragged - wall, 2.0))
        blood = np.maximum(blood, soft(ragged, 0.8))
    around = soft(np.abs(outer - 1.5) - 1.0, 2.0) * (own.x > 0) * soft(np.abs(own.y - 0.55 * now.length) - 24, 20.0)
    out = over(out, 4.0, 0.8 * around)  # the pericardium beside the lateral wall
    inside = soft(outer, 2.5)
    out, blood = over(out, muscle, inside), blood * (1 - inside)
    cavity = ellipse(own, (0.0, now.semi), (now.half + _BLOOM, now.semi + _BLOOM))
    cavity = np.maximum(cavity, own.y - now.length) + 0.9 * weave["muscle"] * soft(own.y - 0.8 * now.length, 20.0)
    ring = np.maximum(np.abs(own.x) - 0.80 * now.half, np.abs(own.y - now.length - 5) - 10)
    blood = np.maximum(blood, soft(np.minimum(cavity, ring), 0.8))
    tissue = over(out, 0.0, blood)
    tissue = over(tissue, 3.0, _valves(own, now, share))
    haze = 0.005 + 0.04 * np.exp(-at.y / 22)
    skin = 6.0 * np.exp(-((at.y / 7) ** 2))
    return np.asarray(tissue + skin, np.float32), np.asarray(haze * blood, np.float32)


def _right_and_atria(own: Plane, now: Ventricle) -> list[tuple[FloatArray, float]]:
    """Left atrium, right atrium, right ventricle: distance outside each cavity, and its wall's thickness."""
    back = WIDE.length + 41.0  # the back of the atria stays where it is
    tall = back - now.length - 2.5
    left = ellipse(own, (0.5, back - 0.50 * tall), (19.5 + 0.10 * (tall - 38), 0.56 * tall), 0.0)
    left = np.maximum(left, now.length + 2.5 - own.y)
    right = ellipse(own, (-39.0, back - 0.52 * tall), (17.0, 0.55 * tall), 0.0)
    right = np.maximum(right, now.length - 1.0 - own.y)
    inner = -(now.half + now.wall)
    width = 15.0 - 0.20 * (WIDE.half - now.half) * 2
    chamber = ellipse(own, (inner - width + 1.0, now.length - 8), (width, 46.0), 8.0)
    chamber = np.maximum(chamber, own.y - now.length + 4.0)
    return [(left, 2.6), (right, 2.4), (np.asarray(chamber, np.float32), 4.0)]


_SWING = ((0.0, 0.04, SYSTOLE + 0.02, 0.44, 0.58, 0.70, 0.84, 0.90, 1.0), (0.5, 0, 0, 1, 1, 0.45, 0.55, 0.9, 0.5))
"""How far the leaflets are open: shares of the beat, and 0 (joined) to 1."""


def _valves(own: Plane, now: Ventricle, share: float) -> FloatArray:
    """Leaflets: joined near the plane of the ring while the ventricle empties, swung open while it fills."""
    swing = np.deg2rad(12 + 58 * float(np.interp(share, *_SWING)))
    drawn = np.zeros_like(own.x)
    for middle, half, level in ((0.0, 0.866 * now.half, now.length), (-40.0, 12.0, now.length - 3.0)):
        for side in (-1, 1):
            start, reach = (middle + side * half, level), 0.92 * half
            tip = (start[0] - side * reach * float(np.cos(swing)), level - reach * float(np.sin(swing)))
            drawn = np.maximum(drawn, soft(line(own, [start, tip]) - 0.7, 1.4))
    return np.asarray(0.85 * drawn, np.float32)


def _gain(at: Plane, noise: FloatArray) -> Numbers:
    """Decibels that depth, the sides of the fan and ribs in the way take away."""
    angle = np.rad2deg(np.arctan2(at.x, at.y)) / FAN.half
    return -4.0 * np.maximum(at.y - 60, 0) / 100 - 7.0 * np.abs(angle) ** 4 + 2.2 * noise
