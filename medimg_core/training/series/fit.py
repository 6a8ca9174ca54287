"""Training of a pooling network on a few dozen series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core.training.series.features import Bag
from medimg_core.training.series.networks import Shape, core
from medimg_core.types import FloatArray

_SLICES = 32
"""Of one series in a step; longer ones are thinned out."""

_BATCH = 32
"""Series of a step."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How a pooling network is trained.

    Attributes:
        keep: smallest share of slices that a step leaves in a series.
        jitter: deviation of the noise on each projected feature, and of a shift of the logits of a whole series.
        made: share of series without a finding that get a run of positive slices of another one, and of series with
            one that lose all their positive slices; only where the truth is known slice by slice.
    """

    shape: Shape
    steps: int = 150
    rate: float = 3e-3
    decay: float = 0.05
    smoothing: float = 0.05
    keep: float = 0.5
    jitter: float = 0.3
    made: float = 0.0


class Trainer:
    """A compiled network that is trained again and again from new starts, so that it is traced once.

    Args:
        width: of the projected slices.
        start: see `networks.core`.
    """

    def __init__(self, rule: Rule, width: int, start: tuple[float, float] = (1.0, 0.0)) -> None:
        import keras

        self.rule, self.model = rule, core(rule.shape, width)
        self._start = start
        self._width = width
        rate = keras.optimizers.schedules.CosineDecay(rule.rate, rule.steps, alpha=0.02)
        loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=rule.smoothing)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=rule.decay)
        self.model.compile(optimizer, loss=[loss, None], jit_compile=False)

    def fit(self, series: Sequence[Bag], seed: int) -> Any:
        """The network (see `networks.core`), trained anew; the same object every time."""
        import keras

        keras.utils.set_random_seed(seed)
        self.model.set_weights(core(self.rule.shape, self._width, self._start).get_weights())
        for variable in self.model.optimizer.variables:
            variable.assign(np.zeros(variable.shape, variable.dtype))
        rng = np.random.default_rng(seed)
        nothing = np.zeros((_BATCH, 1), np.float32)
        for _ in range(self.rule.steps):
            x, mask, positive = _drawn(self.rule, _mixed(series, rng), rng)
            wanted = np.repeat(positive[:, None], self.rule.shape.members, axis=1)
            self.model.train_on_batch([x, mask], [wanted, nothing])
        return self.model


def _mixed(series: Sequence[Bag], rng: np.random.Generator) -> list[Bag]:
    """A batch of series, as many positive as not."""
    sides = [[bag for bag in series if bag.positive is side] for side in (True, False)]
    return [sides[i % 2][rng.integers(len(sides[i % 2]))] for i in range(_BATCH)]


def ask(model: Any, series: Sequence[Bag]) -> NDArray[np.float64]:
    """Mean logit of the members for each series, float64 `[N]`; a recurrent network is asked from either end."""
    most = max(len(bag.x) for bag in series)
    x = np.zeros((2, len(series), most, series[0].x.shape[1]), np.float32)
    mask = np.zeros((len(series), most), np.float32)
    for i, bag in enumerate(series):
        x[0, i, : len(bag.x)], x[1, i, : len(bag.x)], mask[i, : len(bag.x)] = bag.x, bag.x[::-1], 1
    both = [np.asarray(model.predict_on_batch([side, mask])[0], np.float64).mean(axis=1) for side in x]
    return np.asarray((both[0] + both[1]) / 2)


def _drawn(rule: Rule, series: Sequence[Bag], rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """One step: slices `[N, S, P]`, mask `[N, S]` and truth `[N]`, changed at random."""
    x = np.zeros((len(series), _SLICES, series[0].x.shape[1]), np.float32)
    mask, truth = np.zeros(x.shape[:2], np.float32), np.zeros(len(series), np.float32)
    giving = [bag for bag in series if bag.positive and not bag.slices.all()]
    for i, bag in enumerate(series):
        slices, positive = bag.x, bag.slices
        if giving and rng.random() < rule.made:
            slices, positive = _made(bag, giving[rng.integers(len(giving))], rng)
        kept = _kept(positive, rule.keep, rng)
        own = slices[kept][:: 1 if rng.random() < 0.5 else -1]
        own = own + np.asarray(rng.normal(0, rule.jitter, own.shape), np.float32)
        own[:, -1] += rng.normal(0, rule.jitter)
        x[i, : len(own)], mask[i, : len(own)], truth[i] = own, 1, positive[kept].any()
    return x, mask, truth


def _made(bag: Bag, other: Bag, rng: np.random.Generator) -> tuple[FloatArray, NDArray[np.bool_]]:
    """A series without its positive slices, or one without any that gets a run of another's at a place of its own."""
    if bag.positive:
        rest = ~bag.slices
        return (bag.x[rest], bag.slices[rest]) if rest.sum() >= 3 else (bag.x, bag.slices)
    found = np.flatnonzero(other.slices)
    run = found[rng.integers(len(found)) :][: rng.integers(1, 5)]
    at = rng.integers(len(bag.x))
    slices = np.concatenate([bag.x[:at], other.x[run], bag.x[at + len(run) :]])
    positive = np.concatenate([bag.slices[:at], other.slices[run], bag.slices[at + len(run) :]])
    return slices, positive


def _kept(positive: NDArray[np.bool_], keep: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """Which slices stay, in order: a random share, never all positive ones gone, `_SLICES` at most."""
    n = len(positive)
    wanted = min(_SLICES, max(min(3, n), round(n * rng.uniform(keep, 1))))
    kept = rng.permutation(n)[:wanted]
    if positive.any() and not positive[kept].any():
        kept[0] = rng.choice(np.flatnonzero(positive))
    return np.sort(np.unique(kept))
