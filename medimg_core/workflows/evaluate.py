"""A model measured on labelled images: predictions, figures with intervals, a report. Nothing is dropped silently."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medimg_core import __version__
from medimg_core.catalog import ModelCard
from medimg_core.errors import MedImgError
from medimg_core.inference import Answer, runtime_for
from medimg_core.metrics import Evaluation, evaluate_answers
from medimg_core.types import Interval
from medimg_core.workflows.answers import Entry, answers, read_rows
from medimg_core.workflows.manifest import Row
from medimg_core.workflows.predictions import Line, Table, written

Progress = Callable[[int, int], None]
"""Called with the number of images done and of all images."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One evaluation.

    Attributes:
        table: what the model said to each image, in the order of the rows.
        unknown: label that the model does not know -> number of images; they stand in no figure.
        figures: None where no image has a known label.
        points: population -> balanced threshold, for the populations that occurred.
    """

    card: ModelCard
    table: Table
    unknown: Mapping[str, int]
    figures: Evaluation | None
    points: Mapping[str, float]

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
    given = answers(entries if entries is not None else read_rows(rows), card, population)
    stream: Iterable[Line] = (_line(entry.row, answer, classes) for entry, answer in given)
    if out is not None:
        stream = written(out / "predictions.csv", card.class_ids, stream)
    lines: list[Line] = []
    for line in stream:
        lines.append(line)
        progress(len(lines), len(rows))
    return summarise(card, Table(card.class_ids, tuple(lines)))


def summarise(card: ModelCard, table: Table) -> Run:
    """Figures of finished predictions."""
    given, answered = table.answers(card.class_ids[card.positive])
    used = sorted({line.population for line in table.lines if line.population})
    return Run(
        card=card,
        table=table,
        unknown=Counter(line.label for line in table.lines if line.label not in table.classes),
        figures=evaluate_answers(given, answered) if answered.size else None,
        points={p.id: p.point().threshold for p in card.populations if p.id in used},
    )


def _line(row: Row, answer: Answer | MedImgError, classes: Mapping[str, str]) -> Line:
    label = classes.get(row.label.casefold(), row.label)
    if isinstance(answer, MedImgError):
        return Line(row.id, "error", str(answer), label, patient=row.patient)
    said = answer.prediction
    reason = " ".join(said.gate.reasons)
    if said.refused:
        return Line(row.id, "refused", reason, label, patient=row.patient)
    return Line(row.id, "ok", reason, label, dict(said.scores), said.decision or "", row.patient, said.population or "")


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
        "positive": card.class_ids[card.positive],
        "n": len(run.table.lines),
        "refused": run.count("refused"),
        "errors": run.count("error"),
        "labelled": found.n if found else 0,
        "positives": found.positives if found else 0,
        "patients": found.patients if found else 0,
        "unknown_labels": dict(run.unknown),
        "operating_points": dict(run.points),
        "metrics": {},
    }
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
    return content


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
        list(_report_facts(run, content)),
        run.figures,
        [titles[name] for name in run.table.classes],
        list(_notes(run)),
    )
    (out / "report.html").write_text(page, encoding="utf-8")
    return content


def _report_facts(run: Run, content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    ref = run.card.ref
    yield "Model", f"{ref.name} {ref.version} ({ref.hash})"
    yield (
        "Images",
        f"{len(run.table.lines):,}, {content['refused']:,} of them refused, {content['errors']:,} unreadable",
    )
    if run.figures is not None:
        found = run.figures
        yield (
            "With a known label",
            f"{found.n:,} of {found.patients:,} patients, {found.positives:,} of them {content['positive']}",
        )
    for key, label in (("split", "Split"), ("label", "Label column")):
        if content.get(key):
            yield label, str(content[key])
    titles = {p.id: p for p in run.card.populations}
    for name, threshold in run.points.items():
        n = sum(line.population == name for line in run.table.lines)
        unfit = "" if titles[name].fit_for_use else "; not fit for use in these patients"
        yield "Operating point", f"{titles[name].title}: balanced, {threshold:.1%} (n\u00a0{n:,}){unfit}"
    yield "Date", str(content["date"])


def _notes(run: Run) -> Iterator[str]:
    if run.unknown:
        listed = ", ".join(f"{label or 'empty'} (n\u00a0{n:,})" for label, n in sorted(run.unknown.items()))
        yield f"Labels that the model does not know stand in no figure; their predictions are in the table: {listed}."
    reasons = Counter(line.reason for line in run.table.lines if line.status != "ok")
    for reason, n in reasons.most_common(8):
        yield f"No answer for n\u00a0{n:,}: {reason}"
