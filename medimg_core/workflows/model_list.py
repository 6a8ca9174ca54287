"""The installed models as plain objects: what `models` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medimg_core.catalog import ModelCard, evaluation

HEADLINES = {"yes_no": ("auroc", "AUROC"), "one_of": ("accuracy", "accuracy"), "grade": ("kappa_quadratic", "kappa")}
"""Form -> the figure that stands for a model, and its name."""


def describe(card: ModelCard) -> dict[str, Any]:
    """Name, task, modality, classes, input, headline figure with interval, and where the model is fit for use.

    The headline (`HEADLINES`) is that of the test set of the card's default population.
    """
    sets = evaluation(card).get("test_sets", {})
    home = card.population(chosen=card.default_population)[0].test_set if card.populations else ""
    figure = sets.get(home, {}).get("metrics", {}).get(HEADLINES[card.form][0])
    return {
        "name": card.name,
        "version": card.version,
        "hash": card.ref.hash,
        "title": card.title,
        "task": card.task,
        "form": card.form,
        "modality": card.modality,
        "baseline": card.baseline,
        "classes": list(card.class_ids),
        "positive": card.class_ids[card.positive],
        "statements": [statement.id for statement in card.statements],
        "takes": list(card.takes),
        "input": {
            "height": card.input.height,
            "width": card.input.width,
            "channels": card.input.channels,
            "fit": card.input.fit,
            "normalisation": card.input.normalisation,
        },
        "headline": None
        if figure is None
        else {"metric": HEADLINES[card.form][0], "test_set": home, **figure, "n": sets[home]["n"]},
        "fit_for_use": {p.id: p.fit_for_use for p in card.populations},
        "licence": card.licence,
    }


def sentence(described: Mapping[str, Any]) -> str:
    """One line for a reader at a terminal."""
    figure = described["headline"]
    fit = [name for name, good in described["fit_for_use"].items() if good]
    headline = "input check, gives no answer of its own" if described["task"] == "gate" else "no figure"
    if figure is not None:
        spread = f"{figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})"
        headline = f"{HEADLINES[described['form']][1]} {spread}, n {figure['n']}, {figure['test_set']}"
    parts = [
        f"{described['name']} {described['version']}",
        f"{described['task']}, {described['modality']}",
        "/".join(described["classes"]),
        f"{described['input']['height']} x {described['input']['width']} px",
        headline,
    ]
    if described["fit_for_use"]:
        parts.append(f"fit for use: {', '.join(fit) or 'nowhere'}")
    parts.append(f"licence of the data: {described['licence']}")
    return "; ".join([*parts, *(["baseline"] if described["baseline"] else [])])
