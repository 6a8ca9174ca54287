"""Slices of a chest CT in Hounsfield units, cut from one drawn body, so that vessels and nodules run through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medimg_core.training.phantoms.texture import Plane, blurred, clouds, ellipse, line, over, plane, soft
from medimg_core.types import FloatArray

AIR, LUNG, FAT, MUSCLE, BLOOD = -1000.0, -865.0, -95.0, 45.0, 42.0
_LUNGS = (((0.335, 0.475), (0.118, 0.168), -8.0), ((0.665, 0.475), (0.118, 0.168), 8.0))
_HILA = ((0.415, 0.475), (0.590, 0.480))


@dataclass(frozen=True, slots=True)
class Nodule:
    """A growth in a lung: centre `(x, y, z)` and radius in shares of the field; `spicules` strands run from it.

    `lobed` says how far the edge departs from a ball: 1 as in a mass, 0 not at all; a ball is not bent with the body
    either. Vessels end `clear` from its edge; they run into it where that is None.
    """

    centre: tuple[float, float, float]
    radius: float
    spicules: int
    lobed: float = 1.0
    clear: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """A piece of a vessel from `start` to `end` (`x, y, z`), as thick as `radius`."""

    start: FloatArray
    end: FloatArray
    radius: float


def chest_ct(seed: int, side: int, heights: tuple[float, ...], nodule: Nodule | None) -> tuple[FloatArray, ...]:
    """Slices at some heights of one chest, float32 `[side, side]` each, in Hounsfield units.

    Args:
        heights: in shares of the field, 0 at the level of the hila, upwards.
    """
    rng = np.random.default_rng(seed)
    flat = plane(side, side)
    at = flat.bent(rng, 0.007)
    field = {name: clouds(rng, (side, side), power) for name, power in (("wall", 1.7), ("lung", 1.1), ("soft", 1.3))}
    tubes = [tube for hilum in _HILA for tube in _tree(rng, hilum) if not _touches(tube, nodule)]
    strands = _strands(rng, nodule) if nodule else []
    ball = at if nodule is None or nodule.lobed else flat
    return tuple(_slice(at, ball, field, z, tubes, nodule, strands, rng) for z in heights)


def _tree(rng: np.random.Generator, hilum: tuple[float, float]) -> list[Tube]:
    """Vessels that leave the hilum and fork; calibre falls so that the cube is kept (Murray's law)."""
    out: list[Tube] = []
    outward = -1.0 if hilum[0] < 0.5 else 1.0
    tips = []
    for _ in range(24):
        way = np.array([outward * abs(rng.normal(0.7, 0.5)), rng.normal(0, 0.8), rng.normal(0, 0.9)])
        tips.append((np.array([*hilum, 0.0]) + rng.normal(0, 0.012, 3), way / np.linalg.norm(way), 0.0090))
    while tips:
        start, way, radius = tips.pop()
        end = start + way * radius * rng.uniform(4.0, 7.0)
        out.append(Tube(start.astype(np.float32), end.astype(np.float32), float(radius)))
        share = rng.uniform(0.3, 0.7)
        for part in (share, 1 - share):
            child = radius * part ** (1 / 3)
            if child > 0.0011:
                turned = way + rng.normal(0, 0.42, 3)
                tips.append((end, turned / np.linalg.norm(turned), child))
    return out


def _touches(tube: Tube, nodule: Nodule | None) -> bool:
    """Whether a vessel comes nearer to a nodule than that one allows."""
    if nodule is None or nodule.clear is None:
        return False
    way, to = tube.end - tube.start, np.array(nodule.centre, np.float32) - tube.start
    share = np.clip(float(to @ way) / float(way @ way), 0, 1)
    return float(np.linalg.norm(to - share * way)) < nodule.radius + tube.radius + nodule.clear


def _strands(rng: np.random.Generator, nodule: Nodule) -> list[Tube]:
    centre = np.array(nodule.centre)
    out = []
    for _ in range(nodule.spicules):
        way = rng.normal(0, 1, 3)
        end = centre + way / np.linalg.norm(way) * nodule.radius * rng.uniform(1.3, 2.0)
        out.append(Tube(centre.astype(np.float32), end.astype(np.float32), 0.0022))
    return out


def _slice(
    at: Plane,
    ball: Plane,
    field: dict[str, FloatArray],
    z: float,
    tubes: list[Tube],
    nodule: Nodule | None,
    strands: list[Tube],
    rng: np.random.Generator,
) -> FloatArray:
    edge = 2.5 * at.pixel
    body = ellipse(at, (0.5, 0.495), (0.385, 0.262))
    body = np.maximum(body, 0.6 * (np.abs(at.y - 0.495) - 0.250))
    cage = ellipse(at, (0.5, 0.485), (0.292, 0.217))
    out = np.full(at.x.shape, AIR, np.float32)
    out = over(out, 0.0, soft(body, edge))
    out = over(out, np.asarray(FAT + 6 * field["soft"], np.float32), soft(body + 0.005, edge))
    out = over(out, _muscle(field), soft(cage - 0.024 - 0.010 * field["wall"], edge))
    out = over(out, FAT, 0.8 * soft(cage - 0.001, 0.006) * (1 - soft(cage + 0.008, 0.006)))
    out = _bones(out, at, cage, z, edge)
    lungs = _lungs(at, cage, z, edge)
    out = over(out, FAT + 25, 0.85 * soft(cage + 0.010, edge) * (1 - lungs))
    out = _middle(out, at, field, z, edge)
    air = LUNG + 22 * field["lung"] + 190 * (at.y - 0.48)  # blood sinks: lungs are denser at the back
    out = over(out, np.asarray(air, np.float32), lungs)
    seen = np.zeros_like(out)
    for tube in (*tubes, *strands):
        _draw(seen, at, tube, z)
    out = over(out, BLOOD, seen * lungs)
    out = _airways(out, at, z, edge)
    if nodule is not None:
        out = _nodule(out, ball, nodule, z, edge)
    table = soft(np.abs(ellipse(at, (0.5, 0.30), (0.60, 0.515))) - 0.003, 0.005) * (at.y > 0.74)
    out = over(out, -250.0, np.asarray(table * (out < -500), np.float32))
    out = blurred(out, 0.7)
    noise = blurred(rng.standard_normal(out.shape), 0.7)
    return np.asarray(np.maximum(out + 16 / noise.std() * noise, -1024), np.float32)


def _muscle(field: dict[str, FloatArray]) -> FloatArray:
    """Muscle with layers of fat between."""
    split = np.exp(-((field["wall"] - 0.4) ** 2) / 0.006) + np.exp(-((field["wall"] + 0.5) ** 2) / 0.006)
    return np.asarray(MUSCLE + 5 * field["soft"] - 110 * np.clip(split, 0, 1), np.float32)


def _lungs(at: Plane, cage: FloatArray, z: float, edge: float) -> FloatArray:
    """Both lungs: inside the cage, outside the middle, which widens towards the heart."""
    heart = 0.030 + 0.10 * np.clip(0.10 - z, 0, 0.35)
    middle = ellipse(at, (0.515, 0.455), (0.070 + heart, 0.118 + 0.4 * heart), -8.0)
    middle = np.minimum(middle, ellipse(at, (0.5, 0.635), (0.062, 0.085)))
    middle = np.minimum(middle, ellipse(at, (0.554, 0.580), (0.029, 0.029)))  # the aorta bulges into the left lung
    middle = np.minimum(middle, np.abs(at.x - 0.5) - 0.010 - 0.018 * (at.y > 0.40))
    return np.asarray(soft(np.maximum(cage + 0.013, -middle), edge), np.float32)


def _middle(out: FloatArray, at: Plane, field: dict[str, FloatArray], z: float, edge: float) -> FloatArray:
    """Heart and great vessels, the aorta beside the spine, the gullet."""
    level = np.asarray(BLOOD + 4 * field["soft"], np.float32)
    inside = np.zeros_like(out)
    for centre, radii, tilt in (
        ((0.462, 0.420), (0.034, 0.032), 0.0),  # ascending aorta
        ((0.530, 0.425), (0.036, 0.030), 25.0),  # trunk of the pulmonary artery
        ((0.428, 0.445), (0.017, 0.020), 0.0),  # superior vena cava
        ((0.445, 0.482), (0.048, 0.017), -8.0),  # right pulmonary artery
        ((0.565, 0.480), (0.034, 0.022), 20.0),  # left pulmonary artery
        ((0.554, 0.580), (0.027, 0.027), 0.0),  # descending aorta
        ((0.512, 0.560), (0.014, 0.010), 0.0),  # gullet
        ((0.525, 0.505), (0.050, 0.024), 0.0),  # nodes and left atrium
    ):
        inside = np.maximum(inside, soft(ellipse(at, centre, radii, tilt), edge))
    growing = float(np.clip(-z * 3, 0, 1))
    if growing:
        heart = ellipse(at, (0.535, 0.440), (0.075 + 0.05 * growing, 0.060 + 0.03 * growing), 25.0)
        inside = np.maximum(inside, soft(heart, edge))
    return over(out, level, inside)


def _airways(out: FloatArray, at: Plane, z: float, edge: float) -> FloatArray:
    """The windpipe above its fork, the two main bronchi below it; thin walls."""
    apart = float(np.clip(0.012 - 0.55 * z, 0.0, 0.07))
    tubes = [((0.497 - apart, 0.508), (0.018, 0.019)), ((0.503 + apart, 0.512), (0.017, 0.016))]
    air = np.zeros_like(out)
    wall = np.zeros_like(out)
    for centre, radii in tubes:
        outside = ellipse(at, centre, radii)
        air, wall = np.maximum(air, soft(outside, edge)), np.maximum(wall, soft(outside - 0.004, edge))
    return over(over(out, 20.0, wall), -990.0, air)


def _bones(out: FloatArray, at: Plane, cage: FloatArray, z: float, edge: float) -> FloatArray:
    """Vertebra, breastbone, shoulder blades, and the ribs where they slope through the slice."""
    bone = np.zeros_like(out)
    marrow = np.zeros_like(out)
    parts = [
        (ellipse(at, (0.5, 0.625), (0.040, 0.031)), 0.006),
        (ellipse(at, (0.5, 0.275), (0.035, 0.011)), 0.004),
    ]
    arch = ellipse(at, (0.5, 0.672), (0.023, 0.019))
    parts.append((np.asarray(np.abs(arch) - 0.006, np.float32), 0.003))
    spinous = line(at, [(0.5, 0.690), (0.5, 0.735)]) - 0.007
    parts.append((spinous, 0.003))
    for mirrored in (-1, 1):
        parts.append((line(at, [(0.5 + mirrored * 0.03, 0.665), (0.5 + mirrored * 0.075, 0.680)]) - 0.007, 0.003))
        blade = [(0.5 + mirrored * x, y) for x, y in ((0.305, 0.55), (0.25, 0.645), (0.20, 0.690))]
        parts.append((line(at, blade) - 0.006, 0.003))
    angle = np.arctan2(at.x - 0.5, at.y - 0.485)
    for place in np.arange(-2.6, 2.7, 0.52):
        slope = place + 1.3 * z * np.sign(place)
        along = np.abs(angle - slope) * 0.25 - 0.036
        parts.append((np.maximum(np.abs(cage - 0.006) - 0.0085, along), 0.0035))
    for outside, cortex in parts:
        bone = np.maximum(bone, soft(outside, edge))
        marrow = np.maximum(marrow, soft(outside + cortex, edge))
    return over(over(out, 620.0, bone), 190.0, marrow)


def _draw(seen: FloatArray, at: Plane, tube: Tube, z: float) -> None:
    """Add the section of a tube; half a slice's thickness (3 mm of a field of 350 mm) blurs it along z."""
    reach = tube.radius + 0.0045
    low, high = sorted((float(tube.start[2]), float(tube.end[2])))
    if not low - reach < z < high + reach:
        return
    way = tube.end - tube.start
    box = _box(at, tube, reach)
    x, y = at.x[box], at.y[box]
    share = ((x - tube.start[0]) * way[0] + (y - tube.start[1]) * way[1] + (z - tube.start[2]) * way[2]) / (way @ way)
    share = np.clip(share, 0, 1)
    dx, dy, dz = (
        x - tube.start[0] - share * way[0],
        y - tube.start[1] - share * way[1],
        z - tube.start[2] - share * way[2],
    )
    far = np.sqrt(dx * dx + dy * dy + 0.5 * dz * dz)
    seen[box] = np.maximum(seen[box], soft(np.asarray(far - tube.radius, np.float32), 0.0045))


def _box(at: Plane, tube: Tube, reach: float) -> tuple[slice, slice]:
    """The pixels near a tube; the plane is bent by a few hundredths at most."""
    side, room = at.x.shape[0], reach + 0.035
    low = np.floor((np.minimum(tube.start, tube.end)[:2] - room) * side).astype(int).clip(0, side)
    high = np.ceil((np.maximum(tube.start, tube.end)[:2] + room) * side).astype(int).clip(0, side)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _nodule(out: FloatArray, at: Plane, nodule: Nodule, z: float, edge: float) -> FloatArray:
    """The section of a lobed ball."""
    x, y, height = nodule.centre
    left = nodule.radius**2 - (z - height) ** 2
    if left <= 0:
        return out
    angle = np.arctan2(at.y - y, at.x - x)
    lobes = 1 + nodule.lobed * (0.10 * np.cos(3 * angle + 0.7) + 0.06 * np.cos(7 * angle + 20 * z))
    outside = np.hypot(at.x - x, at.y - y) - np.sqrt(left) * lobes
    return over(out, 40.0, soft(np.asarray(outside, np.float32), (0.5 + 1.5 * nodule.lobed) * edge))
