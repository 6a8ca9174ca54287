"""Several maps of the same film side by side, each with a verdict on whether such maps deserve trust."""

from __future__ import annotations

from typing import Any

import streamlit as st

from medimg_core.errors import MedImgError
from medimg_core.types import Failure, Image
from medimg_core.ui import answer as answers
from medimg_core.ui import findings, maps, naming, service, session, stage, words
from medimg_core.ui.answer import Answer
from medimg_core.ui.faults import report
from medimg_core.ui.jobs import Job
from medimg_core.ui.page import footer, page
from medimg_core.ui.panel import Panel
from medimg_core.ui.reading import failure_panel

SLOTS, TARGET = "slots", "target"


def chosen(case: session.Case, answer: Answer) -> tuple[list[str], str]:
    """Methods on the panes and the class that they speak for, as the reader left them; each case starts afresh."""
    names = st.session_state.get(SLOTS) or service.side_by_side(answer.card)
    known, target = st.session_state.get(TARGET, ((), ""))
    return names, target if known == about(case, answer) else answer.target


def about(case: session.Case, answer: Answer) -> tuple[int, str, str]:
    """What a choice of target holds for: this case, image and model."""
    return case.number, answer.image.digest, answer.card.name


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
        if not service.answers(image, case.model):
            return stage.beside(Panel("none", words.NO_MAPS, findings.NO_MAPS_WHY), picture), ""
        answer = service.answer(image, case.who, case.model)
        if answer.state == "refused":
            return stage.beside(Panel("stop", words.NO_MAPS, words.NO_MAPS_WHY), picture), ""
        if answers.question(answer):
            return stage.beside(Panel("none", words.ASK, words.ASK_THERE), picture), ""
        names, target = chosen(case, answer)
        shown = maps.gather(answer, names, target)
    except MedImgError as error:
        return stage.beside(failure_panel(Failure(0, error, report(error, image.digest))), picture), ""
    got = stage.side_by_side(case, answer, shown, names, target)
    with place:
        work(answer, names, target)
    if got.slots and got.slots != names:
        st.session_state[SLOTS] = got.slots
        maps.again(answer, got.slots, target)
        st.rerun()
    if got.pick and got.pick != target:
        st.session_state[TARGET] = (about(case, answer), got.pick)
        st.rerun()
    return answers.maps_provenance(answer, shown.layers), naming.licence_mark(answer.card)


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
