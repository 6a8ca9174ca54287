"""Augmented batches of films and structures.

Imports Keras at the top: only `loop` imports this module, and only when a training starts.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from medimg_core.imaging import normalise
from medimg_core.training.outlines.augment import augment_outline
from medimg_core.training.outlines.data import OutlineFilms
from medimg_core.training.outlines.recipe import OutlineRecipe
from medimg_core.types import FloatArray

_ALONE = 0.25
"""How often a slice is shown without its neighbours, as a single picture is in the app: each stands for itself."""


class OutlineBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """One epoch after another, each drawn anew from `(seed, epoch)`.

    A batch is `(x, y)`: x float32 `[B, H, W, C]`; y a dict of `places` float32 `[B, H / 2, W / 2, K]` in [0, 1],
    `known` `[B, K]`, `answer` `[B]` and `answered` `[B]` (0 where the truth of the answer is not known).
    """

    def __init__(self, films: OutlineFilms, recipe: OutlineRecipe, first_epoch: int = 0) -> None:
        super().__init__()
        self._films, self._recipe, self._epoch = films, recipe, first_epoch
        full = np.array([record.mask is not None for record in films.records])
        weights = np.where(full, 1.0, recipe.data.empty)
        self._weights = weights / weights.sum()
        self._draw()

    def _draw(self) -> None:
        rng = np.random.default_rng((self._recipe.seed, self._epoch))
        count = self._recipe.data.draws or len(self._films)
        whole, rest = divmod(count, len(self._films))
        # Every film in turn where more are drawn than there are; the rest by chance.
        order = [rng.permutation(len(self._films)) for _ in range(whole)] if self._recipe.data.empty == 1 else []
        drawn = count if not order else rest
        order.append(rng.choice(len(self._films), drawn, p=self._weights))
        self._order = rng.permutation(np.concatenate(order))

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
        truth = [self._films.records[i].truth for i in chosen]
        return np.stack([x for x, _ in drawn]), {
            "places": np.stack([places for _, places in drawn]),
            "known": self._films.known[chosen].astype(np.float32),
            "answer": np.array([value or 0 for value in truth], np.float32),
            "answered": np.array([value is not None for value in truth], np.float32),
        }

    def _film(self, i: int, place: int) -> tuple[FloatArray, FloatArray]:
        rng = np.random.default_rng((self._recipe.seed, self._epoch, place))
        grid, places = self._films.grids[i], self._films.places[i]
        if self._recipe.context:
            before, after = (i, i) if rng.random() < _ALONE else self._films.beside[i]
            grid = np.concatenate([self._films.grids[before], grid, self._films.grids[after]], axis=-1)
        if self._recipe.crop:
            grid, places = _square(grid, places, self._recipe.crop, self._recipe.data.around, rng)
        scaled = grid.astype(np.float32) / np.float32(255), places.astype(np.float32) / np.float32(255)
        x, moved = augment_outline(*scaled, self._recipe.augment, rng)
        height, width, kinds = moved.shape
        halves = moved.reshape(height // 2, 2, width // 2, 2, kinds).mean(axis=(1, 3))
        return to_input(x, self._recipe), np.asarray(halves, np.float32)


def to_input(grid: FloatArray, recipe: OutlineRecipe) -> FloatArray:
    """Display values `[..., H, W, C]` as the network takes them, each slice normalised by itself."""
    own = 3 if recipe.colour else 1
    parts = [normalise(grid[..., k : k + own], recipe.input) for k in range(0, grid.shape[-1], own)]
    if own < recipe.input.channels:
        parts = [np.repeat(part, recipe.input.channels, axis=-1) for part in parts]
    return np.concatenate(parts, axis=-1)


def _square(
    grid: NDArray[np.uint8], places: NDArray[np.uint8], side: int, around: float, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A square at chance; `around` of them with a structure near its middle, so that small ones are seen."""
    height, width = grid.shape[:2]
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    kinds = [k for k in range(places.shape[-1]) if places[..., k].any()]
    if kinds and rng.random() < around:
        rows, columns = np.nonzero(places[..., kinds[int(rng.integers(len(kinds)))]])
        pick = int(rng.integers(len(rows)))
        jitter = rng.integers(-side // 4, side // 4 + 1, 2)
        top = int(np.clip(rows[pick] - side // 2 + jitter[0], 0, height - side))
        left = int(np.clip(columns[pick] - side // 2 + jitter[1], 0, width - side))
    return grid[top : top + side, left : left + side], places[top : top + side, left : left + side]
