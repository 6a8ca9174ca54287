"""From features of slices to a stored answer for series: choice, final training, calibration, test, and the folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core import metrics
from medimg_core.catalog import Calibration, ModelCard, read_card, write_hashes
from medimg_core.inference.series_network import FILE, pool
from medimg_core.training.calibrate import conformal_limits, fit_calibration, operating_points, probabilities
from medimg_core.training.data import Progress, Record, read_manifest
from medimg_core.training.recipe import Recipe
from medimg_core.training.series.align import Projection, out_of_fold, principal, start_of
from medimg_core.training.series.choose import Compared, Floats, baselines, compare, cross_validated
from medimg_core.training.series.features import Bag, bags, crossfit, shipped
from medimg_core.training.series.fit import Rule, Trainer
from medimg_core.training.series.networks import Kind, Shape, weights_of, whole
from medimg_core.types import Interval

COMPONENTS, FOLDS, REPEATS, FOLD_NETWORKS = 6, 8, 1, 3
RULES: Mapping[Kind, Rule] = {
    "attention": Rule(Shape("attention")),
    "evidence": Rule(Shape("evidence")),
    "recurrent": Rule(Shape("recurrent", members=1), steps=100),
}
WHOLE_MM = {"lung_ct_cancer": 200.0, "brain_ct_haemorrhage": 110.0}
"""What a scan of the lungs or of the head covers at least, in adults."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Series of train and val as unseen networks see them, and how the shipped network's features are projected."""

    card: ModelCard
    series: tuple[Bag, ...]
    projection: Projection
    test: tuple[Record, ...]
    work: Path

    @property
    def start(self) -> tuple[float, float]:
        """Where the networks begin: at the calibrated answers to single slices."""
        return start_of(self.projection, self.card.populations[0].calibration)


def prepare(recipe: Recipe, folder: Path, data: Path, work: Path, progress: Progress) -> Prepared:
    """Features of all slices of train and val by the network and by fold networks.

    Args:
        folder: the model's, whose network is asked.
        work: a folder outside the tree for features and fold networks; what is there is not made again.
    """
    card = read_card(folder)
    records = [r for r in read_manifest(data / recipe.data[0].set, recipe.data[0], recipe.seed) if r.truth]
    known = tuple(r for r in records if r.split in ("train", "val"))
    seen = shipped(card, known, work / "features", progress)
    place, answers = crossfit(recipe, known, FOLD_NETWORKS, work, progress)
    projection = principal(seen, COMPONENTS)
    x = out_of_fold(place, answers, seen, projection)
    test = tuple(r for r in records if r.split == "test")
    return Prepared(card, bags(known, x, projection.logits(x)), projection, test, work)


def tried(ready: Prepared, seed: int, progress: Progress) -> tuple[Compared, ...]:
    """Every pooling in the cross-validation, the maximum first."""
    scores: dict[str, Floats] = dict(baselines(ready.series, ready.card.populations[0].calibration))
    for kind, rule in RULES.items():
        scores[kind] = cross_validated(rule, ready.series, FOLDS, REPEATS, seed, progress, ready.start)
    return compare(ready.series, scores)


def choose(found: Sequence[Compared]) -> Compared:
    """The network with the larger area; the maximum where that network is worse by the paired test."""
    networks = [one for one in found if one.name in RULES]
    best = max(networks, key=lambda one: one.test.a.value)
    worse = best.test.difference.value < 0 and best.test.p < 0.05
    return next(one for one in found if one.name == "maximum") if worse else best


def export(ready: Prepared, found: Sequence[Compared], seed: int) -> dict[str, Any]:
    """Train the chosen pooling on all series of train and val, measure it on test, write it into the model's folder.

    Returns:
        the key `series` of `evaluation.json`.
    """
    chosen, folder = choose(found), ready.card.folder
    truth = np.array([bag.positive for bag in ready.series])
    patients = np.array([bag.patient for bag in ready.series])
    calibration = fit_calibration(chosen.scores, truth, patients, seed=seed)
    p = probabilities(chosen.scores, calibration)
    threshold = operating_points(p, truth, patients, seed=seed)[1].threshold
    lengths = [len(bag.x) for bag in ready.series]
    table = {
        "kind": chosen.name,
        "threshold": threshold,
        "prevalence": round(float(truth.mean()), 4),
        "slices": [min(lengths), max(lengths)],
        "figures": "test",
        "whole_mm": WHOLE_MM.get(ready.card.name),
        "conformal": conformal_limits(p, truth, _sides(ready.card), threshold),
        "calibration": calibration,
    }
    for old in (FILE, "series.keras"):
        (folder / old).unlink(missing_ok=True)
    if chosen.name != "maximum":
        rule = next(own for kind, own in RULES.items() if kind == chosen.name)
        trained = Trainer(rule, ready.series[0].x.shape[1], ready.start).fit(ready.series, seed)
        model = whole(rule.shape, ready.projection.kernel, ready.projection.bias, trained)
        model.save(folder / "series.keras")
        arrays: dict[str, Any] = dict(weights_of(model, rule.shape))
        np.savez(folder / FILE, **arrays)
    write_card(folder / "card.toml", table)
    block = {
        "cross_validation": _cross_validation(found, ready.series),
        "test": _test(ready, chosen.name, calibration, threshold),
    }
    path = folder / "evaluation.json"
    content = json.loads(path.read_text(encoding="utf-8")) | {"series": block}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_hashes(folder)
    return block


def _cross_validation(found: Sequence[Compared], series: Sequence[Bag]) -> dict[str, Any]:
    return {
        "n": len(series),
        "positives": sum(bag.positive for bag in series),
        "folds": FOLDS,
        "repeats": REPEATS,
        "fold_networks": FOLD_NETWORKS,
        "poolings": {
            one.name: {
                "auroc": _interval(one.test.a),
                "difference": _interval(one.test.difference) | {"p": round(one.test.p, 4)},
            }
            for one in found
        },
    }


def _test(ready: Prepared, kind: str, calibration: Calibration, threshold: float) -> dict[str, Any]:
    """The chosen pooling on test series as the app would answer them, beside the maximum."""
    seen = shipped(ready.card, ready.test, ready.work / "test", lambda what, share: None)
    series = bags(ready.test, seen.joined, seen.logits)
    weights = {}
    if kind != "maximum":
        with np.load(ready.card.folder / FILE) as stored:
            weights = dict(stored)
    plain = baselines(series, ready.card.populations[0].calibration)
    most = max(len(bag.x) for bag in ready.series)
    scores = np.array([pool(bag.x, weights, most).logit for bag in series]) if weights else plain["maximum"]
    truth = np.array([bag.positive for bag in series])
    p = probabilities(scores, calibration)
    compared = compare(series, plain | {"chosen": scores})
    called = p >= threshold
    sides = _sides(ready.card)
    last = compared[-1]
    return {
        "title": "Series of the test patients",
        "data_set": ready.test[0].set,
        "split": "test",
        "n": len(series),
        "positives": int(truth.sum()),
        "slices": [min(len(bag.x) for bag in series), max(len(bag.x) for bag in series)],
        "metrics": {
            "auroc": _interval(last.test.a),
            "accuracy": _interval(metrics.proportion(called == truth)),
            "sensitivity": _interval(metrics.proportion(called[truth])),
            "specificity": _interval(metrics.proportion(~called[~truth])),
            "brier": _interval(metrics.mean_interval((p - truth) ** 2, share=True)),
        },
        "maximum": _interval(last.test.b),
        "difference": _interval(last.test.difference) | {"p": round(last.test.p, 4)},
        "poolings": {one.name: _interval(one.test.a) for one in compared[:-1]},
        "predictions": {
            "patient": [bag.patient for bag in series],
            "label": truth.astype(int).tolist(),
            "slices": [len(bag.x) for bag in series],
            "logit": np.round(scores, 5).tolist(),
            "probability": np.round(p, 5).tolist(),
            "maximum": np.round(plain["maximum"], 5).tolist(),
            "decision": [sides[int(own)] for own in called],
        },
    }


def _sides(card: ModelCard) -> tuple[str, str]:
    """The class that is not the positive one, and the positive one."""
    return card.class_ids[1 - card.positive], card.class_ids[card.positive]


def _interval(own: Interval) -> dict[str, Any]:
    return {side: round(float(getattr(own, side)), 5) for side in ("value", "low", "high")} | {"n": own.n}


def write_card(path: Path, table: Mapping[str, Any]) -> None:
    """Put the table `[series]` at the end of a card, in place of one that is there."""
    text = re.sub(r"\n\[series\]\n.*?(?=\n\[(?!series)|\Z)", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = ["", "[series]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in table.items() if isinstance(value, (str, float, list))]
    lines += ["", "[series.conformal]"]
    lines += [f"{name} = {limit:.6f}" for name, limit in table["conformal"].items()]
    fit_: Calibration = table["calibration"]
    lines += ["", "[series.calibration]", f"temperature = {fit_.temperature}", f"shift = {fit_.shift}"]
    lines += [f"draws = {json.dumps([list(pair) for pair in fit_.draws])}", ""]
    path.write_text(text.rstrip("\n") + "\n" + "\n".join(lines), encoding="utf-8")
