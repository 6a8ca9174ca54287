"""All images of a study past their models, beside the page: what is done is kept, the rest can be stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from medimg_core.errors import MedImgError
from medimg_core.explain.registry import Progress
from medimg_core.inference import gate
from medimg_core.types import Image
from medimg_core.ui import answer as answers
from medimg_core.ui import findings, naming, service, words
from medimg_core.ui.jobs import Job
from medimg_core.ui.session import Case, Workspace
from medimg_core.workflows.beside import Beside


@dataclass(frozen=True, slots=True)
class Line:
    """One image of a study in a list: what it is, and what its models said; a reason where none was asked."""

    kind: str
    said: tuple[str, ...] = ()
    reason: str = ""


def start(case: Case, space: Workspace) -> Job:
    """Begin, or find, the work on all images of a case."""
    images, models, told = case.study.images, dict(case.models), dict(case.told)

    def work(progress: Progress) -> None:
        for index, image in enumerate(images):
            progress(index / len(images))
            space.jobs.give_way("series")
            if index not in space.lines:
                space.lines[index] = line(
                    image, told.get(index), models.get(index), space, service.neighbours_of(case, index, space)
                )

    return space.jobs.start(_key(case), "All images", work)


def again(case: Case, space: Workspace) -> None:
    """Go on with images that are left after a stop."""
    space.jobs.forget(_key(case))


def _key(case: Case) -> tuple[str, int]:
    return ("study", case.number)


def line(image: Image, told: str | None, wanted: str | None, space: Workspace, beside: Beside = ()) -> Line:
    """What one image is and what its models say to it and the slices beside it; a failure is a sentence as well."""
    try:
        chosen = service.asked(image, wanted, space)
        if chosen.routed and not chosen.card.answers:
            one = service.find_one(image, chosen.card, told, space, beside=beside)
            return Line(naming.title(one.prediction.gate.kind), (findings.summary(one),))
        found = service.answer(image, told, wanted, space, beside)
        if found.state == "refused":
            return Line("", reason=gate.headline(found.found.prediction.gate, found.card if wanted else None))
        others = service.others(found, space)
    except MedImgError as error:
        return Line("", reason=error.cause)
    said = tuple(
        f"{naming.subject(one.card)}: {words.NEEDS_PATIENT}" if answers.question(one) else answers.summary(one)
        for one in (found, *others)
    )
    return Line(naming.title(found.found.prediction.gate.kind), said)


def label(case: Case, index: int) -> str:
    """What an image is called beside others of its case: its side and view, else its number; of a joined series, so."""
    image, header = case.study.images[index], case.header_of(index)
    first = 0
    for series in case.study.series:
        if series.sequence == "joined" and first <= index < first + len(series.images):
            return f"Joined {index - first + 1}"
        first += len(series.images)
    side = {"L": "Left", "R": "Right"}.get(image.laterality or header.side, "")
    named = " ".join(part for part in (side, image.view or header.view) if part)
    return named or f"Image {index + 1}"


def table(case: Case, lines: Mapping[int, Line]) -> str:
    """All images with their answers, as HTML."""
    head = "<tr><th>Image</th><th>What it is</th><th>Answer</th></tr>"
    rows = "".join(_row(case, index, lines.get(index)) for index in range(len(case.study.images)))
    return f"<div class='mi mi-study'><table>{head}{rows}</table></div>"


def _row(case: Case, index: int, said: Line | None) -> str:
    name = label(case, index)
    number = f"{index + 1}" if name.startswith("Image") else f"{index + 1} {name}"
    if said is None:
        cells = "<td class='q' colspan='2'>waits</td>"
    elif said.reason:
        cells = f"<td class='q' colspan='2'>{escape(said.reason)}</td>"
    else:
        answered = "<br>".join(escape(text) for text in said.said)
        cells = f"<td>{escape(said.kind or 'not checked')}</td><td>{answered}</td>"
    return f"<tr{' class=chosen' if index == case.chosen else ''}><td>{escape(number)}</td>{cells}</tr>"


def progress_words(done: int, total: int) -> str:
    """`12 of 40 images answered`."""
    return f"{done:,} of {total:,} {'image' if total == 1 else 'images'} answered"
