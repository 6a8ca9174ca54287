"""Segmentations that were opened beside their images: layers on the stage, and the row that says whose they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medimg_core.io.attach import Attached, attach
from medimg_core.types import Image, Mark
from medimg_core.ui import regions, session
from medimg_core.ui.panel import Row
from medimg_core.ui.session import Case
from medimg_core.ui.words import capitalised

_FROM = 6
"""Colours and dashes of layers begin here, after those of a model's own structures."""


def attached(case: Case) -> Attached:
    """Which regions lie on which image; worked out once for the same files and images."""
    several = case.study.segmentations
    if not several:
        return Attached({})
    key = ("attached", tuple(id(one) for one in several), tuple(image.digest for image in case.study.images))
    return session.remember(key, lambda: attach(case.study, several))


def lines(case: Case, images: Sequence[Image]) -> list[dict[str, Any]]:
    """What opened segmentations show on the images of a stage."""
    found = attached(case)
    return [
        {**_told(found, mark), **regions.outline(mark.region, index)}
        for index, image in enumerate(images)
        for mark in found.on(image)
    ]


def legend(case: Case) -> list[Mapping[str, Any]]:
    """The structures of opened segmentations, to be shown or hidden."""
    found = attached(case)
    entries: dict[str, Mapping[str, Any]] = {}
    for marks in found.marks.values():
        for mark in marks:
            told = _told(found, mark)
            entries.setdefault(told["structure"], {**told, "state": "shown"})
    return list(entries.values())


def rows(case: Case, image: Image) -> tuple[Row, ...]:
    """Whose regions lie on an image, and what could not be placed."""
    found = attached(case)
    marks = found.on(image)
    said = [note.text for note in found.notes]
    if marks:
        by = {"model": "by a model", "reader": "by a reader"}
        named = dict.fromkeys(f"{_title(mark)} ({by[mark.who]}{_use(mark)})" for mark in marks)
        said.insert(0, f"From a segmentation file: {', '.join(named)}.")
    return (("Layer", " ".join(said)),) if said else ()


def _told(found: Attached, mark: Mark) -> dict[str, Any]:
    labels = list(dict.fromkeys(one.region.label for marks in found.marks.values() for one in marks))
    title = f"{_title(mark)} (file{_use(mark)})"
    return {
        **(regions.style(_FROM + labels.index(mark.region.label)) if mark.fit_for_use else regions.UNFIT),
        "structure": f"file {mark.region.label}",
        "model": "",
        "title": title,
        "words": title,
        "by": mark.who,
        "fixed": True,
    }


def _use(mark: Mark) -> str:
    return "" if mark.fit_for_use else ", not fit for use"


def _title(mark: Mark) -> str:
    return capitalised(mark.region.label.replace("_", " "))
