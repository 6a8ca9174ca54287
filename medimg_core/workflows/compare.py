"""Models against each other on the same images: paired tests, differences with intervals, one report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.errors import BadRequest, BadTable
from medimg_core.metrics import (
    Answers,
    Evaluation,
    Form,
    McNemar,
    PairedTest,
    evaluate_answers,
    figure_differences,
    headline_test,
    holm,
    mcnemar,
)
from medimg_core.metrics.evaluation import as_wrong, subset
from medimg_core.types import Interval
from medimg_core.workflows.evaluate import interval_json
from medimg_core.workflows.predictions import Table


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models on the same films.

    Attributes:
        auroc: DeLong's test, of several kinds the paired bootstrap of the mean area; `p_holm` its p value adjusted for
            all pairs of the comparison after Holm.
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
        positive: the class that counts as positive; None where the models name one of several kinds and none is
            singled out.
        n: images in every table with a known label; `patients` of them.
        left_out: pairs over the images that all models answered.
        wrong: pairs over all images; a refused one counts as the wrong answer given with certainty.
        dropped: model -> images that stand in its table and not in all.
    """

    models: tuple[str, ...]
    positive: str | None
    n: int
    patients: int
    evaluations: Mapping[str, Evaluation]
    left_out: tuple[Pair, ...]
    wrong: tuple[Pair, ...]
    dropped: Mapping[str, int]

    @property
    def form(self) -> Form:
        """How the models answer."""
        return next(iter(self.evaluations.values())).form

    @property
    def test(self) -> str:
        """What tested the difference of the areas."""
        return "bootstrap of the mean area" if self.form == "one_of" else "DeLong"


def compare(tables: Mapping[str, Table], positive: str | None = None) -> Comparison:
    """Compare the answers of two or more models.

    Args:
        tables: name -> predictions; images are matched by their id.
        positive: the class that the probability speaks of, of grades the first positive one; None takes the table's.

    Raises:
        BadRequest: fewer than two models.
        BadTable: the models have different classes or scales, no image in common, different labels for one image, or
            the common images hold one class only.
    """
    if len(tables) < 2:
        raise BadRequest("A comparison needs two models.", "Give two names or two tables, separated by a comma.")
    first = next(iter(tables.values()))
    chosen = positive or first.usual_positive
    check_same_classes({name: table.classes for name, table in tables.items()})
    if any(table.at_least != first.at_least for table in tables.values()):
        raise BadTable(
            "The models do not count the same grades as positive.", "Compare models that answer the same question."
        )
    common = _common(tables)
    found = {name: table.answers(chosen, rows) for (name, table), rows in zip(tables.items(), common, strict=True)}
    truth = next(iter(found.values()))[0]
    if not truth.comparable:
        raise BadTable(
            "The images that all models have in common do not hold both classes.",
            "Compare on images of both classes with known labels.",
        )
    by_all = np.logical_and.reduce([answered for _, answered in found.values()])
    answers = {name: subset(given, by_all) for name, (given, _) in found.items()}
    worst = {name: as_wrong(given, answered) for name, (given, answered) in found.items()}
    return Comparison(
        models=tuple(tables),
        positive=chosen if truth.two_sided else None,
        n=truth.truth.size,
        patients=np.unique(truth.patients).size,
        evaluations={name: evaluate_answers(*found[name]) for name in tables},
        left_out=_pairs(answers),
        wrong=_pairs(worst),
        dropped={
            name: len(table.lines) - len(rows) for (name, table), rows in zip(tables.items(), common, strict=True)
        },
    )


def check_same_classes(classes: Mapping[str, Sequence[str]]) -> None:
    """Refuse models that do not answer the same question.

    Args:
        classes: model -> its classes in the order of the network.

    Raises:
        BadTable: the message lists the classes of the two that differ.
    """
    (first, those), *others = classes.items()
    for name, these in others:
        if tuple(these) != tuple(those):
            raise BadTable(
                f"The models have different classes: {first} tells {', '.join(those)}; {name} tells "
                f"{', '.join(these)}.",
                "Compare models that answer the same question.",
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
    first = next(iter(answers.values()))
    if not first.comparable:
        return ()  # everything of one class was refused by one of the models
    tests = [headline_test(answers[a], answers[b]) for a, b in names]
    right = [mcnemar(answers[a].right, answers[b].right) for a, b in names]
    adjusted, right_adjusted = holm([t.p for t in tests]), holm([r.p for r in right])
    return tuple(
        Pair(
            a,
            b,
            first.truth.size,
            tests[i],
            adjusted[i],
            figure_differences(answers[a], answers[b]),
            right[i],
            right_adjusted[i],
        )
        for i, (a, b) in enumerate(names)
    )


def as_json(found: Comparison) -> dict[str, Any]:
    """What `comparison.json` holds and `--json` prints."""
    return {
        "models": list(found.models),
        "form": found.form,
        "positive": found.positive,
        "n": found.n,
        "patients": found.patients,
        "not_in_all": dict(found.dropped),
        "metrics": {
            name: {key: interval_json(i) for key, i in evaluation.left_out.items()}
            for name, evaluation in found.evaluations.items()
        },
        "refused_left_out": [_pair_json(pair, found.test) for pair in found.left_out],
        "refused_wrong": [_pair_json(pair, found.test) for pair in found.wrong],
    }


def _pair_json(pair: Pair, test: str) -> dict[str, Any]:
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
            "test": f"{test}, patients kept together",
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
        ("Areas and rates", _spoken_of(found)),
        *facts,
    ]
    groups = [("", found.left_out)]
    if any(evaluation.unanswered for evaluation in found.evaluations.values()):
        groups = [(", refused images left out", found.left_out), (", refused images counted wrong", found.wrong)]
    pairs = [
        PairRow(
            f"{p.a} against {p.b}{words}",
            p.auroc,
            p.p_holm,
            p.differences,
            p.right,
            p.right_p_holm,
            found.test,
            found.evaluations[p.a].titles,
        )
        for words, group in groups
        for p in group
    ]
    title = "Comparison of " + " and ".join(found.models)
    page = comparison_report(title, shown, list(found.evaluations.items()), pairs)
    (out / "comparison.html").write_text(page, encoding="utf-8")


def _spoken_of(found: Comparison) -> str:
    if found.form == "grade":
        return f"of {found.positive} or higher"
    if found.form == "one_of":
        rates = f"rates of {found.positive}" if found.positive else "rates are means as well"
        return f"AUROC is the mean over the classes, each against the rest; {rates}"
    return f"of {found.positive}"
