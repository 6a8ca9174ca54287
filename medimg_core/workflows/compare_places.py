"""Models that outline the same structures on the same images: the difference of their Dice, patient by patient."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard
from medimg_core.errors import BadRequest, BadTable
from medimg_core.metrics import holm, mean_difference, mean_interval, sign_flip_test
from medimg_core.types import Interval
from medimg_core.workflows.evaluate import interval_json
from medimg_core.workflows.manifest import read_text
from medimg_core.workflows.places_figures import Film
from medimg_core.workflows.places_write import DICE, FOUND, TRUE

TEST = "sign flips of whole patients"


@dataclass(frozen=True, slots=True)
class Outlined:
    """One image of one model: structure -> pixels in both outlines, in the true one, in the one found."""

    id: str
    patient: str
    answered: bool
    pixels: Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Difference:
    """Two models on one structure: mean Dice of patients of each, `a - b`, its test (`p_holm` over all pairs and
    structures).
    """

    a: Interval
    b: Interval
    difference: Interval
    p: float
    p_holm: float = float("nan")


Pairs = Mapping[tuple[str, str, str], Difference]
"""First model, second model, structure -> their difference."""


@dataclass(frozen=True, slots=True)
class OutlineComparison:
    """All pairs and structures, with images that a model refused left out or counted as nothing outlined.

    Attributes:
        n: images in every table with a truth; `patients` of them.
        dropped: model -> images that stand in its table and not in all.
    """

    models: tuple[str, ...]
    structures: tuple[str, ...]
    n: int
    patients: int
    left_out: Pairs
    wrong: Pairs
    dropped: Mapping[str, int]


def outline_only(cards: Sequence[ModelCard]) -> bool:
    """Whether models are compared by their outlines alone: those that give an answer are compared by that.

    Raises:
        BadRequest: some answer and some do not, or some outline and some box.
    """
    if any(card.answers for card in cards):
        silent = [card.name for card in cards if not card.answers]
        if silent:
            raise BadRequest(
                f"The model {silent[0]} outlines and gives no answer; the others answer a question.",
                "Compare models that answer the same question, or models that outline the same structures.",
            )
        return False
    kinds = {card.places.kind for card in cards if card.places is not None}
    if len(kinds) > 1:
        raise BadRequest("Some of these models outline and some box.", "Compare models of the same kind.")
    return kinds == {"outline"}


def of_films(films: Sequence[Film]) -> tuple[Outlined, ...]:
    """The table of a run."""
    return tuple(
        Outlined(
            film.row.id,
            film.row.patient,
            film.status == "ok",
            {name: (row.both, row.true, row.found) for name, row in film.agreement.items()},
        )
        for film in films
    )


def read_outlined(path: Path) -> tuple[Outlined, ...] | None:
    """The table that `evaluate` wrote of a model that only outlines; None where it holds answers or no outlines.

    Raises:
        BadTable: a number cannot be read.
    """
    reader = csv.DictReader(StringIO(read_text(path)))
    columns = reader.fieldnames or []
    names = [name.removeprefix(DICE) for name in columns if name.startswith(DICE)]
    if not names or any(name.startswith("p_") for name in columns):
        return None
    try:
        return tuple(_line(row, names) for row in reader)
    except (KeyError, ValueError, TypeError) as error:
        raise BadTable(
            f"Line {reader.line_num} of the predictions cannot be used.",
            "Give a predictions.csv that `evaluate` wrote.",
        ) from error


def _line(row: Mapping[str, str], names: Sequence[str]) -> Outlined:
    pixels = {}
    for name in names:
        if row[TRUE + name]:
            true, found = int(row[TRUE + name]), int(row[FOUND + name] or 0)
            both = round(float(row[DICE + name] or 0) * (true + found) / 2) if true + found else 0
            pixels[name] = (both, true, found)
    return Outlined(row["id"], row["patient"] or row["id"], row["status"] == "ok", pixels)


def compare_outlines(tables: Mapping[str, Sequence[Outlined]]) -> OutlineComparison:
    """Compare the outlines of two or more models; images are matched by their id.

    Raises:
        BadRequest: fewer than two models.
        BadTable: other structures, another truth, or fewer than two patients in common.
    """
    if len(tables) < 2:
        raise BadRequest("A comparison needs two models.", "Give two names or two tables, separated by a comma.")
    by_id = {model: {line.id: line for line in lines} for model, lines in tables.items()}
    structures = _structures(tables)
    first = next(iter(tables.values()))
    ids = [line.id for line in first if line.pixels and all(line.id in other for other in by_id.values())]
    common = {model: [lines[name] for name in ids] for model, lines in by_id.items()}
    _check_truth(common)
    patients = sorted({line.patient for line in next(iter(common.values()))})
    if len(patients) < 2:
        raise BadTable(
            "The tables have fewer than two patients in common.", "Compare predictions for the same manifest."
        )
    by_all = [all(lines[i].answered for lines in common.values()) for i in range(len(ids))]
    answered = {
        model: [one for one, keep in zip(lines, by_all, strict=True) if keep] for model, lines in common.items()
    }
    return OutlineComparison(
        models=tuple(tables),
        structures=structures,
        n=len(ids),
        patients=len(patients),
        left_out=_pairs(answered, structures),
        wrong=_pairs(common, structures),
        dropped={model: len(lines) - len(ids) for model, lines in tables.items()},
    )


def _structures(tables: Mapping[str, Sequence[Outlined]]) -> tuple[str, ...]:
    own = {model: list(dict.fromkeys(n for line in lines for n in line.pixels)) for model, lines in tables.items()}
    (model, names), *others = own.items()
    for other, these in others:
        if set(these) != set(names):
            raise BadTable(
                f"The models outline different structures: {model} {', '.join(names) or 'none'}; {other} "
                f"{', '.join(these) or 'none'}.",
                "Compare models of the same structures.",
            )
    return tuple(names)


def _check_truth(common: Mapping[str, Sequence[Outlined]]) -> None:
    truths = [[{n: p[1] for n, p in line.pixels.items()} for line in lines] for lines in common.values()]
    if any(other != truths[0] for other in truths[1:]):
        raise BadTable(
            "The tables give one image different true outlines.", "Evaluate both models with the same masks."
        )


def _pairs(tables: Mapping[str, Sequence[Outlined]], structures: Sequence[str]) -> Pairs:
    found: dict[tuple[str, str, str], Difference] = {}
    for a, b in combinations(tables, 2):
        for name in structures:
            one, other = (_by_patient(tables[model], name) for model in (a, b))
            if one.size > 1:
                found[a, b, name] = Difference(
                    mean_interval(one, share=True),
                    mean_interval(other, share=True),
                    mean_difference(one, other),
                    sign_flip_test(one - other),
                )
    adjusted = holm([pair.p for pair in found.values()]) if found else ()
    return {
        key: Difference(pair.a, pair.b, pair.difference, pair.p, p)
        for (key, pair), p in zip(found.items(), adjusted, strict=True)
    }


def _by_patient(lines: Sequence[Outlined], name: str) -> NDArray[np.float64]:
    """Dice over all pixels of each patient, as in `metrics.dice_per_patient`; an image without an answer has nothing
    outlined, or one wrong pixel where there is nothing.
    """
    counted: dict[str, tuple[int, int]] = {}
    for line in lines:
        if name in line.pixels:
            both, true, found = line.pixels[name] if line.answered else (0, line.pixels[name][1], 0)
            size = true + found + (not line.answered and true == 0)
            shared, total = counted.get(line.patient, (0, 0))
            counted[line.patient] = (shared + both, total + size)
    return np.array([2 * shared / total if total else 1.0 for _, (shared, total) in sorted(counted.items())])


def as_json(found: OutlineComparison) -> dict[str, Any]:
    """What `comparison.json` holds and `--json` prints."""
    return {
        "models": list(found.models),
        "form": "places",
        "structures": list(found.structures),
        "n": found.n,
        "patients": found.patients,
        "not_in_all": dict(found.dropped),
        "refused_left_out": [_pair_json(key, pair) for key, pair in found.left_out.items()],
        "refused_wrong": [_pair_json(key, pair) for key, pair in found.wrong.items()],
    }


def _pair_json(key: tuple[str, str, str], pair: Difference) -> dict[str, Any]:
    a, b, structure = key
    dice = {name: interval_json(getattr(pair, name)) for name in ("a", "b", "difference")}
    return {"a": a, "b": b, "structure": structure, "dice": {**dice, "p": pair.p, "p_holm": pair.p_holm, "test": TEST}}


def sentences(found: OutlineComparison) -> list[str]:
    """The differences in words, for a reader at a terminal."""
    return [
        f"{a} against {b}, {structure}, {found.patients} patients: Dice {pair.a.value:.3f} and {pair.b.value:.3f}, "
        f"difference {pair.difference.value:+.3f} ({pair.difference.low:.3f} to {pair.difference.high:.3f}), "
        f"p {pair.p_holm:.3g}"
        for (a, b, structure), pair in found.left_out.items()
    ]


def write_outline_comparison(found: OutlineComparison, out: Path) -> None:
    """Write `comparison.json` and `comparison.html` to a folder."""
    from medimg_core.render.report import FigureTable, evaluation_report, p_value

    out.mkdir(parents=True, exist_ok=True)
    (out / "comparison.json").write_text(json.dumps(as_json(found), indent=1) + "\n", encoding="utf-8")
    tables = []
    for (a, b, structure), pair in found.left_out.items():
        wrong = found.wrong.get((a, b, structure))
        rows = [
            (f"Dice of {a}", pair.a, wrong.a if wrong is not None else None),
            (f"Dice of {b}", pair.b, wrong.b if wrong is not None else None),
            ("Difference", pair.difference, wrong.difference if wrong is not None else None),
        ]
        words = f"{p_value(pair.p)} ({TEST}), {p_value(pair.p_holm)} after Holm; refused images left out."
        tables.append(FigureTable(f"{structure.replace('_', ' ')}: {a} against {b}", words, rows))
    facts = [("Images", f"{found.n:,} of {found.patients:,} patients, the same for every model")]
    facts.append(("Figures", "mean over patients of the Dice of all pixels of their images"))
    page = evaluation_report("Comparison of " + " and ".join(found.models), facts, None, [], tables=tables)
    (out / "comparison.html").write_text(page, encoding="utf-8")
