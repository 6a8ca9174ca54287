"""Which images stand on the stage with the chosen one: those of its patient, as series to turn through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medimg_core.types import Image, Series
from medimg_core.ui import pixels, service, session, study, words
from medimg_core.ui.session import Case
from medimg_core.ui.viewer import Stack, film, series_films


@dataclass(frozen=True, slots=True)
class Staged:
    """The images of a stage.

    Attributes:
        images: in the order in which the viewer counts them.
        indices: of each, its number in the study.
        stacks: the series among them, to choose from; none where the chosen image stands alone.
        start: number of the chosen image among `images`.
        stack: number of the stack that begins on the stage.
        in_series: the chosen image stands in its series, which is turned through; else it stands by itself.
    """

    images: list[Image]
    indices: list[int]
    stacks: list[Stack]
    start: int = 0
    stack: int | None = None
    in_series: bool = False

    @property
    def named(self) -> list[Stack]:
        """The series alone, without the stack of the chosen image by itself."""
        return self.stacks if self.in_series else self.stacks[1:]


def around(case: Case, image: Image) -> Staged:
    """The chosen image in its series where that is a stack of slices; else by itself, with all others beside it."""
    named, chosen = of_patient(case), case.series
    if chosen is None or chosen.kind != "slices":
        images, stacks = beside_film(case, image)
        indices = [case.chosen, *(first + i for _, one, first in named for i in range(len(one.images)))]
        return Staged(images, indices[: len(images)], stacks, stack=0 if stacks else None)
    images, indices, stacks, begins = [], [], [], 0
    for at, (title, series, first) in enumerate(named):
        within = case.chosen - first if series is chosen else len(series.images) // 2 * (series.kind == "slices")
        begins = at if series is chosen else begins
        stacks.append(Stack(title, len(images), len(series.images), within, series.images[0].frame_ms))
        images.extend(series.images)
        indices.extend(range(first, first + len(series.images)))
    return Staged(images, indices, stacks, indices.index(case.chosen), begins, in_series=True)


def entries(case: Case, shown: Staged) -> list[dict[str, Any]]:
    """Viewer entries of the images of a stage; those of a series are stored alike, as the page Upload stores them."""
    if not shown.in_series:
        return films(shown.images)
    several = [series for _, series, _ in of_patient(case)]
    return series_films(several, service.known_kinds([one.images[0] for one in several]))


def films(images: Sequence[Image]) -> list[dict[str, Any]]:
    """Viewer entries of images, under the tokens of the open case."""
    tokens = session.workspace().case
    kinds = service.known_kinds(images)
    told = list(zip(images, kinds, strict=True))
    return session.remember(
        ("entries", tuple((image.digest, image.spacing) for image in images), tuple(kinds)),
        lambda: [film(image, tokens, _encoding(image), kind=kind) for image, kind in told],
    )


def _encoding(image: Image) -> pixels.Encoding:
    return session.remember(("encoding", image.digest), lambda: pixels.encoding(image))


def of_patient(case: Case) -> list[tuple[str, Series, int]]:
    """The series of the case that show the chosen image's patient: what each is called, and where its images begin.

    Another patient's never stand on the same stage: the strip above it names one. Where dates differ the date is told,
    so that a prior is known as one.
    """
    found, first = [], 0
    for index, series in enumerate(case.study.series):
        if session.identity(case.header_of(first)) == session.identity(case.header):
            name = series.description or study.label(case, first)
            found.append((index, name, case.header_of(first).study_date, series, first))
        first += len(series.images)
    dated = len({date for _, _, date, _, _ in found}) > 1 and not session.patient_hidden()
    return [
        (f"{index + 1} {name} {date if dated else ''}".strip(), series, first)
        for index, name, date, series, first in found
    ]


def beside_film(case: Case, image: Image) -> tuple[list[Image], list[Stack]]:
    """A film, then the series of its patient, as stacks to choose from; the film alone where it is all there is."""
    images, stacks, named = [image], [Stack("This image", 0, 1)], of_patient(case)
    if sum(len(series.images) for _, series, _ in named) == 1:
        return images, stacks
    for title, series, _ in named:
        stacks.append(Stack(title, len(images), len(series.images), frame_ms=series.images[0].frame_ms))
        images.extend(series.images)
    return images, stacks


def same(images: Sequence[Image], image: Image) -> list[int]:
    """Where an image stands among others: it may come first, and once more in its series."""
    return [index for index, one in enumerate(images) if one.digest == image.digest]


def told_of(case: Case, named: Sequence[Stack]) -> str:
    """What the chosen image is called beside the others of its patient: its number in its series, else its series.

    Args:
        named: the series of the patient.
    """
    series = case.series
    index = next(i for i, (_, one, _) in enumerate(of_patient(case)) if one is series)
    count = len(series.images) if series is not None else 1
    return words.numbered(named[index].title, case.chosen - case.start, count, len(named) > 1)


def numbered(at: int, count: int, stacks: Sequence[Stack]) -> str:
    """What image number `at` of a stage is called; without stacks images are counted as they come."""
    several = [stack for stack in stacks if stack.first <= at < stack.first + stack.count]
    if not several:
        return words.numbered("", at, count, several=False)
    stack = several[-1]
    return words.numbered(stack.title, at - stack.first, stack.count, len({one.title for one in stacks}) > 1)
