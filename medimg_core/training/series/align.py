"""From hundreds of features to a few, and from a fold network's features to those of the shipped one.

Fold networks start alike and are trained alike, but each has its own axes. A ridge regression on slices that both
networks were trained on says what the shipped network would have said to a slice, had it never seen the patient. No
label enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import Calibration
from medimg_core.training.series.features import Features
from medimg_core.types import FloatArray

_RIDGE = 0.3
"""Of the standardised features, as a share of the number of slices."""


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Standardised principal components of the features and, last, the standardised logit: `x @ kernel + bias`.

    Attributes:
        kernel, bias: float32 `[F + 1, P]` and `[P]`.
    """

    kernel: FloatArray
    bias: FloatArray

    def __call__(self, features: Features) -> FloatArray:
        """Projected slices, float32 `[N, P]`."""
        return np.asarray(features.joined @ self.kernel + self.bias, np.float32)

    def logits(self, projected: FloatArray) -> FloatArray:
        """The logits `[N]` that projected slices `[N, P]` carry."""
        return np.asarray((projected[:, -1] - self.bias[-1]) / self.kernel[-1, -1], np.float32)


def start_of(projection: Projection, calibration: Calibration) -> tuple[float, float]:
    """Slope and shift from the last projected value to the slice classifier's calibrated log odds."""
    slope = 1 / (calibration.temperature * float(projection.kernel[-1, -1]))
    return slope, calibration.shift - slope * float(projection.bias[-1])


def principal(features: Features, components: int) -> Projection:
    """The projection of the shipped network's features; no label enters."""
    pooled, logits = features.pooled.astype(np.float64), features.logits.astype(np.float64)
    centre = pooled.mean(axis=0)
    _, values, rows = np.linalg.svd(pooled - centre, full_matrices=False)
    scale = values[:components] / np.sqrt(len(pooled))
    kernel = np.zeros((pooled.shape[1] + 1, components + 1))
    kernel[:-1, :-1] = rows[:components].T / scale
    kernel[-1, -1] = 1 / logits.std()
    bias = np.append(-centre @ kernel[:-1, :-1], -logits.mean() / logits.std())
    return Projection(np.asarray(kernel, np.float32), np.asarray(bias, np.float32))


def out_of_fold(
    place: Sequence[int], answers: Sequence[Features], known: Features, projection: Projection
) -> FloatArray:
    """Every slice as seen by the network that never saw its patient, in the shipped projection: float32 `[N, P]`.

    Args:
        place: fold of every slice.
        answers: of each fold network, all slices.
        known: the shipped network's answers to the same slices, as targets.
    """
    folds, target = np.array(place), projection(known).astype(np.float64)
    found = np.zeros_like(target)
    for fold, own in enumerate(answers):
        out = folds == fold
        found[out, :-1] = _ridge(own.pooled[~out], target[~out, :-1], own.pooled[out])
        found[out, -1] = np.polyval(np.polyfit(own.logits[~out], target[~out, -1], 1), own.logits[out])
    return np.asarray(found, np.float32)


def _ridge(x: FloatArray, y: NDArray[np.float64], wanted: FloatArray) -> NDArray[np.float64]:
    """Predictions `[M, P]` for `wanted` from a ridge regression of y `[N, P]` on standardised x `[N, F]`."""
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-3 * x.std()
    given, asked = (np.asarray((part - centre) / scale, np.float64) for part in (x, wanted))
    middle = y.mean(axis=0)
    gram = given.T @ given + _RIDGE * len(given) * np.eye(given.shape[1])
    return np.asarray(asked @ np.linalg.solve(gram, given.T @ (y - middle)) + middle)
