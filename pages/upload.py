"""Drop images, see what was read and which model each goes to, open a demo case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from medimg_core.ui import choose, demo, dropping, session, study, words
from medimg_core.ui.jobs import Job
from medimg_core.ui.page import footer, page
from medimg_core.ui.panel import Panel, html, rows_html
from medimg_core.ui.reading import read, sequence_rows, upload_panel
from medimg_core.ui.service import routed_rows
from medimg_core.ui.stage import Read, black, preview
from medimg_core.ui.viewer import Pane, Stage, mount, thumbnail

PATIENCE = 1.0
"""Seconds that the page waits for files before it shows how far reading is."""


def take_files() -> None:
    """Begin to read what was dropped. The uploader gets a new key then: it is empty again."""
    turn = st.session_state.setdefault("uploads", 0)
    space = session.workspace()
    files = st.file_uploader(
        "Drop images, a series or a zip here",
        accept_multiple_files=True,
        label_visibility="collapsed",
        key=f"files-{turn}",
    )
    if files and space.jobs.get(dropping.READING) is None:
        contents = [file.getvalue() for file in files]
        dropping.let_go([file.file_id for file in files])
        dropping.start(lambda progress: read(contents, progress)).done.wait(PATIENCE)
        st.session_state["uploads"] = turn + 1
        st.rerun()
    job = space.jobs.get(dropping.READING)
    if job is not None and job.done.is_set():
        dropping.take(job)
    elif job is not None:
        follow(job, lambda: words.READING)


@st.fragment(run_every=0.3)
def follow(job: Job, said: Callable[[], str]) -> None:
    """How far work beside the page is, and how to stop it; what is done is kept."""
    if job.done.is_set():
        st.rerun()
    with st.container(key="follow", horizontal=True, vertical_alignment="center"):
        st.progress(min(job.share, 1.0), text=said())
        if st.button(words.CANCEL, key=f"cancel-{job.title}", type="tertiary"):
            job.stopped.set()


def go_on() -> None:
    """Start again with the images that are left. It holds no case, for Streamlit keeps it (see `choose`)."""
    case = session.current()
    if case is not None:
        study.again(case, session.workspace())


def all_images(case: session.Case) -> None:
    """Every image of a study with its answer, as far as they are there."""
    space = session.workspace()
    job = study.start(case, space)
    if len(space.lines) < len(case.study.images):
        job.done.wait(PATIENCE)
    count = len(case.study.images)
    if not job.done.is_set():
        follow(job, lambda: study.progress_words(len(space.lines), count))
    elif len(space.lines) < count:
        with st.container(key="follow", horizontal=True, vertical_alignment="center"):
            st.html(f"<span class='mi q'>{words.STOPPED}: {study.progress_words(len(space.lines), count)}</span>")
            st.button(words.GO_ON, key="go-on", type="tertiary", on_click=go_on)
    st.html(study.table(case, space.lines))


def answer(case: session.Case | None, seen: Read) -> None:
    """What was read and measured, and the way to the diagnosis of the image on the stage."""
    measured = seen.rows
    if case is None:
        st.html(html(Panel("none", words.NOTHING_OPEN, words.WELCOME)))
        return
    several = len(case.study.images) > 1
    panel = upload_panel(case, () if several else routed_rows(case.image, case.model))
    st.html(html(replace(panel, rows=(*sequence_rows(case), *(() if several else panel.rows)))))
    with st.container(key="next"):
        with st.container(horizontal=True, gap="small", key="choices-upload"):
            choose.image(case)
            choose.model(case)
        with st.container(horizontal=True):
            if case.study.images and st.button("Open the diagnosis", key="open-diagnosis"):
                if seen.at is not None:
                    session.go_to(seen.at)
                st.switch_page("pages/diagnosis.py")
            st.button("Close this case", key="close-case", on_click=session.close_case)
        if several:
            all_images(case)
    if several:
        st.html(rows_html((*measured, *upload_panel(case, routed_rows(case.image, case.model)).rows)))
    elif measured:
        st.html(rows_html(measured))


def demo_strip() -> None:
    """The demo cases of one question; one click opens the diagnosis."""
    everything = demo.demos()
    if not everything:
        return
    with st.container(key="demo-head", horizontal=True, vertical_alignment="center"):
        st.html(f"<div class='mi'><b>Demo cases</b> <span class='q'>{words.DEMOS}</span></div>")
        cases = demo.of_group(everything, demo_group(demo.groups(everything)))
    tokens = session.workspace().demos
    with st.container(key="strip-demo", height="stretch"):
        films = [thumbnail(c.key, tokens, lambda c=c: demo.thumbnail(c.paths[0]), demo.THUMB) for c in cases]
        panes = [Pane(i if c.whole else None, c.title, title=c.title, opens=c.key) for i, c in enumerate(cases)]
        got = mount(f"demo-{cases[0].key}", films, panes, Stage(columns=len(cases), toolbar=False, corners=False))
    chosen = next((c for c in cases if c.key == got.open), None)
    if chosen is not None:
        reading = demo.open_demo(chosen)
        session.open_case(reading.study, reading.headers, chosen.title)
        st.switch_page("pages/diagnosis.py")


def demo_group(known: tuple[str, ...]) -> str | None:
    """The heading whose cases are shown; None where there is nothing to choose."""
    if len(known) < 2:
        return None
    return st.segmented_control(
        "Kind of demo case", known, default=known[0], required=True, label_visibility="collapsed", key="demo-group"
    )


with page(patient=True):
    opened = session.current()
    seen = Read()
    with st.container(key="stage", height="stretch", horizontal=True, wrap=False, gap="small"):
        with st.container(key="drop", height="stretch"):
            take_files()
        with st.container(key="image", height="stretch"):
            if opened is None:
                black("preview", words.NO_PICTURE, calm=True)
            else:
                seen = preview(opened, "preview")
        with st.container(key="answer", height="stretch"):
            answer(opened, seen)
    demo_strip()
    footer(words.NOTHING_LEAVES)
