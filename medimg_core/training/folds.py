"""Cross-validation by patient, for sets whose test split is too small to say anything by itself.

Every film is answered once, by a network that never saw its patient. The figure speaks of the recipe, not of the one
network that ships.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.metrics import auroc
from medimg_core.training.data import Films, Progress, Record
from medimg_core.training.loop import fit, logits
from medimg_core.training.recipe import Recipe


def assign(records: Sequence[Record], folds: int, seed: int) -> list[int]:
    """The fold of every film: whole patients, those with a positive film spread evenly."""
    positive: dict[str, bool] = {}
    for record in records:
        positive[record.patient] = positive.get(record.patient, False) or record.positive
    rng = np.random.default_rng(seed)
    place: dict[str, int] = {}
    for side in (True, False):
        patients = sorted(patient for patient, found in positive.items() if found is side)
        for number, k in enumerate(rng.permutation(len(patients))):
            place[patients[k]] = (number + (0 if side else folds // 2)) % folds
    return [place[record.patient] for record in records]


def cross_validate(recipe: Recipe, films: Films, work: Path, progress: Progress) -> dict[str, Any]:
    """Train the recipe `recipe.folds` times and pool the answers to the films that were left out.

    Args:
        films: all films with a truth, whatever their split.
        work: a folder a fold is made below it; a fold that was finished is not trained again.

    Returns:
        The block `folds` of `evaluation.json`: AUROC over all films (by patient) and of each fold.
    """
    place = np.array(assign(films.records, recipe.folds, recipe.seed))
    scores = np.zeros(len(films))
    for fold in range(recipe.folds):
        seen = np.flatnonzero(place != fold)
        trained = fit(
            replace(recipe, folds=0), [_some(films, seen)], _some(films, seen), work / f"fold{fold}", progress
        )
        out = np.flatnonzero(place == fold)
        scores[out] = logits(trained.built.model, films.grids[out], recipe.input)[:, 0]
    y = np.array([record.positive for record in films.records])
    patients = np.array([record.patient for record in films.records])
    # Logits of different networks do not share a scale: each fold is ranked by itself before they are pooled.
    ranked = np.zeros(len(films))
    for fold in range(recipe.folds):
        inside = place == fold
        ranked[inside] = (scores[inside].argsort().argsort() + 0.5) / inside.sum()
    pooled = auroc(y, ranked, patients)
    return {
        "n": len(films),
        "positives": int(y.sum()),
        "patients": len(set(patients)),
        "folds": recipe.folds,
        "auroc": {side: round(getattr(pooled, side), 5) for side in ("value", "low", "high")},
        "each": [round(auroc(y[place == fold], scores[place == fold]).value, 5) for fold in range(recipe.folds)],
    }


def _some(films: Films, index: Any) -> Films:
    records = tuple(films.records[i] for i in index)
    return Films(records, films.grids[index], films.masks[index], films.masked[index])
