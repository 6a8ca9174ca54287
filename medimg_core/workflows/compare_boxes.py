"""Models that box the same finding on the same images: the difference of their average precision, by patient."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard
from medimg_core.errors import BadTable
from medimg_core.metrics import ImageBoxes, PairedTest, average_precision_test, holm
from medimg_core.workflows.evaluate import interval_json
from medimg_core.workflows.places_figures import Film, spoiled

TEST = "paired bootstrap of patients"

_FIGURES: Mapping[str, float | None] = {"ap50": 0.5, "ap_centre": None}
"""Figure -> overlap from which on a box is true; None takes one whose centre lies in a true one."""

Pairs = Mapping[tuple[str, str, str], tuple[PairedTest, float]]
"""First model, second model, figure -> the test of their difference, and its p after Holm over all of these."""


@dataclass(frozen=True, slots=True)
class BoxComparison:
    """All pairs, with images that a model refused left out or counted as wrong (`places_figures.spoiled`).

    Attributes:
        n: images in every run whose truth can be used; `patients` of them.
    """

    models: tuple[str, ...]
    structure: str
    n: int
    patients: int
    left_out: Pairs
    wrong: Pairs


def boxed_by_all(cards: Sequence[ModelCard]) -> str:
    """The structure that all models box; empty where there is no such one."""
    structures = {
        card.places.structures[0].id if card.places is not None and card.places.kind == "boxes" else ""
        for card in cards
    }
    return structures.pop() if len(structures) == 1 else ""


def compare_boxes(structure: str, films: Mapping[str, Sequence[Film]]) -> BoxComparison:
    """Compare the boxes of two or more runs on one manifest; images are matched by their id.

    Raises:
        BadTable: the images with a truth are of fewer than two patients, or nothing is to be found on them.
    """
    by_id = {model: {film.row.id: film for film in run if film.boxes is not None} for model, run in films.items()}
    first, *others = by_id.values()
    ids = [name for name in first if all(name in other for other in others)]
    patients = {first[name].row.patient for name in ids}
    answered = [name for name in ids if all(other[name].status == "ok" for other in by_id.values())]
    if len(patients) < 2 or not any(_truths(first[name]) for name in answered):
        raise BadTable(
            "The images with a truth are of fewer than two patients, or nothing is to be found on them.",
            "Give a manifest whose column 'boxes' names the truth of every image.",
        )
    return BoxComparison(
        models=tuple(films),
        structure=structure,
        n=len(ids),
        patients=len(patients),
        left_out=_pairs({model: [_boxes(known[name]) for name in answered] for model, known in by_id.items()}),
        wrong=_pairs({model: [_boxes(known[name]) for name in ids] for model, known in by_id.items()}),
    )


def _boxes(film: Film) -> ImageBoxes:
    assert film.boxes is not None
    return film.boxes if film.status == "ok" else spoiled(film.boxes)


def _truths(film: Film) -> int:
    return len(np.asarray(_boxes(film).truth))


def _pairs(images: Mapping[str, Sequence[ImageBoxes]]) -> Pairs:
    found = {
        (a, b, figure): average_precision_test(images[a], images[b], iou)
        for a, b in combinations(images, 2)
        for figure, iou in _FIGURES.items()
    }
    adjusted = holm([pair.p for pair in found.values()])
    return {key: (pair, p) for (key, pair), p in zip(found.items(), adjusted, strict=True)}


def as_json(found: BoxComparison) -> dict[str, Any]:
    """What `comparison_boxes.json` holds and `--json` prints."""
    return {
        "models": list(found.models),
        "form": "boxes",
        "structure": found.structure,
        "n": found.n,
        "patients": found.patients,
        "refused_left_out": [_pair_json(key, *pair) for key, pair in found.left_out.items()],
        "refused_wrong": [_pair_json(key, *pair) for key, pair in found.wrong.items()],
    }


def _pair_json(key: tuple[str, str, str], pair: PairedTest, p_holm: float) -> dict[str, Any]:
    a, b, figure = key
    sides = {name: interval_json(getattr(pair, name)) for name in ("a", "b", "difference")}
    return {"a": a, "b": b, figure: {**sides, "p": pair.p, "p_holm": p_holm, "test": TEST}}


def sentences(found: BoxComparison) -> list[str]:
    """The differences in words, for a reader at a terminal."""
    return [
        f"{a} against {b}, boxes of {found.structure}, {found.patients} patients: {figure} {pair.a.value:.3f} and "
        f"{pair.b.value:.3f}, difference {pair.difference.value:+.3f} ({pair.difference.low:.3f} to "
        f"{pair.difference.high:.3f}), p {p:.3g}"
        for (a, b, figure), (pair, p) in found.left_out.items()
    ]


def write_box_comparison(found: BoxComparison, out: Path) -> None:
    """Write `comparison_boxes.json` to a folder."""
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(found), indent=1) + "\n"
    (out / "comparison_boxes.json").write_text(text, encoding="utf-8")
