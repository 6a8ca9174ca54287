"""Augmented batches of films and boxes. Imports Keras at the top: only `loop` imports it, when a training starts."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from medimg_core.imaging import normalise
from medimg_core.training.boxes.augment import augment_boxes, clipped, window
from medimg_core.training.boxes.data import BoxFilms
from medimg_core.training.boxes.recipe import BoxRecipe
from medimg_core.training.boxes.targets import Targets, targets_of
from medimg_core.types import FloatArray, InputSpec

_AROUND = 0.8
"""Share of the squares of a positive film that show a box; the others lie anywhere."""


class BoxBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """One epoch after another, each drawn anew from `(seed, epoch)`; films with boxes take turns, so do the others.

    A batch is `(x, y)`: x float32 `[B, H, W, C]`; y a dict of the arrays of `Targets`, each `[B, h, w, ...]`.
    """

    def __init__(self, films: BoxFilms, recipe: BoxRecipe, stride: int, first_epoch: int = 0) -> None:
        super().__init__()
        self._films, self._recipe, self._stride, self._epoch = films, recipe, stride, first_epoch
        self._draw()

    def _draw(self) -> None:
        rng = np.random.default_rng((self._recipe.seed, self._epoch))
        count = self._recipe.data.draws or len(self._films)
        positive = self._films.positive
        wanted = round(count * self._recipe.data.positive_share)
        order = np.concatenate(
            [_in_turn(np.flatnonzero(positive), wanted, rng), _in_turn(np.flatnonzero(~positive), count - wanted, rng)]
        )
        self._order = rng.permutation(order)

    def __len__(self) -> int:
        return max(1, len(self._order) // self._recipe.schedule.batch)

    def on_epoch_end(self) -> None:
        """Draw the next epoch."""
        self._epoch += 1
        self._draw()

    def __getitem__(self, number: int) -> tuple[FloatArray, dict[str, NDArray[Any]]]:
        size = self._recipe.schedule.batch
        chosen = self._order[number * size : (number + 1) * size]
        drawn = [self._film(int(i), number * size + k) for k, i in enumerate(chosen)]
        names = ("heat", "counted", "sides", "weight")
        return np.stack([x for x, _ in drawn]), {name: np.stack([getattr(t, name) for _, t in drawn]) for name in names}

    def _film(self, i: int, place: int) -> tuple[FloatArray, Targets]:
        rng = np.random.default_rng((self._recipe.seed, self._epoch, place))
        rule = self._recipe.data
        grid = self._films.grids[i].astype(np.float32) / np.float32(255)
        x, boxes = augment_boxes(grid, self._films.boxes[i], self._recipe.augment, rng, rule.turned)
        if rule.transposed and rng.random() < rule.transposed:
            x, boxes = x.transpose(1, 0, 2), boxes[:, [1, 0, 3, 2]]
        # The grey statistics are those of the whole film, as when it is asked for an answer.
        x = to_input(x, self._recipe.input)
        if rule.crop:
            seen = clipped(boxes, (x.shape[0], x.shape[1]))[0]
            shown = seen if rng.random() < _AROUND else seen[:0]
            top, left = window((x.shape[0], x.shape[1]), shown, rule.crop, rng)
            x = x[top : top + rule.crop, left : left + rule.crop]
            boxes = np.asarray(boxes - (left, top, left, top), np.float32)
        whole, cut = clipped(boxes, (x.shape[0], x.shape[1]))
        cells = (x.shape[0] // self._stride, x.shape[1] // self._stride)
        return x, targets_of(whole, cells, self._stride, self._recipe.loss.reach, cut)


def _in_turn(films: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """`count` of the films, none once more than another."""
    if not len(films):
        return films
    turns = [rng.permutation(films) for _ in range(-(-count // len(films)))]
    return np.concatenate([films[:0], *turns])[:count]


def to_input(grid: FloatArray, spec: InputSpec) -> FloatArray:
    """Display values `[..., H, W, 1]` as the network takes them, `[..., H, W, C]`."""
    x = normalise(grid, spec)
    return x if x.shape[-1] == spec.channels else np.repeat(x, spec.channels, axis=-1)
