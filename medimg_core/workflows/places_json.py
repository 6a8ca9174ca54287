"""`metrics.json` and `report.html` of an evaluation of places."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from medimg_core import __version__
from medimg_core.types import Interval
from medimg_core.workflows.evaluate import as_json as answers_json
from medimg_core.workflows.evaluate import interval_json, notes, report_facts
from medimg_core.workflows.evaluate_places import Both, PlacesRun, refused_reasons
from medimg_core.workflows.places_figures import Measured

TITLES = {
    "dice": "Dice, mean of patients",
    "dice_per_image": "Dice, mean of images",
    "iou": "IoU, mean of images",
    "hd95": "HD95, median of images",
    "auprc": "area under precision and recall, all pixels",
    "ap50": "AP50",
    "ap_centre": "AP, centre inside",
}
"""How figures are headed; sensitivities say their own rate."""

_MEASURED = {
    "mae": "mean absolute error",
    "bias": "bias, found less true",
    "lower_limit": "lower limit of agreement",
    "upper_limit": "upper limit of agreement",
}


def as_json(found: PlacesRun, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What `metrics.json` holds: that of the answer where the model gives one, and the figures of places.

    `metrics` has the figures that stand for the model under their plain names, those of each structure as
    `<figure>_<structure>`;
    `mae` is that of the first measurement. Every figure stands twice, as in `evaluate.as_json`.
    """
    card = found.card
    content: dict[str, Any] = {
        "schema": 1,
        "model": {"name": card.name, "version": card.version, "hash": card.ref.hash},
        "software": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **(facts or {}),
        "form": card.form,
        "n": len(found.films),
        "refused": found.count("refused"),
        "errors": found.count("error"),
        "patients": len({film.row.patient for film in found.films}),
        "unknown_labels": {},
        "metrics": {},
    }
    if found.run is not None:
        content = answers_json(found.run, facts)
    content["metrics"] = content["metrics"] | _metrics(found)
    content["structures"] = {
        name: {
            **(asdict(found.found[name]) if name in found.found else {}),
            **{key: _twice(both) for key, both in figures.items()},
        }
        for name, figures in found.structures.items()
    }
    content["measurements"] = {name: _measurement(m) for name, m in found.measurements.items()}
    content["without_usable_truth"] = dict(found.no_truth)
    return content


def _metrics(found: PlacesRun) -> dict[str, Any]:
    metrics: dict[str, Any] = {key: _twice(both) for key, both in found.together.items()}
    for name, figures in found.structures.items():
        metrics |= {f"{key}_{name}": _twice(both) for key, both in figures.items()}
    for number, (name, said) in enumerate(found.measurements.items()):
        both = _twice((said.left_out.get("mae"), said.wrong.get("mae")))
        # Of grades `mae` is the error in grades.
        if number == 0 and found.card.form != "grade":
            metrics["mae"] = both
        metrics[f"mae_{name}"] = both
    return metrics


def _twice(both: tuple[Interval | None, Interval | None]) -> dict[str, Any]:
    plain = interval_json(both[0])
    return {**(plain or {}), "refused_left_out": plain, "refused_wrong": interval_json(both[1])}


def _measurement(said: Measured) -> dict[str, Any]:
    figures: Both = {name: (said.left_out.get(name), said.wrong.get(name)) for name in said.left_out}
    return {
        "unit": said.unit,
        "truth": said.truth,
        "n": said.n,
        "missing": said.missing,
        "coverage": interval_json(said.coverage),
        **{name: _twice(both) for name, both in figures.items()},
    }


def write_places(found: PlacesRun, out: Path, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write `metrics.json` and `report.html` beside the tables; returns the content of `metrics.json`."""
    from medimg_core.render.report import FigureTable, evaluation_report

    out.mkdir(parents=True, exist_ok=True)
    content = as_json(found, facts)
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (out / "metrics.json").write_text(text, encoding="utf-8")
    titles = {s.id: s.title for s in found.card.places.structures} if found.card.places else {}
    tables = [
        FigureTable(
            titles.get(name, name),
            _structure_words(found, name),
            [(TITLES.get(key, key.replace("_", " ")), *both) for key, both in figures.items()],
        )
        for name, figures in found.structures.items()
    ]
    tables += [_measured_table(name, said) for name, said in found.measurements.items()]
    run = found.run
    page = evaluation_report(
        f"{found.card.title}: evaluation",
        list(_facts(found, content)),
        None if run is None else run.figures,
        [] if run is None else [c.title for c in run.card.classes],
        [*(notes(run) if run is not None else _notes(found)), *_lacking(found)],
        tables=tables,
    )
    (out / "report.html").write_text(page, encoding="utf-8")
    return content


def _structure_words(found: PlacesRun, name: str) -> str:
    if name not in found.found:
        return "A box is true that overlaps a true one by half, or whose centre lies in one."
    c = found.found[name]
    return (
        f"Of n\u00a0{c.n:,} images with an answer and a truth, {c.present:,} show it; missed altogether in "
        f"{c.missed:,}, outlined without being there in {c.false:,}."
    )


def _measured_table(name: str, said: Measured) -> Any:
    from medimg_core.render.report import FigureTable

    words = f"In {said.unit or 'no unit'}; truth: {said.truth}; n\u00a0{said.n:,}, not measured {said.missing:,}."
    rows = [(_MEASURED[key], said.left_out[key], said.wrong.get(key)) for key in said.left_out]
    if said.coverage is not None:
        rows.append(("true value inside the model's interval", said.coverage, None))
    return FigureTable(name.replace("_", " ").capitalize(), words, rows)


def _facts(found: PlacesRun, content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if found.run is not None:
        yield from report_facts(found.run, content)
    else:
        yield from _bare_facts(found, content)
    places = found.card.places
    unfit = [p.title for p in found.card.populations if places is not None and not places.fit_in(p.id)]
    if places is not None and unfit:
        yield "Boxes" if places.kind == "boxes" else "Outlines", f"not fit for use in: {'; '.join(unfit)}"


def _bare_facts(found: PlacesRun, content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    ref = found.card.ref
    yield "Model", f"{ref.name} {ref.version} ({ref.hash})"
    yield (
        "Images",
        f"{content['n']:,} of {content['patients']:,} patients, {content['refused']:,} of them refused, "
        f"{content['errors']:,} unreadable",
    )
    if content.get("split"):
        yield "Split", str(content["split"])
    yield "Date", str(content["date"])


def _notes(found: PlacesRun) -> Iterator[str]:
    for reason, n in list(refused_reasons(found))[:8]:
        yield f"No answer for n\u00a0{n:,}: {reason}"


def _lacking(found: PlacesRun) -> Iterator[str]:
    for reason, n in found.no_truth.items():
        yield f"The truth of n\u00a0{n:,} cannot be used, so they stand in no figure of places: {reason}"
