"""Several maps of the same film side by side, each with a verdict on whether such maps deserve trust."""

from __future__ import annotations

from typing import Any

import streamlit as st

from medimg_core.errors import MedImgError
from medimg_core.types import Failure, Image
from medimg_core.ui import answer as answers
from medimg_core.ui import explained, maps, naming, service, session, stage, words
from medimg_core.ui.answer import Answer
from medimg_core.ui.explained import Outlined
from medimg_core.ui.faults import report
from medimg_core.ui.jobs import Job
from medimg_core.ui.page import footer, page
from medimg_core.ui.panel import Panel, Row
from medimg_core.ui.reading import failure_panel
from medimg_core.ui.viewer import Picker

SLOTS, OUTLINE_SLOTS, TARGET = "slots", "outline-slots", "target"
_SIGNED = {"signed": True, "high": "for", "low": "against", "label": words.SCALE}


def chosen(case: session.Case, image: Image, first: str, options: dict[str, str]) -> str:
    """The class or structure that the maps speak for, as the reader left it; another image or model starts afresh."""
    known, target = st.session_state.get(TARGET, ((), ""))
    return target if known == about(case, image) and target in options else first


def about(case: session.Case, image: Image) -> tuple[int, str, str | None]:
    """What a choice of target holds for: this case, image and model."""
    return case.number, image.digest, case.model


@st.fragment(run_every=0.4)
def progress(running: tuple[Job, ...]) -> None:
    """What is being computed, and how to stop it; when a map is ready the page runs again and shows it."""
    left = [job for job in running if not job.done.is_set()]
    if len(left) < len(running):
        st.rerun()
    if row(words.progress([(job.title, job.share) for job in left]), "Stop"):
        session.workspace().jobs.stop(maps.GROUP)


def row(text: str, button: str) -> bool:
    """One line between the panes and the footer; True when its button was pressed."""
    with st.container(key="work", horizontal=True, vertical_alignment="center"):
        st.html(f"<span class='mi q'>{text}</span>", width="content")
        return bool(st.button(button, key="work-button", type="tertiary"))


def work(answer: Answer, names: list[str], target: str) -> None:
    """The line about what is being computed or was stopped."""
    halted = maps.stopped(answer, names, target)
    if running := session.workspace().jobs.running(maps.GROUP):
        progress(tuple(running))
    elif halted and row(f"{words.STOPPED}: {', '.join(halted)}", "Go on"):
        maps.again(answer, names, target)
        st.rerun()


def show(case: session.Case, image: Image, place: Any) -> tuple[str, str]:
    """The panes of an open image; `place` is for the line below. Returns the right end of the footer and the mark."""

    def picture() -> None:
        stage.preview(case, "explainability")

    try:
        asked, near = service.answers(image, case.model), service.neighbours_of(case)
        answer = service.answer(image, case.who, case.model, beside=near) if asked else None
        if answer is not None and answer.state == "refused":
            return stage.beside(Panel("stop", words.NO_MAPS, words.NO_MAPS_WHY), picture), ""
        if answer is not None and answers.question(answer):
            return stage.beside(Panel("none", words.ASK, words.ASK_THERE), picture), ""
        faults: list[Row] = []
        finds = service.finds(image, case.who, case, faults)
        structures = explained.outlined(case, finds)
        options = explained.targets(answer, structures)
        if not options:
            waits = service.waits_for_box(image, case)
            return stage.beside(explained.nothing(finds, faults, waits), picture), ""
        target = chosen(case, image, answer.target if answer else explained.first(structures), options)
        picker = Picker("Target", list(options.items()), target, True, True)
        if target in structures:
            return outlines(case, image, structures[target], picker)
        assert answer is not None
        return classes(case, answer, picker, place)
    except MedImgError as error:
        return stage.beside(failure_panel(Failure(0, error, report(error, image.digest))), picture), ""


def classes(case: session.Case, answer: Answer, picker: Picker, place: Any) -> tuple[str, str]:
    """Maps of a class of the answer."""
    names, target = st.session_state.get(SLOTS) or service.side_by_side(answer.card), picker.value
    shown = maps.gather(answer, names, target)
    got = stage.side_by_side(case, answer.image, answer.look, shown, names, picker, _SIGNED)
    with place:
        work(answer, names, target)
    if got.slots and got.slots != names:
        st.session_state[SLOTS] = got.slots
        maps.again(answer, got.slots, target)
        st.rerun()
    retarget(case, answer.image, got.pick, target)
    return answers.maps_provenance(answer, shown.layers), naming.licence_mark(answer.card)


def outlines(case: session.Case, image: Image, one: Outlined, picker: Picker) -> tuple[str, str]:
    """Maps of an outlined structure, its outline on them."""
    names = st.session_state.get(OUTLINE_SLOTS) or explained.methods(one)
    shown = explained.gather(one, names)
    model = f"{one.found.card.name}-outlines"
    got = stage.side_by_side(case, image, model, shown, names, picker, explained.bar(shown), explained.lines(one))
    if got.slots and got.slots != names:
        st.session_state[OUTLINE_SLOTS] = got.slots
        st.rerun()
    retarget(case, image, got.pick, picker.value)
    return explained.provenance(one, shown), naming.licence_mark(one.found.card)


def retarget(case: session.Case, image: Image, pick: str | None, target: str) -> None:
    """Keep the target that the reader picked, and show its maps."""
    if pick and pick != target:
        st.session_state[TARGET] = (about(case, image), pick)
        st.rerun()


def main(place: Any) -> tuple[str, str]:
    """The state of the open case; returns the right end of the footer and the mark of the data."""
    case = session.current()
    if case is None:
        panel = Panel("none", words.NOTHING_OPEN, words.OPEN_ONE)
        return stage.beside(panel, lambda: stage.black("explainability", words.NO_PICTURE, calm=True)), ""
    if case.image is None:
        panel = failure_panel(case.study.failures[0])
        return stage.beside(panel, lambda: stage.black("explainability", words.UNREADABLE_PICTURE)), ""
    return show(case, case.image, place)


with page(patient=True):
    room = st.container(key="stage", height="stretch", horizontal=True, wrap=False, gap=None)
    below = st.container(key="work-place")  # always there, so that the footer keeps its place among the elements
    with room:
        said, mark = main(below)
    footer(said, mark)
