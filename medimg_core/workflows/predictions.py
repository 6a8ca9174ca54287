"""`predictions.csv`: a line an image, what a model said and what is true; written by `evaluate`, read by `compare`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from medimg_core.errors import BadTable
from medimg_core.metrics import Answers
from medimg_core.workflows.manifest import read_text

Status = Literal["ok", "refused", "error"]

_FIRST = ("id", "status", "reason", "label")
_LAST = ("decision", "patient", "population")


@dataclass(frozen=True, slots=True)
class Line:
    """One image.

    Attributes:
        label: class of the model, or the manifest's own word where the model does not know it.
        probabilities: class -> calibrated probability; empty unless `status` is `ok`.
        population: id of the card's population whose calibration and operating point were used.
    """

    id: str
    status: Status
    reason: str
    label: str
    probabilities: Mapping[str, float] = field(default_factory=dict)
    decision: str = ""
    patient: str = ""
    population: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A model's answers, classes in the order of the network."""

    classes: tuple[str, ...]
    lines: tuple[Line, ...]

    def answers(self, positive: str, keep: Sequence[int] | None = None) -> tuple[Answers, NDArray[np.bool_]]:
        """Lines whose label is a class, as arrays, and which of them were answered.

        Args:
            keep: numbers of the lines to take; all where None.
        """
        chosen = [self.lines[i] for i in (range(len(self.lines)) if keep is None else keep)]
        known = [line for line in chosen if line.label in self.classes]
        number = {name: i for i, name in enumerate(self.classes)}
        answers = Answers(
            truth=np.array([number[line.label] for line in known], np.intp),
            decided=np.array([number.get(line.decision, 0) for line in known], np.intp),
            probability=np.array([line.probabilities.get(positive, 0.0) for line in known], np.float64),
            patients=np.array([line.patient or line.id for line in known], np.str_),
            positive=number[positive],
            classes=len(self.classes),
        )
        return answers, np.array([line.status == "ok" for line in known], np.bool_)


def written(path: Path, classes: Sequence[str], lines: Iterable[Line]) -> Iterator[Line]:
    """Write lines as they pass, each at once, so that work that is stopped keeps what it had.

    Probabilities are written with all their digits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace", buffering=1) as stream:
        writer = csv.writer(stream)
        writer.writerow([*_FIRST, *(f"p_{name}" for name in classes), *_LAST])
        for line in lines:
            shown = [repr(line.probabilities[name]) if name in line.probabilities else "" for name in classes]
            first = (line.id, line.status, line.reason, line.label)
            writer.writerow([*first, *shown, line.decision, line.patient, line.population])
            yield line


def read_predictions(path: Path) -> Table:
    """Read what `written` wrote, or a table of another program with the same columns.

    `patient`, `population` and `reason` may be missing.

    Raises:
        BadTable: a column is missing, an id stands twice, a status, probability or decision cannot be used.
    """
    reader = csv.DictReader(StringIO(read_text(path)))
    columns = reader.fieldnames or []
    classes = tuple(name[2:] for name in columns if name.startswith("p_"))
    lacking = [name for name in ("id", "status", "label", "decision") if name not in columns]
    if lacking or len(classes) < 2:
        raise BadTable(
            f"The predictions lack {', '.join(lacking) or 'columns p_<class> for two classes or more'}.",
            "Give a predictions.csv that `evaluate` wrote.",
        )
    lines = tuple(_line(row, classes, reader.line_num) for row in reader)
    if len({line.id for line in lines}) < len(lines):
        raise BadTable("An id stands in the predictions twice.", "Give every image one line.")
    return Table(classes, lines)


def _line(row: Mapping[str, str | None], classes: Sequence[str], number: int) -> Line:
    def cell(name: str) -> str:
        return (row.get(name) or "").strip()

    status = cell("status")
    probabilities: dict[str, float] = {}
    if status == "ok":
        try:
            probabilities = {name: float(cell(f"p_{name}")) for name in classes}
        except ValueError as error:
            raise BadTable(
                f"A probability in line {number} of the predictions is no number.", "Write it as 0.93."
            ) from error
    sound = all(0.0 <= p <= 1.0 for p in probabilities.values())
    if status not in get_args(Status) or not sound or (status == "ok" and cell("decision") not in classes):
        raise BadTable(
            f"Line {number} of the predictions cannot be used.",
            "Status is ok, refused or error; probabilities lie between 0 and 1; the decision is one of the classes.",
        )
    decision = cell("decision") if status == "ok" else ""
    return Line(
        id=cell("id"),
        status=cast(Status, status),
        reason=cell("reason"),
        label=cell("label"),
        probabilities=probabilities,
        decision=decision,
        patient=cell("patient"),
        population=cell("population"),
    )
