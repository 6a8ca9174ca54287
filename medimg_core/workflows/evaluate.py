"""A model measured on labelled images: predictions, figures with intervals, a report. Nothing is dropped silently."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medimg_core import __version__
from medimg_core.catalog import ModelCard
from medimg_core.errors import BadTable, MedImgError
from medimg_core.inference import Answer, runtime_for
from medimg_core.metrics import Evaluation, evaluate_answers
from medimg_core.types import Interval, Prediction
from medimg_core.workflows.answers import Entry, answers, read_rows
from medimg_core.workflows.evaluate_series import SeriesRows, SeriesRun, series_json
from medimg_core.workflows.manifest import Row
from medimg_core.workflows.predictions import Line, Table, positive_side, written

Progress = Callable[[int, int], None]
"""Called with the number of images done and of all images."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One evaluation.

    Attributes:
        table: what the model said to each image, in the order of the rows.
        unknown: label that the model does not know -> number of images; they stand in no figure.
        figures: None where no image has a known label.
        points: population -> balanced threshold, for the populations that occurred; of several kinds there are none.
        series: rows of a patient taken together; None where the model answers single images only.
    """

    card: ModelCard
    table: Table
    unknown: Mapping[str, int]
    figures: Evaluation | None
    points: Mapping[str, float]
    series: SeriesRun | None = None

    def count(self, status: str) -> int:
        """Images with a status, whether their label is known or not."""
        return sum(line.status == status for line in self.table.lines)


def evaluate(
    card: ModelCard,
    rows: Sequence[Row],
    classes: Mapping[str, str],
    *,
    population: str | None = None,
    entries: Iterable[Entry] | None = None,
    out: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Run:
    """Ask a model about every row and measure the answers.

    Args:
        classes: label value (casefolded) -> class of the model (`manifest.label_classes`).
        population: id on the card for every row; None takes what age and view say, else the card's default.
        entries: the rows with images that were decoded before; read from their files where None.
        out: folder for `predictions.csv`, written line by line; nothing is written where None.
        progress: may raise `Cancelled`.

    Raises:
        ModelUnavailable: the network cannot be loaded.
    """
    runtime_for(card)  # a missing network is one error, not one for every image
    series = SeriesRows(card, classes)
    given = series.passing(answers(entries if entries is not None else read_rows(rows), card, population))
    stream: Iterable[Line] = (line_of(entry.row, answer, classes, card) for entry, answer in given)
    at_least = card.class_ids[card.positive] if card.form == "grade" else ""
    if out is not None:
        stream = written(out / "predictions.csv", card.class_ids, stream, at_least)
    lines: list[Line] = []
    for line in stream:
        lines.append(line)
        progress(len(lines), len(rows))
    return replace(summarise(card, Table(card.class_ids, tuple(lines), at_least)), series=series.measured())


def summarise(card: ModelCard, table: Table) -> Run:
    """Figures of finished predictions."""
    given, answered = table.answers(card.class_ids[card.positive])
    used = sorted({line.population for line in table.lines if line.population})
    return Run(
        card=card,
        table=table,
        unknown=Counter(line.label for line in table.lines if line.label not in table.classes),
        figures=evaluate_answers(given, answered, table.classes_left()) if answered.size else None,
        points={p.id: p.point().threshold for p in card.populations if p.id in used and card.form != "one_of"},
    )


def line_of(row: Row, answer: Answer | MedImgError, classes: Mapping[str, str], card: ModelCard) -> Line:
    """What the table says of one image.

    Args:
        classes: label value (casefolded) -> class of the model.
    """
    label = classes.get(row.label.casefold(), row.label)
    if isinstance(answer, MedImgError):
        return Line(row.id, "error", str(answer), label, patient=row.patient)
    said = answer.prediction
    reason = " ".join(said.gate.reasons)
    if said.refused:
        return Line(row.id, "refused", reason, label, patient=row.patient)
    return Line(
        id=row.id,
        status="ok",
        reason=reason,
        label=label,
        probabilities=dict(said.scores),
        decision=said.decision or "",
        patient=row.patient,
        population=said.population or "",
        prediction_set=said.prediction_set,
        called=called(card, said) if card.form == "grade" else None,
    )


def called(card: ModelCard, said: Prediction) -> bool:
    """Of grades: whether the probability of the first positive one or a higher one reaches the balanced point."""
    population, _ = card.population(chosen=said.population)
    scores = [said.scores[name] for name in card.class_ids]
    return positive_side(scores, card.positive, graded=True) >= population.point().threshold


def check_labels(card: ModelCard, rows: Sequence[Row], classes: Mapping[str, str]) -> None:
    """Refuse a table of which the model knows no label: nothing could be measured.

    Raises:
        BadTable: the message lists the labels that there are.
    """
    if any(row.label.casefold() in classes for row in rows):
        return
    counted = Counter(row.label or "empty" for row in rows).most_common(6)
    raise BadTable(
        f"The model knows none of the labels: {', '.join(f'{label} ({n:,})' for label, n in counted)}.",
        f"Name the column with --label, or say with --map what they mean: {', '.join(card.class_ids)}.",
    )


def as_json(run: Run, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What `metrics.json` holds.

    Every figure stands twice: `refused_left_out` over the answered images, and `refused_wrong` over all, refused and
    unreadable ones counting as the wrong answer given with certainty. The plain `value, low, high` are those of
    `refused_left_out`.
    """
    card, found = run.card, run.figures
    content: dict[str, Any] = {
        "schema": 1,
        "model": {"name": card.name, "version": card.version, "hash": card.ref.hash},
        "software": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **(facts or {}),
        "form": card.form,
        "positive": card.class_ids[card.positive] if _two_sided(card) else None,
        "n": len(run.table.lines),
        "refused": run.count("refused"),
        "errors": run.count("error"),
        "labelled": found.n if found else 0,
        "positives": found.positives if found and _two_sided(card) else None,
        "per_class": {name: sum(line.label == name for line in run.table.lines) for name in card.class_ids},
        "patients": found.patients if found else 0,
        "unknown_labels": dict(run.unknown),
        "operating_points": dict(run.points),
        "metrics": {},
    }
    if run.series is not None:
        content["series"] = series_json(run.series)
    if found is None:
        return content
    content["metrics"] = {name: _twice(name, found) for name in {**found.wrong, **found.left_out}}
    content["confusion"] = {"classes": list(card.class_ids), "rows_truth": found.confusion.tolist()}
    content["calibration"] = {
        "ece_null_95": found.ece_null_95,
        "bins": [
            {"predicted": b.predicted, "observed": b.observed, "low": b.low, "high": b.high, "n": b.n}
            for b in found.bins
        ],
    }
    if found.undecided is not None:
        names = ("share", "error_when_sure", "error_when_unsure")
        content["undecided"] = {name: interval_json(getattr(found.undecided, name)) for name in names}
    return content


def _two_sided(card: ModelCard) -> bool:
    """Whether one side stands against the rest: of several kinds only where the card singles one out."""
    return card.form != "one_of" or card.positive > 0


def _twice(name: str, found: Evaluation) -> dict[str, Any]:
    plain = interval_json(found.left_out.get(name))
    return {**(plain or {}), "refused_left_out": plain, "refused_wrong": interval_json(found.wrong.get(name))}


def interval_json(interval: Interval | None) -> dict[str, float | int | None] | None:
    """`{value, low, high, n}`; None where there is no figure."""
    if interval is None:
        return None
    return {"value": interval.value, "low": interval.low, "high": interval.high, "n": interval.n}


def write_run(run: Run, out: Path, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write `metrics.json` and `report.html` beside the predictions; returns the content of `metrics.json`."""
    from medimg_core.render.report import evaluation_report

    out.mkdir(parents=True, exist_ok=True)
    content = as_json(run, facts)
    (out / "metrics.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    titles = {c.id: c.title for c in run.card.classes}
    page = evaluation_report(
        f"{run.card.title}: evaluation",
        list(report_facts(run, content)),
        run.figures,
        [titles[name] for name in run.table.classes],
        list(notes(run)),
    )
    (out / "report.html").write_text(page, encoding="utf-8")
    return content


def report_facts(run: Run, content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and text of what was measured on what; `content` is that of `metrics.json`."""
    ref = run.card.ref
    yield "Model", f"{ref.name} {ref.version} ({ref.hash})"
    yield (
        "Images",
        f"{len(run.table.lines):,}, {content['refused']:,} of them refused, {content['errors']:,} unreadable",
    )
    if run.figures is not None:
        found = run.figures
        held = ", ".join(f"{name} {n:,}" for name, n in content["per_class"].items())
        yield "With a known label", f"{found.n:,} of {found.patients:,} patients: {held}"
    if run.card.form == "grade":
        yield "Positive", f"{content['positive']} or higher: areas, rates and calibration speak of it"
    elif run.card.form == "one_of":
        one = "of " + content["positive"] if content["positive"] else "means over the classes"
        yield "Rates", f"{one}; the decision is the likeliest class"
    for key, label in (("split", "Split"), ("label", "Label column")):
        if content.get(key):
            yield label, str(content[key])
    titles = {p.id: p for p in run.card.populations}
    for name, threshold in run.points.items():
        n = sum(line.population == name for line in run.table.lines)
        unfit = "" if titles[name].fit_for_use else "; not fit for use in these patients"
        yield "Operating point", f"{titles[name].title}: balanced, {threshold:.1%} (n\u00a0{n:,}){unfit}"
    yield "Date", str(content["date"])


def notes(run: Run) -> Iterator[str]:
    """Sentences on what stands in no figure, and why."""
    if run.unknown:
        listed = ", ".join(f"{label or 'empty'} (n\u00a0{n:,})" for label, n in sorted(run.unknown.items()))
        yield f"Labels that the model does not know stand in no figure; their predictions are in the table: {listed}."
    reasons = Counter(line.reason for line in run.table.lines if line.status != "ok")
    for reason, n in reasons.most_common(8):
        yield f"No answer for n\u00a0{n:,}: {reason}"
