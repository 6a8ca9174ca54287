"""From logits to what a reader may be told: probability, its interval, another prevalence, the prediction set."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import Calibration, ModelCard
from medimg_core.types import FloatArray, Interval


def probabilities(logits: FloatArray, card: ModelCard, calibration: Calibration) -> dict[str, float]:
    """Calibrated probability of every class, in the order of the card.

    One output: `p = sigmoid(logit / temperature + shift)` for the positive class (Platt 1999; temperature scaling,
    Guo et al., ICML 2017). Several outputs: `softmax(logits / temperature)`.

    Args:
        logits: float32 `[K]`.
    """
    curve = np.array([[calibration.temperature, calibration.shift]])
    return dict(zip(card.class_ids, _scores(logits, card, curve)[0].tolist(), strict=True))


def interval(logits: FloatArray, card: ModelCard, calibration: Calibration) -> Interval | None:
    """The positive class's probability with its 95 % interval from the bootstrap refits of the calibration.

    It says how well the curve is known, not how much two readers of the film would differ. None without draws.
    """
    if not calibration.draws:
        return None
    curves = np.array([(calibration.temperature, calibration.shift), *calibration.draws])
    value, *draws = _scores(logits, card, curves)[:, card.positive].tolist()
    low, high = np.percentile(draws, (2.5, 97.5)).tolist()
    return Interval(value, min(low, value), max(high, value))


def _scores(logits: FloatArray, card: ModelCard, curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities `[D, classes]` under D calibration curves `[D, 2]` of temperature and shift."""
    z = np.asarray(logits, np.float64)[None] / curves[:, :1]
    if card.outputs == 1:
        # Two classes: the softmax of (0, z) is the sigmoid of z.
        positive = z[:, 0] + curves[:, 1]
        z = np.zeros((len(curves), 2))
        z[:, card.positive] = positive
    power = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True))


def at_prevalence(p: float, prevalence: float, wanted: float) -> float:
    """Restate a probability for a population with another share of positives (Saerens et al., Neural Comput. 2002).

    The odds are multiplied by the ratio of the prior odds; valid where only the prevalence differs.

    Args:
        p: probability at `prevalence`, in [0, 1].
        prevalence: share of positives that `p` was calibrated on, in (0, 1).
        wanted: share of positives to state it for, in (0, 1).
    """
    if not (0 < prevalence < 1 and 0 < wanted < 1):
        raise ValueError(f"a prevalence lies between 0 and 1, not {prevalence} and {wanted}")
    ratio = wanted * (1 - prevalence) / (prevalence * (1 - wanted))
    return p * ratio / (p * ratio + (1 - p))


def prediction_set(scores: Mapping[str, float], limits: Mapping[str, float]) -> tuple[str, ...]:
    """Classes that cannot be left out (split conformal prediction, one limit a class; Vovk, ACML 2012).

    A class stays where its nonconformity `1 - p` is at most its limit. Both classes: undecided. None: the film is
    unlike nine in ten of either class.

    Args:
        scores: class -> calibrated probability.
        limits: class -> limit, from `val`; a class without one always stays.
    """
    return tuple(name for name, p in scores.items() if 1.0 - p <= limits.get(name, math.inf))
