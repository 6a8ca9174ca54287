"""One film from several registered ones: band by band, with weights that vary over the film.

A plain average of registered films is a blurred film, because fine detail (vessels, bone structure) does not
coincide. So only the coarse bands are averaged. In the finer ones each place is led by a different film: with weights
`w` (sum 1) the mix is `mean + sum v (x - mean)`, `v = w / |w|`, which keeps the variance of the detail whatever the
weights are. Where a film departs far from the median of all (a marker, a lead, a missing corner) its weight goes to 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from medimg_core.types import FloatArray

# Lower edge of each band, as the sigma in units of the blur that takes the next ones out, and how strongly one film
# leads at one place (0: none). What is left below the last edge is the coarse band.
BANDS = ((0.5, 2.6), (1.0, 2.4), (2.0, 1.8), (4.0, 1.0))
REGION = 16.0  # units between the nodes of the random weight fields: larger than the distance of two ribs
OUTLIER = 0.16  # display values; a film this far from the median loses most of its say


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """The mixed film and how much of its detail each source gave (mean weight over film and bands, sum 1)."""

    pixels: FloatArray
    shares: FloatArray


def random_fields(rng: np.random.Generator, count: int, shape: tuple[int, int], spacing: float) -> FloatArray:
    """Smooth random fields `[count, H, W]` of deviation 1; `spacing` pixels between independent values."""
    nodes = max(4, int(np.ceil(max(shape) / spacing)) + 3)
    fields = np.empty((count, *shape), np.float32)
    for i in range(count):
        coarse = rng.standard_normal((nodes, nodes)).astype(np.float32)
        field = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
        fields[i] = field / field.std()
    return fields


def say(films: FloatArray, inside: FloatArray, scale: int) -> FloatArray:
    """How far each film may speak at each place, in (0, 1]: 0 outside of it and where it departs from all others."""
    departure = np.abs(films - np.median(films, axis=0))
    weights = np.empty_like(films)
    for i in range(len(films)):
        wide = cv2.GaussianBlur(cv2.dilate(departure[i], np.ones((scale, scale))), (0, 0), scale)
        weights[i] = np.exp(-((wide / OUTLIER) ** 4)) * cv2.GaussianBlur(inside[i], (0, 0), 2.0 * scale) * inside[i]
    return weights + np.float32(1e-4)


def blend(films: FloatArray, inside: FloatArray, base: FloatArray, rng: np.random.Generator, scale: int) -> Blend:
    """Mix registered films.

    Args:
        films: float32 `[K, H, W]`, registered.
        inside: float32 `[K, H, W]`, 1.0 where the film has pixels.
        base: float32 `[K]`, sum 1: how much each film counts over the whole picture.
        scale: pixels a unit.
    """
    voice = say(films, inside, scale)
    fields = random_fields(rng, len(films), films.shape[1:], REGION * scale)
    out = np.zeros(films.shape[1:], np.float32)
    shares = np.zeros(len(films))
    upper = films
    for sigma, lead in BANDS:
        lower = np.stack([cv2.GaussianBlur(film, (0, 0), sigma * scale) for film in films])
        weights = _normalise(np.exp(np.float32(lead) * fields) * base[:, None, None] * voice)
        out += _keep_variance(upper - lower, weights, voice)
        shares += weights.mean(axis=(1, 2)) / len(BANDS)
        upper = lower
    out += (_normalise(base[:, None, None] * voice) * upper).sum(axis=0)
    return Blend(np.clip(out, 0, 1), shares.astype(np.float32))


def _normalise(weights: FloatArray) -> FloatArray:
    return np.asarray(weights / weights.sum(axis=0), np.float32)


def _keep_variance(band: FloatArray, weights: FloatArray, voice: FloatArray) -> FloatArray:
    mean = (band * voice).sum(axis=0) / voice.sum(axis=0)
    length = np.sqrt((weights * weights).sum(axis=0))
    return np.asarray(mean + (weights / length * (band - mean)).sum(axis=0), np.float32)
