"""What models outline, box and measure, anew on the films behind their figures, the way that the figures were made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from medimg_core.catalog import ModelCard, evaluation
from medimg_core.errors import MedImgError
from medimg_core.inference import gate
from medimg_core.inference.boxes import BoxRule
from medimg_core.inference.places import look, measured
from medimg_core.training.boxes import answers as boxes
from medimg_core.training.boxes.data import BoxRecord
from medimg_core.training.boxes.measure import boxes_set
from medimg_core.training.outlines import ejection
from medimg_core.training.outlines.data import OutlineRecord
from medimg_core.training.outlines.measure import OutlineAnswer, agree, histograms, outlines_set
from medimg_core.types import Interval, Region
from medimg_core.workflows.answers import ahead
from medimg_core.workflows.manifest import Row, read_manifest
from medimg_core.workflows.places_truth import Slices, true_boxes, true_masks

THREADS = 2

_STRUCTURE = ("dice", "dice_per_image", "iou", "auprc")
_MEASURED = ("mae", "bias", "lower_limit", "upper_limit")

_CHANCES = ("brier", "ece")
_SHOWN = ("found", "shown_boxes_true", "films_with_finding_marked", "films_without_finding_marked")

Told = Callable[[str], None]
One = TypeVar("One")


@dataclass(frozen=True, slots=True)
class Found:
    """A figure of places as stated and as measured now."""

    test_set: str
    name: str
    stated: Interval
    measured: Interval
    headline: bool = False


def check_places(card: ModelCard, data: Path, told: Told) -> Iterator[Found]:
    """Measure the outlines or boxes of a model anew on the test sets of its `evaluation.json`; each film is asked once.

    Raises:
        BadTable: a manifest is missing, or its boxes cannot be read.
        MedImgError: a film or its mask is missing or cannot be read.
    """
    places, sets = card.places, evaluation(card).get("places", {}).get("test_sets", {})
    if places is None:
        return
    if places.kind == "boxes":
        yield from _check_boxes(card, sets, data, told)
        return
    asked: dict[tuple[str, str], OutlineAnswer] = {}
    for name, stated in sets.items():
        told(f"{card.name}: outlines of {name}, {stated['n']} films")
        answers = _ask(card, stated, data, asked, _answer)
        now = outlines_set(stated["title"], answers, places)
        if places.measure == "heart":
            bias = places.errors.get("ejection_fraction", {}).get("bias", 0.0)
            now["measurements"] |= ejection.figures(answers, bias)
        yield from _compared(card, name, stated, now)


def _check_boxes(card: ModelCard, sets: Mapping[str, Any], data: Path, told: Told) -> Iterator[Found]:
    assert card.places is not None
    asked: dict[tuple[str, str], boxes.FoundBoxes] = {}
    rule = BoxRule(threshold=card.places.structures[0].threshold)
    for name, stated in sets.items():
        told(f"{card.name}: boxes of {name}, {stated['n']} films")
        now = boxes_set(stated["title"], _ask(card, stated, data, asked, _boxes), rule)
        for figure, interval in stated["metrics"].items():
            pair = _interval(interval, stated["n"]), _interval(now["metrics"][figure], now["n"])
            yield Found(name, figure, *pair, figure == "ap50" and not card.answers)
        for part, figures in (("shown", _SHOWN), ("calibration", _CHANCES)):
            for figure in figures:
                if stated[part] and stated[part].get(figure):
                    pair = _interval(stated[part][figure], stated["n"]), _interval(now[part][figure], now["n"])
                    yield Found(name, f"boxes: {figure}", *pair)
        false = [_plain(one["shown"]["false_boxes_per_image"], one["n"]) for one in (stated, now)]
        yield Found(name, "boxes: false_boxes_per_image", false[0], false[1])
        yield Found(name, "boxes: refused", _plain(stated["refused"]), _plain(now["refused"], now["n"]))


def _boxes(card: ModelCard, slices: Slices, row: Row) -> boxes.FoundBoxes:
    """One film, whether or not the input check lets it pass."""
    assert card.places is not None
    entry = slices.entry(row)
    if entry.image is None:
        raise entry.error or MedImgError("A film cannot be read.", "Restore the data set.")
    truth = tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in true_boxes(row, card.places).tolist())
    split = row.columns.get("split", "")
    record = BoxRecord(row.folder.name, row.id, row.file, split, row.patient, truth, row.columns)
    return boxes.told(card, record, entry.image)


def _ask(
    card: ModelCard,
    stated: Mapping[str, Any],
    data: Path,
    asked: dict[tuple[str, str], One],
    answer: Callable[[ModelCard, Slices, Row], One],
) -> tuple[One, ...]:
    """The answers to the films of a test set, those of other sets that were asked before included."""
    data_set, ids = stated["data_set"], stated["predictions"]["id"]
    rows = read_manifest(data / data_set / "manifest.csv", label=None)
    by_id = {row.id: row for row in rows}
    missing = [film for film in ids if film not in by_id]
    if missing:
        raise MedImgError(
            f"The manifest of {data_set} lacks {len(missing)} of the films whose places were measured.",
            "Measure the model anew, or restore the data set.",
        )
    new = [by_id[film] for film in ids if (data_set, film) not in asked]
    for row, said in zip(new, ahead(partial(answer, card, Slices(rows)), new, THREADS), strict=True):
        asked[data_set, row.id] = said
    return tuple(asked[data_set, film] for film in ids)


def _answer(card: ModelCard, slices: Slices, row: Row) -> OutlineAnswer:
    """One film, whether or not the input check lets it pass."""
    assert card.places is not None
    entry = slices.entry(row)
    image = entry.image
    if image is None:
        raise entry.error or MedImgError("A film cannot be read.", "Restore the data set.")
    found = look(image, card, beside=slices.beside(row, image) if card.places.context else ())
    regions = {region.label: region for region in found.regions}
    truth = true_masks(row, image.shape, card.places)
    drawn = [Region("mask", name, 1.0, mask=mask) for name, mask in truth.items() if mask.any()]
    return OutlineAnswer(
        record=OutlineRecord(
            set=row.folder.name,
            id=row.id,
            file=row.file,
            split=row.columns.get("split", ""),
            patient=row.patient,
            mask=None,
            truth=None,
            spacing=row.spacing,
            slice=None,
            columns=row.columns,
        ),
        logits=found.forward.logits,
        agreement={name: agree(mask, regions.get(name), image) for name, mask in truth.items()},
        measured={m.name: m for m in found.measurements},
        true={m.name: m for m in measured(drawn, image, card.places)},
        seconds=0.0,
        refused=not gate.check(image, card).passed,
        histograms=histograms(found.forward, found.geometry, truth, card.places),
    )


def _compared(card: ModelCard, name: str, stated: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Found]:
    mean = card.places is not None and card.places.pixelwise
    if mean:
        was, is_ = (_interval(side["metrics"]["dice"], side["n"]) for side in (stated, now))
        yield Found(name, "dice", was, is_, not card.answers)
    headline = ("" if card.answers or mean else next(iter(stated["structures"]), ""), "dice")
    for structure, figures in stated["structures"].items():
        again = now["structures"][structure]
        for figure in _STRUCTURE:
            if figures.get(figure) and again.get(figure):
                pair = _interval(figures[figure], stated["n"]), _interval(again[figure], now["n"])
                yield Found(name, f"{structure}: {figure}", *pair, (structure, figure) == headline)
        yield from _exact(name, structure, figures, again, now["n"])
    for measurement, figures in stated["measurements"].items():
        again = now["measurements"].get(measurement, {})
        for figure in _MEASURED:
            if figures.get(figure) and again.get(figure):
                pair = _interval(figures[figure], figures["n"]), _interval(again[figure], again["n"])
                yield Found(name, f"{measurement}: {figure}", *pair)
    yield Found(name, "outlines: refused", _plain(stated["refused"]), _plain(now["refused"], now["n"]))


def _exact(name: str, structure: str, stated: Mapping[str, Any], now: Mapping[str, Any], n: int) -> Iterator[Found]:
    for figure in ("hd95_median", "missed", "false"):
        if stated.get(figure) is not None and now.get(figure) is not None:
            yield Found(name, f"{structure}: {figure}", _plain(stated[figure]), _plain(now[figure], n))


def _interval(figure: Mapping[str, float], n: int) -> Interval:
    return Interval(figure["value"], figure["low"], figure["high"], n)


def _plain(value: float, n: int | None = None) -> Interval:
    return Interval(float(value), float(value), float(value), n)
