"""The slices beside a slice, for models that also look at those: of a series, and of the files of the command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from medimg_core.catalog import ModelCard
from medimg_core.inference.series_order import neighbours, where
from medimg_core.types import Image
from medimg_core.workflows.diagnose_files import Opened

Beside = tuple[Image, ...]
"""The slices before and after; the slice itself at an end of its series. Empty where it has no place in one."""


def around(images: Sequence[Image]) -> list[Beside]:
    """Of each image of a series, its neighbours by position."""
    numbers = neighbours([where(image) for image in images])
    return [tuple(images[number] for number in pair) for pair in numbers]


def near(card: ModelCard, beside: Sequence[Image]) -> tuple[str, ...]:
    """Digests of the neighbours that a model looks at, as a part of every key that its results are kept by.

    Empty for models that look at none, whose results are the same whatever lies beside.
    """
    looks = card.places is not None and card.places.context
    return tuple(image.digest for image in beside) if looks else ()


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
    yield from zip(group, around([opened.image for opened in group if opened.image is not None]), strict=True)
