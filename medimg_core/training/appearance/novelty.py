"""Is a synthetic film a copy? Its nearest training film is held against how near different patients lie to each other.

Films are compared after tone and affine alignment, as correlation of locally normalised thumbnails (about 100 x 100,
half the resolution of the training films). The yardstick: for many
real films, the correlation with the nearest film of ANOTHER patient. A synthetic film passes when

- it lies no nearer to any training film than the nearest pair of different patients among those does;
- its nearest film does not stand out: the lead over the tenth nearest is within that of 95 of 100 real films (a mixture
  lies in the middle of many films, so the first figure is high for all of them; a copy has one near film);
- no source gives more than 30 % of its detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medimg_core.training.appearance.films import Film
from medimg_core.training.appearance.model import AppearanceModel
from medimg_core.types import FloatArray

LARGEST_SHARE = 0.30
_RANK = 10


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Feature vectors of all training films of a data set in one model's frame, and the yardsticks.

    Attributes:
        features: float32 `[N, rows * columns]`, unit vectors.
        apart: float32 `[M]`, correlation of real films with the nearest film of another patient.
        leads: float32 `[M]`, how far that lies above the correlation with their tenth nearest.
        together: float32 `[L]`, correlation of real films with another film of the same patient; may be empty.
    """

    model: AppearanceModel
    features: FloatArray
    apart: FloatArray
    leads: FloatArray
    together: FloatArray

    @property
    def limit(self) -> float:
        """The largest correlation between films of two different patients."""
        return float(self.apart.max())

    @property
    def lead_limit(self) -> float:
        """The lead of the nearest film that 95 of 100 real films stay below."""
        return float(np.quantile(self.leads, 0.95))


@dataclass(frozen=True, slots=True)
class Novelty:
    """The verdict on one film.

    Attributes:
        nearest, limit: correlation with the nearest training film, and the largest between two different patients.
        lead, lead_limit: of the nearest over the tenth nearest film, and what 95 of 100 real films stay below.
        largest_share: of the detail that one source gave.
    """

    nearest: float
    limit: float
    lead: float
    lead_limit: float
    largest_share: float

    @property
    def is_new(self) -> bool:
        """No training film is as near as a copy would be, and none gives most of the detail."""
        near, led = self.nearest > self.limit, self.lead > self.lead_limit
        return not near and not led and self.largest_share <= LARGEST_SHARE


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
    others = np.where(same, -1, correlation)
    apart, leads = others.max(axis=1), _lead(others)
    correlation[np.arange(len(chosen)), chosen] = -1  # a film is no second film of its patient
    together = np.where(same, correlation, -1).max(axis=1)
    return Reference(model, features, apart, leads, together[together > -1])


def _lead(correlation: FloatArray) -> FloatArray:
    """How far the largest value of each row lies above the tenth largest."""
    rank = min(_RANK, correlation.shape[1])
    return np.asarray(correlation.max(axis=1) - np.partition(correlation, -rank, axis=1)[:, -rank], np.float32)


def novelty(pixels: FloatArray, shares: FloatArray, known: Reference) -> Novelty:
    """Judge a synthetic film (float32 `[H, W]`, display values in [0, 1]) and the shares of its sources."""
    _, found = known.model.locate(pixels)
    near = known.features @ found
    lead = float(_lead(near[None])[0])
    return Novelty(float(near.max()), known.limit, lead, known.lead_limit, float(shares.max()))
