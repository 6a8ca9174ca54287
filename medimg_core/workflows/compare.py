"""Models against each other on the same images: paired tests, differences with intervals, one report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core.errors import BadRequest, BadTable
from medimg_core.metrics import (
    Answers,
    Evaluation,
    McNemar,
    PairedTest,
    delong_test,
    evaluate_answers,
    figure_differences,
    holm,
    mcnemar,
)
from medimg_core.metrics.evaluation import as_wrong, subset
from medimg_core.types import Interval
from medimg_core.workflows.evaluate import interval_json
from medimg_core.workflows.predictions import Table

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same films.

    Attributes:
        auroc: DeLong's test; `p_holm` its p value adjusted for all pairs of the comparison after Holm.
        differences: figure -> `a - b` with its bootstrap interval.
        right: McNemar's test of the right decisions; `right_p_holm` adjusted likewise.
    """

    a: str
    b: str
    n: int
    auroc: PairedTest
    p_holm: float
    differences: Mapping[str, Interval]
    right: McNemar
    right_p_holm: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All pairs, with films that a model refused left out or counted as wrong.

    Attributes:
        n: images in every table with a known label; `patients` of them.
        left_out: pairs over the images that all models answered.
        wrong: pairs over all images; a refused one counts as the wrong answer given with certainty.
        dropped: model -> images that stand in its table and not in all.
    """

    models: tuple[str, ...]
    positive: str
    n: int
    patients: int
    evaluations: Mapping[str, Evaluation]
    left_out: tuple[Pair, ...]
    wrong: tuple[Pair, ...]
    dropped: Mapping[str, int]


def compare(tables: Mapping[str, Table], positive: str | None = None) -> Comparison:
    """Compare the answers of two or more models.

    Args:
        tables: name -> predictions; images are matched by their id.
        positive: the class that the probability speaks of; the last column where None.

    Raises:
        BadRequest: fewer than two models.
        BadTable: the models have different classes, no image in common, different labels for one image, or the common
            images hold one class only.
    """
    if len(tables) < 2:
        raise BadRequest("A comparison needs two models.", "Give two names or two tables, separated by a comma.")
    first = next(iter(tables.values()))
    chosen = positive or first.classes[-1]
    if any(table.classes != first.classes for table in tables.values()):
        raise BadTable("The models have different classes.", "Compare models that answer the same question.")
    common = _common(tables)
    found = {name: table.answers(chosen, rows) for (name, table), rows in zip(tables.items(), common, strict=True)}
    truth = next(iter(found.values()))[0]
    if truth.labels.all() or not truth.labels.any():
        raise BadTable(
            "The images that all models have in common do not hold both classes.",
            "Compare on images of both classes with known labels.",
        )
    by_all = np.logical_and.reduce([answered for _, answered in found.values()])
    answers = {name: subset(given, by_all) for name, (given, _) in found.items()}
    worst = {name: as_wrong(given, answered) for name, (given, answered) in found.items()}
    return Comparison(
        models=tuple(tables),
        positive=chosen,
        n=truth.truth.size,
        patients=np.unique(truth.patients).size,
        evaluations={name: evaluate_answers(*found[name]) for name in tables},
        left_out=_pairs(answers),
        wrong=_pairs(worst),
        dropped={
            name: len(table.lines) - len(rows) for (name, table), rows in zip(tables.items(), common, strict=True)
        },
    )


def _common(tables: Mapping[str, Table]) -> list[list[int]]:
    """For each table the numbers of the lines that all tables have, in the order of the first."""
    places = [{line.id: i for i, line in enumerate(table.lines)} for table in tables.values()]
    ids = [name for name in places[0] if all(name in other for other in places)]
    if not ids:
        raise BadTable("The tables have no image in common.", "Compare predictions for the same manifest.")
    rows = [[place[name] for name in ids] for place in places]
    labels = [[table.lines[i].label for i in numbers] for table, numbers in zip(tables.values(), rows, strict=True)]
    if any(other != labels[0] for other in labels[1:]):
        raise BadTable("The tables give one image different labels.", "Evaluate both models with the same labels.")
    return rows


def _pairs(answers: Mapping[str, Answers]) -> tuple[Pair, ...]:
    names = list(combinations(answers, 2))
    labels = next(iter(answers.values())).labels
    if labels.all() or not labels.any():
        return ()  # everything of one class was refused by one of the models
    tests = [delong_test(labels, answers[a].probability, answers[b].probability, answers[a].patients) for a, b in names]
    right = [mcnemar(_right(answers[a]), _right(answers[b])) for a, b in names]
    adjusted, right_adjusted = holm([t.p for t in tests]), holm([r.p for r in right])
    return tuple(
        Pair(
            a,
            b,
            labels.size,
            tests[i],
            adjusted[i],
            figure_differences(answers[a], answers[b]),
            right[i],
            right_adjusted[i],
        )
        for i, (a, b) in enumerate(names)
    )


def _right(answers: Answers) -> NDArray[np.bool_]:
    return np.asarray(answers.truth == answers.decided, np.bool_)


def as_json(found: Comparison) -> dict[str, Any]:
    """What `comparison.json` holds and `--json` prints."""
    return {
        "models": list(found.models),
        "positive": found.positive,
        "n": found.n,
        "patients": found.patients,
        "not_in_all": dict(found.dropped),
        "metrics": {
            name: {key: interval_json(i) for key, i in evaluation.left_out.items()}
            for name, evaluation in found.evaluations.items()
        },
        "refused_left_out": [_pair_json(pair) for pair in found.left_out],
        "refused_wrong": [_pair_json(pair) for pair in found.wrong],
    }


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "a": pair.a,
        "b": pair.b,
        "n": pair.n,
        "auroc": {
            "a": interval_json(pair.auroc.a),
            "b": interval_json(pair.auroc.b),
            "difference": interval_json(pair.auroc.difference),
            "p": pair.auroc.p,
            "p_holm": pair.p_holm,
            "test": "DeLong, patients kept together",
        },
        "differences": {name: interval_json(i) for name, i in pair.differences.items()},
        "mcnemar": {
            "only_a": pair.right.only_a,
            "only_b": pair.right.only_b,
            "p": pair.right.p,
            "p_holm": pair.right_p_holm,
        },
    }


def write_comparison(found: Comparison, out: Path, facts: Sequence[tuple[str, str]] = ()) -> None:
    """Write `comparison.json` and `comparison.html` to a folder."""
    from medimg_core.render.report import PairRow, comparison_report

    out.mkdir(parents=True, exist_ok=True)
    (out / "comparison.json").write_text(json.dumps(as_json(found), indent=1) + "\n", encoding="utf-8")
    shown: list[tuple[str, str]] = [
        ("Images", f"{found.n:,} of {found.patients:,} patients, the same for every model"),
        ("Probability of", found.positive),
        *facts,
    ]
    groups = [("", found.left_out)]
    if any(evaluation.unanswered for evaluation in found.evaluations.values()):
        groups = [(", refused images left out", found.left_out), (", refused images counted wrong", found.wrong)]
    pairs = [
        PairRow(f"{p.a} against {p.b}{words}", p.auroc, p.p_holm, p.differences, p.right, p.right_p_holm)
        for words, group in groups
        for p in group
    ]
    title = "Comparison of " + " and ".join(found.models)
    page = comparison_report(title, shown, list(found.evaluations.items()), pairs)
    (out / "comparison.html").write_text(page, encoding="utf-8")
