"""The installed models as plain objects: what `models` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medimg_core.catalog import ModelCard, evaluation

HEADLINES = {
    "yes_no": ("auroc", "AUROC"),
    "one_of": ("accuracy", "accuracy"),
    "grade": ("kappa_quadratic", "kappa"),
    "places": ("dice", "Dice"),
}
"""Form -> the figure that stands for a model, and its name."""

PLACES = {"outline": ("dice", "Dice"), "boxes": ("ap50", "AP50")}
"""Kind of places -> the figure that stands for them, and its name."""


def describe(card: ModelCard) -> dict[str, Any]:
    """Name, task, modality, classes, structures, input, headline figure with interval, and where it is fit for use.

    The headline (`HEADLINES`) is that of the test set of the card's default population; of a model that only outlines
    it is the Dice of its first structure, or the mean of all (`PlacesCard.pixelwise`). A model that answers and
    outlines has that figure under `places`, with where its outlines or boxes are fit for use: `fit_for_use` beside it
    is that of the answer.
    """
    home = card.population(chosen=card.default_population)[0].test_set if card.populations else ""
    places = None if card.places is None else _places(card, home)
    if card.answers or places is None:
        headline = _headline(evaluation(card).get("test_sets", {}), home, HEADLINES[card.form][0])
    else:
        headline = places["headline"]
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
        "positive": card.class_ids[card.positive] if card.answers else None,
        "statements": [statement.id for statement in card.statements],
        "structures": [] if card.places is None else [structure.id for structure in card.places.structures],
        "places": places,
        "takes": list(card.takes),
        "input": {
            "height": card.input.height,
            "width": card.input.width,
            "channels": card.input.channels,
            "fit": card.input.fit,
            "normalisation": card.input.normalisation,
        },
        "headline": headline,
        "fit_for_use": {p.id: p.fit_for_use for p in card.populations},
        "licence": card.licence,
    }


def _places(card: ModelCard, home: str) -> dict[str, Any]:
    """How a model outlines or boxes, and the figure that stands for that."""
    assert card.places is not None
    places, sets = card.places, evaluation(card).get("places", {}).get("test_sets", {})
    return {
        "kind": places.kind,
        "measures": places.measure or None,
        "needs_box": places.needs_box,
        "context": places.context,
        "headline": _headline(sets, home if home in sets else next(iter(sets), ""), PLACES[places.kind][0]),
        "fit_for_use": {p.id: places.fit_in(p.id) for p in card.populations},
    }


def _headline(sets: Mapping[str, Any], home: str, metric: str) -> dict[str, Any] | None:
    figure = sets.get(home, {}).get("metrics", {}).get(metric)
    return None if figure is None else {"metric": metric, "test_set": home, **figure, "n": sets[home]["n"]}


def sentence(described: Mapping[str, Any]) -> str:
    """One line for a reader at a terminal."""
    gate, places = described["task"] == "gate", described["places"]
    headline = "input check, gives no answer of its own" if gate else _figure(described["headline"])
    parts = [
        f"{described['name']} {described['version']}",
        f"{described['task']}, {described['modality']}",
        "/".join(described["classes"] or described["structures"]),
        f"{described['input']['height']} x {described['input']['width']} px",
        headline,
    ]
    if places is not None and described["classes"]:
        verb = "boxes" if places["kind"] == "boxes" else "outlines"
        parts.append(f"{verb} {'/'.join(described['structures'])}: {_figure(places['headline'])}")
        parts.append(f"{verb} fit for use: {_where(places['fit_for_use'])}")
    if described["fit_for_use"]:
        parts.append(f"fit for use: {_where(described['fit_for_use'])}")
    parts.append(f"licence of the data: {described['licence']}")
    return "; ".join([*parts, *(["baseline"] if described["baseline"] else [])])


def _where(fit: Mapping[str, bool]) -> str:
    return ", ".join(name for name, good in fit.items() if good) or "nowhere"


def _figure(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return "no figure"
    title = dict([*HEADLINES.values(), *PLACES.values()])[figure["metric"]]
    spread = f"{figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f})"
    return f"{title} {spread}, n {figure['n']}, {figure['test_set']}"
