"""One call from a recipe and a folder of data to the files of a detector."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.catalog import models_folder
from medimg_core.errors import BadTable
from medimg_core.inference.boxes import BoxRule
from medimg_core.training.boxes import measure
from medimg_core.training.boxes.answers import Probability, ask, calibrated, classifier, found
from medimg_core.training.boxes.data import BoxRecord, load_boxes, read_boxes, split_of
from medimg_core.training.boxes.export import export_boxes
from medimg_core.training.boxes.loop import TrainedBoxes, fit_boxes
from medimg_core.training.boxes.recipe import BoxRecipe, read_box_recipe
from medimg_core.training.data import Progress


def train_boxes(recipe: Path, data: Path, out: Path, work: Path, progress: Progress) -> dict[str, Any]:
    """Train, export, choose and calibrate on val, measure on test.

    Args:
        recipe: a file of `recipes/`.
        data: holds the set that the recipe names.
        out: gets `boxes.keras`, `boxes.tflite`, `boxes.json` and `boxes_golden.npz`; created when it does not exist.
        work: checkpoints, logs and cached films; a training that was cut short goes on from there.
        progress: told what is being done and the share done; may raise `Cancelled`.

    Returns:
        The content of `boxes.json`.

    Raises:
        BadRequest, BadTable, ModelUnavailable: recipe, data or weights cannot be used; each says what to do.
    """
    read = read_box_recipe(recipe)
    records = read_boxes(data, read)
    for name in ("train", "val", "test"):
        if not any(r.boxes for r in split_of(records, name)):
            raise BadTable(f"No film of the split {name} has a box labelled {read.data.label}.", "Correct boxes.")
    train, val = (load_boxes(split_of(records, s), read, progress, work / "cache") for s in ("train", "val"))
    return finish(read, fit_boxes(read, train, val, work, progress), records, out, progress)


def finish(
    recipe: BoxRecipe, trained: TrainedBoxes, records: Sequence[BoxRecord], out: Path, progress: Progress
) -> dict[str, Any]:
    """Export a trained network, choose how it is read and calibrate it on val, measure it on test."""
    golden = export_golden(recipe, trained, out)
    network, probability = out / "boxes.tflite", _classifier(recipe)
    val = ask(network, recipe.input, split_of(records, "val"), probability, progress)
    start = BoxRule(label=recipe.data.label, **asdict(recipe.answer))
    rule, tried = measure.choose(val, start, measure.variants(start, probability is not None))
    on_val = found(val, rule)
    rule = calibrated(on_val, rule, recipe.seed)
    rule = replace(rule, threshold=measure.shown_from(on_val, rule))
    test = ask(network, recipe.input, split_of(records, "test"), probability, progress)
    on_test = found(test, rule)
    columns = tuple(recipe.card.get("subgroups", ()))
    content = {
        "recipe": recipe.name,
        "places": {k: v for k, v in asdict(rule).items() if k != "label"} | {"label": rule.label},
        "tried_on_val": tried,
        "val": measure.figures(on_val, rule),
        "test": measure.figures(on_test, rule) | {"subgroups": measure.subgroups(on_test, columns)},
        "cost": {
            "parameters": int(trained.built.model.count_params()),
            "tflite_bytes": network.stat().st_size,
            "keras_bytes": (out / "boxes.keras").stat().st_size,
            "image_ms": round(statistics.median(a.seconds for a in test) * 1000, 1),
            "training_seconds": round(trained.seconds),
        },
        "golden": golden,
    }
    (out / "boxes.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return content


def export_golden(recipe: BoxRecipe, trained: TrainedBoxes, out: Path) -> dict[str, Any]:
    """Write the network files and `boxes_golden.npz`: drawn inputs, and what the network says to them."""
    from medimg_core.training.train import golden_inputs

    inputs = golden_inputs(recipe.input, recipe.seed)
    said = export_boxes(trained.built, out, inputs)
    np.savez_compressed(out / "boxes_golden.npz", inputs=inputs, places=said["places"], features=said["features"])
    return {
        "file": "boxes_golden.npz",
        **{name: list(array.shape) for name, array in {"inputs": inputs, **said}.items()},
    }


def _classifier(recipe: BoxRecipe) -> Probability | None:
    """The classifier that the card joins the boxes to; None where the recipe names none, or it is not installed."""
    name = str(recipe.card.get("classifier", ""))
    folder = models_folder() / name
    return classifier(folder) if name and folder.is_dir() else None
