"""Three MR series of one study as one: T1 before contrast, FLAIR and T1 after contrast as red, green and blue.

That is what `brain_tumour_outline` was trained on, whose pictures were put together by their authors (Buda et al.,
Comput Biol Med 2019;109:218). How they scaled each sequence is not told; what can be seen in the 70 training volumes is
one scale for a whole sequence of a volume, not a slice, with background near 0. Here the 99.5th percentile of a
sequence over all its slices becomes the median of the same figure there (`_LEVELS`), because a volume's maximum, which
the authors may have used, is often a single bright vessel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard
from medimg_core.imaging.resample import covered, middle, resample, same_grid
from medimg_core.io.notes import series_notes
from medimg_core.io.opened import with_digest
from medimg_core.io.series import describe, in_order, place
from medimg_core.types import FloatArray, Image, MrSequence, Note, Series, Study

KIND: Final = "brain_mr_sequences"
"""Kind of picture that a joined slice is; models that take it name it on their card."""

COLOURS: Final[Mapping[MrSequence, str]] = {"T1 before contrast": "red", "FLAIR": "green", "T1 after contrast": "blue"}

_LEVELS: Final[Mapping[MrSequence, float]] = {"T1 before contrast": 147, "FLAIR": 145, "T1 after contrast": 132}
"""Level, 0 to 255, of a sequence's 99.5th percentile over a volume: medians of the 70 training volumes."""

_LOW, _HIGH = 1.0, 99.5
_SAME_PLACE_MM = 0.01
_ALONE_MM = 1.0
"""Slice distance of a single slice, which has none."""

_PARALLEL: Final = np.cos(np.radians(1.0))
"""Planes that differ by less part by 2 mm at the edge of a field of 230 mm: half a usual slice."""

_COVERED = 0.95
_HEAD: Final = frozenset({"HEAD", "BRAIN", "SKULL"})
_NEXT = "Each series is shown, and answered by itself, as before."

Parts = tuple[int, int, int]
"""Numbers of what makes red, green and blue."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A series of colour slices on the grid of FLAIR.

    Attributes:
        parts: numbers of its three series among those that were given.
        slices: of each slice, the numbers of its three slices within those.
    """

    series: Series
    parts: Parts
    slices: tuple[Parts, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which series stand for which colour, and which slices of them lie at the same places."""

    parts: Parts
    slices: tuple[Parts, ...]
    left: int
    doubled: bool


def wanted(cards: Sequence[ModelCard]) -> bool:
    """Whether one of some models takes joined slices."""
    return any(KIND in card.takes for card in cards)


def add_joined(study: Study) -> tuple[Study, tuple[int, ...]]:
    """The study with every series that can be joined behind its own, and notes on which series became which colour.

    Returns:
        Also, of each added series, the number of the series that its slices lie on (FLAIR): whose patient it shows.
    """
    found, why = join(study.series)
    notes = [Note("sequences", why)] if why else []
    for number, one in enumerate(found, len(study.series) + 1):
        said = ", ".join(
            f"{colour} is {term} (series {part + 1})"
            for (term, colour), part in zip(COLOURS.items(), one.parts, strict=True)
        )
        notes.append(Note("sequences", f"Series {number} is joined from three of this study: {said}."))
    series = (*study.series, *(one.series for one in found))
    return replace(study, series=series, notes=(*study.notes, *notes)), tuple(one.parts[1] for one in found)


def join(series: Sequence[Series]) -> tuple[list[Joined], str]:
    """Join the three sequences of each patient's frame of reference.

    Slices are matched by position along FLAIR's normal, within half the distance of its slices; in the plane the T1
    series are resampled to FLAIR's grid. A place that lacks one of the three is left out.

    Returns:
        What could be joined, and where there is nothing, a sentence that says why and what to do; empty where no
        series calls for it.
    """
    known: dict[int | None, dict[MrSequence, list[int]]] = {}
    for index, one in enumerate(series):
        if one.sequence is not None and one.sequence != "joined" and one.images[0].pixels.ndim == 2:
            known.setdefault(one.frame, {}).setdefault(one.sequence, []).append(index)
    found: list[Joined] = []
    why = ""
    for frame, group in known.items():
        if frame is None or len(group) < len(COLOURS):
            continue
        plan = _plan(series, group)
        if isinstance(plan, str):
            why = why or f"The three sequences were not joined: {plan} {_NEXT}"
        else:
            found.append(Joined(_joined(series, plan), plan.parts, plan.slices))
    return found, "" if found else why or _missing([one for group in known.values() for one in group.items()], series)


def _missing(known: Sequence[tuple[MrSequence, Sequence[int]]], series: Sequence[Series]) -> str:
    """What is not there where at least one sequence of a head is."""
    counts = Counter({term: 0 for term in COLOURS})
    for term, indices in known:
        counts[term] += len(indices)
    here, gone = [term for term in COLOURS if counts[term]], [term for term in COLOURS if not counts[term]]
    heads = any(series[i].images[0].body_part in _HEAD for _, indices in known for i in indices)
    if not here or not (counts["FLAIR"] or heads):
        return ""
    if not gone:
        return (
            "The three sequences were not joined: their headers do not say that they show one patient in one frame of "
            f"reference. Open the series of one examination, as the scanner sent them. {_NEXT}"
        )
    unsure = [term for term in here if term != "FLAIR" and counts[term] > 1 and gone == [_other(term)]]
    doubt = [f" {counts[term]} series count as {term}; their headers do not tell them apart." for term in unsure]
    many = "One sequence" if len(here) == 1 else "Two sequences"
    return (
        f"{many} where three are needed to outline a glioma: {_listed(here)} {_verb(here)} here, {_listed(gone)} "
        f"{_verb(gone)} not.{''.join(doubt)} Open the missing series together with the others, as one folder or zip of "
        f"the study. {_NEXT}"
    )


def _other(term: MrSequence) -> MrSequence:
    return "T1 after contrast" if term == "T1 before contrast" else "T1 before contrast"


def _listed(terms: Sequence[str]) -> str:
    return " and ".join(terms)


def _verb(terms: Sequence[str]) -> str:
    return "is" if len(terms) == 1 else "are"


def _plan(series: Sequence[Series], group: Mapping[MrSequence, Sequence[int]]) -> _Plan | str:
    """The series that share the most places; where none do, a sentence that says why, and the next step."""
    best: _Plan | None = None
    why = ""
    for flair in group["FLAIR"]:
        plan = _round(series, flair, group)
        if isinstance(plan, str):
            why = why or plan
        elif best is None or len(plan.slices) > len(best.slices):
            best = plan
    return best or why


def _round(series: Sequence[Series], flair: int, group: Mapping[MrSequence, Sequence[int]]) -> _Plan | str:
    """What fits one FLAIR series."""
    images = series[flair].images
    if not _placed(images):
        return _unplaced("FLAIR")
    if abs(_normal(images[0])[2]) < np.sqrt(0.5):
        return "FLAIR is not axial, and the model was trained on axial slices. Open axial series."
    first = _once(images)
    near: dict[MrSequence, tuple[int, NDArray[np.intp]]] = {}
    for term in (one for one in COLOURS if one != "FLAIR"):
        placed = [i for i in group[term] if _placed(series[i].images)]
        if not placed:
            return _unplaced(term)
        parallel = [i for i in placed if abs(_normal(series[i].images[0]) @ _normal(images[0])) >= _PARALLEL]
        if not parallel:
            return (
                f"{term} runs in another direction than FLAIR, so that no slice shows the same plane. "
                "Open series in one direction."
            )
        matches = {i: _nearest(images, first, series[i].images) for i in parallel}
        near[term] = max(matches.items(), key=lambda match: int((match[1] >= 0).sum()))
    (before, at_before), (after, at_after) = near["T1 before contrast"], near["T1 after contrast"]
    slices = tuple((int(b), f, int(a)) for f, b, a in zip(first, at_before, at_after, strict=True) if b >= 0 and a >= 0)
    if not slices:
        return (
            "no slices of all three lie at the same place, within half the distance of FLAIR's slices. "
            "Open the series of one examination that cover the same part of the head."
        )
    return _Plan((before, flair, after), slices, len(first) - len(slices), len(first) < len(images))


def _placed(images: Sequence[Image]) -> bool:
    return all(place(image) is not None and image.spacing is not None for image in images)


def _unplaced(term: MrSequence) -> str:
    return (
        f"the header of {term} does not state position, direction and pixel spacing of its slices. "
        "Export the series again from where it is archived, as DICOM."
    )


def _normal(image: Image) -> NDArray[np.float64]:
    assert image.orientation is not None
    return np.cross(image.orientation[:3], image.orientation[3:])


def _heights(images: Sequence[Image], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the middles of slices lie along a normal, in mm: planes that are a little tilted agree best there."""
    return np.array([normal @ middle(image) for image in images])


def _once(images: Sequence[Image]) -> list[int]:
    """Slices in their order, the first of each place."""
    heights = _heights(images, _normal(images[0]))
    return [i for i, mm in enumerate(heights) if i == 0 or mm - heights[i - 1] >= _SAME_PLACE_MM]


def _nearest(images: Sequence[Image], chosen: Sequence[int], others: Sequence[Image]) -> NDArray[np.intp]:
    """Of each chosen slice, the nearest of another series; -1 where it is farther than half a slice."""
    normal = _normal(images[0])
    here, there = _heights(images, normal)[list(chosen)], _heights(others, normal)
    distances = np.abs(here[:, None] - there)
    step = float(np.median(np.diff(here))) if len(here) > 1 else _ALONE_MM
    nearest = distances.argmin(axis=1)
    fits = distances[np.arange(len(here)), nearest] <= step / 2 + _SAME_PLACE_MM
    return np.where(fits, nearest, -1)


def _joined(series: Sequence[Series], plan: _Plan) -> Series:
    grids = [series[plan.parts[1]].images[f] for _, f, _ in plan.slices]
    pixels = np.empty((len(grids), *grids[0].shape, 3), np.uint8)
    notes = []
    for colour, (term, part) in enumerate(zip(COLOURS, plan.parts, strict=True)):
        images = [series[part].images[numbers[colour]] for numbers in plan.slices]
        for out, values, image, grid in zip(pixels, _scaled(images, _LEVELS[term]), images, grids, strict=True):
            out[..., colour] = np.rint(resample(values, image, grid))
        notes += list(_fitted(term, images[0], grids[0]))
    made = tuple(
        with_digest(
            replace(
                grid,
                pixels=rgb,
                photometric="RGB",
                bits=8,
                windows=(),
                voi_lut=None,
                padding=None,
                synthetic=any(series[i].images[n].synthetic for i, n in zip(plan.parts, numbers, strict=True)),
            )
        )
        for grid, rgb, numbers in zip(grids, pixels, plan.slices, strict=True)
    )
    _, kind, found = in_order(made)
    told = series_notes(
        made, encoding="joined from three series", removed=0, patient=False, found=[*found, *notes, *_left_out(plan)]
    )
    frame = series[plan.parts[1]].frame
    return Series(made, kind, describe(made, kind, "three sequences joined"), told, "joined", frame)


def _scaled(images: Sequence[Image], level: float) -> Iterator[FloatArray]:
    """Slices of one sequence on one scale: float32 `[H, W]` in 0 to 255; padding and what is no number is 0."""
    samples = []
    for image in images:
        step = max(1, int(np.sqrt(image.pixels.size / 16_384)))
        sample = image.pixels[::step, ::step]
        samples.append(sample[np.isfinite(sample) & (sample != (np.nan if image.padding is None else image.padding))])
    values = np.concatenate(samples)
    low, high = np.percentile(values, (_LOW, _HIGH)) if values.size else (0.0, 0.0)
    factor = level / (high - low) if high > low else 0.0
    for image in images:
        shown = np.clip((np.asarray(image.pixels, np.float32) - np.float32(low)) * np.float32(factor), 0, 255)
        if image.padding is not None:
            shown[image.pixels == image.padding] = 0
        yield np.nan_to_num(shown, nan=0.0)


def _fitted(term: MrSequence, image: Image, grid: Image) -> Iterator[Note]:
    """What was done to bring a sequence to FLAIR's grid."""
    if not same_grid(image, grid):
        yield Note("repaired", f"{term} was resampled to the grid of FLAIR.")
    share = covered(image, grid)
    if share < _COVERED:
        yield Note("doubt", f"{term} covers {100 * share:.0f} % of FLAIR's field; it is black in the rest.")


def _left_out(plan: _Plan) -> Iterator[Note]:
    if plan.left:
        what = "One slice of FLAIR is" if plan.left == 1 else f"{plan.left} slices of FLAIR are"
        yield Note("doubt", f"{what} left out: T1 before or after contrast has none within half a slice of it.")
    if plan.doubled:
        yield Note("doubt", "A slice position occurs more than once in FLAIR; the first of each was used.")
    yield Note(
        "repaired",
        "Each sequence was scaled over all its slices to the brightness of the training's pictures; the files' own "
        "windows were not used.",
    )
