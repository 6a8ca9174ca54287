"""The statistical model of one population: a common frame, a mean, and a Gaussian over what varies.

After Cootes, Edwards, Taylor, PAMI 23 (2001) 681 (active appearance models), with two changes. Shape is not marked
by hand: dense registration among the films nearest to a drawn one gives it (`person`). And fine detail, which is not
Gaussian, is mixed from several films band by band (`blend`) instead of summed from eigenvectors, which would blur it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medimg_core.training.appearance.films import Film, Population, common_tone, match_tone
from medimg_core.training.appearance.registration import align, cover, local_norm, thumbnail, uncovered
from medimg_core.types import FloatArray

SIGMA = 10.0  # units; thumbnails are compared after their local mean and deviation are taken out
COMPONENTS = 30
SHRINK = 0.8  # draws stay a little nearer to the mean than the films do: the tails hold rotated and cut films


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """A training film with the tone of its population and its place in the frame.

    Attributes:
        pixels: float32 `[H, W]`, display values in [0, 1].
        affine: float32 `[2, 3]`, from units to film pixels.
        agreement: correlation with the population's template.
        usable: agrees well and covers the frame, so that synthetic films may draw on it.
    """

    pixels: FloatArray
    affine: FloatArray
    agreement: float
    usable: bool
    patient: str
    row_id: str


@dataclass(frozen=True, slots=True, eq=False)
class AppearanceModel:
    """A fitted population.

    Attributes:
        tone: the mean quantile function.
        template: float32 `[rows, columns]`, the mean film in the frame, one pixel a unit.
        features: float32 `[N, rows * columns]`, unit vectors: the aligned, locally normalised thumbnails.
        mean: float32 `[rows * columns]`, their mean.
        components: float32 `[K, rows * columns]`, orthonormal.
        deviations: float32 `[K]`, standard deviations along the components.
    """

    population: Population
    films: tuple[Aligned, ...]
    tone: FloatArray
    template: FloatArray
    features: FloatArray
    mean: FloatArray
    components: FloatArray
    deviations: FloatArray

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """A new person's thumbnail as a unit vector `[rows * columns]`, from the Gaussian."""
        weights = rng.standard_normal(len(self.deviations)).astype(np.float32) * self.deviations * SHRINK
        return _unit(np.asarray(self.mean + weights @ self.components, np.float32))

    def locate(self, pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Tone, align and describe any film.

        Returns:
            the film with the population's tone, and its feature vector (see `features`).
        """
        toned = match_tone(pixels, self.tone)
        affine, _ = align(self.template, toned, cover(pixels.shape, self.population.frame))
        return toned, feature(thumbnail(toned, affine, self.population.frame))


def feature(thumb: FloatArray) -> FloatArray:
    """A thumbnail as a unit vector without exposure: products of two are correlation coefficients."""
    flat = local_norm(thumb, SIGMA).ravel()
    return _unit(flat - flat.mean())


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def fit(population: Population, films: Sequence[Film], rounds: int = 2) -> AppearanceModel:
    """Bring the films into one frame and fit mean and Gaussian.

    Args:
        films: at least two, of the population.
        rounds: how often the template is renewed from the films aligned to it.
    """
    tone = common_tone(films)
    toned = [match_tone(film.pixels, tone) for film in films]
    places = [cover(pixels.shape, population.frame) for pixels in toned]
    agreement = np.zeros(len(films))
    template = np.zeros(population.frame, np.float32)
    for _ in range(rounds):
        thumbs = [thumbnail(p, a, population.frame) for p, a in zip(toned, places, strict=True)]
        best = agreement >= np.median(agreement)  # all of them in the first round
        template = np.asarray(np.mean([t for t, good in zip(thumbs, best, strict=True) if good], axis=0), np.float32)
        found = [align(template, p, a) for p, a in zip(toned, places, strict=True)]
        places, agreement = [a for a, _ in found], np.array([score for _, score in found])
    features = np.stack([feature(thumbnail(p, a, population.frame)) for p, a in zip(toned, places, strict=True)])
    enough = np.quantile(agreement, 0.3)
    aligned = tuple(
        Aligned(
            pixels=pixels,
            affine=affine,
            agreement=float(score),
            usable=bool(score >= enough and uncovered(affine, pixels.shape, population.frame) <= population.uncovered),
            patient=film.patient,
            row_id=film.row["id"],
        )
        for film, pixels, affine, score in zip(films, toned, places, agreement, strict=True)
    )
    mean, components, deviations = _gaussian(features[[film.usable for film in aligned]])
    return AppearanceModel(population, aligned, tone, template, features, mean, components, deviations)


def _gaussian(features: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Principal components by the Gram matrix: there are fewer films than pixels."""
    mean = features.mean(axis=0)
    centred = features - mean
    values, vectors = np.linalg.eigh(centred @ centred.T)
    keep = np.argsort(values)[::-1][: min(COMPONENTS, len(features) - 1)]
    keep = keep[values[keep] > 1e-9 * max(float(values.max()), 1e-12)]
    components = (vectors[:, keep].T @ centred) / np.sqrt(values[keep])[:, None]
    return mean, components.astype(np.float32), np.sqrt(values[keep] / max(len(features) - 1, 1)).astype(np.float32)
