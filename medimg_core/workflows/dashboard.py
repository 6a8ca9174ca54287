"""What the comparison page shows: the shipped evaluation results, recomputed from the predictions behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard, evaluation, hashes
from medimg_core.errors import BadRequest
from medimg_core.metrics import (
    McNemar,
    PairedTest,
    PrCurve,
    ReliabilityBin,
    RocCurve,
    confusion_matrix,
    delong_test,
    mcnemar,
    mean_difference,
    pr_curve,
    reliability,
    roc_curve,
)
from medimg_core.types import Interval

FLOOR = 0.80
"""AUROC below which a model is not fit for use in a population."""


@dataclass(frozen=True, slots=True)
class Subgroup:
    """AUROC among some of the films."""

    name: str
    n: int
    positives: int
    auroc: Interval


@dataclass(frozen=True, slots=True, eq=False)
class ModelResult:
    """One model on one test set.

    Attributes:
        metrics: name -> figure with its interval, as in `evaluation.json`.
        point: threshold of the balanced operating point; `point_roc` its place on the curve (fpr, tpr).
        confusion: int64 `[2, 2]`, rows the truth (without, with), columns the decision.
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
    subgroups: tuple[Subgroup, ...]
    cost: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PairResult:
    """Two models on the films that both answered."""

    first: str
    second: str
    n: int
    auroc: PairedTest
    accuracy: Interval
    right: McNemar


@dataclass(frozen=True, slots=True, eq=False)
class Dashboard:
    """A test set and the models measured on it, the first against each other one."""

    test_set: str
    title: str
    n: int
    positives: int
    patients: int
    positive: str
    models: tuple[ModelResult, ...]
    pairs: tuple[PairResult, ...]
    date: str
    data_hash: str


def measured_sets(cards: Sequence[ModelCard]) -> dict[str, str]:
    """Test sets on which every one of the models was measured: id -> title, in the order of the first model."""
    measured = [evaluation(card)["test_sets"] for card in cards]
    if not measured:
        return {}
    return {key: value["title"] for key, value in measured[0].items() if all(key in other for other in measured)}


def dashboard(cards: Sequence[ModelCard], test_set: str) -> Dashboard:
    """Curves, tables and paired tests for one test set; kept per process until a model's files change.

    Raises:
        BadRequest: one of the models was not measured on this test set.
    """
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
        models=models,
        pairs=pairs,
        date=files[0]["date"],
        data_hash=first["data_hash"],
    )


def _model(card: ModelCard, file: Mapping[str, Any], raw: Mapping[str, Any], test_set: str) -> ModelResult:
    rows = raw["predictions"]
    labels, p = np.asarray(rows["label"]), np.asarray(rows["probability"])
    decided = np.asarray([d == card.class_ids[card.positive] for d in rows["decision"]])
    confusion = confusion_matrix(labels, decided)
    fpr, tpr = confusion[0, 1] / max(confusion[0].sum(), 1), confusion[1, 1] / max(confusion[1].sum(), 1)
    populations = [population for population in card.populations if population.test_set == test_set]
    return ModelResult(
        name=card.name,
        title=card.title,
        baseline=card.baseline,
        fit_for_use=populations[0].fit_for_use if populations else None,
        metrics={name: _interval(value, raw["n"]) for name, value in raw["metrics"].items() if value},
        roc=roc_curve(labels, p, rows["patient"]),
        pr=pr_curve(labels, p, rows["patient"]),
        bins=reliability(labels, p, rows["patient"]),
        ece_null_95=float(raw["calibration"]["ece_null_95"]),
        point_roc=(float(fpr), float(tpr)),
        confusion=confusion,
        subgroups=tuple(
            Subgroup(group["name"], group["n"], group["positives"], _interval(group["auroc"], group["n"]))
            for group in raw["subgroups"]
            if group.get("auroc")
        ),
        cost=file["cost"],
    )


def _interval(raw: Mapping[str, float], n: int) -> Interval:
    return Interval(raw["value"], raw["low"], raw["high"], n)


def _pair(first: ModelCard, a: Mapping[str, Any], second: ModelCard, b: Mapping[str, Any]) -> PairResult:
    rows_a, rows_b = a["predictions"], b["predictions"]
    where = {key: i for i, key in enumerate(rows_b["id"])}
    both = [(i, where[key]) for i, key in enumerate(rows_a["id"]) if key in where]
    ia, ib = (np.asarray([pair[side] for pair in both]) for side in (0, 1))
    labels = np.asarray(rows_a["label"])[ia]
    patients = np.asarray(rows_a["patient"])[ia]
    truth = labels == 1
    right_a = np.asarray([d == first.class_ids[first.positive] for d in rows_a["decision"]])[ia] == truth
    right_b = np.asarray([d == second.class_ids[second.positive] for d in rows_b["decision"]])[ib] == truth
    test = delong_test(labels, np.asarray(rows_a["probability"])[ia], np.asarray(rows_b["probability"])[ib], patients)
    return PairResult(
        first=first.name,
        second=second.name,
        n=len(both),
        auroc=test,
        accuracy=mean_difference(right_a, right_b, patients),
        right=mcnemar(right_a, right_b),
    )
