"""From logits to probabilities, operating points and prediction sets; everything here is fitted on `val`.

`p = sigmoid(logit / temperature + shift)`: temperature scaling (Guo et al., ICML 2017) with the shift that Platt (1999)
adds, so that two populations can share one network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import Calibration
from medimg_core.metrics.intervals import resampled_weights
from medimg_core.types import OperatingPoint

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

COVERAGE = 0.9
"""Share of films of each class whose prediction set is to hold that class."""

_GOALS = (0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What val says about one population: calibration, thresholds, conformal limits, share of positives, n."""

    calibration: Calibration
    operating_points: tuple[OperatingPoint, ...]
    conformal: Mapping[str, float]
    prevalence: float
    n: int


def fit_population(
    logits: Floats, positive: Bools, patients: NDArray[np.str_], classes: tuple[str, str], seed: int = 0
) -> Fitted:
    """Calibrate one population on its val films.

    Args:
        logits: `[n]` of the positive class.
        positive: `[n]`.
        patients: `[n]`, who is drawn as a whole in the bootstrap.
        classes: identifiers of the negative and the positive class.

    Raises:
        ValueError: one of the classes is missing.
    """
    if positive.all() or not positive.any():
        raise ValueError("calibration needs films of both classes")
    calibration = fit_calibration(logits, positive, patients, seed=seed)
    p = probabilities(logits, calibration)
    points = operating_points(p, positive, patients, seed=seed)
    limits = conformal_limits(p, positive, classes, points[1].threshold)
    return Fitted(calibration, points, limits, float(positive.mean()), positive.size)


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
    quantiles = []
    for own, members in ((p, ~positive), (1 - p, positive)):
        scores = np.sort(own[members])
        rank = math.ceil((scores.size + 1) * COVERAGE)
        quantiles.append(float(scores[rank - 1]) if rank <= scores.size else 1.0)
    limits = {
        classes[0]: max(quantiles[0], 1 - quantiles[1], threshold),
        classes[1]: max(quantiles[1], 1 - quantiles[0], 1 - threshold),
    }
    return limits
