"""An axial section of a head at the level of the lateral ventricles: CT in Hounsfield units, or T1 after contrast.

Anatomy is a stack of bent ellipses; each tissue's value comes from textbooks (CT: Kalender, Computed Tomography, 2011,
table 1.3). Both pictures are painted from the same anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medimg_core.training.phantoms.texture import Plane, blurred, clouds, ellipse, line, over, plane, soft
from medimg_core.types import FloatArray

AIR = -1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Opacities of the tissues, float32 `[side, side]` in [0, 1], to be laid over each other in this order."""

    at: Plane
    skin: FloatArray
    fat: FloatArray
    skull: FloatArray
    marrow: FloatArray
    inside: FloatArray
    brain: FloatArray
    white: FloatArray
    nuclei: FloatArray
    fluid: FloatArray
    falx: FloatArray
    plexus: FloatArray
    depth: FloatArray
    """How far inside the inner table each place lies, negative inside the skull."""


def section(rng: np.random.Generator, side: int, length: float, breadth: float) -> Head:
    """A head seen from its feet, face up.

    Args:
        length, breadth: half axes of the skin's outline in shares of the side.
    """
    flat = plane(side, side)
    at, wavy = flat.bent(rng, 0.007), flat.bent(rng, 0.011)
    edge = 2.0 * flat.pixel
    # Broader behind than in front: the breadth of the ellipse changes along the head.
    egg = Plane(np.asarray(0.5 + (at.x - 0.5) / (1 + 0.07 * (at.y - 0.5) / length), np.float32), at.y)
    outer = ellipse(egg, (0.5, 0.5), (breadth, length))
    thick = 0.016 + 0.004 * np.abs(at.y - 0.5) / length + 0.0012 * clouds(rng, at.x.shape, 1.8)
    inner = outer + 0.020 + thick
    sulci = _sulci(rng, wavy, inner)
    fluid = np.maximum(_ventricles(wavy, edge), np.maximum(_fissures(wavy, inner, edge), sulci))
    nuclei = np.zeros_like(outer)
    for mirrored in (-1, 1):
        for centre, radii, tilt in (
            ((0.046, 0.425), (0.014, 0.034), 16.0),  # head of the caudate nucleus
            ((0.092, 0.475), (0.020, 0.050), 18.0),  # lentiform nucleus
            ((0.045, 0.535), (0.026, 0.043), -24.0),  # thalamus
        ):
            where = (0.5 + mirrored * centre[0], centre[1])
            nuclei = np.maximum(nuclei, soft(ellipse(wavy, where, radii, -mirrored * tilt), 4 * edge))
    ribbon = 0.030 + 0.008 * clouds(rng, at.x.shape, 1.4)
    fingers = clouds(rng, at.x.shape, 1.1)
    white = soft(inner + ribbon + 0.010 * fingers, 0.016) * (1 - nuclei)
    white *= 1 - soft(np.abs(at.x - 0.5) - 0.012 - 0.006 * np.maximum(fingers, 0), 0.010)
    middle = np.abs(wavy.x - 0.5) + 0.3 * np.maximum(0.09 - np.abs(wavy.y - 0.49), 0)
    plexus = np.zeros_like(outer)
    for mirrored in (-1, 1):
        plexus += soft(ellipse(wavy, (0.5 + mirrored * 0.082, 0.605), (0.007, 0.012), mirrored * -30.0), edge)
    return Head(
        at=at,
        skin=soft(outer, edge),
        fat=soft(outer + 0.006, edge) * (1 - soft(outer + 0.019, edge)),
        skull=soft(outer + 0.020, edge),
        marrow=soft(np.abs(outer + 0.020 + thick / 2) - 0.17 * thick, edge)
        * soft(clouds(rng, flat.x.shape, 1.2) - 1, 2.0),
        inside=soft(inner, edge),
        brain=soft(inner + 0.004, 1.5 * edge),
        white=white,
        nuclei=nuclei,
        fluid=np.asarray(np.clip(fluid, 0, 1), np.float32),
        falx=soft(middle - 0.0016, edge),
        plexus=np.asarray(np.clip(plexus, 0, 1), np.float32),
        depth=inner,
    )


def _ventricles(at: Plane, edge: float) -> FloatArray:
    """Frontal horns, the bodies' way back, occipital horns, third ventricle."""
    out = soft(ellipse(at, (0.5, 0.515), (0.005, 0.036)), 2 * edge)
    for mirrored in (-1, 1):
        for points, width in (
            ([(0.022, 0.375), (0.016, 0.41), (0.012, 0.465)], 0.0130),
            ([(0.040, 0.352), (0.026, 0.375)], 0.0125),
            ([(0.066, 0.585), (0.090, 0.625), (0.078, 0.680)], 0.0135),
        ):
            bent = [(0.5 + mirrored * x, y) for x, y in points]
            out = np.maximum(out, soft(line(at, bent) - width, 2 * edge))
    return out


def _fissures(at: Plane, inner: FloatArray, edge: float) -> FloatArray:
    """The Sylvian fissures and the cleft between the hemispheres, front and back."""
    cleft = soft(np.abs(at.x - 0.5) - 0.0035, 2 * edge) * soft(0.130 - np.abs(at.y - 0.49), 0.02)
    out = 0.7 * cleft
    for mirrored in (-1, 1):
        bent = [(0.5 + mirrored * x, y) for x, y in ((0.215, 0.43), (0.175, 0.455), (0.142, 0.475), (0.150, 0.52))]
        out = np.maximum(out, 0.85 * soft(line(at, bent) - 0.004, 2.5 * edge))
    return np.asarray(out * soft(inner, edge), np.float32)


def _sulci(rng: np.random.Generator, at: Plane, inner: FloatArray) -> FloatArray:
    """Thin folds that run in from the surface: ridges of a noise that varies along the rim more than across it."""
    ridge = np.abs(clouds(rng, at.x.shape, 1.35) + 0.25 * clouds(rng, at.x.shape, 0.8))
    folds = np.exp(-((ridge / 0.15) ** 2)) * soft(-inner - 0.052, 0.03)
    folds = blurred(folds, 0.7)
    return np.asarray(np.clip(0.95 * folds, 0, 1), np.float32)


@dataclass(frozen=True, slots=True)
class Blood:
    """A collection of fresh blood.

    Attributes:
        centre, radii, tilt: as `ellipse`; what would reach past the inner table is left out, so that an ellipse laid
            over the rim becomes a lens.
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    tilt: float
    hounsfield: float = 64.0


def head_ct(seed: int, side: int, blood: tuple[Blood, ...] = ()) -> FloatArray:
    """A slice in Hounsfield units, float32 `[side, side]`, air -1000."""
    rng = np.random.default_rng(seed)
    head = section(rng, side, 0.378, 0.308)
    out = np.full((side, side), AIR, np.float32)
    for tissue, value in (
        (head.skin, 45.0),
        (head.fat, -70.0),
        (head.skull, 1250.0),
        (head.marrow, 550.0),
        (head.inside, 14.0),
        (head.brain, 39.0),
        (head.white, 27.5),
        (head.nuclei, 37.5),
    ):
        out = over(out, value, tissue)
    out += head.brain * 1.1 * clouds(rng, out.shape, 1.3)
    out = over(out, 7.0, head.fluid * head.inside)
    out = over(out, 46.0, 0.8 * head.falx * head.inside)
    out = over(out, 85.0, 0.5 * head.plexus)
    for pool in blood:
        out = _bleed(out, head, pool, rng)
    return _scanned(out, rng)


def _bleed(out: FloatArray, head: Head, pool: Blood, rng: np.random.Generator) -> FloatArray:
    """Lay blood inside the skull, with a rim of swelling around it."""
    ragged = 0.003 * clouds(rng, out.shape, 1.5)
    reach = np.maximum(ellipse(head.at, pool.centre, pool.radii, pool.tilt) + ragged, head.depth)
    pixel = head.at.pixel
    swollen = soft(reach - 0.012, 0.02) * head.brain
    out = over(out, 22.0, 0.6 * swollen)
    level = np.asarray(pool.hounsfield + 3.5 * clouds(rng, out.shape, 1.2), np.float32)
    return over(out, level, soft(reach, 3 * pixel))


def _scanned(out: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The head rest, the scanner's blur and its noise, which the skull makes stronger inside."""
    at = plane(*out.shape)
    rest = ellipse(at, (0.5, 0.42), (0.465, 0.535))
    shell = soft(np.abs(rest) - 0.006, 0.006) * (at.y > 0.72)
    out = over(out, 700.0, np.asarray(0.9 * shell * (out < -500), np.float32))
    noise = blurred(rng.standard_normal(out.shape), 0.8)
    noise *= 3.8 / noise.std()
    return np.asarray(blurred(out, 0.75) + noise, np.float32)


@dataclass(frozen=True, slots=True)
class Tumour:
    """A growth that takes up contrast.

    Attributes:
        core: share of the radius that does not, as dead tissue in the middle; 0 for none.
        swelling: width of the darker rim around it, in shares of the side.
        ragged: how far its edge departs from the ellipse.
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    tilt: float
    core: float
    swelling: float
    ragged: float


def brain_mr(seed: int, side: int, tumour: Tumour) -> FloatArray:
    """A T1-weighted slice after contrast, float32 `[side, side]` in [0, 1]."""
    rng = np.random.default_rng(seed)
    head = section(rng, side, 0.375, 0.310)
    out = np.full((side, side), 0.012, np.float32)
    for tissue, value in (
        (head.skin, 0.36),
        (head.fat, 0.80),
        (head.skull, 0.07),
        (head.marrow, 0.42),
        (head.inside, 0.13),
        (head.brain, 0.315),
        (head.white, 0.405),
        (head.nuclei, 0.34),
    ):
        out = over(out, value, tissue)
    out += head.brain * 0.010 * clouds(rng, out.shape, 1.2)
    out = over(out, 0.10, head.fluid * head.inside)
    out = over(out, 0.62, head.plexus)
    out = over(out, 0.5, 0.6 * head.falx * head.inside)
    sinus = soft(ellipse(head.at, (0.5, 0.5 + 0.375 - 0.045), (0.012, 0.012)), 0.006)
    out = vessels(over(out, 0.85, sinus), head, rng, 0.68)
    out = _grow(out, head, tumour, rng)
    # The coil sees the near side better; noise is Rician (Gudbjartsson and Patz, MRM 34 (1995) 910).
    out *= 1 + np.float32(0.07) * clouds(rng, out.shape, 2.5)
    out = blurred(out, 0.8)
    real, other = (0.011 * rng.standard_normal(out.shape) for _ in range(2))
    return np.asarray(np.clip(np.hypot(out + real, other), 0, 1), np.float32)


def vessels(out: FloatArray, head: Head, rng: np.random.Generator, level: float) -> FloatArray:
    """Bright dots and short strokes of vessels in the clefts, laid over a picture."""
    for _ in range(26):
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.80, 0.90)
        x, y = 0.5 + 0.275 * reach * np.sin(angle), 0.5 + 0.34 * reach * np.cos(angle)
        stroke = [(x, y), (x + rng.normal(0, 0.012), y + rng.normal(0, 0.012))]
        out = over(out, level, 0.8 * soft(line(head.at, stroke) - 0.0018, 0.004) * head.inside)
    return out


def _grow(out: FloatArray, head: Head, tumour: Tumour, rng: np.random.Generator) -> FloatArray:
    edge = ellipse(head.at, tumour.centre, tumour.radii, tumour.tilt)
    edge = np.maximum(edge + np.float32(tumour.ragged) * clouds(rng, out.shape, 1.7), head.depth)
    if tumour.swelling:
        fingers = 0.35 * tumour.swelling * clouds(rng, out.shape, 1.5)
        out = over(out, 0.27, 0.85 * soft(edge - tumour.swelling + fingers, 0.02) * head.brain)
    lit = np.asarray(0.70 + 0.045 * clouds(rng, out.shape, 1.2), np.float32)
    out = over(out, lit, soft(edge, 0.009))
    if tumour.core:
        inward = (1 - tumour.core) * min(tumour.radii)
        dead = soft(edge + inward + 0.004 * clouds(rng, out.shape, 1.4), 0.012)
        out = over(out, np.asarray(0.17 + 0.02 * clouds(rng, out.shape, 1.3), np.float32), dead)
    return out
