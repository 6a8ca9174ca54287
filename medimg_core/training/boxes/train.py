"""From a recipe for boxes to a model folder: read, train, export beside the answer, fit on val, measure on test."""

from __future__ import annotations

import json
import tomllib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard, read_card, write_hashes
from medimg_core.errors import BadRequest, BadTable, ModelUnavailable
from medimg_core.inference.boxes import BoxRule
from medimg_core.training import card as cards
from medimg_core.training import places
from medimg_core.training.boxes import answers, measure
from medimg_core.training.boxes.answers import FoundBoxes
from medimg_core.training.boxes.data import BoxRecord, load_boxes, read_boxes, split_of
from medimg_core.training.boxes.export import export_boxes
from medimg_core.training.boxes.loop import TrainedBoxes, fit_boxes
from medimg_core.training.boxes.network import build_boxes
from medimg_core.training.boxes.recipe import BoxRecipe, read_box_recipe
from medimg_core.training.data import Progress, Record, data_hash
from medimg_core.training.loop import read_log

NETWORK = "boxes"
"""Stem of the network's files, beside those of the model that answers."""


def train_boxes(
    recipe_path: Path, data: Path, out: Path, progress: Progress, work: Path | None = None
) -> dict[str, Any]:
    """Train a recipe and write its boxes beside the answer of a model folder.

    Args:
        recipe_path: a file of `recipes/`.
        data: folder of the data sets.
        out: folder of a model that answers; what is there stays when something fails.
        progress: told what is being done and the share done; may raise `Cancelled`.
        work: folder for checkpoints and the log; a training that was cut short goes on from there.

    Returns:
        The content of `evaluation.json`.

    Raises:
        BadRequest, BadTable, ModelUnavailable: recipe, data or folder cannot be used; each says what to do.
        ExportError: the exported files differ from the network.
    """
    recipe = _recipe(recipe_path, out)
    records = _records(data, recipe)
    place = work or Path("work") / f"{recipe.name}_{zlib.crc32(repr(replace(recipe, card={})).encode()):08x}"
    train, val = (load_boxes(split_of(records, name), recipe, progress, place / "films") for name in ("train", "val"))
    return finish(recipe, records, fit_boxes(recipe, train, val, place, progress), out, progress)


def export_weights(recipe_path: Path, weights: Path, data: Path, out: Path, progress: Progress) -> dict[str, Any]:
    """Write the boxes of a network that was trained elsewhere: as `train_boxes`, from its `.weights.h5`.

    Args:
        weights: of the recipe's network; the log of its training is looked for beside it.

    Raises:
        ModelUnavailable: the file is missing, or holds the weights of another network.
    """
    recipe = _recipe(recipe_path, out)
    built = build_boxes(recipe)
    try:
        built.model.load_weights(weights)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            f"The weights {weights.name!r} are not there, or not those of the network of this recipe.",
            "Check the path, and that the recipe is the one that they were trained with.",
        ) from error
    seconds = sum(float(row["seconds"]) for row in read_log(weights.parent))
    return finish(recipe, _records(data, recipe), TrainedBoxes(built, seconds), out, progress)


def _recipe(path: Path, out: Path) -> BoxRecipe:
    """A recipe with all that a folder needs, before hours of work."""
    recipe = read_box_recipe(path)
    missing = [name for name in ("title", "populations") if not recipe.card.get(name)]
    if missing:
        raise BadRequest(
            f"The recipe {path.name!r} lacks {' and '.join(missing)} below [card].",
            "Compare it with the recipes that come with the program.",
        )
    places.check_beside(out)
    return recipe


def _records(data: Path, recipe: BoxRecipe) -> tuple[BoxRecord, ...]:
    records = read_boxes(data, recipe)
    for name in ("train", "val", "test"):
        if not any(r.boxes for r in split_of(records, name)):
            raise BadTable(f"No film of the split {name} has a box labelled {recipe.data.label}.", "Correct boxes.")
    return records


def finish(
    recipe: BoxRecipe, records: Sequence[BoxRecord], trained: TrainedBoxes, out: Path, progress: Progress
) -> dict[str, Any]:
    """Export a trained network, choose how it is read and calibrate it on val, measure it on test as the app tells it.

    Returns:
        The content of `evaluation.json`: what was there, and the boxes under `places`.
    """
    folder = places.staged(out, beside=True)
    golden = export_golden(recipe, trained, folder)
    rule, val, tried = _read_on_val(recipe, split_of(records, "val"), folder, progress)
    write_boxes_card(folder, recipe, rule, {})
    test = _told(read_card(folder), split_of(records, "test"), progress)
    rules: Sequence[Mapping[str, Any]] = (*recipe.card["populations"], *recipe.card.get("tests", ()))
    chosen = {one["id"]: _where(test, one.get("where", {})) for one in rules}
    shown, columns = BoxRule(threshold=rule.threshold), tuple(recipe.card.get("subgroups", ()))
    sets = {
        one["id"]: measure.boxes_set(one["title"], films, shown, columns) | {"data_hash": _hash(films)}
        for one in rules
        if (films := chosen[one["id"]])
    }
    fit = {one["id"]: places.reaches_floor("boxes", sets.get(one["id"])) for one in recipe.card["populations"]}
    write_boxes_card(folder, recipe, rule, fit)
    content: dict[str, Any] = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    content["places"] = {
        "test_sets": sets,
        "val": measure.boxes_set("Validation", val, rule) | {"predictions": {}, "tried": tried},
        "training": {"seconds": round(trained.seconds), "recipe": recipe.name},
        "cost": places.cost(trained.built.model.count_params(), folder, NETWORK, golden[0]),
    }
    cards.write_evaluation(folder, content)
    write_hashes(folder)
    places.installed(folder, out)
    return content


def export_golden(recipe: BoxRecipe, trained: TrainedBoxes, folder: Path) -> Any:
    """Write the network's files and `golden_boxes.npz`: drawn inputs `[2, H, W, C]`, which it returns, and what the
    network says to them.
    """
    from medimg_core.training.train import golden_inputs

    inputs = golden_inputs(recipe.input, recipe.seed)
    said = export_boxes(trained.built, folder, inputs)
    np.savez_compressed(folder / f"golden_{NETWORK}.npz", inputs=inputs, **said)  # type: ignore[arg-type]
    write_hashes(folder)
    return inputs


def _read_on_val(
    recipe: BoxRecipe, records: Sequence[BoxRecord], folder: Path, progress: Progress
) -> tuple[BoxRule, tuple[FoundBoxes, ...], list[dict[str, Any]]]:
    """How the network is read, what it then finds on val, and the settings that were tried."""
    probability = answers.classifier(read_card(folder))
    heard = answers.ask(folder / f"{NETWORK}.tflite", recipe.input, records, probability, progress)
    start = BoxRule(label=recipe.data.label, **asdict(recipe.answer))
    rule, tried = measure.choose(heard, start, measure.variants(start, probability is not None))
    films = answers.found(heard, rule)
    rule = answers.calibrated(films, rule, recipe.seed)
    return replace(rule, threshold=measure.shown_from(films, rule)), films, tried


def _told(card: ModelCard, records: Sequence[BoxRecord], progress: Progress) -> tuple[FoundBoxes, ...]:
    films = []
    for done, record in enumerate(records, start=1):
        films.append(answers.told(card, record, record.image()))
        if done % 50 == 0:
            progress("Testing", done / len(records))
    return tuple(films)


def _where(films: Sequence[FoundBoxes], where: Mapping[str, Sequence[str]]) -> tuple[FoundBoxes, ...]:
    return tuple(f for f in films if all(f.record.columns.get(column) in values for column, values in where.items()))


def _hash(films: Sequence[FoundBoxes]) -> str:
    records = (film.record for film in films)
    return data_hash([Record(r.set, r.id, r.file, r.split, r.patient, len(r.boxes), 1.0, True, "") for r in records])


def write_boxes_card(folder: Path, recipe: BoxRecipe, rule: BoxRule, fit: Mapping[str, bool]) -> None:
    """Write the table `places` of the card that is there.

    Args:
        fit: population -> whether the boxes are fit for use in it.
    """
    structure = {"id": rule.label, "title": recipe.card["title"], "threshold": rule.threshold}
    card = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
    card["places"] = {
        "kind": "boxes",
        "network": NETWORK,
        "mirror": rule.mirror,
        "answer_weight": rule.image,
        "trust": rule.trust,
        "suppress": rule.suppress,
        "vote": rule.vote,
        "structures": [{**structure, "quality": [rule.shift, rule.slope]}],
        "fit_for_use": dict(fit),
        "input": asdict(recipe.input),
    }
    (folder / "card.toml").write_text(cards.to_toml(card), encoding="utf-8")
    write_hashes(folder)
