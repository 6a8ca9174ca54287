"""Slices of the command line with the slices beside them, for models that also look at those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from medimg_core.catalog import ModelCard
from medimg_core.inference.series_order import where
from medimg_core.types import Image
from medimg_core.workflows.diagnose_files import Opened

_SAME_PLACE_MM = 0.01

Beside = tuple[Image, ...]
"""The slices before and after; the slice itself at an end of its series. Empty where it has no place in one."""


def with_neighbours(stream: Iterable[Opened], cards: Sequence[ModelCard]) -> Iterator[tuple[Opened, Beside]]:
    """Every image in the order of the stream, with its neighbours by position.

    Only where one of the models looks at neighbours a series is read to its end before its first slice is passed on.

    Args:
        cards: models that may be asked.
    """
    if not any(card.places is not None and card.places.context for card in cards):
        yield from ((opened, ()) for opened in stream)
        return
    waiting: list[Opened] = []
    for opened in stream:
        if waiting and opened.group != waiting[0].group:
            yield from _placed(waiting)
            waiting = []
        if opened.group and opened.image is not None:
            waiting.append(opened)
        else:
            yield opened, ()
    yield from _placed(waiting)


def _placed(group: Sequence[Opened]) -> Iterator[tuple[Opened, Beside]]:
    """The members of one group in their order; slices of one plane are neighbours."""
    stacks: dict[tuple[object, ...], dict[float, Image]] = {}
    places: list[tuple[tuple[object, ...], float] | None] = []
    for opened in group:
        assert opened.image is not None
        place = where(opened.image)
        if place.mm is None:
            places.append(None)
            continue
        mm = round(place.mm / _SAME_PLACE_MM) * _SAME_PLACE_MM
        stacks.setdefault(place.plane, {}).setdefault(mm, opened.image)
        places.append((place.plane, mm))
    order = {own: sorted(stack) for own, stack in stacks.items()}
    for opened, known in zip(group, places, strict=True):
        if known is None:
            yield opened, ()
            continue
        plane, mm = known
        line, stack = order[plane], stacks[plane]
        here = line.index(mm)
        yield opened, (stack[line[max(here - 1, 0)]], stack[line[min(here + 1, len(line) - 1)]])
