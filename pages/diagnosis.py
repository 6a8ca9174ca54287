"""One film, one answer, the map of its evidence, and what can be held against it."""

from __future__ import annotations

import streamlit as st

from medimg_core.errors import MedImgError
from medimg_core.types import Failure, Image
from medimg_core.ui import answer, service, session, stage, who, words
from medimg_core.ui.faults import report
from medimg_core.ui.page import footer, page
from medimg_core.ui.panel import Panel, html
from medimg_core.ui.reading import failure_panel


def ask(choices: tuple[who.Choice, ...]) -> None:
    """Ask once for what the header does not tell."""
    st.html(html(Panel("none", words.ASK, words.ASK_WHY)))
    with st.container(key="ask"):
        for choice in choices:
            st.button(choice.title, key=f"who-{choice.id}", width="stretch", on_click=session.tell, args=(choice.id,))


def show(case: session.Case, image: Image) -> str:
    """Stage and panel of an open film; returns the right end of the footer."""
    try:
        found = service.answer(image, case.who)
    except MedImgError as error:
        failure = Failure(0, error, report(error, image.digest))
        return stage.beside(failure_panel(failure), lambda: stage.preview(case, "diagnosis"))
    choices = answer.question(found)
    with st.container(key="image", height="stretch"):
        if choices:
            stage.preview(case, "diagnosis")
        else:
            stage.with_map(case, found)
    with st.container(key="answer", height="stretch"):
        if choices:
            ask(choices)
            return ""
        st.html(html(answer.panel(found)))
    return answer.provenance(found)


def main() -> str:
    """The state of the open case; returns the right end of the footer."""
    case = session.current()
    if case is None:
        panel = Panel("none", words.NOTHING_OPEN, words.OPEN_ONE)
        return stage.beside(panel, lambda: stage.black("diagnosis", words.NO_PICTURE, calm=True))
    if case.image is None:
        panel = failure_panel(case.study.failures[0])
        return stage.beside(panel, lambda: stage.black("diagnosis", words.UNREADABLE_PICTURE))
    return show(case, case.image)


with page(patient=True):
    with st.container(key="stage", height="stretch", horizontal=True, wrap=False, gap=None):
        right = main()
    footer(right)
