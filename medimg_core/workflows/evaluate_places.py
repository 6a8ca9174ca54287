"""A model that outlines, boxes or measures, measured on a manifest with masks or boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard, PlacesCard
from medimg_core.errors import MedImgError
from medimg_core.inference import Answer, predict, runtime_for
from medimg_core.inference.boxes import every_box
from medimg_core.inference.measures import ErrorFit, ejection_fraction
from medimg_core.inference.places import measured as measure_regions
from medimg_core.metrics import ImageBoxes
from medimg_core.training.outlines.measure import agree, histograms
from medimg_core.types import Image, MaskArray, Region
from medimg_core.workflows.answers import READERS, ahead
from medimg_core.workflows.clip import alike
from medimg_core.workflows.evaluate import Progress, Run, line_of, summarise
from medimg_core.workflows.manifest import Row
from medimg_core.workflows.places_figures import (
    Counts,
    Figures,
    Film,
    Measured,
    Pair,
    box_figures,
    counts,
    film_pairs,
    mean_dice,
    measured,
    outline_figures,
    outlined,
    twice,
)
from medimg_core.workflows.places_truth import KNOWN, Slices, known_value, true_boxes, true_masks
from medimg_core.workflows.places_write import PlacesWriter
from medimg_core.workflows.predictions import Line, Table

Both = Mapping[str, tuple[Any, Any]]
"""Figure -> over the films with an answer, over all with those without one counted wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class PlacesRun:
    """One evaluation of places.

    Attributes:
        run: of the model's answer; None where it gives none.
        films: in the order of the rows.
        structures: structure -> its figures; of boxes the one structure.
        together: the figures that stand for the model: those of the first structure, or the mean over all
            (`PlacesCard.pixelwise`).
        found: structure -> what was missed and made up; empty of boxes.
        measurements: by name.
        no_truth: reason -> films that stand in no figure because their truth cannot be used.
    """

    card: ModelCard
    run: Run | None
    films: tuple[Film, ...]
    structures: Mapping[str, Both]
    together: Both
    found: Mapping[str, Counts]
    measurements: Mapping[str, Measured]
    no_truth: Mapping[str, int]

    def count(self, status: str) -> int:
        """Images with a status."""
        return sum(film.status == status for film in self.films)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What one row gave: the film, the line of its answer, its image and the masks found, kept until written."""

    film: Film
    line: Line
    image: Image | None = None
    regions: tuple[Region, ...] = ()
    no_truth: str = ""


def evaluate_places(
    card: ModelCard,
    rows: Sequence[Row],
    classes: Mapping[str, str],
    *,
    population: str | None = None,
    out: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> PlacesRun:
    """Ask a model about every row and compare what it outlines, boxes and measures with the truth.

    Args:
        card: of a model with `places`.
        rows: of a manifest that `places_truth.check_truth` let pass.
        classes: label value (casefolded) -> class of the model, for models that also answer.
        population: id on the card for every row; None takes what age and view say, else the card's default.
        out: folder for `predictions.csv`, `regions.json` and `masks/`; nothing is written where None.
        progress: may raise `Cancelled`.

    Raises:
        ModelUnavailable: a network cannot be loaded.
        BadTable: a cell of the column `boxes` holds none.
    """
    assert card.places is not None
    runtime_for(card, network=card.places.network)  # a missing network is one error, not one for every image
    slices = Slices(rows)
    films: list[Film] = []
    lines: list[Line] = []
    hearts, no_truth = Hearts(card), dict[str, int]()
    asked = every_box(card) if card.places.kind == "boxes" else card
    look = partial(_seen, asked, slices, population, classes)
    with PlacesWriter(out, card) as writer:
        for seen in ahead(look, rows, READERS):
            hearts.add(seen.film, seen.regions, seen.image)
            if seen.no_truth:
                no_truth[seen.no_truth] = no_truth.get(seen.no_truth, 0) + 1
            writer.write(seen.film, seen.line, seen.regions)
            films.append(seen.film)
            lines.append(seen.line)
            progress(len(films), len(rows))
    hearts.finish()
    at_least = card.class_ids[card.positive] if card.form == "grade" else ""
    run = summarise(card, Table(card.class_ids, tuple(lines), at_least)) if card.answers else None
    return _summary(card, card.places, run, films, hearts, no_truth)


def _seen(card: ModelCard, slices: Slices, population: str | None, classes: Mapping[str, str], row: Row) -> _Seen:
    """Read one row, ask, compare with its truth."""
    assert card.places is not None
    entry = slices.entry(row)
    answer: Answer | MedImgError
    if entry.image is None:
        assert entry.error is not None
        answer = entry.error
    else:
        try:
            beside = slices.beside(row, entry.image) if card.places.context else ()
            answer = predict(entry.image, card, population, beside=beside)
        except MedImgError as error:
            answer = error
    return judge(card, row, entry.image, answer, classes)


def judge(
    card: ModelCard, row: Row, image: Image | None, answer: Answer | MedImgError, classes: Mapping[str, str]
) -> _Seen:
    """What was found in an image against what is true of it."""
    assert card.places is not None
    line = line_of(row, answer, classes, card)
    regions: tuple[Region, ...] = ()
    film = Film(row, line.status, line.reason)
    if isinstance(answer, Answer) and not answer.prediction.refused:
        regions = answer.prediction.regions
        film = replace(
            film,
            regions=tuple(replace(region, mask=None) for region in regions),
            measured={m.name: m for m in answer.prediction.measurements},
        )
    try:
        film, no_truth = compared(film, answer, regions, image, card.places), ""
    except MedImgError as error:
        no_truth = error.cause
    return _Seen(film, line, image, regions, no_truth)


def compared(
    film: Film,
    answer: Answer | MedImgError,
    regions: Sequence[Region],
    image: Image | None,
    places: PlacesCard,
) -> Film:
    """A film with its truth.

    Args:
        answer: what the model said; counts where the card asks for figures by pixel.

    Raises:
        UnreadableImage, BadTable: mask or boxes cannot be used.
    """
    if places.kind == "boxes":
        found = np.array([region.box for region in regions], np.float64).reshape(-1, 4)
        scores = np.array([region.score for region in regions], np.float64)
        return replace(film, boxes=ImageBoxes(true_boxes(film.row, places), found, scores, film.row.patient))
    truth = true_masks(film.row, None if image is None else image.shape, places)
    by_label = {region.label: region for region in regions}
    empty = image if image is not None else _bare(truth)
    return replace(
        film,
        agreement={name: agree(mask, by_label.get(name), empty) for name, mask in truth.items()},
        true=_true_measures(film.row, truth, image, places),
        pixels=histograms(answer.forward, answer.geometry, truth, places) if isinstance(answer, Answer) else {},
    )


def _bare(truth: Mapping[str, MaskArray]) -> Image:
    """Stands for an image that could not be read: only its size is asked for."""
    shape = next((mask.shape for mask in truth.values()), (1, 1))
    return Image(np.zeros(shape, np.float32), "MONOCHROME2", "")


def _true_measures(
    row: Row, truth: Mapping[str, MaskArray], image: Image | None, places: PlacesCard
) -> dict[str, tuple[float, str]]:
    """Measurement -> its truth and unit: a column of the manifest, else the same measure of the true mask."""
    if image is None:
        return {}
    drawn = [Region("mask", name, 1.0, mask=mask) for name, mask in truth.items() if mask.any()]
    found = {}
    for said in measure_regions(drawn, image, replace(places, errors={})):
        known = known_value(row, said.name)
        found[said.name] = known if known is not None and known[1] == said.unit else (said.value, said.unit)
    return found


class Hearts:
    """The ejection fraction of patients whose end-diastolic and end-systolic frame and `ef` a manifest holds."""

    def __init__(self, card: ModelCard) -> None:
        assert card.places is not None
        self._active = card.places.measure == "heart"
        self._errors = {name: ErrorFit(**fit) for name, fit in card.places.errors.items()}
        self._waiting: dict[str, dict[str, tuple[Film, tuple[Region, ...], Image | None]]] = {}
        self.pairs: list[Pair] = []

    def add(self, film: Film, regions: tuple[Region, ...], image: Image | None) -> None:
        """Note a frame; with the second one of a patient the fraction is told, and both are forgotten."""
        phase = film.row.columns.get("phase", "").upper()
        if not self._active or phase not in ("ED", "ES"):
            return
        frames = self._waiting.setdefault(film.row.patient, {})
        frames[phase] = (film, regions, image)
        if len(frames) == 2:
            del self._waiting[film.row.patient]
            self._tell(film.row, *frames["ED"], *frames["ES"])

    def _tell(
        self,
        row: Row,
        ed: Film,
        large: tuple[Region, ...],
        image: Image | None,
        es: Film,
        small: tuple[Region, ...],
        other: Image | None,
    ) -> None:
        true = _fraction(row)
        if true is None:
            return
        answered = ed.status == es.status == "ok"
        fit = answered and image is not None and other is not None and alike(image, other)
        said = ejection_fraction(large, small, image, self._errors) if fit and image is not None else None
        by_name = {m.name: m for m in said.measurements} if said is not None else {}
        self.pairs.append(Pair(row.patient, true, "%", by_name.get("ejection_fraction"), answered))

    def finish(self) -> None:
        """Patients of whom the table holds one phase alone, or one of them twice, have a fraction that is missing."""
        for frames in self._waiting.values():
            film = next(iter(frames.values()))[0]
            true = _fraction(film.row)
            if true is not None:
                self.pairs.append(Pair(film.row.patient, true, "%", None, film.status == "ok"))
        self._waiting.clear()


def _fraction(row: Row) -> float | None:
    """The true ejection fraction that the manifest states, in percent."""
    try:
        return float(row.columns["ef"])
    except (KeyError, ValueError):
        return None


def _summary(
    card: ModelCard,
    places: PlacesCard,
    run: Run | None,
    films: Sequence[Film],
    hearts: Hearts,
    no_truth: Mapping[str, int],
) -> PlacesRun:
    structures: dict[str, Both] = {}
    if places.kind == "boxes":
        structures[places.structures[0].id] = twice(lambda wrong: box_figures(films, wrong=wrong))
    names = outlined(places, films)
    for name in names:
        figures: Callable[[bool], Figures] = partial(_outline, films, name)
        structures[name] = twice(figures)
    pairs = {name: (found, _truth_of(films, name)) for name, found in film_pairs(films).items()}
    if hearts.pairs:
        pairs = {"ejection_fraction": (hearts.pairs, "column ef"), **pairs}
    told = {name: measured(found, truth) for name, (found, truth) in pairs.items()}
    return PlacesRun(
        card=card,
        run=run,
        films=tuple(films),
        structures=structures,
        together=twice(partial(_mean_dice, films, names)) if places.pixelwise else next(iter(structures.values()), {}),
        found={name: counts(films, name) for name in names},
        measurements={name: figure for name, figure in told.items() if figure is not None},
        no_truth=no_truth,
    )


def _outline(films: Sequence[Film], name: str, wrong: bool) -> Figures:
    return outline_figures(films, name, wrong=wrong)


def _mean_dice(films: Sequence[Film], names: Sequence[str], wrong: bool) -> Figures:
    return mean_dice(films, names, wrong=wrong)


def _truth_of(films: Sequence[Film], name: str) -> str:
    column = KNOWN.get(name, ("", ""))[0]
    return f"column {column}" if any(column and film.row.columns.get(column) for film in films) else "true mask"


def refused_reasons(found: PlacesRun) -> Iterator[tuple[str, int]]:
    """Why films have no answer, the most frequent first."""
    reasons: dict[str, int] = {}
    for film in found.films:
        if film.status != "ok":
            reasons[film.reason] = reasons.get(film.reason, 0) + 1
    yield from sorted(reasons.items(), key=lambda one: -one[1])
