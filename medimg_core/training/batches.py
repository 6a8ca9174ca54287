"""Augmented training batches as a `keras.utils.PyDataset`: the same on every Keras backend.

Imports Keras at the top: only `loop` imports this module, and only when a training starts.
"""

from __future__ import annotations

from typing import Any

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from medimg_core.imaging import normalise
from medimg_core.training.augment import augment
from medimg_core.training.data import Films, draw_weights
from medimg_core.training.recipe import Recipe
from medimg_core.types import FloatArray

Batch = tuple[FloatArray, dict[str, NDArray[Any]]]


def encode(targets: list[float], recipe: Recipe) -> FloatArray:
    """What the logits are held against, smoothed: float32 `[B, K]`.

    The target itself for a yes/no question, one-hot for kinds, and for grades one column a step: 1 from the first step
    up to the grade (Frank & Hall, ECML 2001).
    """
    value, smoothing = np.array(targets, np.float32)[:, None], recipe.loss.smoothing
    if recipe.form == "one_of":
        hot = value == np.arange(recipe.classes)
        return np.asarray(hot * (1 - smoothing) + smoothing / recipe.classes, np.float32)
    if recipe.form == "grade":
        value = (value > np.arange(recipe.classes - 1)).astype(np.float32)
    return np.asarray(value * (1 - smoothing) + smoothing / 2, np.float32)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """One epoch after another, each drawn anew from `(seed, epoch)`.

    A batch is `(x, y)`: x float32 `[B, H, W, C]`; y a dict of `target` `[B, K]`, `weight` `[B]`, `mask` `[B, h, w]`
    and `masked` `[B]` (whether the evidence term counts for the film).
    """

    def __init__(self, parts: list[Films], recipe: Recipe, map_size: tuple[int, int], first_epoch: int = 0) -> None:
        super().__init__()
        self._parts, self._recipe, self._map_size = parts, recipe, map_size
        self._weights = [draw_weights(p.records, rule) for p, rule in zip(parts, recipe.data, strict=True)]
        self._epoch = first_epoch
        self._order: list[tuple[int, int]] = []
        self._draw()

    def _draw(self) -> None:
        rng = np.random.default_rng((self._recipe.seed, self._epoch))
        order: list[tuple[int, int]] = []
        for part, (films, rule, p) in enumerate(zip(self._parts, self._recipe.data, self._weights, strict=True)):
            draws = rule.draws or len(films)
            order += [(part, int(i)) for i in rng.choice(len(films), draws, p=p)]
        self._order = [order[k] for k in rng.permutation(len(order))]

    def __len__(self) -> int:
        return max(1, len(self._order) // self._recipe.schedule.batch)

    def on_epoch_end(self) -> None:
        """Draw the next epoch."""
        self._epoch += 1
        self._draw()

    def __getitem__(self, number: int) -> Batch:
        size = self._recipe.schedule.batch
        chosen = self._order[number * size : (number + 1) * size]
        drawn = [self._film(part, i, number * size + k) for k, (part, i) in enumerate(chosen)]
        records = [self._parts[part].records[i] for part, i in chosen]
        y = {
            "target": encode([r.target or 0.0 for r in records], self._recipe),
            "weight": np.array([r.weight for r in records], np.float32),
            "mask": np.stack([mask for _, mask in drawn]),
            "masked": np.array([self._counts(part, i) for part, i in chosen], np.float32),
        }
        return self._mix(np.stack([x for x, _ in drawn]), y, number)

    def _mix(self, x: FloatArray, y: dict[str, NDArray[Any]], number: int) -> Batch:
        """Blend a share of the films with their neighbour in the batch, which comes from the same draw."""
        rng = np.random.default_rng((self._recipe.seed, self._epoch, number, 1))
        chosen = rng.random(len(x)) < self._recipe.augment.mix
        own = np.where(chosen, rng.beta(0.4, 0.4, len(x)), 1.0).astype(np.float32)
        y["masked"] = y["masked"] * ~chosen
        for name in ("target", "weight"):
            share = own.reshape(-1, *[1] * (y[name].ndim - 1))
            y[name] = share * y[name] + (1 - share) * np.roll(y[name], 1, axis=0)
        share = own[:, None, None, None]
        return share * x + (1 - share) * np.roll(x, 1, axis=0), y

    def _counts(self, part: int, i: int) -> bool:
        """Boxes say where a positive film's evidence lies; they say nothing about a negative one."""
        films = self._parts[part]
        record = films.records[i]
        where_it_lies = record.positive or record.mask is not None
        return bool(films.masked[i]) and record.truth and where_it_lies

    def _film(self, part: int, i: int, place: int) -> tuple[FloatArray, FloatArray]:
        films, spec = self._parts[part], self._recipe.input
        rng = np.random.default_rng((self._recipe.seed, self._epoch, place))
        grid = films.grids[i].astype(np.float32) / np.float32(255)
        x, mask = augment(grid, films.masks[i].astype(np.bool_), self._recipe.augment, rng)
        x = normalise(x, spec)
        if x.shape[-1] < spec.channels:
            x = np.repeat(x, spec.channels, axis=-1)
        assert mask is not None
        cells = cv2.resize(mask.astype(np.float32), self._map_size[::-1], interpolation=cv2.INTER_AREA)
        return x, np.asarray(cells, np.float32)
