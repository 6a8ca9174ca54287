"""From an outline recipe to a model folder: read, train, export, fit on val, measure on test."""

from __future__ import annotations

import json
import tomllib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.catalog import Population, read_card, write_hashes
from medimg_core.training import card as cards
from medimg_core.training import figures, places
from medimg_core.training.calibrate import Fitted, fit_population
from medimg_core.training.data import Progress, Record, data_hash
from medimg_core.training.measure import Answer
from medimg_core.training.outlines import ejection, measure
from medimg_core.training.outlines.data import OutlineRecord, load_outlines, read_outlines, split_of
from medimg_core.training.outlines.export import export_outline
from medimg_core.training.outlines.loop import TrainedOutline, fit_outline
from medimg_core.training.outlines.measure import OutlineAnswer
from medimg_core.training.outlines.recipe import OutlineRecipe, StructureRule, read_outline_recipe
from medimg_core.training.outlines.statements import with_statements
from medimg_core.training.outlines.unet import FEATURES, build_outline
from medimg_core.training.recipe import Loss, Recipe
from medimg_core.training.shortcuts import Judge
from medimg_core.training.statements import fit_statements
from medimg_core.types import FloatArray

_LARGE = 512 * 512
"""Pixels of a grid of which one golden input is enough."""


def train_outline(
    recipe_path: Path, data: Path, out: Path, progress: Progress, work: Path | None = None
) -> dict[str, Any]:
    """Train a recipe and write its model folder; a folder that is there already gets the outline beside its answer.

    Args:
        recipe_path: a file of `recipes/`.
        data: folder of the data sets.
        out: the model folder; what is there stays when something fails.
        work: folder for checkpoints and the log; a training that was cut short goes on from there.

    Raises:
        BadRequest, BadTable, ModelUnavailable: recipe, manifest or folder cannot be used.
        ExportError: the exported files differ from the network.
    """
    recipe = read_outline_recipe(recipe_path)
    if _beside(recipe):
        places.check_beside(out)
    records = read_outlines(data, recipe)
    place = work or Path("work") / f"{recipe.name}_{zlib.crc32(repr(replace(recipe, card={})).encode()):08x}"
    train, val = (
        load_outlines(split_of(records, name), recipe, progress, place / "films") for name in ("train", "val")
    )
    trained = fit_outline(recipe, train, val, place, progress)
    whole = build_outline(recipe)
    whole.model.set_weights(trained.built.model.get_weights())
    told = with_statements(whole, recipe, train)
    return finish(recipe, records, replace(trained, built=told), out, progress)


def finish(
    recipe: OutlineRecipe, records: Sequence[OutlineRecord], trained: TrainedOutline, out: Path, progress: Progress
) -> dict[str, Any]:
    """Export a trained network on the recipe's whole grid, fit on val what the card needs, measure on test; returns
    `evaluation.json`.
    """
    folder, built = places.staged(out, _beside(recipe)), trained.built
    golden = golden_inputs(recipe)
    export_outline(built, folder, stem(recipe), golden)
    content = _measured(recipe, records, folder, trained.seconds, progress)
    content["places"]["cost"] = places.cost(built.model.count_params(), folder, stem(recipe), golden[0])
    cards.write_evaluation(folder, content)
    write_hashes(folder)
    places.installed(folder, out)
    return content


def stem(recipe: OutlineRecipe) -> str:
    """Stem of the network's files: `model`, or `outline` where it stands beside a model that answers."""
    return "outline" if _beside(recipe) else "model"


def _beside(recipe: OutlineRecipe) -> bool:
    return bool(recipe.card.get("beside", False))


def golden_inputs(recipe: OutlineRecipe) -> FloatArray:
    """Prepared inputs `[2, H, W, C]` of drawn pictures, for parity tests: smooth blobs, no film. Of large grids
    one, in numbers of 16 bits, which pack well: it travels with the release.
    """
    from medimg_core.training.train import golden_inputs as plain

    x = plain(recipe.input, recipe.seed)
    if recipe.input.height * recipe.input.width > _LARGE:
        x = x[:1].astype(np.float16).astype(np.float32)
    return np.concatenate([x] * (1 + 2 * recipe.context), axis=-1)


def _measured(
    recipe: OutlineRecipe, records: Sequence[OutlineRecord], folder: Path, seconds: float, progress: Progress
) -> dict[str, Any]:
    """Fit on val (quality of outlines, then errors of measurements), measure on test, write the card."""
    heart = recipe.card.get("measure") == "heart"
    fits: dict[str, Any] = {"thresholds": {}, "quality": {}, "errors": {}, "fit_for_use": {}}
    populations = [_unfitted(rule, recipe) for rule in recipe.card["populations"]]
    write_outline_card(folder, recipe, populations, fits)
    val = measure.ask(read_card(folder), split_of(records, "val"), recipe, progress)
    if recipe.card.get("pixelwise"):
        fits["thresholds"] = measure.fit_thresholds(val)
        write_outline_card(folder, recipe, populations, fits)
        val = measure.ask(read_card(folder), split_of(records, "val"), recipe, progress)
    fits["quality"] = {s["id"]: measure.fit_quality(val, s["id"]) for s in recipe.card["structures"]}
    # Asked once more, because what the fitted quality doubts is shown to a reader but not measured.
    write_outline_card(folder, recipe, populations, fits)
    val = measure.ask(read_card(folder), split_of(records, "val"), recipe, progress)
    fits["errors"] = measure.fit_errors(val) | (ejection.error(val) if heart else {})
    populations = [_fitted(rule, recipe, val, folder) for rule in recipe.card["populations"]]
    write_outline_card(folder, recipe, populations, fits)
    card = read_card(folder)
    assert card.places is not None
    test = measure.ask(card, split_of(records, "test"), recipe, progress, final=True)
    chosen = {rule["id"]: _where(test, rule) for rule in (*recipe.card["populations"], *recipe.card.get("tests", ()))}
    titles = {rule["id"]: rule["title"] for rule in (*recipe.card["populations"], *recipe.card.get("tests", ()))}
    sets = {id_: measure.outlines_set(titles[id_], part, card.places) for id_, part in chosen.items() if part}
    for id_, part in chosen.items():
        if part and heart:
            sets[id_]["measurements"] |= ejection.figures(part, fits["errors"]["ejection_fraction"]["bias"])
    fit = {p.id: places.reaches_floor("outline", sets.get(p.id)) for p in populations}
    fits["fit_for_use"] = fit
    content = _content(recipe, records, folder, seconds)
    answered = _answer_sets(recipe, records, folder, populations, chosen) if recipe.classes else {}
    populations = [
        replace(p, fit_for_use=_answers_well(answered.get(p.id), card.form) if recipe.classes else fit[p.id])
        for p in populations
    ]
    write_outline_card(folder, recipe, populations, fits)
    content["places"] = {
        "test_sets": {id_: {**entry, "data_hash": _hash(chosen[id_])} for id_, entry in sets.items()},
        "val": measure.outlines_set("Validation", val, card.places) | {"predictions": {}},
        "training": {"seconds": round(seconds), "recipe": recipe.name},
    }
    if recipe.classes:
        content["test_sets"] = answered
    return content


def _content(recipe: OutlineRecipe, records: Sequence[OutlineRecord], folder: Path, seconds: float) -> dict[str, Any]:
    """What stands in `evaluation.json` beside the outlines: of a second network all that was there."""
    if _beside(recipe):
        present: dict[str, Any] = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
        return present
    groups = {name: [as_record(r) for r in split_of(records, name)] for name in ("train", "val", "test")}
    return {**cards.provenance(recipe, groups, seconds), "test_sets": {}, "val": {}, "saliency_scales": {}}


def as_record(record: OutlineRecord) -> Record:
    """The film as trainings of answers know it."""
    return Record(
        set=record.set,
        id=record.id,
        file=record.file,
        split=record.split,
        patient=record.patient,
        target=None if record.truth is None else float(record.truth),
        weight=1.0,
        truth=record.truth is not None,
        label=record.columns.get("label", ""),
        mask=record.mask,
        view=record.columns.get("view", ""),
        sex=record.columns.get("sex", ""),
        shape=_shape(record.columns),
        columns=record.columns,
    )


def _shape(columns: Mapping[str, str]) -> tuple[int, int] | None:
    return (int(columns["height"]), int(columns["width"])) if columns.get("height") and columns.get("width") else None


def _hash(answers: Sequence[OutlineAnswer]) -> str:
    return data_hash([as_record(a.record) for a in answers])


def _where(answers: Sequence[OutlineAnswer], rule: Mapping[str, Any]) -> tuple[OutlineAnswer, ...]:
    where = rule.get("where", {})
    return tuple(a for a in answers if all(a.record.columns.get(c) in values for c, values in where.items()))


def _answers(answers: Sequence[OutlineAnswer]) -> tuple[Answer, ...]:
    return tuple(
        Answer(as_record(a.record), a.logits, a.seconds, refused=a.refused)
        for a in answers
        if a.record.truth is not None
    )


def _unfitted(rule: Mapping[str, Any], recipe: OutlineRecipe) -> Population:
    return cards.population(rule, cards.UNFITTED, False)


def _fitted(rule: Mapping[str, Any], recipe: OutlineRecipe, val: Sequence[OutlineAnswer], folder: Path) -> Population:
    if not recipe.classes:
        return _unfitted(rule, recipe)
    told, card = _answers(_where(val, rule)), read_card(folder)
    fitted: Fitted = fit_population(
        np.array([a.logits[: card.main_outputs] for a in told], np.float64),
        np.array([a.record.index for a in told], np.intp),
        np.array([a.record.patient for a in told]),
        card,
        recipe.seed,
    )
    return cards.population(rule, fitted, False, fit_statements(told, recipe.statements, card, recipe.seed))


def _answer_sets(
    recipe: OutlineRecipe,
    records: Sequence[OutlineRecord],
    folder: Path,
    populations: Sequence[Population],
    chosen: Mapping[str, Sequence[OutlineAnswer]],
) -> dict[str, Any]:
    """The blocks of the network's own answer, as of any other model."""
    like = Recipe(
        name=recipe.name,
        seed=recipe.seed,
        input=recipe.input,
        network=recipe.network,
        data=(),
        loss=Loss(),
        schedule=recipe.schedule,
        augment=recipe.augment,
        card=recipe.card,
        form=read_card(folder).form,
        classes=recipe.classes,
        statements=recipe.statements,
    )
    train = tuple(as_record(r) for r in split_of(records, "train"))
    judge = Judge(train, tuple(recipe.card.get("shortcuts", ("width",))))
    return {
        p.id: figures.measured_set(p.title, _answers(chosen[p.id]), read_card(folder), p, like, judge)
        for p in populations
    }


def _answers_well(entry: Mapping[str, Any] | None, form: Any) -> bool:
    return entry is None or figures.fit_for_use(entry, form)


def write_outline_card(
    folder: Path, recipe: OutlineRecipe, populations: Sequence[Population], fits: Mapping[str, Any]
) -> None:
    """Write `card.toml`, or the table `places` of the card that is there."""
    truth = {rule.id: _truth(rule) for rule in recipe.structures}
    structures = [_structure(rule, fits, truth.get(rule["id"], {})) for rule in recipe.card["structures"]]
    table: dict[str, Any] = {
        "kind": "outline",
        "network": stem(recipe),
        "measure": recipe.card.get("measure", ""),
        "context": recipe.context,
        "window_mm": recipe.window_mm,
        "exclusive": recipe.card.get("exclusive", False),
        "mirror": recipe.card.get("mirror", False),
        "pixelwise": recipe.card.get("pixelwise", False),
        "structures": structures,
        "errors": fits["errors"],
        "fit_for_use": fits["fit_for_use"],
    }
    if _beside(recipe):
        card = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
        card["places"] = {**table, "input": asdict(recipe.input)}
    else:
        dropped = (
            "populations",
            "tests",
            "structures",
            "shortcuts",
            "subgroups",
            "measure",
            "exclusive",
            "mirror",
            "beside",
            "pixelwise",
        )
        words = {key: value for key, value in recipe.card.items() if key not in dropped}
        text = words.pop("text")
        card = {
            **({"positive": recipe.classes - 1} if recipe.classes else {}),
            **words,
            "outputs": recipe.outputs + len(recipe.statements),
            "cam_layer": FEATURES,
            "head": "pooled" if recipe.classes else "none",
            "input": asdict(recipe.input),
            "populations": [cards.population_table(p) for p in populations],
            "places": table,
            "text": text,
        }
    (folder / "card.toml").write_text(cards.to_toml(card), encoding="utf-8")
    write_hashes(folder)


def _structure(rule: Mapping[str, Any], fits: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, Any]:
    table = {**rule, "quality": list(fits["quality"].get(rule["id"], (0.0, 1.0)))}
    if rule["id"] in fits["thresholds"]:
        table["threshold"] = fits["thresholds"][rule["id"]]
    return {**table, "truth": truth} if truth else table


def _truth(rule: StructureRule) -> dict[str, Any]:
    """How masks are read, for `evaluate`; empty where every value but zero counts, in every row."""
    table: dict[str, Any] = {"values": list(rule.values), "side": rule.side, "sideless": list(rule.sideless)}
    return {name: value for name, value in table.items() if value} | (
        {"where": {column: list(values) for column, values in rule.where.items()}} if rule.where else {}
    )
