"""From the trained router to its folder: network, reference, limits, card, measured rates."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medimg_core.catalog import ModelCard, read_card, write_hashes
from medimg_core.imaging import normalise
from medimg_core.inference.gate_network import Impression, Limits, impression
from medimg_core.inference.gate_rules import broken
from medimg_core.inference.kinds import KNOWN
from medimg_core.inference.runtime import Runtime
from medimg_core.training.card import provenance, to_toml, write_evaluation
from medimg_core.training.data import read_image
from medimg_core.training.recipe import Augment, Loss, Network, Schedule
from medimg_core.training.recipe import Recipe as ModelRecipe
from medimg_core.training.router import Recipe, Say, fit, read_recipe, read_shelves
from medimg_core.training.router_makers import make_plain
from medimg_core.training.router_measure import choose_limits, judge, report
from medimg_core.training.router_pictures import Draw
from medimg_core.training.router_sources import FILMS, SETS, Shelf, load, rows
from medimg_core.types import FloatArray

if TYPE_CHECKING:
    import keras

SHRINKAGE = 0.05
"""Share of the mean variance added to every direction, so that directions without spread do not rule the distance."""

_DRAWN_FROM = 60
"""Pictures of each set from which screens, pages and photographed films are drawn for measuring."""

_REFERRED = 1500
"""Pictures of each kind that its place in feature space is fitted to."""

_OPEN = Limits(refuse_below=0.0, doubt_below=0.0, refuse_beyond=1e9, doubt_beyond=1e9)


def train(recipe_file: Path, data: Path, out: Path, say: Say = print) -> dict[str, Any]:
    """Repeat the router from its recipe: read, train, export, choose limits on `val`, measure on `test`.

    Args:
        recipe_file: `recipes/router.toml`.
        data: the folder that holds all data sets.
        out: the model folder to write.

    Returns:
        What `evaluation.json` holds.
    """
    started = time.perf_counter()
    recipe = read_recipe(recipe_file)
    shelves = read_shelves(recipe, data, "train")
    model = fit(recipe, shelves, say)
    return export(model, recipe, shelves, data, out, time.perf_counter() - started, say)


def export(
    model: keras.Model, recipe: Recipe, shelves: list[Shelf], data: Path, out: Path, seconds: float, say: Say = print
) -> dict[str, Any]:
    """Write the folder of a trained network; `shelves` are the pictures that it learnt from."""
    from medimg_core.inference.litert import LiteRTRuntime
    from medimg_core.training.export import export_network
    from medimg_core.training.train import golden_inputs

    golden = golden_inputs(recipe.spec, recipe.seed)
    export_network(model, recipe.network["cut"], recipe.spec, out, golden_inputs=golden)
    _write_card(recipe, out, dict.fromkeys(KNOWN, _OPEN))
    write_hashes(out)
    runtime = LiteRTRuntime(read_card(out))
    _write_reference(runtime, recipe, shelves, out)
    say("network and reference written")

    limits = _choose(read_card(out), recipe, data)
    _write_card(recipe, out, limits)
    write_hashes(out)
    for kind, limit in limits.items():
        say(f"{kind}: {limit}")
    content = {
        **_provenance(recipe, data, seconds),
        "test_sets": {},
        "saliency_scales": {},
        "gate": {
            "limits": {kind: asdict(limit) for kind, limit in limits.items()},
            **{split: _measured(recipe, data, split, out) for split in ("val", "test")},
        },
        "cost": _cost(model.count_params(), out, runtime, golden[0]),
    }
    write_evaluation(out, content)
    write_hashes(out)
    return content


def fit_reference(features: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean `[C]` and whitener `[C, C]` of pooled features `[N, C]`, the covariance shrunk towards a sphere.

    `(f - mean) @ whitener` has covariance I but for the shrinkage.
    """
    mean = features.mean(axis=0)
    covariance = np.cov(features, rowvar=False).astype(np.float64)
    size = len(covariance)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / size * np.eye(size)
    values, vectors = np.linalg.eigh(shrunk)
    return mean.astype(np.float32), (vectors / np.sqrt(values)).astype(np.float32)


def _write_reference(runtime: Runtime, recipe: Recipe, shelves: list[Shelf], out: Path) -> None:
    """Write `distance.npz`: where the training pictures of every known kind lie."""
    draw = Draw(np.random.default_rng(recipe.seed), shelves, recipe.spec.height)
    fitted = {kind: fit_reference(_features(runtime, recipe, draw, kind)) for kind in KNOWN}
    np.savez_compressed(
        out / "distance.npz",
        kinds=np.array(list(fitted)),
        means=np.stack([mean for mean, _ in fitted.values()]),
        whiteners=np.stack([whitener for _, whitener in fitted.values()]).astype(np.float16),
    )
    write_hashes(out)


def _features(runtime: Runtime, recipe: Recipe, draw: Draw, kind: str) -> FloatArray:
    """Pooled features of training pictures, shifted and stretched as in training but with their own exposure."""
    pooled = []
    for _ in range(_REFERRED):
        x = normalise(make_plain(draw, kind).astype(np.float32) / np.float32(255), recipe.spec)
        pooled.append(runtime.predict(x).features.mean(axis=(0, 1)))
    return np.stack(pooled)


def _choose(card: ModelCard, recipe: Recipe, data: Path) -> dict[str, Limits]:
    """The limits of every kind, on `val`."""
    seen: dict[str, list[tuple[str, Impression]]] = {kind: [] for kind in KNOWN}
    for row in rows(data, "val"):
        if row.data_set in FILMS or row.data_set in SETS:
            image = read_image(row.path)
            look = impression(image, card)
            if not broken(look.quality, row.label)[0]:  # what the grey levels refuse needs no limit
                seen[row.label].append((row.data_set, look))
    return {
        kind: choose_limits(of_kind, kind, {**recipe.gate["any"], **recipe.gate.get(kind, {})})
        for kind, of_kind in seen.items()
    }


def _measured(recipe: Recipe, data: Path, split: str, out: Path) -> dict[str, Any]:
    # Any model's card will do that takes every kind and names this folder as its gate.
    asking = replace(read_card(out), gate=out.name, takes=tuple(KNOWN))
    shelves = load(data, split, _DRAWN_FROM, recipe.seed)
    return report(list(judge(data, split, asking, shelves, recipe.seed + 1)), asking.class_ids)


def _write_card(recipe: Recipe, out: Path, limits: Mapping[str, Limits]) -> None:
    words = dict(recipe.card)
    text = {**words.pop("text"), "gate": {kind: asdict(limit) for kind, limit in limits.items()}}
    card = {
        "version": recipe.version,
        "task": "gate",
        **words,
        "outputs": len(recipe.classes),
        "positive": 0,
        "cam_layer": recipe.network["cut"],
        "default_population": "",
        "populations": [],
        "input": asdict(recipe.spec),
        "text": text,
    }
    (out / "card.toml").write_text(to_toml(card), encoding="utf-8")


def _provenance(recipe: Recipe, data: Path, seconds: float) -> dict[str, Any]:
    described = ModelRecipe(
        recipe.name, recipe.seed, recipe.spec, Network("MobileNet"), (), Loss(), Schedule(), Augment(),
        {"version": recipe.version},
    )  # fmt: skip
    groups = {split: [row.record(split) for row in rows(data, split)] for split in ("train", "val", "test")}
    return provenance(described, groups, seconds)


def _cost(parameters: int, out: Path, runtime: Runtime, x: FloatArray) -> dict[str, float]:
    """Size, and the median time of a pass in milliseconds."""
    seconds = []
    for _ in range(200):
        started = time.perf_counter()
        runtime.predict(x)
        seconds.append(time.perf_counter() - started)
    return {
        "parameters": parameters,
        "tflite_bytes": (out / "model.tflite").stat().st_size,
        "keras_bytes": (out / "model.keras").stat().st_size,
        "predict_ms": round(float(np.median(seconds)) * 1e3, 3),
    }
