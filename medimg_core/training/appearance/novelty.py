"""Is a synthetic film a copy? Its nearest training film is held against how near different patients lie to each other.

Films are compared after tone and affine alignment, as correlation of locally normalised thumbnails (about 100 x 100,
half the resolution of the training films). The yardstick: for many
real films, the correlation with the nearest film of ANOTHER patient. A synthetic film passes when it lies no nearer to
any training film than the nearest pair of different patients among those does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medimg_core.training.appearance.films import Film
from medimg_core.training.appearance.model import AppearanceModel
from medimg_core.types import FloatArray

LARGEST_SHARE = 0.30


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Feature vectors of all training films of a data set in one model's frame, and the yardsticks.

    Attributes:
        features: float32 `[N, rows * columns]`, unit vectors.
        apart: float32 `[M]`, correlation of real films with the nearest film of another patient.
        together: float32 `[L]`, correlation of real films with another film of the same patient; may be empty.
    """

    model: AppearanceModel
    features: FloatArray
    apart: FloatArray
    together: FloatArray

    @property
    def limit(self) -> float:
        """The largest correlation between films of two different patients."""
        return float(self.apart.max())


@dataclass(frozen=True, slots=True)
class Novelty:
    """The verdict on one film: correlation with the nearest training film, the limit, the largest share of a source."""

    nearest: float
    limit: float
    largest_share: float

    @property
    def is_new(self) -> bool:
        """No training film is nearer than different patients are, and none gives most of the detail."""
        return self.nearest <= self.limit and self.largest_share <= LARGEST_SHARE


def reference(model: AppearanceModel, films: Sequence[Film], queries: int = 800, seed: int = 0) -> Reference:
    """Describe all training films and measure how near different patients, and films of one patient, lie.

    Args:
        queries: that many real films, chosen by `seed`, stand for all.
    """
    features = np.stack([model.locate(film.pixels)[1] for film in films])
    patients = np.array([film.patient for film in films])
    chosen = np.random.default_rng(seed).permutation(len(films))[:queries]
    correlation = features[chosen] @ features.T
    same = patients[chosen][:, None] == patients[None, :]
    apart = np.where(same, -1, correlation).max(axis=1)
    correlation[np.arange(len(chosen)), chosen] = -1  # a film is no second film of its patient
    together = np.where(same, correlation, -1).max(axis=1)
    return Reference(model, features, apart.astype(np.float32), together[together > -1].astype(np.float32))


def novelty(pixels: FloatArray, shares: FloatArray, known: Reference) -> Novelty:
    """Judge a synthetic film (float32 `[H, W]`, display values in [0, 1]) and the shares of its sources."""
    _, found = known.model.locate(pixels)
    return Novelty(float((known.features @ found).max()), known.limit, float(shares.max()))
