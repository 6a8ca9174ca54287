"""Which pooling is best: cross-validation by patient over train and val, against poolings without a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import Calibration
from medimg_core.metrics.roc import PairedTest, delong_test
from medimg_core.training.data import Progress
from medimg_core.training.series.features import Bag
from medimg_core.training.series.fit import Rule, Trainer, ask
from medimg_core.types import FloatArray

Floats = NDArray[np.float64]

TOP = 3


def noisy_or(logits: FloatArray, calibration: Calibration) -> float:
    """Logit of `1 - prod(1 - p_k)` of calibrated slice probabilities (Pearl, 1988, section 4.3.2)."""
    z = logits.astype(np.float64) / calibration.temperature + calibration.shift
    none = -np.logaddexp(0, z).sum()
    return float(np.log(-np.expm1(none)) - none)


def baselines(series: Sequence[Bag], calibration: Calibration) -> dict[str, Floats]:
    """Scores `[N]` of poolings that learn nothing from series, by name.

    Args:
        calibration: of the slice classifier, for the noisy-or.
    """
    rules: Mapping[str, Callable[[FloatArray], float]] = {
        "maximum": lambda z: float(z.max()),
        "top3": lambda z: float(np.sort(z)[-TOP:].mean()),
        "mean": lambda z: float(z.mean()),
        "noisy_or": lambda z: noisy_or(z, calibration),
    }
    return {name: np.array([rule(bag.logits) for bag in series]) for name, rule in rules.items()}


def split(series: Sequence[Bag], folds: int, seed: int) -> NDArray[np.intp]:
    """The fold of every series; positive ones are spread evenly."""
    rng = np.random.default_rng(seed)
    place = np.zeros(len(series), np.intp)
    for side in (True, False):
        index = [i for i, bag in enumerate(series) if bag.positive is side]
        place[rng.permutation(index)] = (np.arange(len(index)) + (0 if side else folds // 2)) % folds
    return place


def cross_validated(
    rule: Rule,
    series: Sequence[Bag],
    folds: int,
    repeats: int,
    seed: int,
    progress: Progress,
    start: tuple[float, float] = (1.0, 0.0),
) -> Floats:
    """Logit of every series by networks that were not trained on it, float64 `[N]`, mean over the repeats.

    Every repeat divides the series anew.
    """
    said, trainer = np.zeros((repeats, len(series))), Trainer(rule, series[0].x.shape[1], start)
    for repeat in range(repeats):
        place = split(series, folds, seed + repeat)
        for fold in range(folds):
            seen = [bag for bag, own in zip(series, place, strict=True) if own != fold]
            model = trainer.fit(seen, seed + 100 * repeat)
            out = np.flatnonzero(place == fold)
            said[repeat, out] = ask(model, [bag for bag, own in zip(series, place, strict=True) if own == fold])
            progress(f"Cross-validation of {rule.shape.kind}", (repeat * folds + fold + 1) / (repeats * folds))
    return np.asarray(said.mean(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A pooling against the maximum over slices on the same series (DeLong)."""

    name: str
    scores: Floats
    test: PairedTest


def compare(series: Sequence[Bag], scores: Mapping[str, Floats]) -> tuple[Compared, ...]:
    """Every pooling against the one named `maximum`, which comes first with itself."""
    truth = np.array([bag.positive for bag in series])
    return tuple(Compared(name, own, delong_test(truth, own, scores["maximum"])) for name, own in scores.items())
