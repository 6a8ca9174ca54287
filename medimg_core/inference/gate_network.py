"""The network of the first gate: which kind of picture it is, and how far it is from every film seen in training."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from medimg_core.catalog import ModelCard, hashes, read_card, read_verified
from medimg_core.errors import ModelUnavailable
from medimg_core.imaging import prepare
from medimg_core.imaging.quality import thin
from medimg_core.inference.pool import runtime_for
from medimg_core.types import FloatArray, Image

ACCEPTED = "chest_frontal"
"""The class that may pass."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`[text.gate]` of the gate's card, chosen on `val`; the share of `chest_frontal` and the distance from it."""

    refuse_below: float
    doubt_below: float
    refuse_beyond: float
    doubt_beyond: float


@dataclass(frozen=True, slots=True)
class Impression:
    """What the network makes of a picture.

    Attributes:
        shares: class -> softmax share; they say which, not how likely.
        distance: `Reference.distance` of the pooled features.
    """

    shares: Mapping[str, float]
    distance: float

    @property
    def frontal(self) -> float:
        """Share of the accepted class."""
        return self.shares[ACCEPTED]

    @property
    def other(self) -> str:
        """The likeliest class besides the accepted one."""
        return max((name for name in self.shares if name != ACCEPTED), key=lambda name: self.shares[name])


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Where real films lie in feature space: `distance.npz`.

    Attributes:
        mean: float32 `[C]`, mean of the pooled features of training films.
        whitener: float32 `[C, C]`, so that whitened features have unit covariance.
    """

    mean: FloatArray
    whitener: FloatArray

    def distance(self, features: FloatArray) -> float:
        """Mahalanobis distance of pooled features `[C]` (Lee et al., arXiv 1807.03888), by the root of C.

        A typical film has about 1.
        """
        return float(np.linalg.norm((features - self.mean) @ self.whitener) / np.sqrt(len(self.mean)))


def impression(image: Image, card: ModelCard) -> Impression:
    """Look at a picture with the network of a gate's card.

    Raises:
        ModelUnavailable: the folder is damaged.
    """
    x, _ = prepare(thin(image), card.input)
    forward = runtime_for(card, "litert").predict(x)  # half a millisecond: no GPU is worth the way
    power = np.exp(forward.logits - forward.logits.max())
    shares = dict(zip(card.class_ids, (power / power.sum()).tolist(), strict=True))
    features = np.asarray(forward.features.mean(axis=(0, 1)), np.float32)
    return Impression(shares, reference(card).distance(features))


def limits(card: ModelCard) -> Limits:
    """The limits on a gate's card."""
    try:
        return Limits(**card.text["gate"])
    except (KeyError, TypeError) as error:
        raise ModelUnavailable(
            f"The card of the input check {card.name!r} lacks its limits.", "Restore the folder from the release."
        ) from error


def reference(card: ModelCard) -> Reference:
    """The reference in a gate's folder, checked by its hash and kept."""
    return _reference(card.folder, hashes(card).get("distance.npz", ""))


@lru_cache(maxsize=4)
def _reference(folder: Path, digest: str) -> Reference:
    del digest  # part of the key only: a new export is read again
    with np.load(io.BytesIO(read_verified(read_card(folder), "distance.npz"))) as stored:
        return Reference(stored["mean"], stored["whitener"])
