"""`python -m medimg_core.workflows.models_report`: do the shipped models still do what their `evaluation.json` says?

Every film behind the stated figures is read, prepared and answered anew. Exit status 1 where a figure, or the number
of films that the input check refuses, is another one; 2 where there is nothing to compare.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard, evaluation, list_models
from medimg_core.errors import MedImgError
from medimg_core.imaging import prepare
from medimg_core.inference import gate, runtime_for
from medimg_core.inference.calibration import probabilities
from medimg_core.metrics import Answers, measure
from medimg_core.types import Interval
from medimg_core.workflows.answers import ahead, read_row
from medimg_core.workflows.manifest import Row, read_manifest

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
"""Where the data sets lie beside a checkout."""

TOLERANCE = 0.002
"""What another processor's rounding may change in a figure; one decision that turns changes more."""

THREADS = 2


@dataclass(frozen=True, slots=True)
class Checked:
    """A figure as stated and as measured now."""

    model: str
    test_set: str
    name: str
    stated: float
    measured: Interval

    @property
    def same(self) -> bool:
        """Whether both agree within `TOLERANCE`."""
        return abs(self.stated - self.measured.value) <= TOLERANCE


@dataclass(frozen=True, slots=True)
class _Film:
    p: float
    passed: bool


def check_model(card: ModelCard, data: Path, told: Callable[[str], None] = lambda text: None) -> Iterator[Checked]:
    """Measure a model anew on all test sets of its `evaluation.json`.

    Args:
        data: folder with one folder a data set.

    Raises:
        BadTable: a manifest is missing, or lacks a film that the figures came from.
        MedImgError: a film cannot be read.
    """
    for name, stated in evaluation(card)["test_sets"].items():
        told(f"{card.name}: {name}, {stated['n']} films")
        yield from _check_set(card, name, stated, data)


def _check_set(card: ModelCard, name: str, stated: Mapping[str, Any], data: Path) -> Iterator[Checked]:
    said = stated["predictions"]
    by_id = {row.id: row for row in read_manifest(data / stated["data_set"] / "manifest.csv", label="id")}
    missing = [film for film in said["id"] if film not in by_id]
    if missing:
        raise MedImgError(
            f"The manifest of {stated['data_set']} lacks {len(missing)} of the films of {name}.",
            "Measure the model anew, or restore the data set.",
        )
    rows = [by_id[film] for film in said["id"]]
    films = list(ahead(partial(_film, card, stated["population"]), rows, THREADS))
    p = np.array([film.p for film in films])
    threshold = card.population(chosen=stated["population"])[0].point().threshold
    truth = np.array(said["label"], np.intp)
    truth = truth if card.positive == 1 else 1 - truth
    decided = np.where(p >= threshold, card.positive, 1 - card.positive)
    measured = measure(Answers(truth, decided, p, np.array(said["patient"]), card.positive))
    for metric, figure in stated["metrics"].items():
        if metric in measured:
            yield Checked(card.name, name, metric, figure["value"], measured[metric])
    refused = float(sum(not film.passed for film in films))
    yield Checked(card.name, name, "refused", float(stated["refused"]), Interval(refused, refused, refused, len(films)))


def _film(card: ModelCard, population: str, row: Row) -> _Film:
    """The calibrated probability of the positive class, whether or not the input check lets the film pass."""
    entry = read_row(row)
    if entry.image is None:
        raise entry.error or MedImgError("A film cannot be read.", "Restore the data set.")
    forward = runtime_for(card).predict(prepare(entry.image, card.input)[0])
    scores = probabilities(forward.logits, card, card.population(chosen=population)[0])
    return _Film(scores[card.class_ids[card.positive]], gate.check(entry.image, card).passed)


def table(rows: Sequence[Checked]) -> str:
    """One line a figure, for a terminal."""
    head = ("model", "test set", "figure", "stated", "measured", "")
    cells = [head]
    for row in rows:
        m = row.measured
        spread = "" if m.low == m.high else f" ({m.low:.3f}–{m.high:.3f})"
        digits = 0 if row.name == "refused" else 3
        verdict = "" if row.same else "DIFFERS"
        shown = f"{m.value:.{digits}f}{spread}, n {m.n}"
        cells.append((row.model, row.test_set, row.name, f"{row.stated:.{digits}f}", shown, verdict))
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check every installed model but the input checks; returns the exit status."""
    parser = argparse.ArgumentParser(description="Measure the installed models anew and compare.")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    options = parser.parse_args(arguments)
    rows: list[Checked] = []
    try:
        for card in list_models():
            if card.task != "gate":
                rows += check_model(card, options.data, lambda text: print(text, file=sys.stderr, flush=True))
    except MedImgError as error:
        print(error, file=sys.stderr)
        return 2
    if not rows:
        print("No installed model states a figure.", file=sys.stderr)
        return 2
    print(table(rows))
    different = sum(not row.same for row in rows)
    print(f"{len(rows)} figures, {different} differ by more than {TOLERANCE}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
