"""How far small changes of the picture, which say nothing about the patient, move the answer."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from medimg_core.catalog import ModelCard
from medimg_core.errors import BadRequest
from medimg_core.inference.answer import Answer
from medimg_core.inference.calibration import probabilities
from medimg_core.inference.pool import runtime_for
from medimg_core.types import FloatArray

# Mirrored or not, degrees, scale, shift of columns and rows as shares of the side: well inside what training drew.
_CHANGES: tuple[tuple[bool, float, float, float, float], ...] = (
    (True, 0, 1, 0, 0),
    (False, 4, 1, 0, 0),
    (False, -4, 1, 0, 0),
    (False, 0, 1.06, 0, 0),
    (False, 0, 0.95, 0, 0),
    (False, 0, 1, 0.03, 0),
    (False, 0, 1, -0.03, 0.02),
    (True, 0, 1.04, 0, -0.02),
)


@dataclass(frozen=True, slots=True)
class Spread:
    """Smallest and largest probability of `Prediction.positive` over the picture as it is and `n` changes of it."""

    low: float
    high: float
    n: int


def spread(answer: Answer, card: ModelCard, *, engine: str = "auto") -> Spread:
    """Ask the model about small changes of an image that it has answered (test-time augmentation).

    It is a spread of one network, not an interval of the truth (Wang et al., Neurocomputing 338 (2019) 34).

    Raises:
        BadRequest: the image was refused, so that there is no answer to vary.
    """
    said = answer.prediction
    if answer.x is None or said.positive is None:
        raise BadRequest("This image was not analysed, so there is no answer to vary.", "Choose another image.")
    population, _ = card.population(chosen=said.population)
    runtime = runtime_for(card, engine)
    values = [said.scores[said.positive]]
    for change in _CHANGES:
        logits = runtime.predict(_changed(answer.x, *change)).logits
        values.append(probabilities(logits, card, population)[said.positive])
    return Spread(min(values), max(values), len(_CHANGES))


def _changed(x: FloatArray, mirror: bool, degrees: float, scale: float, columns: float, rows: float) -> FloatArray:
    """A prepared input `[H, W, C]`, moved; its edge is continued outwards."""
    height, width = x.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, scale)
    matrix[:, 2] += (columns * width, rows * height)
    turned = x[:, ::-1] if mirror else x
    parts = []
    for k in range(0, x.shape[-1], 3):  # OpenCV moves up to four channels at once; slices side by side have more
        part = turned[..., k : k + 3]
        size = (width, height)
        moved = cv2.warpAffine(part, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        parts.append(moved.reshape(height, width, -1))
    return np.ascontiguousarray(np.concatenate(parts, axis=-1), np.float32)
