"""How far things that say nothing about the disease predict the label by themselves: the shortcut audit.

Each shortcut gets its own logistic regression, learned on the training films and measured on the test films. The
network never sees any of them as such, but a picture may carry their traces: it has to be better than all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core import metrics
from medimg_core.catalog import ModelCard
from medimg_core.training.data import Record, read_image
from medimg_core.training.linear import Floats, ridge_logistic
from medimg_core.types import Interval


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """Knows the training films, from which a shortcut's regression is learned.

    Attributes:
        train: films with a truth.
        names: the shortcuts; a `+` joins several.
    """

    train: tuple[Record, ...]
    names: tuple[str, ...]


_NUMBERS: Mapping[str, Callable[[Record], list[float]]] = {
    "width": lambda r: [float(r.shape[1])] if r.shape else [],
    "height": lambda r: [float(r.shape[0])] if r.shape else [],
    "aspect": lambda r: [r.shape[1] / r.shape[0]] if r.shape else [],
    "file_size": lambda r: [float(r.file.stat().st_size)],
    "colour": lambda r: _colour(r),
    "age": lambda r: [] if r.age is None else [r.age],
    "slice_place": lambda r: _ratio(r.columns.get("slice", ""), r.columns.get("slices", "")),
    "diameter_mm": lambda r: [float(d)] if (d := r.columns.get("diameter_mm")) else [],
}
"""Shortcuts that are numbers; every other name is a column of the manifest, taken as a category."""

_TITLES: Mapping[str, str] = {
    "width": "width of the original",
    "height": "height of the original",
    "aspect": "aspect of the original",
    "file_size": "size of the file",
    "colour": "mean and spread of the colours",
    "slice_place": "place of the slice",
    "diameter_mm": "diameter",
    "view": "view",
    "id_series": "series of the record number",
    "hardware": "metal",
    "text": "burned-in text",
}


def shortcuts(test: Sequence[Record], judge: Judge, card: ModelCard) -> list[dict[str, Any]]:
    """One row a shortcut: `{name, auroc}`, of several kinds also `accuracy`; those that cannot differ are left out."""
    rows = []
    for name in judge.names:
        parts = name.split("+")
        seen, asked = _features(judge.train, parts, judge.train), _features(test, parts, judge.train)
        if seen is None or asked is None or not seen.std(axis=0).any():
            continue
        title = " and ".join(_TITLES.get(part, part.replace("_", " ")) for part in parts)
        rows.append({"name": title, **_measured(seen, asked, judge.train, test, card)})
    return rows


def _measured(
    seen: Floats, asked: Floats, train: Sequence[Record], test: Sequence[Record], card: ModelCard
) -> dict[str, Any]:
    truth = np.array([r.index for r in train]), np.array([r.index for r in test])
    patients = np.array([r.patient for r in test])
    if card.form == "one_of":
        present = range(len(card.classes))
        scores = np.stack([_regress(seen, truth[0] == k, asked) for k in present], axis=1)
        mean = metrics.macro_auroc(truth[1], scores, patients)
        right = metrics.proportion(scores.argmax(axis=1) == truth[1], patients)
        return {"auroc": _rounded(mean), "accuracy": _rounded(right)}
    first = card.positive
    y, wanted = ((t >= first) if card.form == "grade" else (t == first) for t in truth)
    return {"auroc": _rounded(metrics.auroc(wanted, _regress(seen, y, asked), patients))}


def _rounded(interval: Interval) -> dict[str, float]:
    return {side: round(getattr(interval, side), 5) for side in ("value", "low", "high")}


def _features(records: Sequence[Record], parts: Sequence[str], known: Sequence[Record]) -> Floats | None:
    """Columns `[n, d]`: numbers with their square, categories one-hot by the training films' values."""
    columns: list[Floats] = []
    for part in parts:
        if part in _NUMBERS:
            rows = [_NUMBERS[part](r) for r in records]
            if not all(rows):
                return None
            values = np.array(rows, np.float64)
            columns += [values, values**2]
        else:
            values_known = sorted({r.value(part) for r in known})
            if len(values_known) < 2:
                return None
            columns.append(np.array([[r.value(part) == value for value in values_known] for r in records], np.float64))
    return np.concatenate(columns, axis=1)


def _regress(seen: Floats, y: NDArray[np.bool_], asked: Floats) -> Floats:
    """Logits of `asked` by the regression that `seen` teaches; values far outside what was seen are held back."""
    slope, intercept = ridge_logistic(seen, y)
    mean, spread = seen.mean(axis=0), seen.std(axis=0) + 1e-9
    held = np.clip(asked, mean - 8 * spread, mean + 8 * spread)
    return np.asarray(held @ slope + intercept, np.float64)


def _colour(record: Record) -> list[float]:
    pixels = read_image(record.file).pixels.reshape(-1, 3)[::7].astype(np.float64)
    return [*pixels.mean(axis=0), *pixels.std(axis=0)]


def _ratio(part: str, whole: str) -> list[float]:
    return [float(part) / float(whole)] if part and whole else []
