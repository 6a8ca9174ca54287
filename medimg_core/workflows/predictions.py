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
from medimg_core.metrics import Answers, Form
from medimg_core.workflows.manifest import read_text

Status = Literal["ok", "refused", "error"]

_FIRST = ("id", "status", "reason", "label")
_LAST = ("decision", "patient", "population", "prediction_set")
_AT_LEAST = "at_least_"
"""Before the first positive grade: the column that says whether a grade like it or higher was claimed."""

_EMPTY_SET = "-"


@dataclass(frozen=True, slots=True)
class Line:
    """One image.

    Attributes:
        label: class of the model, or the manifest's own word where the model does not know it.
        probabilities: class -> calibrated probability; empty unless `status` is `ok`.
        population: id of the card's population whose calibration and operating point were used.
        prediction_set: classes that could not be left out; None where that is not known.
        called: of grades, whether the first positive one or a higher one is claimed at the operating point.
    """

    id: str
    status: Status
    reason: str
    label: str
    probabilities: Mapping[str, float] = field(default_factory=dict)
    decision: str = ""
    patient: str = ""
    population: str = ""
    prediction_set: tuple[str, ...] | None = None
    called: bool | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A model's answers, classes in the order of the network.

    Attributes:
        at_least: the first grade that counts as positive; empty where the classes are no grades.
    """

    classes: tuple[str, ...]
    lines: tuple[Line, ...]
    at_least: str = ""

    @property
    def form(self) -> Form:
        """How the model answers."""
        if self.at_least:
            return "grade"
        return "yes_no" if len(self.classes) == 2 else "one_of"

    @property
    def usual_positive(self) -> str:
        """The positive class where nobody names one: the last of two, the first positive grade; of several kinds the
        first, which singles out none.
        """
        return self.at_least or self.classes[-1 if self.form == "yes_no" else 0]

    def answers(self, positive: str, keep: Sequence[int] | None = None) -> tuple[Answers, NDArray[np.bool_]]:
        """Lines whose label is a class, as arrays, and which of them were answered.

        Args:
            positive: the class that counts as positive, of grades the first one (see `metrics.Answers`).
            keep: numbers of the lines to take; all where None.
        """
        known = self.known(keep)
        number = {name: i for i, name in enumerate(self.classes)}
        scores = [[line.probabilities.get(name, 0.0) for name in self.classes] for line in known]
        graded = self.form == "grade"
        answers = Answers(
            truth=np.array([number[line.label] for line in known], np.intp),
            decided=np.array([number.get(line.decision, 0) for line in known], np.intp),
            probability=np.array([positive_side(row, number[positive], graded) for row in scores], np.float64),
            patients=np.array([line.patient or line.id for line in known], np.str_),
            positive=number[positive],
            classes=len(self.classes),
            form=self.form,
            scores=np.array(scores, np.float64).reshape(len(known), len(self.classes)),
            called=np.array([bool(line.called) for line in known], np.bool_) if graded else None,
            names=self.classes,
        )
        return answers, np.array([line.status == "ok" for line in known], np.bool_)

    def classes_left(self) -> NDArray[np.intp] | None:
        """How many classes the prediction set of each line with a known label holds (0 without an answer); None where
        an answered line does not say.
        """
        known = self.known()
        if any(line.status == "ok" and line.prediction_set is None for line in known):
            return None
        return np.array([len(line.prediction_set or ()) for line in known], np.intp)

    def known(self, keep: Sequence[int] | None = None) -> list[Line]:
        """Lines whose label is a class; `keep` numbers those to choose from."""
        chosen = [self.lines[i] for i in (range(len(self.lines)) if keep is None else keep)]
        return [line for line in chosen if line.label in self.classes]


def positive_side(scores: Sequence[float], positive: int, graded: bool) -> float:
    """Probability of the positive side: of a class, or of grades that the grade is `positive` or higher."""
    return min(sum(scores[positive:]), 1.0) if graded else scores[positive]


def written(path: Path, classes: Sequence[str], lines: Iterable[Line], at_least: str = "") -> Iterator[Line]:
    """Write lines as they pass, each at once, so that work that is stopped keeps what it had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace", buffering=1) as stream:
        writer = csv.writer(stream)
        writer.writerow(header(classes, at_least))
        for line in lines:
            writer.writerow(cells(line, classes, at_least))
            yield line


def header(classes: Sequence[str], at_least: str = "") -> list[str]:
    """The columns. Of grades (`at_least` names the first positive one) there are two more: `grade`, the number of the
    decision, and `at_least_<class>`, yes or no.
    """
    graded = ("grade", _AT_LEAST + at_least) if at_least else ()
    return [*_FIRST, *(f"p_{name}" for name in classes), *graded, *_LAST]


def cells(line: Line, classes: Sequence[str], at_least: str = "") -> list[str]:
    """A line in the order of `header`; probabilities with all their digits."""
    shown = [repr(line.probabilities[name]) if name in line.probabilities else "" for name in classes]
    if at_least:
        shown.append(str(classes.index(line.decision)) if line.decision else "")
        shown.append("" if line.called is None else "yes" if line.called else "no")
    left = "" if line.prediction_set is None else " ".join(line.prediction_set) or _EMPTY_SET
    first = (line.id, line.status, line.reason, line.label)
    return [*first, *shown, line.decision, line.patient, line.population, left]


def read_predictions(path: Path) -> Table:
    """Read what `written` wrote, or a table of another program with the same columns.

    `patient`, `population`, `reason` and `prediction_set` may be missing. A column `at_least_<class>` says that the
    classes are grades.

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
    firsts = [name.removeprefix(_AT_LEAST) for name in columns if name.startswith(_AT_LEAST)]
    if len(firsts) > 1 or any(name not in classes for name in firsts):
        raise BadTable(
            f"The column {_AT_LEAST}{firsts[-1]} names no grade of the table, or there are several.",
            "Give a predictions.csv that `evaluate` wrote.",
        )
    at_least = firsts[0] if firsts else ""
    lines = tuple(_line(row, classes, at_least, reader.line_num) for row in reader)
    if len({line.id for line in lines}) < len(lines):
        raise BadTable("An id stands in the predictions twice.", "Give every image one line.")
    return Table(classes, lines, at_least)


def _line(row: Mapping[str, str | None], classes: Sequence[str], at_least: str, number: int) -> Line:
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
    called = cell(_AT_LEAST + at_least) if at_least and status == "ok" else ""
    sound = sound and called in (("yes", "no") if at_least and status == "ok" else ("",))
    if status not in get_args(Status) or not sound or (status == "ok" and cell("decision") not in classes):
        raise BadTable(
            f"Line {number} of the predictions cannot be used.",
            "Status is ok, refused or error; probabilities lie between 0 and 1; the decision is one of the classes; "
            "of grades the column at_least_<class> says yes or no.",
        )
    left = cell("prediction_set")
    return Line(
        id=cell("id"),
        status=cast(Status, status),
        reason=cell("reason"),
        label=cell("label"),
        probabilities=probabilities,
        decision=cell("decision") if status == "ok" else "",
        patient=cell("patient"),
        population=cell("population"),
        prediction_set=(() if left == _EMPTY_SET else tuple(left.split())) if left else None,
        called=called == "yes" if called else None,
    )
