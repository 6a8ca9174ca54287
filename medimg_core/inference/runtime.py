"""What a loaded network can do, whichever engine runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from medimg_core.catalog import ModelCard
from medimg_core.types import FloatArray

FEATURES = "bottom"
"""Layer of a second network whose maps `Forward.features` holds."""


@dataclass(frozen=True, slots=True, eq=False)
class Forward:
    """One forward pass.

    Attributes:
        logits: float32 `[K]`; empty where the network only outlines or boxes.
        features: maps at the CAM layer, float32 `[h, w, C]`.
        places: float32 `[h', w', K']`, logits of structures a pixel or what boxes are read from; None where the network
            has no such output.
    """

    logits: FloatArray
    features: FloatArray
    places: FloatArray | None = None


class Runtime(Protocol):
    """A loaded network for one image at a time; safe to call from several threads.

    Inputs are float32 `[H, W, C]` as `imaging.prepare` returns them. `weights` is float32 `[K]`: the gradient taken
    is that of `sum(logits * weights)`; a one-hot vector asks for one class. A network with a single logit
    (`card.outputs == 1`) speaks for the positive class; minus one asks for the other side.
    """

    card: ModelCard
    engine: str

    def predict(self, x: FloatArray) -> Forward:
        """Logits and feature maps in one pass."""
        ...

    def cam_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        """The forward pass and the gradient with respect to the feature maps, float32 `[h, w, C]`."""
        ...

    def input_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits `[K]` and the gradient with respect to the input, float32 `[H, W, C]`."""
        ...

    def places_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        """Of a network that outlines: places and features, and the gradient of `sum(places * weights)` with respect to
        the feature maps, float32 `[h, w, C]`; `weights` is float32 of the shape of `Forward.places`.
        """
        ...

    @property
    def head(self) -> tuple[FloatArray, FloatArray] | None:
        """Kernel float32 `[C, K]` and bias `[K]` of a pooled head (from `head.npz`); None for any other head."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory that the loaded network is counted with, in bytes."""
        ...


def input_shape(card: ModelCard, network: str = "model") -> tuple[int, int, int]:
    """Rows, columns and channels that one of a card's networks takes; slices beside it are further channels."""
    places = card.places
    if places is None or places.network != network:
        return card.input.height, card.input.width, card.input.channels
    return places.input.height, places.input.width, places.input.channels * (1 + 2 * places.context)
