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


def ask(image: Image, case: session.Case) -> bool:
    """Ask once for what the header does not tell; True while the answer is missing."""
    choices = who.question(service.primary(), image)
    if not choices or case.who is not None:
        return False
    st.html(html(Panel("none", words.ASK, words.ASK_WHY)))
    with st.container(key="ask"):
        for choice in choices:
            st.button(choice.title, key=f"who-{choice.id}", width="stretch", on_click=session.tell, args=(choice.id,))
    return True


def show(case: session.Case, image: Image) -> str:
    """Stage and panel of an open film; returns the right end of the footer."""
    picture, panel = st.container(key="image", height="stretch"), st.container(key="answer", height="stretch")
    with panel:
        waiting = ask(image, case)
    if waiting:
        with picture:
            stage.preview(case, "diagnosis")
        return words.NOT_RUN
    found = service.answer(image, case.who)
    with picture:
        stage.with_map(case, found)
    with panel:
        st.html(html(answer.panel(found)))
    return answer.provenance(found)


def stop(failure: Failure, note: str) -> str:
    """The state of a failure."""
    with st.container(key="image", height="stretch"):
        stage.black("diagnosis", note)
    with st.container(key="answer", height="stretch"):
        st.html(html(failure_panel(failure)))
    return words.NOT_RUN


def main() -> str:
    case = session.current()
    if case is None:
        with st.container(key="image", height="stretch"):
            stage.black("diagnosis", words.NO_PICTURE, calm=True)
        with st.container(key="answer", height="stretch"):
            st.html(html(Panel("none", words.NOTHING_OPEN, words.OPEN_ONE)))
        return words.NOT_RUN
    if case.image is None:
        return stop(case.study.failures[0], words.UNREADABLE_PICTURE)
    try:
        return show(case, case.image)
    except MedImgError as error:
        return stop(Failure(0, error, report(error, case.image.digest)), "")


with page(patient=True):
    with st.container(key="stage", height="stretch", horizontal=True, wrap=False, gap=None):
        right = main()
    footer(right)
