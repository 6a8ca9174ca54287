"""From logits to probabilities, operating points and prediction sets; everything here is fitted on `val`.

`p = sigmoid(logit / temperature + shift)`: temperature scaling (Guo et al., ICML 2017) with the shift that Platt (1999)
adds, so that two populations can share one network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import Calibration, ModelCard
from medimg_core.inference.calibration import grade_scores
from medimg_core.metrics.intervals import resampled_weights
from medimg_core.types import OperatingPoint

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

COVERAGE = 0.9
"""Share of films of each class whose prediction set is to hold that class."""

_GOALS = (0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What val says about one population: calibration, thresholds, conformal limits, share of positives, n.

    `steps` holds a calibration for every step of a scale, else nothing.
    """

    calibration: Calibration
    operating_points: tuple[OperatingPoint, ...]
    conformal: Mapping[str, float]
    prevalence: float
    n: int
    steps: tuple[Calibration, ...] = ()


def fit_population(
    logits: Floats, truth: NDArray[np.intp], patients: NDArray[np.str_], card: ModelCard, seed: int = 0
) -> Fitted:
    """Calibrate one population on its val films.

    Args:
        logits: `[n, K]` of the main answer.
        truth: number of the class, kind or grade, `[n]`.
        patients: `[n]`, who is drawn as a whole in the bootstrap.
        card: says how the answer is given.

    Raises:
        ValueError: fewer than two classes are there, or a step of the scale has films on one side only.
    """
    if np.unique(truth).size < 2:
        raise ValueError("calibration needs films of both classes")
    ids, positive = card.class_ids, card.positive
    if card.form == "yes_no":
        members = truth == positive
        calibration = fit_calibration(logits[:, 0], members, patients, seed=seed)
        p = probabilities(logits[:, 0], calibration)
        points = operating_points(p, members, patients, seed=seed)
        classes = (ids[1 - positive], ids[positive])
        limits = conformal_limits(p, members, classes, points[1].threshold)
        return Fitted(calibration, points, limits, float(members.mean()), members.size)
    if card.form == "one_of":
        calibration = fit_temperature(logits, truth, patients, seed=seed)
        scores = softmax(logits / calibration.temperature)
        members, p = truth == positive, scores[:, positive]
        steps: tuple[Calibration, ...] = ()
    else:
        fits = [fit_calibration(logits[:, k], truth > k, patients, seed=seed) for k in range(len(ids) - 1)]
        # A draw without a film beyond some step was left out there: as many draws for every step.
        draws = min(len(fit.draws) for fit in fits)
        steps = tuple(replace(fit, draws=fit.draws[:draws]) for fit in fits)
        calibration = steps[positive - 1]
        columns = [probabilities(logits[:, k], fit) for k, fit in enumerate(steps)]
        scores = grade_scores(np.stack(columns, axis=1))
        members, p = truth >= positive, columns[positive - 1]
    points = operating_points(p, members, patients, seed=seed)
    return Fitted(calibration, points, class_limits(scores, truth, ids), float(members.mean()), members.size, steps)


def softmax(logits: Floats) -> Floats:
    """Along the last axis."""
    power = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(power / power.sum(axis=-1, keepdims=True), np.float64)


def fit_temperature(
    logits: Floats, truth: NDArray[np.intp], patients: NDArray[np.str_], draws: int = 200, seed: int = 0
) -> Calibration:
    """One temperature for a softmax by maximum likelihood (Guo et al., ICML 2017), and again on bootstrap draws.

    The targets are drawn in as Platt's are, by 1 / (n + 2) of a class of n films, so that a draw without an error does
    not ask for certainty.
    """
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 241))
    kinds = logits.shape[1]
    doubt = 1 / (np.bincount(truth, minlength=kinds) + 2)
    target = np.where(np.eye(kinds, dtype=bool), (1 - doubt)[:, None], (doubt / (kinds - 1))[:, None])[truth]
    losses = np.stack([-(target * np.log(np.maximum(softmax(logits / t), 1e-12))).sum(axis=1) for t in grid])
    refits = [
        (round(float(grid[best]), 5), 0.0)
        for block in resampled_weights(truth.size, patients, draws, seed)
        for best in np.argmin(losses @ np.asarray(block, np.float64).T, axis=0)
    ]
    return Calibration(round(float(grid[np.argmin(losses.sum(axis=1))]), 5), 0.0, tuple(refits))


def class_limits(scores: Floats, truth: NDArray[np.intp], classes: Sequence[str]) -> dict[str, float]:
    """Split conformal limits of several classes, each by its own films (see `conformal_limits`).

    A class with too few films to leave it out (fewer than nine) keeps the limit 1.
    """
    return {name: _limit(1 - scores[truth == k, k]) for k, name in enumerate(classes)}


def _limit(nonconformity: Floats) -> float:
    """The ceil((n + 1) 0.9)-th smallest, or 1 where there are too few."""
    rank = math.ceil((nonconformity.size + 1) * COVERAGE)
    return float(np.sort(nonconformity)[rank - 1]) if rank <= nonconformity.size else 1.0


def probabilities(logits: Floats, calibration: Calibration) -> Floats:
    """Calibrated probabilities of the positive class, `[n]`."""
    z = np.asarray(logits, np.float64) / calibration.temperature + calibration.shift
    return np.asarray(1 / (1 + np.exp(-z)), np.float64)


def fit_calibration(
    logits: Floats, positive: Bools, patients: NDArray[np.str_], draws: int = 200, seed: int = 0
) -> Calibration:
    """Temperature and shift by maximum likelihood, and again on bootstrap draws of whole patients."""
    z, y = np.asarray(logits, np.float64), positive.astype(np.float64)
    temperature, shift = _fit(z, y, np.ones_like(z))
    refits = []
    for block in resampled_weights(z.size, patients, draws, seed):
        refits += [_fit(z, y, w) for w in block if 0 < w @ y < w.sum()]
    rounded = tuple((round(t, 5), round(s, 5)) for t, s in refits)
    return Calibration(round(temperature, 5), round(shift, 5), rounded)


def _fit(z: Floats, y: Floats, weights: Floats) -> tuple[float, float]:
    """Newton's method for `slope * z + shift`, on Platt's targets, which keep separable films finite."""
    positives = float(weights @ y)
    negatives = float(weights.sum()) - positives
    target = np.where(y > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([z, np.ones_like(z)], axis=1)
    beta = np.zeros(2)
    loss = _loss(design @ beta, target, weights)
    for _ in range(100):
        p = 1 / (1 + np.exp(-design @ beta))
        gradient = design.T @ (weights * (p - target))
        hessian = (design * (weights * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (new := _loss(design @ (beta - size * step), target, weights)) > loss and size > 1e-6:
            size /= 2
        beta, change, loss = beta - size * step, loss - new, new
        if abs(change) < 1e-10:
            break
    slope, shift = float(beta[0]), float(beta[1])
    if slope < 1e-3:
        # A slope below zero would turn the network's answer round: say the prevalence instead.
        mean = float(weights @ target / weights.sum())
        return 1e3, math.log(mean / (1 - mean))
    return 1 / slope, shift


def _loss(z: Floats, target: Floats, weights: Floats) -> float:
    return float(weights @ (np.logaddexp(0, z) - target * z))


def operating_points(
    p: Floats, positive: Bools, patients: NDArray[np.str_], draws: int = 200, seed: int = 0
) -> tuple[OperatingPoint, ...]:
    """Three thresholds (`p >= threshold` is positive).

    `balanced` makes sensitivity and specificity as equal as they can be, the median over bootstrap draws by patient,
    because the threshold of one sample hangs on one or two films. (Youden's point, the largest sum of the two, wanders
    along the flat top of a good network's curve: docs/experiments.md.) `rule_out` keeps a sensitivity of
    at least 0.95, `rule_in` a specificity of at least 0.95; where the balanced point promises that already, 0.99 is
    asked, so that there is room for doubt between the two. They are never beyond the balanced point.
    """
    values, place = np.unique(p, return_inverse=True)
    cuts = _cuts(values)

    def rates(weights: Floats) -> tuple[Floats, Floats]:
        """Sensitivity and specificity at every cut; cut k calls all but the k lowest values."""
        missed, spared = (
            np.append(0.0, np.cumsum(np.bincount(place, weights * members, values.size)))
            for members in (positive, ~positive)
        )
        return 1 - missed / max(missed[-1], 1e-12), spared / max(spared[-1], 1e-12)

    sensitivity, specificity = rates(np.ones_like(p))
    best = []
    for block in resampled_weights(p.size, patients, draws, seed):
        best += [cuts[np.argmin(np.abs(np.subtract(*rates(w))))] for w in block]
    balanced = _logistic(float(np.median(_logit(np.array(best)))))
    keeps_sensitivity = [float(cuts[sensitivity >= goal].max()) for goal in _GOALS]
    keeps_specificity = [float(cuts[specificity >= goal].min()) for goal in _GOALS]
    rule_out = next((cut for cut in keeps_sensitivity if cut < balanced), balanced)
    rule_in = next((cut for cut in keeps_specificity if cut > balanced), balanced)
    return (
        OperatingPoint("rule_out", round(rule_out, 5)),
        OperatingPoint("balanced", round(balanced, 5)),
        OperatingPoint("rule_in", round(rule_in, 5)),
    )


def _cuts(values: Floats) -> Floats:
    """Thresholds half way (in logits) between neighbouring sorted probabilities, and one beyond either end."""
    z = _logit(values)
    middle = np.concatenate([[z[0] - 1], (z[1:] + z[:-1]) / 2, [z[-1] + 1]])
    return np.asarray(1 / (1 + np.exp(-middle)), np.float64)


def _logit(p: Floats) -> Floats:
    clipped = np.clip(p, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(clipped / (1 - clipped)), np.float64)


def _logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def conformal_limits(p: Floats, positive: Bools, classes: tuple[str, str], threshold: float) -> dict[str, float]:
    """Split conformal limits for each class apart (Vovk, ACML 2012; Sadinle et al., JASA 114 (2019) 223).

    A class belongs to the set when `1 - p(class)` is at most its limit: the ceil((n + 1) 0.9)-th smallest of the
    class's own films, or 1 where there are too few of them to leave the class out. Two widenings, by which coverage
    can only grow: a film that is unlike nine in ten of either class gets both (a network that is right more often
    than 90 % would give it an empty set, which nobody could read), and the set never lacks the class decided at
    `threshold`.
    """
    negative, other = _limit(p[~positive]), _limit(1 - p[positive])
    return {
        classes[0]: max(negative, 1 - other, threshold),
        classes[1]: max(other, 1 - negative, 1 - threshold),
    }
