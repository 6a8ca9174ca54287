"""From films whose places were compared with the truth to figures with intervals, refused films counted both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from medimg_core import metrics
from medimg_core.catalog import PlacesCard
from medimg_core.metrics import ImageBoxes
from medimg_core.training.boxes.measure import figures_of
from medimg_core.training.outlines.measure import Agreement, auprc
from medimg_core.types import Interval, Measurement, Region
from medimg_core.workflows.manifest import Row
from medimg_core.workflows.predictions import Status

Figures = dict[str, Interval]


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """One image of an evaluation, without pixels.

    Attributes:
        regions: as told, without masks; empty where there is no answer.
        agreement: structure -> found against true pixels; structures that nobody outlined are missing. Of a film
            without an answer nothing was found.
        measured, true: measurement -> as the model measured it; its truth and the unit of that.
        boxes: true and found boxes; None where the model outlines.
        pixels: structure -> `metrics.pixel_histogram`, where the card asks for figures by pixel and there is an answer.
    """

    row: Row
    status: Status
    reason: str
    regions: tuple[Region, ...] = ()
    agreement: Mapping[str, Agreement] = field(default_factory=dict)
    measured: Mapping[str, Measurement] = field(default_factory=dict)
    true: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    boxes: ImageBoxes | None = None
    pixels: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """One measurement of a film or of a patient; `found` is None where the model gave none in the truth's unit."""

    patient: str
    true: float
    unit: str
    found: Measurement | None
    answered: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement against the truth; intervals count patients.

    Attributes:
        truth: where the truth comes from: a column of the manifest, or the true mask.
        n: pairs that both sides measured; `missing` are those that the model did not measure in images it answered.
        left_out, wrong: `mae`, `bias`, `lower_limit`, `upper_limit`; where images without an answer count as wrong
            they count as measured 0. Empty below two patients.
        coverage: share of the true values inside the model's own interval; None where it gives none.
    """

    unit: str
    truth: str
    n: int
    missing: int
    left_out: Figures
    wrong: Figures
    coverage: Interval | None


@dataclass(frozen=True, slots=True)
class Counts:
    """Films of one structure: known, with it, missed, found where it is not."""

    n: int
    present: int
    missed: int
    false: int


def outline_figures(films: Sequence[Film], structure: str, *, wrong: bool) -> Figures:
    """`dice` (mean over patients of the Dice of all their pixels), and over the images that show the structure the
    means `dice_per_image` and `iou` and the median `hd95` (in mm, or px; none where half of them were missed); with
    `Film.pixels` the area `auprc` over all pixels of the films with an answer.

    Args:
        wrong: a film without an answer counts as one of which nothing was found, or as a false find where there was
            nothing; otherwise it is left out.
    """
    known = [f for f in films if structure in f.agreement and (wrong or f.status == "ok")]
    if not known:
        return {}
    rows = [film.agreement[structure] for film in known]
    who = np.array([film.row.patient for film in known])
    # A refused film of an empty picture has one pixel that is wrong: its patient does not count as rightly empty.
    spoiled = np.array([film.status != "ok" and row.true == 0 for film, row in zip(known, rows, strict=True)])
    both, sizes = np.array([r.both for r in rows]), np.array([r.true + r.found for r in rows]) + spoiled
    found = {"dice": metrics.dice_per_patient(both, sizes, who)}
    there = np.array([row.true > 0 for row in rows])
    if there.any():
        seen = [row for row in rows if row.true]
        found["dice_per_image"] = metrics.mean_interval([r.dice for r in seen], who[there], share=True)
        found["iou"] = metrics.mean_interval([r.iou for r in seen], who[there], share=True)
        there &= _one_unit(known, rows)
        far = [row.hd95 for row, kept in zip(rows, there, strict=True) if kept]
        distance = metrics.median_interval(far, who[there]) if far else None
        if distance is not None:
            found["hd95"] = distance
    counted = [film for film in known if structure in film.pixels and not wrong]
    area = auprc([film.pixels[structure] for film in counted], np.array([film.row.patient for film in counted]))
    if area is not None:
        found["auprc"] = area
    return found


def _one_unit(films: Sequence[Film], rows: Sequence[Agreement]) -> NDArray[np.bool_]:
    """Millimetres and pixels are never averaged together: films without a spacing are left out where others have it.

    Of a film without an answer nothing was found, which is far in any unit.
    """
    some = any(row.in_mm for row in rows)
    return np.array([row.in_mm or not some or film.status != "ok" for film, row in zip(films, rows, strict=True)])


def mean_dice(films: Sequence[Film], structures: Sequence[str], *, wrong: bool) -> Figures:
    """`dice` of several structures together, the mean of theirs, over the films in which all were outlined; see
    `outline_figures` for `wrong`.
    """
    known = [f for f in films if f.agreement.keys() >= set(structures) and (wrong or f.status == "ok")]
    if not known:
        return {}
    rows = [[film.agreement[name] for name in structures] for film in known]
    both, true, found = (
        np.array([[getattr(r, side) for r in row] for row in rows]) for side in ("both", "true", "found")
    )
    spoiled = np.array([[film.status != "ok"] for film in known]) & (true == 0)
    sizes = true + found + spoiled
    return {"dice": metrics.dice_per_patient(both, sizes, [film.row.patient for film in known])}


def counts(films: Sequence[Film], structure: str) -> Counts:
    """What was missed and what was made up, among the films with an answer."""
    rows = [f.agreement[structure] for f in films if f.status == "ok" and structure in f.agreement]
    return Counts(
        len(rows),
        sum(row.true > 0 for row in rows),
        sum(row.true > 0 and not row.found for row in rows),
        sum(row.found > 0 and not row.true for row in rows),
    )


def box_figures(films: Sequence[Film], *, wrong: bool) -> Figures:
    """The figures of boxes; see `training.boxes.measure.figures_of`.

    Args:
        wrong: a film without an answer misses all its boxes, or has a sure false one where there is none.
    """
    images = [
        f.boxes if f.status == "ok" else spoiled(f.boxes)
        for f in films
        if f.boxes is not None and (wrong or f.status == "ok")
    ]
    return figures_of(images)


def spoiled(boxes: ImageBoxes) -> ImageBoxes:
    """An image without an answer, counted wrong: nothing found, or a sure false box where there is nothing."""
    if len(np.asarray(boxes.truth)):
        return ImageBoxes(boxes.truth, np.zeros((0, 4)), np.zeros(0), boxes.group)
    return ImageBoxes(boxes.truth, np.array([[0.0, 0.0, 1.0, 1.0]]), np.ones(1), boxes.group)


def film_pairs(films: Sequence[Film]) -> dict[str, list[Pair]]:
    """Measurement -> its pairs, film by film."""
    pairs: dict[str, list[Pair]] = {}
    for film in films:
        for name, (true, unit) in film.true.items():
            said = film.measured.get(name)
            found = said if said is not None and said.unit == unit else None
            pairs.setdefault(name, []).append(Pair(film.row.patient, true, unit, found, film.status == "ok"))
    return {name: pairs[name] for name in sorted(pairs)}


def measured(pairs: Sequence[Pair], truth: str) -> Measured | None:
    """Error and limits of agreement of one measurement; None where the model measured nothing.

    Millimetres and pixels are never averaged together: images without a spacing are left out where others have one.

    Args:
        truth: where the truth comes from.
    """
    unit = min({pair.unit for pair in pairs}, key=lambda name: (name.startswith("px"), name), default="")
    pairs = [pair for pair in pairs if pair.unit == unit]
    given = [(pair.patient, pair.true, pair.found) for pair in pairs if pair.answered and pair.found is not None]
    if not given:
        return None
    # Millimetres and pixels are never averaged together: films without a spacing are left out where others have it.
    unit = min({m.unit for _, _, m in given}, key=lambda u: u.startswith("px"))
    given = [row for row in given if row[2].unit == unit]
    who = [patient for patient, _, _ in given]
    true, found = np.array([t for _, t, _ in given]), np.array([m.value for _, _, m in given])
    refused = [pair for pair in pairs if not pair.answered]
    all_true = np.concatenate([true, [pair.true for pair in refused]])
    all_found = np.concatenate([found, np.zeros(len(refused))])
    inside = [m.low <= t <= m.high for _, t, m in given if np.isfinite(m.low)]
    sure = [patient for patient, _, m in given if np.isfinite(m.low)]
    return Measured(
        unit=unit,
        truth=truth,
        n=len(given),
        missing=sum(pair.answered and pair.found is None for pair in pairs),
        left_out=_agreement(true, found, who),
        wrong=_agreement(all_true, all_found, [*who, *(pair.patient for pair in refused)]),
        coverage=metrics.proportion(inside, sure) if inside else None,
    )


def _agreement(true: NDArray[np.float64], found: NDArray[np.float64], who: Sequence[str]) -> Figures:
    if len(set(who)) < 2:
        return {}
    limits = metrics.bland_altman(true, found, np.array(who))
    return {
        "mae": metrics.mean_absolute_error(true, found, np.array(who)),
        "bias": limits.bias,
        "lower_limit": limits.lower,
        "upper_limit": limits.upper,
    }


def twice(figures: Callable[[bool], Figures]) -> dict[str, tuple[Interval | None, Interval | None]]:
    """Figure -> over the films with an answer, and over all with those without one counted wrong."""
    left_out, wrong = figures(False), figures(True)
    return {name: (left_out.get(name), wrong.get(name)) for name in {**left_out, **wrong}}


def outlined(places: PlacesCard, films: Sequence[Film]) -> tuple[str, ...]:
    """Structures that somebody outlined in one of the films at least, in the card's order."""
    return tuple(s.id for s in places.structures if any(s.id in film.agreement for film in films))
