"""Which image of an open study each region of a segmentation lies on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from medimg_core.io.segment_terms import source_uid
from medimg_core.io.series import place
from medimg_core.types import Image, Mark, Note, Segmentation, Study

_SAME_MM: Final = 0.05
"""Positions that differ by less are one: they are stored with rounding."""

_SAME_COSINE: Final = 0.01
_CLOSED: Final = Note(
    "doubt", "A segmentation belongs to an image that is not open; open that image to see its regions."
)


@dataclass(frozen=True, slots=True, eq=False)
class Attached:
    """Regions on their images.

    Attributes:
        marks: digest of an image -> what lies on it, in the order of the files; only images that have any.
        left: segmentations of which no region found its image.
        notes: doubts, and what found no image.
    """

    marks: dict[str, tuple[Mark, ...]]
    left: tuple[Segmentation, ...] = ()
    notes: tuple[Note, ...] = ()

    def on(self, image: Image) -> tuple[Mark, ...]:
        """What lies on one image."""
        return self.marks.get(image.digest, ())


def attach(study: Study, segmentations: Iterable[Segmentation]) -> Attached:
    """Find the image of every region.

    A file of our own making names its images by UIDs made of their digests: it fits those or none. UIDs of other files
    mean nothing here, because none passes `io`; such a file fits the only image of its size, if it speaks of one image
    and their positions do not contradict each other, with a doubt; else the images with the positions it states.

    Args:
        study: what is open, with or without segmentations of its own.
        segmentations: `study.segmentations`, or those of a later drop.
    """
    found: dict[str, list[Mark]] = {}
    left: list[Segmentation] = []
    notes: list[Note] = []
    images = list({image.digest: image for image in study.images}.values())
    # Joined slices lie where those of one of their series do; another program has drawn on that one.
    made = {image.digest for series in study.series if series.sequence == "joined" for image in series.images}
    for segmentation in segmentations:
        ours = _is_ours(segmentation)
        fits = [
            image
            for image in images
            if image.shape == (segmentation.rows, segmentation.columns) and (ours or image.digest not in made)
        ]
        placed = _own(segmentation, fits, notes) if ours else _foreign(segmentation, fits, notes)
        if not placed and segmentation.marks:
            left.append(segmentation)
        for image, mark in placed:
            found.setdefault(image.digest, []).append(mark)
    marks = {digest: tuple(several) for digest, several in found.items()}
    return Attached(marks, tuple(left), tuple(dict.fromkeys(notes)))


def _is_ours(segmentation: Segmentation) -> bool:
    return any(mark.source for mark in segmentation.marks)


def _own(segmentation: Segmentation, fits: Sequence[Image], notes: list[Note]) -> list[tuple[Image, Mark]]:
    by_uid = {source_uid(image.digest): image for image in fits}
    placed = [(by_uid[mark.source], mark) for mark in segmentation.marks if mark.source in by_uid]
    _say_what_is_left(segmentation, len(placed), notes)
    return placed


def _foreign(segmentation: Segmentation, fits: Sequence[Image], notes: list[Note]) -> list[tuple[Image, Mark]]:
    marks = segmentation.marks
    if len(fits) == 1 and len({mark.plane for mark in marks}) == 1 and _may_be(fits[0], marks[0]):
        notes.append(
            Note(
                "doubt",
                "A segmentation of another program is shown on the only image of its size; "
                "whether it was drawn on this image is not known.",
            )
        )
        return [(fits[0], mark) for mark in marks]
    placed = []
    for mark in marks:
        there = [image for image in fits if _lies_on(image, mark)]
        if len(there) == 1:
            placed.append((there[0], mark))
    if placed:
        notes.append(Note("doubt", "A segmentation of another program is placed by the positions that it states."))
    _say_what_is_left(segmentation, len(placed), notes)
    return placed


def _say_what_is_left(segmentation: Segmentation, placed: int, notes: list[Note]) -> None:
    if not placed and segmentation.marks:
        notes.append(_CLOSED)
    elif placed < len(segmentation.marks):
        lost = len(segmentation.marks) - placed
        what = "One region" if lost == 1 else f"{lost:,} regions"
        notes.append(Note("doubt", f"{what} of a segmentation belong{'s' if lost == 1 else ''} to images not open."))


def _may_be(image: Image, mark: Mark) -> bool:
    """Unless both say where they are, and contradict each other."""
    return image.position is None or mark.position is None or _lies_on(image, mark)


def _lies_on(image: Image, mark: Mark) -> bool:
    """The same corner and, where the mark states its orientation, the same plane."""
    if image.position is None or mark.position is None or place(image) is None:
        return False
    if not np.allclose(image.position, mark.position, rtol=0, atol=_SAME_MM):
        return False
    if mark.orientation is None or image.orientation is None:
        return True
    return bool(np.allclose(image.orientation, mark.orientation, rtol=0, atol=_SAME_COSINE))
