"""What the comparison page shows: the shipped evaluation results, recomputed from the predictions behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard, evaluation, hashes
from medimg_core.errors import BadRequest
from medimg_core.metrics import (
    Form,
    McNemar,
    PairedTest,
    PrCurve,
    ReliabilityBin,
    RocCurve,
    confusion_matrix,
    figure_differences,
    headline_test,
    mcnemar,
    mean_difference,
    pr_curve,
    reliability,
    roc_curve,
)
from medimg_core.metrics.evaluation import subset
from medimg_core.types import Interval
from medimg_core.workflows.compare import check_same_classes
from medimg_core.workflows.stored import stored_answers

FLOOR = 0.80
"""AUROC below which a model is not fit for use in a population."""

KAPPA_FLOOR = 0.50
"""Quadratic kappa below which a model of grades is not."""


@dataclass(frozen=True, slots=True)
class Subgroup:
    """AUROC, of several kinds accuracy, among some of the films."""

    name: str
    n: int
    positives: int
    figure: Interval


@dataclass(frozen=True, slots=True, eq=False)
class ModelResult:
    """One model on one test set.

    Attributes:
        metrics: name -> figure with its interval, as in `evaluation.json`.
        roc, pr: of the board's positive side against the rest.
        kinds: of several kinds, class -> its curve against the rest; else empty.
        bins, ece_null_95: calibration of the positive side; of several kinds of the class decided.
        point_roc: place of the decisions on the curve (fpr, tpr).
        confusion: int64 `[2, 2]`, rows the truth (without, with the positive side), columns the decision.
        matrix: int64 `[classes, classes]`, rows the truth, columns the class decided.
        cost: `predict_ms`, `tflite_bytes`, ... as in `evaluation.json`.
    """

    name: str
    title: str
    baseline: bool
    fit_for_use: bool | None
    metrics: Mapping[str, Interval]
    roc: RocCurve
    pr: PrCurve
    bins: tuple[ReliabilityBin, ...]
    ece_null_95: float
    point_roc: tuple[float, float]
    confusion: NDArray[np.int64]
    matrix: NDArray[np.int64]
    kinds: Mapping[str, RocCurve]
    subgroups: tuple[Subgroup, ...]
    cost: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PairResult:
    """Two models on the films that both answered.

    Attributes:
        auroc: DeLong's test, of several kinds the paired bootstrap of the mean area; `test` names it.
        kappa: of grades, the difference of quadratic kappa with its bootstrap interval; else None.
    """

    first: str
    second: str
    n: int
    auroc: PairedTest
    accuracy: Interval
    right: McNemar
    test: str = "DeLong"
    kappa: Interval | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Dashboard:
    """A test set and the models measured on it, the first against each other one.

    Attributes:
        positive: the class that curves, areas and rates speak of, of grades the first positive one; of several kinds
            AUROC is the mean over the classes, and the curves are those of this class.
        classes: ids, in the order of the models.
    """

    test_set: str
    title: str
    n: int
    positives: int
    patients: int
    positive: str
    form: Form
    classes: tuple[str, ...]
    models: tuple[ModelResult, ...]
    pairs: tuple[PairResult, ...]
    date: str
    data_hash: str


def by_question(cards: Sequence[ModelCard]) -> tuple[tuple[ModelCard, ...], ...]:
    """Models that can be compared with each other (the same classes), in the order in which they come."""
    groups: dict[tuple[str, ...], list[ModelCard]] = {}
    for card in cards:
        groups.setdefault(card.class_ids, []).append(card)
    return tuple(tuple(group) for group in groups.values())


def measured_sets(cards: Sequence[ModelCard]) -> dict[str, str]:
    """Test sets on which every one of the models was measured: id -> title, in the order of the first model.

    Models that do not answer the same question have none in common.
    """
    measured = [evaluation(card)["test_sets"] for card in cards]
    if not measured or len({card.class_ids for card in cards}) > 1:
        return {}
    return {key: value["title"] for key, value in measured[0].items() if all(key in other for other in measured)}


def dashboard(cards: Sequence[ModelCard], test_set: str) -> Dashboard:
    """Curves, tables and paired tests for one test set; kept per process until a model's files change.

    Raises:
        BadRequest: one of the models was not measured on this test set.
        BadTable: the models have different classes.
    """
    if cards:
        check_same_classes({card.name: card.class_ids for card in cards})
    known = measured_sets(cards)
    if test_set not in known:
        raise BadRequest(
            f"These models were not all measured on {test_set!r}.", f"Measured: {', '.join(known) or 'none'}."
        )
    return _computed(_Keyed((card, hashes(card)["evaluation.json"]) for card in cards), test_set)


class _Keyed(tuple[tuple[ModelCard, str], ...]):
    """Cards with their hashes, hashed by name and content, because a card holds dictionaries."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(tuple((card.name, digest) for card, digest in self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and [(c.folder, d) for c, d in self] == [(c.folder, d) for c, d in other]


@lru_cache(maxsize=32)
def _computed(cards: _Keyed, test_set: str) -> Dashboard:
    files = [evaluation(card) for card, _ in cards]
    sets = [file["test_sets"][test_set] for file in files]
    models = tuple(_model(card, file, raw, test_set) for (card, _), file, raw in zip(cards, files, sets, strict=True))
    pairs = tuple(_pair(cards[0][0], sets[0], card, raw) for (card, _), raw in zip(cards[1:], sets[1:], strict=True))
    first = sets[0]
    return Dashboard(
        test_set=test_set,
        title=first["title"],
        n=first["n"],
        positives=first["positives"],
        patients=first["patients"],
        positive=cards[0][0].class_ids[cards[0][0].positive],
        form=cast(Form, cards[0][0].form),
        classes=cards[0][0].class_ids,
        models=models,
        pairs=pairs,
        date=files[0]["date"],
        data_hash=first["data_hash"],
    )


def _model(card: ModelCard, file: Mapping[str, Any], raw: Mapping[str, Any], test_set: str) -> ModelResult:
    said = stored_answers(card, raw)
    labels, p, patients = said.labels, said.probability, said.patients
    kinds = np.unique(said.truth).tolist() if said.form == "one_of" else []
    hits, certain = (said.right, said.top) if said.form == "one_of" else (labels, p)
    confusion = confusion_matrix(labels, said.flagged)
    fpr, tpr = confusion[0, 1] / max(confusion[0].sum(), 1), confusion[1, 1] / max(confusion[1].sum(), 1)
    populations = [population for population in card.populations if population.test_set == test_set]
    measured = "accuracy" if said.form == "one_of" else "auroc"
    return ModelResult(
        name=card.name,
        title=card.title,
        baseline=card.baseline,
        fit_for_use=populations[0].fit_for_use if populations else None,
        metrics={name: _interval(value, raw["n"]) for name, value in raw["metrics"].items() if value},
        roc=roc_curve(labels, p, patients),
        pr=pr_curve(labels, p, patients),
        bins=reliability(hits, certain, patients),
        ece_null_95=float(raw["calibration"]["ece_null_95"]),
        point_roc=(float(fpr), float(tpr)),
        confusion=confusion,
        matrix=confusion_matrix(said.truth, said.decided, said.classes),
        kinds={said.name(k): roc_curve(said.truth == k, said.all_scores[:, k], patients) for k in kinds},
        subgroups=tuple(
            Subgroup(group["name"], group["n"], group.get("positives", 0), _interval(group[measured], group["n"]))
            for group in raw["subgroups"]
            if group.get(measured)
        ),
        cost=file["cost"],
    )


def _interval(raw: Mapping[str, float], n: int) -> Interval:
    return Interval(raw["value"], raw["low"], raw["high"], n)


def _pair(first: ModelCard, a: Mapping[str, Any], second: ModelCard, b: Mapping[str, Any]) -> PairResult:
    where = {key: i for i, key in enumerate(b["predictions"]["id"])}
    both = [(i, where[key]) for i, key in enumerate(a["predictions"]["id"]) if key in where]
    ia, ib = (np.asarray([pair[side] for pair in both], np.intp) for side in (0, 1))
    one, other = subset(stored_answers(first, a), ia), subset(stored_answers(second, b), ib)
    return PairResult(
        first=first.name,
        second=second.name,
        n=len(both),
        auroc=headline_test(one, other),
        accuracy=mean_difference(one.right, other.right, one.patients),
        right=mcnemar(one.right, other.right),
        test="bootstrap of the mean area" if one.form == "one_of" else "DeLong",
        kappa=figure_differences(one, other)["kappa_quadratic"] if one.form == "grade" else None,
    )
