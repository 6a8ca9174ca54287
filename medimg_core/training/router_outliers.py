"""Medical pictures that no model takes: a handful of real ones, and many made ones in their place.

Hendrycks et al., "Deep anomaly detection with outlier exposure", arXiv 1812.04606: a network that was shown outliers of
some kinds refuses other kinds too. Real pictures of other organs are scarce, so that cross-sections are drawn as
phantoms, real slices are bent, filled, shuffled and mixed, and tissue seen through a lens is painted.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.training.router_pictures import Draw, Picture, border, colour, grey, warp, window

Field = NDArray[np.float32]

_SECTIONS = ("lung_ct", "head_ct", "brain_mr_t1c", "brain_mr_t1c", "fetal_ultrasound", "cardiac_ultrasound")
_ANY = (
    *_SECTIONS, "bone_film", "mammogram", "breast_ultrasound", "brain_mr_sequences", "fundus", "lung_nodule_patch",
)  # fmt: skip
_TISSUE = (
    (225, 120, 110),
    (190, 70, 60),
    (235, 175, 160),
    (150, 60, 40),
    (200, 130, 190),
    (160, 110, 70),
    (245, 225, 235),
)
"""Red, green and blue of mucosa, blood, skin, clot, stained and unstained tissue, slide."""


def other_medical(draw: Draw) -> Picture:
    """A medical picture of no known kind."""
    makers: tuple[tuple[float, Callable[[Draw], Picture]], ...] = (
        (0.22, _real),
        (0.26, phantom),
        (0.08, _filled),
        (0.05, _soft_window),
        (0.09, _bent),
        (0.06, _shuffled),
        (0.06, _mixed),
        (0.12, _lens),
        (0.06, _speckle),
    )
    chosen = draw.rng.choice(len(makers), p=[share for share, _ in makers])
    return makers[int(chosen)][1](draw)


def clouds(draw: Draw, falling: tuple[float, float] = (0.3, 2.0), channels: int = 1) -> Field:
    """Noise with a falling spectrum, mean 0 and deviation 1: float32 `[side, side, channels]`."""
    side = draw.side
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]) + 1.0 / side
    spectrum = np.fft.fft2(draw.rng.normal(size=(channels, side, side))) / frequency ** draw.rng.uniform(*falling)
    noise = np.real(np.fft.ifft2(spectrum)).transpose(1, 2, 0)
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


def _real(draw: Draw) -> Picture:
    """One of the few real pictures of other organs, turned, cut and re-shaded so that it is not learnt by heart."""
    picture = draw.other("other_medical")
    width, height = draw.rng.uniform(0.45, 1.1, 2)
    left, top = draw.rng.random(2) * (1 - np.array([width, height]))
    matrix = window(
        draw.side,
        (float(left), float(top), float(left + width), float(top + height)),
        float(draw.rng.choice([0, 0, 90, 180, 270]) + draw.rng.normal(0, 12)),
        draw.chance(0.5),
    )
    out = colour(warp(picture, matrix, draw.side, border(draw)))
    if draw.chance(0.3):
        out = _bend(draw, out, 0.06)
    if draw.chance(0.35):
        out = _retoned(draw, out)
    return grey(out) if draw.chance(0.15) else out


def _blob(draw: Draw, centre: tuple[float, float], radius: tuple[float, float], roughness: float) -> NDArray[np.bool_]:
    """A closed shape whose radius varies with the angle; bool `[side, side]`. Lengths in shares of the side."""
    side = draw.side
    y, x = np.mgrid[0:side, 0:side] / side
    tilt = draw.rng.normal(0, 0.25)
    u = (x - centre[0]) * np.cos(tilt) + (y - centre[1]) * np.sin(tilt)
    v = (y - centre[1]) * np.cos(tilt) - (x - centre[0]) * np.sin(tilt)
    angle = np.arctan2(v / radius[1], u / radius[0])
    edge = np.ones_like(angle)
    for wave in range(2, 6):
        edge += draw.rng.normal(0, roughness / wave) * np.cos(wave * angle + draw.rng.uniform(0, 2 * np.pi))
    return np.asarray(np.hypot(u / radius[0], v / radius[1]) < edge, np.bool_)


def phantom(draw: Draw) -> Picture:
    """A cross-section of no organ in particular: bodies with a rim, organs, bones and gas in them, or limbs."""
    side, rng = draw.side, draw.rng
    out = np.full((side, side), rng.choice([0, 0, 0, 8, 25]), np.float32)
    base, rim = rng.uniform(40, 170), rng.uniform(10, 240)
    for _ in range(int(rng.choice([1, 1, 1, 1, 2, 3]))):
        centre = (float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.35, 0.65)))
        radius = (float(rng.uniform(0.2, 0.62)), float(rng.uniform(0.15, 0.6)))
        body = _blob(draw, centre, radius, 0.12)
        out = np.where(body, base, out)
        depth = np.asarray(cv2.distanceTransform(body.astype(np.uint8), cv2.DIST_L2, 3))
        out = np.where(body & (depth < rng.uniform(1, side * 0.1)), rim, out)
        for _ in range(int(rng.integers(2, 16))):
            place = (float(centre[0] + rng.normal(0, radius[0] / 2)), float(centre[1] + rng.normal(0, radius[1] / 2)))
            size = (float(rng.uniform(0.02, 0.22)), float(rng.uniform(0.02, 0.22)))
            organ = _blob(draw, place, size, 0.25) & body
            shade = rng.choice([rng.uniform(20, 235), base + rng.normal(0, 25), 5, 245], p=[0.45, 0.35, 0.1, 0.1])
            out = np.where(organ, shade, out)
    out = np.asarray(cv2.GaussianBlur(out.astype(np.float32), (0, 0), float(rng.uniform(0.5, 1.6))))
    shown = out > out.min() + 4
    texture = clouds(draw, (0.0, 1.6))[..., 0] * rng.uniform(1, 16)
    out = out + np.where(shown, texture, texture * rng.uniform(0, 0.2))
    return colour(np.clip(out, 0, 255).astype(np.uint8))


def _section(draw: Draw, labels: tuple[str, ...] = _SECTIONS) -> Picture:
    """A real picture of a known kind as it is, mirrored now and then: uint8 `[side, side, 3]`."""
    picture = draw.other(str(draw.rng.choice(labels)))
    return colour(warp(picture, window(draw.side, (0.0, 0.0, 1.0, 1.0), 0.0, draw.chance(0.5)), draw.side))


def _filled(draw: Draw) -> Picture:
    """A CT slice of the chest whose lungs are filled with tissue: about what a slice of the belly shows."""
    levels = _section(draw, ("lung_ct",))[..., 0]
    body = np.zeros_like(levels)
    outlines, _ = cv2.findContours((levels > 110).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if outlines:
        cv2.drawContours(body, [max(outlines, key=cv2.contourArea)], -1, 1, -1)
    lungs = (body > 0) & (levels < 120)
    tissue = 190 + clouds(draw, (0.5, 1.5))[..., 0] * draw.rng.uniform(2, 9)
    for _ in range(int(draw.rng.integers(1, 9))):
        place = (float(draw.rng.uniform(0.2, 0.8)), float(draw.rng.uniform(0.25, 0.75)))
        size = (float(draw.rng.uniform(0.03, 0.2)), float(draw.rng.uniform(0.03, 0.2)))
        tissue = np.where(_blob(draw, place, size, 0.2), draw.rng.choice([165, 172, 180, 200, 207, 215]), tissue)
    soft = np.asarray(cv2.GaussianBlur(lungs.astype(np.float32), (0, 0), 1.0))
    out = levels * (1 - soft) + tissue * soft
    if draw.chance(0.7):  # the window of the belly takes away what is darker than fat
        low = draw.rng.uniform(90, 165)
        out = (out - low) / (draw.rng.uniform(205, 255) - low) * 255
    return colour(np.clip(out, 0, 255).astype(np.uint8))


def _soft_window(draw: Draw) -> Picture:
    """A CT slice of the chest in a window in which the lungs are black."""
    low = draw.rng.uniform(120, 185)
    out = (_section(draw, ("lung_ct",)).astype(np.float32) - low) / (draw.rng.uniform(220, 256) - low) * 255
    return np.asarray(np.clip(out, 0, 255), np.uint8)


def _bend(draw: Draw, picture: Picture, reach: float) -> Picture:
    """Move every point along a smooth field; `reach` is the typical shift in shares of the side."""
    side = draw.side
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    shift = clouds(draw, (2.0, 3.0), 2) * np.float32(reach * side)
    return np.asarray(cv2.remap(picture, x + shift[..., 0], y + shift[..., 1], cv2.INTER_LINEAR), np.uint8)


def _bent(draw: Draw) -> Picture:
    """A real slice bent until its anatomy is gone."""
    return _bend(draw, _section(draw, _ANY), float(draw.rng.uniform(0.10, 0.25)))


def _shuffled(draw: Draw) -> Picture:
    """A real picture in pieces that changed places."""
    picture, n = _section(draw, _ANY), int(draw.rng.integers(2, 6))
    step = draw.side // n
    out = picture.copy()
    order = draw.rng.permutation(n * n)
    for place, source in enumerate(order):
        (r, c), (i, j) = divmod(place, n), divmod(int(source), n)
        piece = picture[i * step : (i + 1) * step, j * step : (j + 1) * step]
        turned = np.rot90(piece, int(draw.rng.integers(4))) if draw.chance(0.3) else piece
        out[r * step : (r + 1) * step, c * step : (c + 1) * step] = turned
    return np.asarray(cv2.GaussianBlur(out, (0, 0), 0.8), np.uint8) if draw.chance(0.5) else out


def _mixed(draw: Draw) -> Picture:
    """Two known kinds in one: blended, or the outlines of one with the texture of the other."""
    one, other = (_section(draw, _ANY).astype(np.float32) for _ in range(2))
    if draw.chance(0.5):
        share = draw.rng.uniform(0.35, 0.65)
        return np.clip(one * share + other * (1 - share), 0, 255).astype(np.uint8)
    spectra = np.fft.fft2(one, axes=(0, 1)), np.fft.fft2(other, axes=(0, 1))
    joined = np.real(np.fft.ifft2(np.abs(spectra[0]) * np.exp(1j * np.angle(spectra[1])), axes=(0, 1)))
    return np.clip(joined, 0, 255).astype(np.uint8)


def _retoned(draw: Draw, picture: Picture) -> Picture:
    """Grey levels or hues moved: curves for grey, turned hue for colour."""
    if (picture[..., 0] == picture[..., 2]).all():
        knots = np.sort(draw.rng.uniform(0, 255, 5))
        curve = np.interp(np.arange(256), np.linspace(0, 255, 5), knots)
        return np.asarray(cv2.LUT(picture, curve.astype(np.uint8)), np.uint8)
    turned = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    turned[..., 0] = (turned[..., 0].astype(int) + int(draw.rng.normal(0, 12))) % 180
    turned[..., 1] = np.clip(turned[..., 1] * draw.rng.uniform(0.5, 1.5), 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB), np.uint8)


def _lens(draw: Draw) -> Picture:
    """Tissue seen through a lens: skin with a mark, mucosa with folds and glints, a stained slide."""
    side, rng = draw.side, draw.rng
    first, second = (np.array(_TISSUE[i], np.float32) for i in rng.integers(0, len(_TISSUE), 2))
    share = 1 / (1 + np.exp(-rng.uniform(0.5, 4) * clouds(draw, (0.6, 2.6))))
    out = first * share + second * (1 - share) + clouds(draw, (0.0, 1.2)) * rng.uniform(0, 12)
    for _ in range(int(rng.choice([0, 1, 1, 2, 40]))):
        size = rng.uniform(0.08, 0.35, 2) if rng.random() < 0.7 else rng.uniform(0.01, 0.04, 2)
        place = (float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.1, 0.9)))
        spot = _blob(draw, place, (float(size[0]), float(size[1])), 0.3).astype(np.float32)
        soft = np.asarray(cv2.GaussianBlur(spot, (0, 0), float(rng.uniform(0.5, 4))))[..., None]
        out = out * (1 - soft) + out * soft * rng.uniform(0.3, 0.9, 3)
    if draw.chance(0.4):  # glints
        out = np.where(clouds(draw, (0.8, 1.5)) > rng.uniform(2.0, 2.8), 250, out)
    if draw.chance(0.5):  # the light falls off, or the field of view is round or has cut corners
        y, x = np.mgrid[0:side, 0:side] / side - 0.5
        radius = np.hypot(x, y)[..., None]
        out = np.where(radius < 0.56, out, 5) if draw.chance(0.5) else out * (1.1 - rng.uniform(0, 1.6) * radius**2)
    return np.asarray(np.clip(out, 0, 255), np.uint8)


def _speckle(draw: Draw) -> Picture:
    """An ultrasound picture of no organ: speckle whose strength varies smoothly, in a sector or a rectangle."""
    side, rng = draw.side, draw.rng
    y, x = np.mgrid[0:side, 0:side] / side
    strength = np.exp(clouds(draw, (1.2, 2.6))[..., 0] * rng.uniform(0.4, 1.2)) * rng.uniform(15, 60)
    grain = np.hypot(*(clouds(draw, (0.0, 0.8))[..., 0] for _ in range(2)))
    out = strength * grain
    for _ in range(int(rng.integers(0, 5))):
        place = (float(rng.uniform(0.2, 0.8)), float(rng.uniform(0.2, 0.8)))
        size = (float(rng.uniform(0.04, 0.25)), float(rng.uniform(0.04, 0.25)))
        out = np.where(_blob(draw, place, size, 0.2), out * rng.choice([0.1, 0.3, 2.0]), out)
    kind = rng.random()
    if kind < 0.35:
        apex = np.hypot(x - 0.5, y + rng.uniform(-0.05, 0.4))
        spread = np.abs(np.arctan2(x - 0.5, y + 0.1))
        out = np.where((apex < rng.uniform(0.8, 1.2)) & (spread < rng.uniform(0.4, 0.9)), out, 0)
    elif kind < 0.6:
        top, left = rng.uniform(0, 0.25, 2)
        out = np.where((y > top) & (y < 1 - rng.uniform(0, 0.3)) & (x > left) & (x < 1 - left), out, 0)
    made = colour(np.clip(out, 0, 255).astype(np.uint8))
    if draw.chance(0.35):  # flow in colour
        place = (float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.3, 0.7)))
        flow = _blob(draw, place, (0.2, 0.15), 0.3) & (clouds(draw)[..., 0] > 0)
        hue = np.array([[230, 120, 20], [200, 30, 30], [30, 60, 220]])[rng.integers(3)]
        made = np.where(flow[..., None], hue, made).astype(np.uint8)
    return made
