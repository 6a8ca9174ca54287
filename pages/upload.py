"""Drop films, see what was read, open a demo case."""

from __future__ import annotations

import streamlit as st

from medimg_core.ui import demo, session, words
from medimg_core.ui.page import footer, page
from medimg_core.ui.panel import Panel, html
from medimg_core.ui.reading import read, upload_panel
from medimg_core.ui.service import ready_for
from medimg_core.ui.stage import black, preview
from medimg_core.ui.viewer import Pane, Stage, thumbnail, viewer


def take_files() -> None:
    """Read what was dropped. The uploader gets a new key afterwards, so that Streamlit lets go of the bytes."""
    turn = st.session_state.setdefault("uploads", 0)
    files = st.file_uploader(
        "Drop films, a series or a zip here",
        accept_multiple_files=True,
        label_visibility="collapsed",
        key=f"files-{turn}",
    )
    if files:
        line = st.empty()

        def tell(done: int, total: int) -> None:
            line.caption(words.reading(done, total), text_alignment="center")

        reading = read([file.getvalue() for file in files], tell)
        session.open_case(reading.study, reading.headers)
        st.session_state["uploads"] = turn + 1
        st.rerun()


def answer(case: session.Case | None) -> None:
    """What was read, and the way to the diagnosis."""
    if case is None:
        st.html(html(Panel("none", "No film is open.", words.WELCOME)))
        return
    st.html(html(upload_panel(case, ready_for(case.image))))
    with st.container(key="next"):
        images = case.study.images
        if len(images) > 1:
            st.selectbox(
                "Image for the diagnosis",
                range(len(images)),
                index=case.chosen,
                format_func=lambda i: f"{i + 1} of {len(images)}: {words.picture(images[i])}",
                key=f"chosen-{case.number}",
                on_change=lambda: session.choose(st.session_state[f"chosen-{case.number}"]),
            )
        with st.container(horizontal=True):
            if images and st.button("Open the diagnosis", key="open-diagnosis"):
                st.switch_page("pages/diagnosis.py")
            st.button("Close this case", key="close-case", on_click=session.close_case)


def demo_strip() -> None:
    """The demo cases; one click opens the diagnosis."""
    cases = demo.demos()
    if not cases:
        return
    st.html(f"<div class='mi' style='padding:10px 0 4px'><b>Demo cases</b> <span class='q'>{words.DEMOS}</span></div>")
    tokens = session.workspace().demos
    with st.container(key="strip-demo", height="stretch"):
        films = [thumbnail(str(c.path), tokens, lambda c=c: demo.thumbnail(c.path), demo.THUMB) for c in cases]
        panes = [Pane(i if c.whole else None, c.title, title=c.title, opens=c.path.stem) for i, c in enumerate(cases)]
        got = viewer("demo", films, panes, Stage(columns=len(cases), toolbar=False, corners=False))
    chosen = next((c for c in cases if c.path.stem == got.open), None)
    if chosen is not None:
        reading = demo.open_demo(chosen)
        session.open_case(reading.study, reading.headers, chosen.title)
        st.switch_page("pages/diagnosis.py")


with page(patient=True):
    opened = session.current()
    with st.container(key="stage", height="stretch", horizontal=True, wrap=False, gap="small"):
        with st.container(key="drop", height="stretch"):
            take_files()
        with st.container(key="image", height="stretch"):
            if opened is None:
                black("preview", words.NO_PICTURE, calm=True)
            else:
                preview(opened, "preview")
        with st.container(key="answer", height="stretch"):
            answer(opened)
    demo_strip()
    footer(words.NOTHING_LEAVES)
