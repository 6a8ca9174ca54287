"""Where the slices of a series lie: their order, what does not belong to them, gaps, doubles, how much is covered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from medimg_core.catalog import SeriesCard
from medimg_core.io.series import plane
from medimg_core.types import Image

_SAME_PLACE_MM = 0.01
_GAP = 1.5
"""Times the median distance."""

_AGE_YEARS = 1.01
"""Ages of one examination differ by a birthday at most."""


@dataclass(frozen=True, slots=True)
class Where:
    """What the header tells of a slice's place.

    Attributes:
        mm: along the normal of its plane, seen from feet, right or front whichever the plane faces; None if unknown.
        plane: what slices of one stack share.
        digest: of the pixels.
    """

    mm: float | None
    plane: tuple[object, ...]
    digest: str
    sex: str | None = None
    age_years: float | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """Slices in order.

    Attributes:
        places: numbers of the slices at each place, in the order of the places; slices of another stack are left out.
        notes: doubts.
        refusal: why these slices get no common answer, and the next step; else empty.
    """

    places: tuple[tuple[int, ...], ...]
    notes: tuple[str, ...] = ()
    refusal: tuple[str, ...] = field(default=())


def where(image: Image) -> Where:
    """The place of a slice, the same whether the scan went feet first or head first."""
    mm = None
    if image.position is not None and image.orientation is not None:
        normal = np.cross(image.orientation[:3], image.orientation[3:])
        if normal[np.abs(normal).argmax()] < 0:
            normal = -normal
        mm = float(normal @ np.asarray(image.position))
    return Where(mm, plane(image) if mm is not None else (), image.digest, image.sex, image.age_years)


def neighbours(slices: Sequence[Where]) -> list[tuple[int, ...]]:
    """Of each slice, the numbers of the one before and the one after by place; at an end of its stack its own.

    Slices of one plane make a stack. Empty where a slice has no place, or its stack no second one. Of several slices at
    one place the same stands for it in whatever order they are given.
    """
    stacks: dict[tuple[object, ...], list[int]] = {}
    for number, one in enumerate(slices):
        if one.mm is not None:
            stacks.setdefault(one.plane, []).append(number)
    found: list[tuple[int, ...]] = [()] * len(slices)
    for own in stacks.values():
        places = _places(slices, own)
        first = [min(place, key=lambda number: slices[number].digest) for place in places]
        for at, place in enumerate(places if len(places) > 1 else ()):
            for number in place:
                before = first[at - 1] if at else number
                found[number] = (before, first[at + 1] if at + 1 < len(first) else number)
    return found


def arrange(slices: Sequence[Where], usable: Sequence[int], rule: SeriesCard) -> Stack:
    """Order slices and say what is wrong with them.

    Args:
        slices: all that were given, in the order in which a reader counts them.
        usable: numbers of those that can be used; where another lies there is no gap.
    """
    refusal = _several_patients([slices[i] for i in usable])
    stacks = Counter(slices[i].plane for i in usable)
    largest = max(stacks, key=lambda own: stacks[own]) if stacks else ()
    own = [i for i in usable if slices[i].plane == largest]
    notes = []
    if len(own) < len(usable):
        notes.append(
            f"The slices are of {len(stacks)} stacks that differ in direction, matrix or kind: {len(own)} of the "
            f"largest were used, {len(usable) - len(own)} left out. Give each series by itself."
        )
    places = _places(slices, own)
    given = _places(slices, [i for i, one in enumerate(slices) if one.plane == largest])
    notes += [*_doubles(slices, places), *_distances(slices, given, places, rule), *_count(len(places), rule)]
    return Stack(tuple(places), tuple(notes), refusal)


def _several_patients(slices: Sequence[Where]) -> tuple[str, ...]:
    sexes = {one.sex for one in slices if one.sex}
    ages = [one.age_years for one in slices if one.age_years is not None]
    if len(sexes) < 2 and (not ages or max(ages) - min(ages) < _AGE_YEARS):
        return ()
    return (
        "These slices are of more than one patient: sex or age in their headers differ.",
        "Load the series of each patient by itself; the answers to the single slices stand.",
    )


def _places(slices: Sequence[Where], own: Sequence[int]) -> list[tuple[int, ...]]:
    """Slices by place; those without one stay in order, and the same picture twice is one place."""
    if any(slices[i].mm is None for i in own):
        pictures: dict[str, list[int]] = {}
        for i in own:
            pictures.setdefault(slices[i].digest or str(i), []).append(i)
        return [tuple(group) for group in pictures.values()]
    places: list[list[int]] = []
    before = -np.inf
    for i in sorted(own, key=lambda i: (slices[i].mm or 0.0, i)):
        mm = slices[i].mm or 0.0
        if mm - before < _SAME_PLACE_MM:
            places[-1].append(i)
        else:
            places.append([i])
            before = mm
    return [tuple(group) for group in places]


def _doubles(slices: Sequence[Where], places: Sequence[tuple[int, ...]]) -> Iterator[str]:
    doubled = [place for place in places if len(place) > 1]
    if not doubled:
        return
    what = "One slice position occurs" if len(doubled) == 1 else f"{len(doubled)} slice positions occur"
    yield f"{what} more than once; slices of one position count once together."
    if sum(len({slices[i].digest for i in place}) > 1 for place in doubled) > len(places) / 3:
        yield "Slices of one position differ: two scans of this stack may be mixed. Give each by itself."


def _distances(
    slices: Sequence[Where], given: Sequence[tuple[int, ...]], used: Sequence[tuple[int, ...]], rule: SeriesCard
) -> Iterator[str]:
    """Gaps among the places given, and a part in place of a whole among those used; nothing without places."""
    known = [mm for place in given if (mm := slices[place[0]].mm) is not None]
    ends = [mm for place in (*used[:1], *used[-1:]) if (mm := slices[place[0]].mm) is not None]
    if len(known) < 2 or len(used) < 2:
        return
    steps = np.diff(known)
    usual = float(np.median(steps))
    for index in np.flatnonzero(steps > _GAP * usual)[:3]:
        missing = max(1, round(steps[index] / usual) - 1)
        what = "one slice seems" if missing == 1 else f"{missing} slices seem"
        pairs = [sorted((i, j)) for i in given[index] for j in given[index + 1]]
        first, second = min(pairs, key=lambda pair: pair[1] - pair[0])
        yield f"Gap: {what} to be missing between slices {first + 1} and {second + 1}."
    covered = ends[-1] - ends[0] + usual
    if rule.whole_mm is not None and covered < rule.whole_mm:
        yield (
            f"Only a part of an examination: the slices cover {covered:.0f} mm, a whole one {rule.whole_mm:.0f} mm or "
            "more. What lies outside was not seen."
        )


def _count(n: int, rule: SeriesCard) -> Iterator[str]:
    fewest, most = rule.slices
    if n < fewest:
        yield f"Fewer slices ({n}) than any series that the model learned from ({fewest} to {most})."
    if n > most:
        yield f"More slices ({n}) than any series that the model learned from ({fewest} to {most})."
