"""All images of a study past their models, beside the page: what is done is kept, the rest can be stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from medimg_core.errors import MedImgError
from medimg_core.explain.registry import Progress
from medimg_core.inference import gate
from medimg_core.types import Image
from medimg_core.ui import answer as answers
from medimg_core.ui import naming, service, words
from medimg_core.ui.jobs import Job
from medimg_core.ui.session import Case, Workspace


@dataclass(frozen=True, slots=True)
class Line:
    """One image of a study in a list: what it is, what was asked, what was answered."""

    kind: str
    asked: str
    said: str
    refused: bool = False


def start(case: Case, space: Workspace) -> Job:
    """Begin, or find, the work on all images of a case."""
    images, models, told = case.study.images, dict(case.models), dict(case.told)

    def work(progress: Progress) -> None:
        for index, image in enumerate(images):
            progress(index / len(images))
            if index not in space.lines:
                space.lines[index] = line(image, told.get(index), models.get(index), space)

    return space.jobs.start(_key(case), "All images", work)


def again(case: Case, space: Workspace) -> None:
    """Go on with images that are left after a stop."""
    space.jobs.forget(_key(case))


def _key(case: Case) -> tuple[str, int]:
    return ("study", case.number)


def line(image: Image, told: str | None, wanted: str | None, space: Workspace) -> Line:
    """What one image is and what its model says; a failure is a sentence as well."""
    try:
        found = service.answer(image, told, wanted, space)
    except MedImgError as error:
        return Line("", "", error.cause, refused=True)
    if found.state == "refused":
        return Line("not analysed", "", gate.headline(found.found.prediction.gate), refused=True)
    kind = naming.title(found.found.prediction.gate.kind)
    if answers.question(found):
        return Line(kind, naming.subject(found.card), words.NEEDS_PATIENT)
    return Line(kind, naming.subject(found.card), answers.summary(found))


def label(case: Case, index: int) -> str:
    """What an image is called beside others of its case: its side and view, else its number."""
    image, header = case.study.images[index], case.header_of(index)
    side = {"L": "Left", "R": "Right"}.get(image.laterality or header.side, "")
    named = " ".join(part for part in (side, image.view or header.view) if part)
    return named or f"Image {index + 1}"


def table(case: Case, lines: dict[int, Line]) -> str:
    """All images with their answers, as HTML."""
    head = "<tr><th>Image</th><th>What it is</th><th>Asked about</th><th>Answer</th></tr>"
    return f"<div class='mi mi-study'><table>{head}{''.join(_row(case, i, lines) for i in _shown(case))}</table></div>"


def _shown(case: Case) -> Sequence[int]:
    return range(len(case.study.images))


def _row(case: Case, index: int, lines: dict[int, Line]) -> str:
    name = label(case, index)
    number = name if name.startswith("Image") else f"{index + 1}, {name}"
    chosen = " class='chosen'" if index == case.chosen else ""
    if index not in lines:
        return f"<tr{chosen}><td>{escape(number)}</td><td class='q' colspan='3'>waits</td></tr>"
    said = lines[index]
    if said.refused:
        return f"<tr{chosen}><td>{escape(number)}</td><td class='q' colspan='3'>{escape(said.said)}</td></tr>"
    cells = "".join(f"<td>{escape(text)}</td>" for text in (said.kind, said.asked, said.said))
    return f"<tr{chosen}><td>{escape(number)}</td>{cells}</tr>"


def progress_words(done: int, total: int) -> str:
    """`12 of 40 images answered`."""
    return f"{done:,} of {words.plural(total, 'image', 'images')} answered"
