"""What a slice classifier sees in every slice, and slices grouped to series.

A network that was trained on a patient is more certain about that patient than it ever is about a new one. So the
training patients' features come from fold networks that never saw them (`crossfit`, stacking: Wolpert, Neural Networks
5 (1992) 241); the shipped network's own features stand beside them, to carry over its coordinates (`align`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard
from medimg_core.imaging import prepare
from medimg_core.inference import runtime_for
from medimg_core.training.data import Films, Progress, Record, load_films, read_image
from medimg_core.training.folds import assign
from medimg_core.training.loop import fit, to_input
from medimg_core.training.recipe import Recipe
from medimg_core.types import FloatArray, MaskArray

_BATCH = 32


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Pooled features float32 `[N, F]` and the main logit float32 `[N]` of N slices, in the order of their records."""

    pooled: FloatArray
    logits: FloatArray

    @property
    def joined(self) -> FloatArray:
        """What the pooling networks take: features and, last, the logit, float32 `[N, F + 1]`."""
        return np.concatenate([self.pooled, self.logits[:, None]], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Bag:
    """One series: all slices of a patient (or block of patients) in order.

    Attributes:
        x: every slice, projected (`align.Projection`), float32 `[S, P]`.
        logits: the slice classifier's own, on the scale of the shipped one, float32 `[S]`.
        slices: which slices are labelled positive, bool `[S]`; the series is positive where any is.
    """

    patient: str
    split: str
    x: FloatArray
    logits: FloatArray
    slices: MaskArray

    @property
    def positive(self) -> bool:
        """Whether any slice is."""
        return bool(self.slices.any())


def bags(records: Sequence[Record], x: FloatArray, logits: FloatArray) -> tuple[Bag, ...]:
    """Slices as series, by patient; in the order of the column `slice`, else of the manifest.

    Args:
        x, logits: `[N, P]` and `[N]` in the order of the records.
    """
    members: dict[str, list[int]] = {}
    for i, record in enumerate(records):
        members.setdefault(record.patient, []).append(i)
    found = []
    for patient, index in members.items():
        order = sorted(index, key=lambda i: float(records[i].value("slice") or 0))
        positive = np.array([records[i].positive for i in order], np.bool_)
        found.append(Bag(patient, records[order[0]].split, x[order], logits[order], positive))
    return tuple(found)


def shipped(card: ModelCard, records: Sequence[Record], cache: Path, progress: Progress) -> Features:
    """Every slice as the app asks the shipped network about it; kept in `cache`, a folder outside the tree.

    Raises:
        ModelUnavailable: the network is missing or changed.
    """
    path = cache / f"{card.name}.{card.ref.hash}.npz"
    names = np.array([record.id for record in records])
    if path.is_file():
        with np.load(path) as stored:
            if np.array_equal(stored["ids"], names):
                return Features(stored["pooled"], stored["logits"])
    runtime = runtime_for(card, "litert")
    pooled, logits = [], []
    for done, record in enumerate(records, start=1):
        forward = runtime.predict(prepare(read_image(record.file), card.input)[0])
        pooled.append(forward.features.mean(axis=(0, 1)))
        logits.append(forward.logits[0])
        if done % 100 == 0:
            progress("Asking the slice model", done / len(records))
    found = Features(np.array(pooled, np.float32), np.array(logits, np.float32))
    cache.mkdir(parents=True, exist_ok=True)
    np.savez(path, ids=names, pooled=found.pooled, logits=found.logits)
    return found


def crossfit(
    recipe: Recipe, records: Sequence[Record], folds: int, work: Path, progress: Progress
) -> tuple[list[int], tuple[Features, ...]]:
    """Train the slice classifier's recipe `folds` times, each without the patients of one fold.

    Args:
        records: slices of train and val; test never enters.
        work: folder of the fold networks' answers; a fold that is there is not trained again.

    Returns:
        the fold of every slice, and for each fold network what it sees in all slices.
    """
    place = assign(records, folds, recipe.seed)
    films = load_films(records, recipe.input, progress, work / "cache", not recipe.colour)
    return place, tuple(_fold(recipe, films, place, k, work, progress) for k in range(folds))


def _fold(recipe: Recipe, films: Films, place: Sequence[int], fold: int, work: Path, progress: Progress) -> Features:
    import keras

    path = work / f"fold{fold}.npz"
    if path.is_file():
        with np.load(path) as stored:
            return Features(stored["pooled"], stored["logits"])
    seen = _some(films, [i for i, own in enumerate(place) if own != fold])
    left = _some(films, [i for i, own in enumerate(place) if own == fold])
    trained = fit(replace(recipe, folds=0), [seen], left, work / f"fold{fold}", progress)
    model = trained.built.model
    maps = model.get_layer(trained.built.cam_layer).output
    both = keras.Model(model.input, [keras.ops.mean(maps, axis=(1, 2)), model.output])
    answers = [
        both.predict_on_batch(to_input(films.grids[start : start + _BATCH], recipe.input))
        for start in range(0, len(films), _BATCH)
    ]
    pooled = np.concatenate([np.asarray(answer[0], np.float32) for answer in answers])
    logits = np.concatenate([np.asarray(answer[1], np.float32)[:, 0] for answer in answers])
    np.savez(path, pooled=pooled, logits=logits)
    return Features(pooled, logits)


def _some(films: Films, index: Sequence[int]) -> Films:
    chosen: NDArray[np.intp] = np.array(index, np.intp)
    return Films(tuple(films.records[i] for i in index), films.grids[chosen], films.masks[chosen], films.masked[chosen])
