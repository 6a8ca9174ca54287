"""From logits to what a reader may be told: probability, its interval, another prevalence, the prediction set."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from medimg_core.catalog import Calibration, ModelCard
from medimg_core.types import FloatArray, Interval


def probabilities(logits: FloatArray, card: ModelCard, calibration: Calibration) -> dict[str, float]:
    """Calibrated probability of every class, in the order of the card.

    One output: `p = sigmoid(logit / temperature + shift)` for the positive class (Platt 1999; temperature scaling,
    Guo et al., ICML 2017). Several outputs: `softmax(logits / temperature)`.

    Args:
        logits: float32 `[K]`.
    """
    z = np.asarray(logits, np.float64) / calibration.temperature
    if card.outputs == 1:
        p = _sigmoid(float(z[0]) + calibration.shift)
        return {name: p if i == card.positive else 1.0 - p for i, name in enumerate(card.class_ids)}
    power = np.exp(z - z.max())
    return dict(zip(card.class_ids, (power / power.sum()).tolist(), strict=True))


def interval(logits: FloatArray, card: ModelCard, calibration: Calibration) -> Interval | None:
    """The positive class's probability with its 95 % interval from the bootstrap refits of the calibration.

    It says how well the curve is known, not how much two readers of the film would differ. None without draws.
    """
    if not calibration.draws:
        return None
    positive = card.class_ids[card.positive]
    value = probabilities(logits, card, calibration)[positive]
    draws = [probabilities(logits, card, Calibration(t, s))[positive] for t, s in calibration.draws]
    low, high = (float(v) for v in np.percentile(draws, (2.5, 97.5)))
    return Interval(value, min(low, value), max(high, value))


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
    return p * ratio / (p * ratio + 1 - p)


def prediction_set(scores: Mapping[str, float], limits: Mapping[str, float]) -> tuple[str, ...]:
    """Classes that cannot be left out (split conformal prediction, one limit a class; Vovk, ACML 2012).

    A class stays where its nonconformity `1 - p` is at most its limit. Both classes: undecided. None: the film is
    unlike nine in ten of either class.

    Args:
        scores: class -> calibrated probability.
        limits: class -> limit, from `val`; a class without one always stays.
    """
    return tuple(name for name, p in scores.items() if 1.0 - p <= limits.get(name, math.inf))


def _sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z)) if z >= 0 else math.exp(z) / (1.0 + math.exp(z))
