"""One call from a recipe and a folder of data to a model folder that the app can open."""

from __future__ import annotations

import statistics
import time
import tomllib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medimg_core.catalog import Calibration, ModelCard, Population, StatementFit, read_card, write_hashes
from medimg_core.errors import BadTable
from medimg_core.imaging import prepare
from medimg_core.inference.runtime import Runtime
from medimg_core.training import card as cards
from medimg_core.training import figures, loop, measure, places
from medimg_core.training.calibrate import Fitted, fit_population
from medimg_core.training.data import Films, Progress, Record, load_films, read_manifest
from medimg_core.training.folds import cross_validate
from medimg_core.training.recipe import Recipe, read_recipe
from medimg_core.training.shortcuts import Judge
from medimg_core.training.statements import fit_statements, with_statements
from medimg_core.types import FloatArray, Image, InputSpec

_FEW = 2000
"""Below so many training films a model of one's own is called weak on its card."""


@dataclass(frozen=True, slots=True)
class Material:
    """The recipe as it will be used and its films: one tuple of records for each data rule."""

    recipe: Recipe
    parts: tuple[tuple[Record, ...], ...]

    def split(self, name: str, truth_only: bool = True) -> tuple[Record, ...]:
        """All records of a split, in the order of the rules."""
        return tuple(r for part in self.parts for r in part if r.split == name and (r.truth or not truth_only))


def train(
    recipe_path: Path, data_folder: Path, out_folder: Path, progress: Progress, work: Path | None = None
) -> dict[str, Any]:
    """Train, calibrate, measure and export a model.

    Args:
        recipe_path: a file of `recipes/`.
        data_folder: holds the sets that the recipe names; or a `manifest.csv` of one's own
            (id, file, label, and patient and split if known), to which the recipe's first rule is applied.
        out_folder: the model folder to write, `models/<name>`.
        progress: told what is being done and the share done; may raise `Cancelled`.
        work: checkpoints, log.csv and TensorBoard; a training that was cut short goes on from there. Without it a
            folder below `work/` that belongs to this recipe and these films.

    Returns:
        The content of `evaluation.json`.

    Raises:
        BadRequest, BadTable, ModelUnavailable: recipe, data or weights cannot be used; each says what to do.
    """
    task = _task(recipe_path)
    if task == "outline":
        from medimg_core.training.outlines.train import train_outline

        return train_outline(recipe_path, data_folder, out_folder, progress, work)
    if task == "boxes":
        from medimg_core.training.boxes.train import train_boxes

        return train_boxes(recipe_path, data_folder, out_folder, progress, work)
    if task == "gate":
        from medimg_core.training import router_export

        # Its network has other classes, pictures and figures; only the way in is shared.
        return router_export.train(recipe_path, data_folder, out_folder, lambda line: progress(line, 0.0))
    material = gather(read_recipe(recipe_path), data_folder)
    work = work or Path("work") / f"{material.recipe.name}_{_fingerprint(material):08x}"
    cache, grey = work.parent / "cache", not material.recipe.colour
    films = [load_films(part, material.recipe.input, progress, cache, grey) for part in _seen(material)]
    trained = loop.fit(
        material.recipe,
        [part.take(lambda r: r.split == "train") for part in films],
        _joined([part.take(lambda r: r.split == "val" and r.truth) for part in films]),
        work,
        progress,
    )
    told = replace(trained, built=with_statements(trained.built, material.recipe, films))
    content = finish(material, told, out_folder, progress)
    if material.recipe.folds:
        content |= {"folds": folded(material, work, progress)}
        cards.write_evaluation(out_folder, content)
        write_hashes(out_folder)
    return content


def folded(material: Material, work: Path, progress: Progress) -> dict[str, Any]:
    """The recipe's cross-validation over all films of its first set, the test split included."""
    recipe = material.recipe
    known = [record for record in material.parts[0] if record.truth]
    films = load_films(known, recipe.input, progress, work.parent / "cache", not recipe.colour)
    return cross_validate(recipe, films, work / "folds", progress)


def _task(recipe_path: Path) -> str:
    """The recipe's own `task`; empty for a classifier, and where the file cannot be read: `read_recipe` says why."""
    try:
        return str(tomllib.loads(recipe_path.read_text(encoding="utf-8")).get("task", ""))
    except (OSError, ValueError):
        return ""


def gather(recipe: Recipe, data_folder: Path) -> Material:
    """Read the manifests that a recipe names, or the one manifest of the user's own.

    Raises:
        BadTable: a split that is needed holds no film, or only one class.
    """
    if (data_folder / "manifest.csv").is_file():
        rule = replace(recipe.data[0], set=data_folder.name, draws=0, mask="", box_label="")
        material = Material(replace(recipe, data=(rule,)), (read_manifest(data_folder, rule, recipe.seed),))
        material = replace(material, recipe=replace(material.recipe, card=_own_card(material)))
    else:
        parts = tuple(read_manifest(data_folder / rule.set, rule, recipe.seed) for rule in recipe.data)
        material = Material(recipe, parts)
    for split in ("train", "val"):
        classes = {r.index for r in material.split(split)}
        if len(classes) < 2:
            raise BadTable(
                f"The split {split} does not hold films of both classes.",
                "Add films, or leave the column split out so that it is made from the patients.",
            )
    return material


def finish(material: Material, trained: loop.Trained, out_folder: Path, progress: Progress) -> dict[str, Any]:
    """Export a trained network, fit its calibration on val, measure it on test, write card and figures."""
    from medimg_core.training.export import export_network

    recipe, built = material.recipe, trained.built
    rules: Sequence[Mapping[str, Any]] = recipe.card["populations"]
    table, placed = places.beside(out_folder)
    progress("Exporting", 0.0)
    golden = golden_inputs(recipe.input, recipe.seed)
    export_network(built.model, built.cam_layer, recipe.input, out_folder, golden_inputs=golden)
    unfitted = [cards.population(rule, cards.UNFITTED, False) for rule in rules]
    cards.write_card(out_folder, recipe, built, unfitted, table)
    write_hashes(out_folder)
    runtime = _runtime(out_folder)
    card = runtime.card

    val = measure.ask(runtime, material.split("val"), progress)
    fitted = {rule["set"]: _fit(_of(val, rule), card, recipe.seed) for rule in rules}
    populations = [_population(rule, fitted[rule["set"]], card, _of(val, rule), recipe) for rule in rules]
    test = measure.ask(runtime, material.split("test"), progress, final=True)
    sets = _test_sets(material, card, populations, test)
    fit = {p.id: p.id in sets and figures.fit_for_use(sets[p.id], card.form) for p in populations}
    populations = [replace(p, fit_for_use=fit[p.id]) for p in populations]
    cards.write_card(out_folder, recipe, built, populations, table)
    content = {
        **cards.provenance(
            recipe,
            {"train": material.split("train", truth_only=False), "val": material.split("val"), "test": _records(test)},
            trained.seconds,
        ),
        "test_sets": sets,
        "val": {p.id: _on_val(_of(val, rule), card, p) for p, rule in zip(populations, rules, strict=True)},
        "saliency_scales": {k: round(v, 6) for k, v in measure.saliency_scales(test).items()},
        "cost": _cost(built.model.count_params(), out_folder, runtime, golden[0]),
        **placed,
    }
    cards.write_evaluation(out_folder, content)
    write_hashes(out_folder)
    return content


def golden_inputs(spec: InputSpec, seed: int, n: int = 2) -> FloatArray:
    """Prepared inputs `[n, H, W, C]` of drawn pictures, for parity tests: smooth blobs, no film."""
    rng = np.random.default_rng(seed)
    prepared = []
    for _ in range(n):
        coarse = rng.integers(0, 256, (6, 5), np.uint8)
        picture = np.asarray(cv2.resize(coarse, (180, 210), interpolation=cv2.INTER_CUBIC), np.uint8)
        prepared.append(prepare(Image(np.repeat(picture[..., None], 3, axis=-1), "RGB", digest=""), spec)[0])
    return np.stack(prepared)


def _runtime(folder: Path) -> Runtime:
    from medimg_core.inference.litert import LiteRTRuntime

    return LiteRTRuntime(read_card(folder))


def _seen(material: Material) -> list[list[Record]]:
    """What training reads: never the test films."""
    return [[r for r in part if r.split != "test"] for part in material.parts]


def _joined(parts: Sequence[Films]) -> Films:
    return Films(
        tuple(record for part in parts for record in part.records),
        np.concatenate([part.grids for part in parts]),
        np.concatenate([part.masks for part in parts]),
        np.concatenate([part.masked for part in parts]),
    )


def _fingerprint(material: Material) -> int:
    """Changes with the recipe and with the films, so that no training goes on from another one's checkpoint."""
    named = replace(material.recipe, card={})
    return zlib.crc32(repr((named, [[(r.id, r.target, r.split) for r in p] for p in material.parts])).encode())


def _records(answers: Sequence[measure.Answer]) -> tuple[Record, ...]:
    return tuple(a.record for a in answers)


def _of(answers: Sequence[measure.Answer], rule: Mapping[str, Any]) -> tuple[measure.Answer, ...]:
    """The answers of a population: its set and, on test, its views. Calibration takes the whole set."""
    return tuple(a for a in answers if a.record.set == rule["set"])


def _in(answers: Sequence[measure.Answer], rule: Mapping[str, Any]) -> tuple[measure.Answer, ...]:
    """The answers to the films that a rule's `views` and `where` let through."""
    where = {**({"view": rule["views"]} if rule.get("views") else {}), **rule.get("where", {})}
    return tuple(
        a for a in answers if all(figures.value_of(a.record, name) in values for name, values in where.items())
    )


def _fit(films: Sequence[measure.Answer], card: ModelCard, seed: int) -> Fitted:
    return fit_population(
        np.array([a.logits[: card.main_outputs] for a in films], np.float64),
        np.array([a.record.index for a in films], np.intp),
        np.array([a.record.patient for a in films]),
        card,
        seed,
    )


def _population(
    rule: Mapping[str, Any], fitted: Fitted, card: ModelCard, val: Sequence[measure.Answer], recipe: Recipe
) -> Population:
    """A population with what val says about it; a statement about grades is a step of the scale."""
    statements = {
        q.id: StatementFit(fitted.steps[q.output], fitted.operating_points[1].threshold, fitted.prevalence, fitted.n)
        for q in card.statements
        if card.form == "grade" and q.output == card.positive - 1
    }
    statements |= fit_statements(val, recipe.statements, card, recipe.seed)
    return cards.population(rule, fitted, False, statements)


def _on_val(films: Sequence[measure.Answer], card: ModelCard, population: Population) -> dict[str, Any]:
    """Calibration on the films that it was fitted on, before and after."""
    plain = replace(population, calibration=Calibration(), steps=tuple(Calibration() for _ in population.steps))
    before = figures.calibration(figures.judge(films, card, plain))
    return figures.calibration(figures.judge(films, card, population)) | {"ece_before": before["ece"]}


def _test_sets(
    material: Material, card: ModelCard, populations: Sequence[Population], test: Sequence[measure.Answer]
) -> dict[str, dict[str, Any]]:
    """One entry a population, one for each group of populations that the recipe pools, and its further tests."""
    rules = material.recipe.card
    films = {rule["id"]: _in(_of(test, rule), rule) for rule in rules["populations"]}
    known = {p.id: p for p in populations}
    wanted = [(p.id, p.title, films[p.id], p) for p in populations]
    wanted += [
        (pool["id"], pool["title"], tuple(a for i in pool["of"] for a in films[i]), known[pool["of"][0]])
        for pool in rules.get("pooled", ())
    ]
    for extra in rules.get("tests", ()):
        rule = next(r for r in rules["populations"] if r["id"] == extra["population"])
        wanted.append((extra["id"], extra["title"], _in(_of(test, rule), extra), known[extra["population"]]))
    return {
        id_: figures.measured_set(
            title, answers, card, population, material.recipe, _judge(material, answers[0].record.set)
        )
        for id_, title, answers, population in wanted
        if len({a.record.index for a in answers}) >= 2
    }


def _judge(material: Material, set_: str) -> Judge:
    names = tuple(material.recipe.card.get("shortcuts", ("view", "width", "aspect")))
    return Judge(tuple(r for r in material.split("train") if r.set == set_), names)


def _own_card(material: Material) -> dict[str, Any]:
    """The card of a model on the user's own films: one population, and a plain word on how weak it is."""
    card = dict(material.recipe.card)
    seen = material.split("train")
    positive = sum(r.positive for r in seen)
    patients = len({r.patient for r in seen})
    card["populations"] = [
        {"id": "own", "title": "Films of the given manifest", "set": material.recipe.data[0].set, "views": []}
    ]
    card.pop("pooled", None)
    card["default_population"] = "own"
    limits = [
        f"It learned from {len(seen)} films of {patients} patients, {positive} of them positive: "
        + (
            "far too few to rely on; its figures have wide intervals and hold for films of the same origin only."
            if len(seen) < _FEW
            else "its figures hold for films of the same origin only."
        )
    ]
    card["text"] = {
        "intended_use": "A model that a user trained on films of their own.",
        "population": "Patients like those of the manifest it was trained on.",
        "not_for": ["any use on patients before it was validated on other films"],
        "truth": "The labels of the manifest.",
        "data": "The user's own films.",
        "training": f"Recipe {material.recipe.name}, by the command `train`.",
        "limits": limits,
    }
    card["licence"] = "unverified"
    card["second_opinion"] = None
    return card


def _cost(parameters: int, folder: Path, runtime: Runtime, x: FloatArray) -> dict[str, float]:
    """Sizes, and medians of 30 timed calls on this machine."""
    weights = np.ones(1, np.float32)

    def milliseconds(cam: bool) -> float:
        times = []
        for _ in range(30):
            start = time.perf_counter()
            forward = runtime.predict(x)
            if cam and runtime.head is not None:
                np.maximum(forward.features @ runtime.head[0][:, 0], 0)
            elif cam:
                runtime.cam_gradient(x, weights)
            times.append(time.perf_counter() - start)
        return round(statistics.median(times) * 1000, 3)

    return {
        "parameters": parameters,
        "tflite_bytes": (folder / "model.tflite").stat().st_size,
        "keras_bytes": (folder / "model.keras").stat().st_size,
        "predict_ms": milliseconds(cam=False),
        "cam_ms": milliseconds(cam=True),
    }
