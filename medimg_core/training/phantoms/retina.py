"""A photograph of the retina: a lit disc on black, vessels that fork, the optic disc with its cup, drawn lesions.

Proportions after Tasman and Jaeger, Duane's Ophthalmology: the middle of the macula lies 2.5 disc diameters to the
temporal side of the disc; veins are about a third wider than arteries.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.training.phantoms.texture import Plane, blurred, clouds, ellipse, over, plane, soft
from medimg_core.types import FloatArray

RADIUS = 0.485
_DISC = (0.052, 0.058)


@dataclass(frozen=True, slots=True)
class Eye:
    """What the photograph shows.

    Attributes:
        right: a right eye: the disc lies on the right of the picture.
        cup: diameter of the cup by that of the disc.
        lesions: how many small red dots, blots and yellow spots there are: `(dots, blots, spots)`.
    """

    right: bool
    cup: float
    lesions: tuple[int, int, int] = (0, 0, 0)


def retina(seed: int, side: int, eye: Eye) -> NDArray[np.uint8]:
    """RGB, uint8 `[side, side, 3]`."""
    rng = np.random.default_rng(seed)
    flat = plane(side, side)
    at = flat if eye.right else Plane(1 - flat.x, flat.y)  # drawn as a right eye, mirrored for a left one
    disc, macula = (0.755, 0.485), (0.470, 0.515)
    out = _ground(rng, at, macula)
    strokes = _tree(rng, disc, macula)
    out = _vessels(out, at, strokes, side, mirrored=not eye.right)
    out = _disc(out, at, disc, eye.cup, rng)
    out = _inner_vessels(out, at, strokes, disc, side, mirrored=not eye.right)
    out = _lesions(out, at, eye.lesions, macula, disc, rng)
    return _photographed(out, flat, rng)


def _ground(rng: np.random.Generator, at: Plane, macula: tuple[float, float]) -> FloatArray:
    """The colour of the fundus: pigment and choroid, darker at the macula, uneven light."""
    shape = at.x.shape
    light = 1.0 - 0.55 * ((at.x - 0.54) ** 2 + (at.y - 0.5) ** 2) / RADIUS**2 + 0.03 * clouds(rng, shape, 2.4)
    choroid = 0.035 * clouds(rng, shape, 1.3) + 0.020 * np.abs(clouds(rng, shape, 1.0))
    dark = 0.30 * np.exp(-((at.x - macula[0]) ** 2 + (at.y - macula[1]) ** 2) / 0.065**2)
    pit = 0.22 * np.exp(-((at.x - macula[0]) ** 2 + (at.y - macula[1]) ** 2) / 0.020**2)
    amount = light * (1 + choroid) * (1 - dark - pit)
    colour = np.array([0.80, 0.40, 0.165], np.float32)
    fall = np.array([0.8, 1.0, 1.15], np.float32)  # pigment takes blue and green more than red
    return np.asarray(colour * np.maximum(amount, 0.02)[..., None] ** fall, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """A vessel from fork to fork: points `[N, 2]` in shares of the side, width, and whether it is a vein."""

    points: FloatArray
    width: float
    vein: bool


def _tree(rng: np.random.Generator, disc: tuple[float, float], macula: tuple[float, float]) -> list[Stroke]:
    """Four arcades, each an artery and a vein, that bend round the macula and fork on their way."""
    out: list[Stroke] = []
    # (angle at the disc, bend a step, calibre): temporal arcades bend back towards the middle, nasal ones run straight
    ways = ((-112.0, -1.05, 1.0), (112.0, 1.05, 1.0), (-52.0, 0.30, 0.75), (50.0, -0.30, 0.75))
    for vein in (False, True):
        for angle, bend, calibre in ways:
            start = angle + rng.normal(0, 7) + (9 if vein else -9)
            width = (0.0082 if vein else 0.0062) * calibre
            _grow(rng, out, (disc[0], disc[1]), start, bend * rng.uniform(0.85, 1.1), width, vein, macula, 0)
    for angle in (172.0, 190.0, -8.0, 14.0):
        _grow(rng, out, disc, angle + rng.normal(0, 8), rng.normal(0, 0.4), 0.0030, bool(rng.random() < 0.5), macula, 2)
    return out


def _grow(
    rng: np.random.Generator,
    out: list[Stroke],
    start: tuple[float, float],
    angle: float,
    bend: float,
    width: float,
    vein: bool,
    macula: tuple[float, float],
    depth: int,
) -> None:
    """Follow one vessel to the rim; branches leave it on either side in turn."""
    step, wave = 0.008, rng.uniform(0, 2 * np.pi)
    points, (x, y), side = [start], start, rng.choice([-1.0, 1.0])
    left = int(rng.uniform(12, 20)) * (1 + (depth == 0))
    for i in range((110, 60, 36, 24)[depth]):
        turn = bend * (1.0 if i > 4 else 0.2) + 1.5 * np.sin(0.35 * i + wave) + rng.normal(0, 1.2)
        angle += turn
        x, y = x + step * float(np.cos(np.deg2rad(angle))), y + step * float(np.sin(np.deg2rad(angle)))
        if np.hypot(x - 0.5, y - 0.5) > RADIUS or np.hypot(x - macula[0], y - macula[1]) < 0.045:
            break
        points.append((x, y))
        left -= 1
        if left <= 0 and depth < 3 and width > 0.0015:
            share = rng.uniform(0.30, 0.48)
            away = angle + side * rng.uniform(28, 52)
            _grow(
                rng,
                out,
                (x, y),
                away,
                -side * rng.uniform(0.0, 0.6),
                width * share ** (1 / 3) * 0.8,
                vein,
                macula,
                depth + 1,
            )
            out.append(Stroke(np.array(points, np.float32), width, vein))
            points, width, side, left = [(x, y)], width * (1 - share) ** (1 / 3), -side, int(rng.uniform(12, 20))
    if len(points) > 1:
        out.append(Stroke(np.array(points, np.float32), width, vein))


def _drawn(strokes: list[Stroke], side: int, vein: bool, mirrored: bool, share: float) -> FloatArray:
    """Opacity of the arteries or of the veins; `share` of their width."""
    canvas = np.zeros((4 * side, 4 * side), np.uint8)
    for stroke in strokes:
        if stroke.vein == vein:
            points = stroke.points.copy()
            if mirrored:
                points[:, 0] = 1 - points[:, 0]
            width = max(1, round(stroke.width * share * 4 * side))
            cv2.polylines(canvas, [np.round(points * 4 * side).astype(np.int32)], False, 255, width, cv2.LINE_AA)
    small = cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.asarray(blurred(small, side / 700), np.float32)


def _vessels(out: FloatArray, at: Plane, strokes: list[Stroke], side: int, mirrored: bool) -> FloatArray:
    for vein, factor in ((False, (0.86, 0.55, 0.55)), (True, (0.70, 0.38, 0.42))):
        amount = 0.85 * _drawn(strokes, side, vein, mirrored, 1.0)[..., None]
        out = over(out, out * np.array(factor, np.float32), amount)
        if not vein:  # the light reflex along arteries
            out = over(out, out * np.float32(1.25), 0.6 * _drawn(strokes, side, vein, mirrored, 0.3)[..., None])
    return out


def _inner_vessels(
    out: FloatArray, at: Plane, strokes: list[Stroke], disc: tuple[float, float], side: int, mirrored: bool
) -> FloatArray:
    """The vessels once more where they cross the bright disc."""
    near = soft(ellipse(at, disc, (_DISC[0] * 1.05, _DISC[1] * 1.05)), 0.02)
    for vein, colour in ((False, (0.72, 0.26, 0.14)), (True, (0.56, 0.16, 0.11))):
        amount = 0.75 * near * _drawn(strokes, side, vein, mirrored, 0.9)
        out = over(out, np.array(colour, np.float32), amount[..., None])
    return out


def _disc(out: FloatArray, at: Plane, centre: tuple[float, float], cup: float, rng: np.random.Generator) -> FloatArray:
    """The nerve head: a pink-yellow rim, a pale cup, a glow around it."""
    ragged = 0.0015 * clouds(rng, at.x.shape, 1.6)
    edge = ellipse(at, centre, _DISC) + ragged
    glow = np.exp(-np.maximum(edge, 0) / 0.035)
    out = out * (1 + np.float32(0.06) * np.asarray(glow, np.float32)[..., None])
    out = over(out, np.array([0.96, 0.66, 0.36], np.float32), 0.92 * soft(edge, 0.010)[..., None])
    hollow = ellipse(at, (centre[0] - 0.004, centre[1]), (cup * _DISC[0], cup * _DISC[1])) + ragged
    return over(out, np.array([0.99, 0.86, 0.60], np.float32), 0.9 * soft(hollow, 0.012)[..., None])


def _lesions(
    out: FloatArray,
    at: Plane,
    counts: tuple[int, int, int],
    macula: tuple[float, float],
    disc: tuple[float, float],
    rng: np.random.Generator,
) -> FloatArray:
    """Red dots, dark blots, and yellow spots in a loose ring about the macula."""
    ragged = 0.0022 * clouds(rng, at.x.shape, 1.3)
    kinds = (
        (counts[0], (0.0022, 0.0036), (0.50, 0.11, 0.07), 0.16),
        (counts[1], (0.006, 0.014), (0.40, 0.07, 0.05), 0.18),
        (counts[2], (0.0020, 0.0065), (0.96, 0.80, 0.40), 0.09),
    )
    for count, (least, most), colour, spread in kinds:
        for _ in range(count):
            x, y = macula[0] + rng.normal(0, spread), macula[1] + rng.normal(0, spread)
            if np.hypot(x - 0.5, y - 0.5) > 0.44 or np.hypot(x - disc[0], y - disc[1]) < 0.07:
                continue
            size = rng.uniform(least, most)
            shape = ellipse(at, (x, y), (size, size * rng.uniform(0.7, 1.3)), rng.uniform(0, 180)) + ragged * size * 90
            out = over(out, np.array(colour, np.float32), 0.8 * soft(shape, 0.004)[..., None])
    return out


def _photographed(out: FloatArray, flat: Plane, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The round field stop, the lens's softness, the camera's noise."""
    side = out.shape[0]
    out = blurred(out, side / 640)
    out += 0.005 * blurred(rng.standard_normal(out.shape), 0.7)
    stop = soft(np.hypot(flat.x - 0.5, flat.y - 0.5) - np.float32(RADIUS), 3 * flat.pixel)
    return np.asarray(np.clip(np.rint(out * stop[..., None] * 255), 0, 255), np.uint8)
