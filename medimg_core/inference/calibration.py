"""From logits to what a reader may be told: probability, its interval, another prevalence, the prediction set."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import Calibration, ModelCard, Population
from medimg_core.types import FloatArray, Interval, Statement


def probabilities(logits: FloatArray, card: ModelCard, population: Population) -> dict[str, float]:
    """Calibrated probability of every class, in the order of the card; they sum to 1.

    Yes/no: `p = sigmoid(logit / temperature + shift)` for the positive class (Platt 1999; temperature scaling,
    Guo et al., ICML 2017). Several kinds: `softmax(logits / temperature)`. Grades: the differences of the steps
    `P(grade >= k)`, each calibrated by itself and kept from rising (Frank & Hall, ECML 2001).

    Args:
        logits: float32 `[K]`, those of the statements included.
    """
    if card.form == "grade":
        steps = np.array([sigmoid(z, c)[0] for z, c in zip(logits, population.steps, strict=False)])
        return dict(zip(card.class_ids, grade_scores(steps).tolist(), strict=True))
    curve = np.array([[population.calibration.temperature, population.calibration.shift]])
    return dict(zip(card.class_ids, _scores(logits, card, curve)[0].tolist(), strict=True))


def sigmoid(logit: float, calibration: Calibration) -> NDArray[np.float64]:
    """Probability `[1 + D]` of one output: by the calibration, then by each of its D bootstrap refits."""
    curves = np.array([(calibration.temperature, calibration.shift), *calibration.draws])
    return np.asarray(1 / (1 + np.exp(-(float(logit) / curves[:, 0] + curves[:, 1]))), np.float64)


def grade_scores(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of every grade `[..., K]` from `P(grade >= k)`, k = 1 ... K - 1, `[..., K - 1]`."""
    falling = np.minimum.accumulate(steps, axis=-1)
    one = np.ones((*falling.shape[:-1], 1))
    bounded = np.concatenate([one, falling, 0 * one], axis=-1)
    return np.asarray(bounded[..., :-1] - bounded[..., 1:], np.float64)


def decide(scores: Mapping[str, float], card: ModelCard, population: Population) -> str:
    """The one class that is answered: at the balanced point, the likeliest kind, or the median grade."""
    if card.form == "one_of":
        return max(scores, key=lambda name: scores[name])
    if card.form == "grade":
        below = np.cumsum(list(scores.values()))[:-1]
        return card.class_ids[int((below <= 0.5).sum())]
    positive, negative = card.class_ids[card.positive], card.class_ids[1 - card.positive]
    return positive if scores[positive] >= population.point("balanced").threshold else negative


def interval(logits: FloatArray, card: ModelCard, population: Population, name: str) -> Interval | None:
    """A class's probability with its 95 % interval from the bootstrap refits of the calibration.

    It says how well the curve is known, not how much two readers of the film would differ. None without draws.
    """
    index = card.class_ids.index(name)
    if not population.calibration.draws:
        return None
    if card.form == "grade":
        steps = np.stack([sigmoid(z, c) for z, c in zip(logits, population.steps, strict=False)], axis=-1)
        return _spread(grade_scores(steps)[:, index])
    known = population.calibration
    curves = np.array([(known.temperature, known.shift), *known.draws])
    return _spread(_scores(logits, card, curves)[:, index])


def statements(logits: FloatArray, card: ModelCard, population: Population, decision: str) -> tuple[Statement, ...]:
    """The further answers that go with a decision, in the order of the card."""
    told = []
    for question in card.statements:
        fit = population.statements.get(question.id)
        if fit is None or (question.of and decision not in question.of):
            continue
        p = sigmoid(logits[question.output], fit.calibration)
        told.append(Statement(question.id, float(p[0]), _spread(p) if p.size > 1 else None, fit.threshold))
    return tuple(told)


def _spread(values: NDArray[np.float64]) -> Interval:
    """The first value with the 95 % interval of the others."""
    value, *draws = values.tolist()
    low, high = np.percentile(draws, (2.5, 97.5)).tolist()
    return Interval(value, min(low, value), max(high, value))


def _scores(logits: FloatArray, card: ModelCard, curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities `[D, classes]` under D calibration curves `[D, 2]` of temperature and shift."""
    z = np.asarray(logits[: card.main_outputs], np.float64)[None] / curves[:, :1]
    if card.form == "yes_no":
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


def prediction_set(scores: Mapping[str, float], limits: Mapping[str, float], decision: str = "") -> tuple[str, ...]:
    """Classes that cannot be left out (split conformal prediction, one limit a class; Vovk, ACML 2012).

    A class stays where its nonconformity `1 - p` is at most its limit. Two widenings, by which coverage can only grow:
    the decision always stays, and an image that is unlike nine in ten of every class (no class would stay) keeps the
    two likeliest, because that is doubt and not certainty. More than one class: not sure.

    Args:
        scores: class -> calibrated probability.
        limits: class -> limit, from `val`; a class without one always stays.
        decision: the class that is answered.
    """
    inside = {name for name, p in scores.items() if 1.0 - p <= limits.get(name, math.inf)}
    if not inside and decision:
        inside = set(sorted(scores, key=lambda name: -scores[name])[:2])
    return tuple(name for name in scores if name in inside or name == decision)
