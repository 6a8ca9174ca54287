"""`python -m medimg_core.workflows.models_report`: do the shipped models still do what their `evaluation.json` says?

Every film behind the stated figures is read, prepared and answered anew, and every stored picture of the router's test
is sorted anew. Exit status 1 where a figure, or the number of films that the input check refuses, is another one; 2
where there is nothing to compare.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard, Population, damaged_models, evaluation, list_models
from medimg_core.errors import MedImgError
from medimg_core.imaging import prepare
from medimg_core.inference import gate, runtime_for
from medimg_core.inference.calibration import decide, probabilities, sigmoid
from medimg_core.inference.places import look
from medimg_core.metrics import auroc, measure, rates
from medimg_core.types import FloatArray, Interval
from medimg_core.workflows.answers import ahead, read_row
from medimg_core.workflows.manifest import Row, read_manifest
from medimg_core.workflows.model_list import HEADLINES
from medimg_core.workflows.models_report_places import check_places
from medimg_core.workflows.places_truth import Slices
from medimg_core.workflows.stored import as_answers, stored_truth

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
"""Where the data sets lie beside a checkout."""

TOLERANCE = 0.002
"""What another processor's rounding may change in a figure; one decision that turns changes more."""

THREADS = 2

_ROUTED = ("known", "films", "not_medical", "other_medical", "foreign", "other_model")
_ROUTER_FIGURES = ("right", "named_rightly", "refused")

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """A figure as stated and as measured now; `headline` marks the one that stands for the model (`HEADLINES`)."""

    model: str
    form: str
    test_set: str
    name: str
    stated: Interval
    measured: Interval
    headline: bool = False

    @property
    def same(self) -> bool:
        """Whether both agree within `TOLERANCE`, of figures above 1 within that share of them."""
        return abs(self.stated.value - self.measured.value) <= TOLERANCE * max(1.0, abs(self.stated.value))


@dataclass(frozen=True, slots=True, eq=False)
class _Film:
    logits: FloatArray
    passed: bool


def check_model(card: ModelCard, data: Path, told: Told = lambda text: None) -> Iterator[Checked]:
    """Measure a model anew on all test sets of its `evaluation.json`; each film is asked once, though it stand in two.

    Args:
        data: folder with one folder a data set.

    Raises:
        BadTable: a manifest is missing, or lacks a film that the figures came from.
        MedImgError: a film cannot be read.
    """
    asked: dict[tuple[str, str], _Film] = {}
    for name, stated in evaluation(card)["test_sets"].items():
        told(f"{card.name}: {name}, {stated['n']} films")
        _ask(card, name, stated, data, asked)
        films = [asked[stated["data_set"], film] for film in stated["predictions"]["id"]]
        found = list(_compared(card, name, stated, films))
        left = sorted(set(stated["metrics"]) - {checked.name for checked in found})
        if left:
            told(f"{card.name}: {name}, not measured anew: {', '.join(left)}")
        yield from found
    for one in check_places(card, data, told):
        yield Checked(card.name, "places", one.test_set, one.name, one.stated, one.measured, one.headline)


def _ask(
    card: ModelCard, name: str, stated: Mapping[str, Any], data: Path, asked: dict[tuple[str, str], _Film]
) -> None:
    """Answer the films of a test set that were not asked yet."""
    data_set, ids = stated["data_set"], stated["predictions"]["id"]
    every = read_manifest(data / data_set / "manifest.csv", label=None)
    by_id = {row.id: row for row in every}
    missing = [film for film in ids if film not in by_id]
    if missing:
        raise MedImgError(
            f"The manifest of {data_set} lacks {len(missing)} of the films of {name}.",
            "Measure the model anew, or restore the data set.",
        )
    rows = [by_id[film] for film in ids if (data_set, film) not in asked]
    for row, film in zip(rows, ahead(partial(_film, card, Slices(every)), rows, THREADS), strict=True):
        asked[data_set, row.id] = film


def _film(card: ModelCard, slices: Slices, row: Row) -> _Film:
    """The network's word on a film, whether or not the input check lets it pass."""
    places = card.places if card.places is not None and card.places.network == "model" else None
    entry = slices.entry(row) if places is not None and places.context else read_row(row)
    image = entry.image
    if image is None:
        raise entry.error or MedImgError("A film cannot be read.", "Restore the data set.")
    if places is None:
        forward = runtime_for(card).predict(prepare(image, card.input)[0])
    else:
        # One network answers and outlines: it looks at the same square, and at the same slices.
        forward = look(image, card, beside=slices.beside(row, image) if places.context else ()).forward
    return _Film(forward.logits, gate.check(image, card).passed)


def _compared(card: ModelCard, name: str, stated: Mapping[str, Any], films: Sequence[_Film]) -> Iterator[Checked]:
    said = stated["predictions"]
    population: Population = card.population(chosen=stated["population"])[0]
    scores = [probabilities(film.logits, card, population) for film in films]
    answers = as_answers(
        card,
        stated["population"],
        stored_truth(card, said),
        np.array([list(row.values()) for row in scores]),
        [decide(row, card, population) for row in scores],
        said["patient"],
    )
    measured = measure(answers)
    headline = HEADLINES[card.form][0]
    for metric, figure in stated["metrics"].items():
        if metric in measured and figure:
            yield Checked(card.name, card.form, name, metric, _stated(figure), measured[metric], metric == headline)
    yield from _statements(card, name, stated, population, films)
    refused = float(sum(not film.passed for film in films))
    told = float(stated["refused"])
    yield Checked(card.name, card.form, name, "refused", _exact(told), replace(_exact(refused), n=len(films)))


def _statements(
    card: ModelCard, name: str, stated: Mapping[str, Any], population: Population, films: Sequence[_Film]
) -> Iterator[Checked]:
    """Statements on a step of the scale, whose truth the grade itself tells, and those whose `truth` was stored."""
    grades, patients = stored_truth(card, stated["predictions"]), np.array(stated["predictions"]["patient"])
    for question in card.statements:
        told, fit = stated.get("statements", {}).get(question.id), population.statements.get(question.id)
        if not told or fit is None:
            continue
        known = np.ones(len(films), np.bool_)
        if card.form == "grade" and question.output < card.main_outputs:
            truth = grades > question.output
        elif "truth" in told:
            known = np.array([value is not None for value in told["truth"]])
            truth = np.array([bool(value) for value in told["truth"]])
        else:
            continue
        p = np.array([sigmoid(float(film.logits[question.output]), fit.calibration)[0] for film in films])
        truth, p, who = truth[known], p[known], patients[known]
        found = rates(truth, p >= fit.threshold, who)
        measured = {"sensitivity": found.sensitivity, "specificity": found.specificity}
        if truth.any() and not truth.all():
            measured["auroc"] = auroc(truth, p, who)
        for figure, now in measured.items():
            if now is not None and figure in told:
                yield Checked(card.name, card.form, name, f"{question.id}: {figure}", _stated(told[figure]), now)


def _stated(figure: Mapping[str, float]) -> Interval:
    return Interval(figure["value"], figure.get("low", figure["value"]), figure.get("high", figure["value"]))


def _exact(value: float) -> Interval:
    return Interval(value, value, value)


def check_router(card: ModelCard, data: Path, told: Told = lambda text: None) -> Iterator[Checked]:
    """Sort the stored test pictures of every set anew; what the router's test made or drew itself is left out.

    Raises:
        BadTable: a data set is missing.
    """
    from medimg_core.training.router_measure import judge, report

    stated = evaluation(card).get("gate", {}).get("test", {})
    told(f"{card.name}: {stated.get('known', {}).get('n', '')} pictures of known kinds, and foreign ones")
    asking = replace(card, gate=card.name)
    # Stored pictures come first, then those that are made of them.
    stored = takewhile(lambda one: not one.group.startswith(("made:", "drawn:")), judge(data, "test", asking, [], 0))
    measured = report(list(stored), card.class_ids)
    for group in _ROUTED:
        if group not in stated or group not in measured:
            continue
        for figure in _ROUTER_FIGURES:
            if figure in stated[group]:
                was, now = (Interval(**part[group][figure], n=part[group]["n"]) for part in (stated, measured))
                headline = group == "known" and figure == "named_rightly"
                yield Checked(card.name, "router", group, figure, was, now, headline)


def table(rows: Sequence[Checked]) -> str:
    """One line a figure, for a terminal."""
    head = ("model", "form", "test set", "figure", "stated", "measured", "")
    cells = [head]
    for row in rows:
        digits = 0 if row.name.endswith(("refused", "missed", "false")) and row.form != "router" else 3
        shown = f"{_spread(row.measured, digits)}, n {row.measured.n}"
        verdict = "" if row.same else "DIFFERS"
        cells.append((row.model, row.form, row.test_set, row.name, _spread(row.stated, digits), shown, verdict))
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def _spread(figure: Interval, digits: int) -> str:
    spread = "" if figure.low == figure.high else f" ({figure.low:.3f}–{figure.high:.3f})"
    return f"{figure.value:.{digits}f}{spread}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check every installed model and the router; returns the exit status."""
    parser = argparse.ArgumentParser(description="Measure the installed models anew and compare.")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    parser.add_argument("--model", metavar="NAME", help="only this one")
    options = parser.parse_args(arguments)
    rows: list[Checked] = []
    try:
        damaged = damaged_models()
        if damaged:
            raise damaged[0]
        for card in list_models():
            if options.model in (None, card.name):
                check = check_router if card.task == "gate" else check_model
                rows += check(card, options.data, lambda text: print(text, file=sys.stderr, flush=True))
    except MedImgError as error:
        print(error, file=sys.stderr)
        return 2
    if not rows:
        print("No installed model states a figure.", file=sys.stderr)
        return 2
    print(table(rows))
    headlines = [row for row in rows if row.headline]
    print(f"\nHeadlines\n{table(headlines)}\n")
    different = sum(not row.same for row in rows)
    print(f"{len(rows)} figures, {different} differ by more than {TOLERANCE}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
