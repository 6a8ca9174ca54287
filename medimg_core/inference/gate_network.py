"""The router's network: which kind of picture it is, and how far it is from every picture of that kind in training."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from medimg_core.catalog import ModelCard, hashes, read_card, read_verified
from medimg_core.errors import ModelUnavailable
from medimg_core.imaging import prepare
from medimg_core.imaging.quality import Quality, measure, thin
from medimg_core.inference.pool import runtime_for
from medimg_core.types import FloatArray, Image, Window

CT_WINDOWS: Mapping[str, Window] = {
    "lung_ct": Window(-600, 1500, "LINEAR", "lung"),
    "head_ct": Window(40, 80, "LINEAR", "brain"),
}
"""Kind -> the window that its models look through; slices in Hounsfield units are looked at in both."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`[text.gate.<kind>]` of the router's card, chosen on `val`; the kind's share and the distance from it."""

    refuse_below: float
    doubt_below: float
    refuse_beyond: float
    doubt_beyond: float


@dataclass(frozen=True, slots=True)
class Impression:
    """What the router makes of a picture.

    Attributes:
        shares: class -> softmax share; they say which, not how likely.
        distances: known kind -> `Reference.distances` of the pooled features.
        quality: what the grey levels alone say.
    """

    shares: Mapping[str, float]
    distances: Mapping[str, float]
    quality: Quality

    @property
    def kind(self) -> str:
        """The likeliest class."""
        return max(self.shares, key=self.shares.__getitem__)

    def likeliest(self, kinds: tuple[str, ...]) -> str:
        """The likeliest of some kinds."""
        return max(kinds, key=lambda kind: self.shares.get(kind, 0.0))

    def besides(self, kind: str) -> str:
        """The likeliest class besides one."""
        return max((name for name in self.shares if name != kind), key=self.shares.__getitem__)


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Where real pictures lie in feature space: `distance.npz`.

    Attributes:
        kinds: the K known kinds, in the order of the arrays.
        means: float32 `[K, C]`, means of the pooled features of training pictures.
        whiteners: float32 `[K, C, C]`, so that whitened features of a kind have unit covariance.
    """

    kinds: tuple[str, ...]
    means: FloatArray
    whiteners: FloatArray

    def distances(self, features: FloatArray) -> dict[str, float]:
        """Mahalanobis distances of pooled features `[C]` (Lee et al., arXiv 1807.03888), by the root of C.

        A typical picture of a kind has about 1 from its own.
        """
        apart = np.matmul((features - self.means)[:, None], self.whiteners)[:, 0]
        far = np.linalg.norm(apart, axis=1) / np.sqrt(features.shape[0])
        return dict(zip(self.kinds, far.tolist(), strict=True))


def impression(image: Image, card: ModelCard) -> Impression:
    """Look at a picture with the network of the router's card.

    A CT slice in Hounsfield units is looked at as its models would see it, in the lung and in the brain window; that
    which shows its own kind of slice most clearly counts.

    Raises:
        ModelUnavailable: the folder is damaged.
    """
    small = thin(image)
    if image.modality_units != "HU":
        return _look(small, image, card)
    seen = {kind: _look(replace(small, windows=(w,)), image, card) for kind, w in CT_WINDOWS.items()}
    own = max(seen, key=lambda kind: (seen[kind].kind == kind, max(seen[kind].shares.values())))
    return seen[own]


def _look(small: Image, image: Image, card: ModelCard) -> Impression:
    x, _ = prepare(small, card.input)
    forward = runtime_for(card, "litert").predict(x)  # a millisecond: no GPU is worth the way
    power = np.exp(forward.logits - forward.logits.max())
    shares = dict(zip(card.class_ids, (power / power.sum()).tolist(), strict=True))
    features = np.asarray(forward.features.mean(axis=(0, 1)), np.float32)
    return Impression(shares, reference(card).distances(features), measure(small, image.shape))


def limits(card: ModelCard, kind: str) -> Limits:
    """The limits of a kind on the router's card."""
    try:
        return Limits(**card.text["gate"][kind])
    except (KeyError, TypeError) as error:
        raise ModelUnavailable(
            f"The card of the router {card.name!r} lacks its limits for {kind}.", "Restore the folder from the release."
        ) from error


def reference(card: ModelCard) -> Reference:
    """The reference in the router's folder, checked by its hash and kept."""
    return _reference(card.folder, hashes(card).get("distance.npz", ""))


@lru_cache(maxsize=4)
def _reference(folder: Path, digest: str) -> Reference:
    del digest  # part of the key only: a new export is read again
    with np.load(io.BytesIO(read_verified(read_card(folder), "distance.npz"))) as stored:
        kinds = tuple(str(kind) for kind in stored["kinds"])
        return Reference(kinds, stored["means"].astype(np.float32), stored["whiteners"].astype(np.float32))
