"""Rows of a manifest as series: one answer a patient, measured beside the highest slice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard
from medimg_core.errors import MedImgError
from medimg_core.inference import Answer
from medimg_core.inference.series import FEWEST, SeriesAnswer, Slice, combine, see
from medimg_core.inference.series_order import Where
from medimg_core.metrics import auroc, delong_test
from medimg_core.metrics.roc import PairedTest
from medimg_core.types import Interval
from medimg_core.workflows.answers import Entry


@dataclass(frozen=True, slots=True, eq=False)
class SeriesLine:
    """One series: what it is, what was said, and the highest probability of any slice."""

    patient: str
    positive: bool
    said: SeriesAnswer
    highest: float


@dataclass(frozen=True, slots=True, eq=False)
class SeriesRun:
    """Series of one evaluation.

    Attributes:
        lines: series with a known label, in the order of the table, refused ones too.
        auroc: None with one class only, as are the others.
        test: the answers against the highest slice, paired (DeLong).
    """

    card: ModelCard
    lines: tuple[SeriesLine, ...]
    auroc: Interval | None
    test: PairedTest | None


@dataclass(frozen=True, slots=True, eq=False)
class _Noted:
    """One slice: its place in the series by the table, and what of the answer is kept."""

    order: float
    slice: Slice
    positive: bool | None


class SeriesRows:
    """Notes answers as they pass, for a model that answers series.

    Args:
        classes: label value (casefolded) -> class of the model.
    """

    def __init__(self, card: ModelCard, classes: Mapping[str, str]) -> None:
        self._card, self._classes = card, classes
        self._patients: dict[str, list[_Noted]] = {}

    def passing(self, given: Iterable[tuple[Entry, Answer | MedImgError]]) -> Iterator[tuple[Entry, Any]]:
        """The same answers in the same order; nothing is noted where the model answers no series."""
        for entry, answer in given:
            if self._card.series is not None:
                self._note(entry, answer)
            yield entry, answer

    def _note(self, entry: Entry, answer: Answer | MedImgError) -> None:
        row = entry.row
        label = self._classes.get(row.label.casefold())
        positive = None if label is None else label == self._card.class_ids[self._card.positive]
        one = see(entry.image, answer) if entry.image is not None else Slice(Where(None, (), ""), error=str(answer))
        slices = self._patients.setdefault(row.patient, [])
        slices.append(_Noted(_number(row.columns.get("slice", "")), one, positive))

    def measured(self) -> SeriesRun | None:
        """Every patient with three slices or more and a known label; None where there is no such patient.

        Raises:
            ModelUnavailable: the pooling network is missing or changed.
        """
        lines = [
            self._line(patient, sorted(slices, key=lambda one: one.order))
            for patient, slices in self._patients.items()
            if len(slices) >= FEWEST and any(one.positive is not None for one in slices)
        ]
        if not lines:
            return None
        answered = [line for line in lines if not line.said.prediction.refused]
        truth = np.array([line.positive for line in answered], np.bool_)
        if not truth.any() or truth.all():
            return SeriesRun(self._card, tuple(lines), None, None)
        name = self._card.class_ids[self._card.positive]
        p = np.array([line.said.prediction.scores[name] for line in answered])
        highest = np.array([line.highest for line in answered])
        return SeriesRun(self._card, tuple(lines), auroc(truth, p), delong_test(truth, p, highest))

    def _line(self, patient: str, slices: list[_Noted]) -> SeriesLine:
        name = self._card.class_ids[self._card.positive]
        said = combine([one.slice for one in slices], self._card)
        alone = [one.scores.get(name, math.nan) for one in said.slices if one is not None]
        highest = max((p for p in alone if not math.isnan(p)), default=math.nan)
        return SeriesLine(patient, any(one.positive for one in slices), said, highest)


def _number(text: str) -> float:
    """A slice's number; rows without one keep the order of the table."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def series_json(run: SeriesRun) -> dict[str, Any]:
    """The block `series` of `metrics.json`."""
    positive = run.card.class_ids[run.card.positive]
    answered = [line for line in run.lines if not line.said.prediction.refused]
    content: dict[str, Any] = {
        "n": len(run.lines),
        "positives": sum(line.positive for line in run.lines),
        "refused": len(run.lines) - len(answered),
        "auroc": _interval(run.auroc),
        "maximum": None,
        "difference": None,
    }
    if run.test is not None:
        content["maximum"] = _interval(run.test.b)
        content["difference"] = {**(_interval(run.test.difference) or {}), "p": run.test.p}
    content["predictions"] = [
        {
            "patient": line.patient,
            "positive": line.positive,
            "slices": len(line.said.slices),
            f"p_{positive}": line.said.prediction.scores.get(positive),
            "decision": line.said.prediction.decision,
            "highest_slice": None if math.isnan(line.highest) else line.highest,
            "notes": list(line.said.notes),
        }
        for line in run.lines
    ]
    return content


def _interval(own: Interval | None) -> dict[str, Any] | None:
    return None if own is None else {"value": own.value, "low": own.low, "high": own.high, "n": own.n}
