"""One image, one answer, the map of its evidence, what is outlined and measured, and what can be held against it."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from medimg_core.errors import MedImgError
from medimg_core.types import Failure, Image
from medimg_core.ui import (
    answer,
    choose,
    findings,
    heart,
    measuring,
    naming,
    saving,
    series,
    series_words,
    service,
    session,
    stage,
    steadiness,
    who,
    words,
)
from medimg_core.ui.faults import report
from medimg_core.ui.page import footer, page
from medimg_core.ui.panel import Panel, Row, html, rows_html
from medimg_core.ui.reading import failure_panel
from medimg_core.workflows.find import Found


def ask(choices: tuple[who.Choice, ...]) -> None:
    """Ask once for what the header does not tell."""
    st.html(html(Panel("none", words.ASK, words.ASK_WHY)))
    with st.container(key="ask"):
        for choice in choices:
            st.button(choice.title, key=f"who-{choice.id}", width="stretch", on_click=session.tell, args=(choice.id,))


def show(case: session.Case, image: Image) -> tuple[str, str]:
    """Stage and panel of an open image; returns the right end of the footer and the mark of the data."""
    left = st.container(key="image", height="stretch")
    right = st.container(key="answer", height="stretch", gap=None)
    clip = heart.frames(case)
    with right, st.container(key="choices", horizontal=True, wrap=False, gap="small"):
        one = clip is not None and len(case.study.series) == 1  # its frames are turned on the stage
        together = False if one else choose.image(case, all_of_them=True)
        if clip is None or case.model:
            choose.model(case)
    asked = None
    try:
        if clip is not None and (together or not case.together):
            with right:
                return heart.show(case, *clip, left), heart.mark(clip[0])
        if not service.answers(image, case.model):
            return outlined(case, image, left, right)
        asked = series.start(case)
        found = service.answer(image, case.who, case.model, beside=service.neighbours_of(case))
        faults: list[Row] = []
        finds = service.finds(image, case.who, case, faults)
    except MedImgError as error:
        with left:
            stage.unanswered(case, image)
        with right:
            if asked is not None:
                series.show(asked)
            st.html(html(failure_panel(Failure(0, error, report(error, image.digest)))))
        return words.NOT_RUN, ""
    questions, seen = answer.question(found), stage.Read()
    if asked is not None:
        asked.wait()
    with left:
        if together:
            stage.in_a_row(case, service.all_images(case, found))
        elif questions:
            seen = stage.unanswered(case, image)
        else:
            seen = stage.with_map(case, found, finds=finds, counted=asked.counted if asked is not None else None)
    with right:
        if questions:
            ask(questions)
            return "", naming.licence_mark(found.card)
        boxed = case.chosen in case.boxes  # the reader has just asked about what lies in it
        if asked is not None and not boxed:
            series.show(asked)
        series.slice_line(case, seen.at, answer.summary(found) if asked is not None else "")
        with st.container(key="slice-answer" if asked is not None else "alone", gap=None):
            answered(case, found, finds, faults, seen)
        if asked is not None and boxed:
            series.show(asked)
    mark = naming.licence_mark(found.card, *(one.card for one in finds))
    if asked is not None and asked.found is not None:
        return series_words.provenance(asked.found), mark
    return answer.provenance(found), "" if found.state == "refused" else mark


def answered(case: session.Case, found: answer.Answer, finds: list[Found], faults: list[Row], seen: stage.Read) -> None:
    """The panel of an answer, with what was outlined beside it; what lies in a box that was drawn comes first."""
    panel = answer.panel(found, service.others(found))
    st.html(html(replace(panel, rows=())))
    steadiness.line(found)
    box = case.boxes.get(case.chosen)
    rows = [row for one in finds for row in findings.short_rows(one)]
    rows += [*faults, *findings.hint(service.waits_for_box(found.image, case), box)]
    rows += saving.row(finds, session.workspace())
    first, last = ((), panel.rows) if box is not None else (panel.rows[:-1], panel.rows[-1:])
    st.html(rows_html((*first, *rows, *last, *seen.rows)))
    measuring.controls(case, finds)


def outlined(case: session.Case, image: Image, left: measuring.Place, right: measuring.Place) -> tuple[str, str]:
    """An image that models only outline; the largest of what was measured heads the panel."""
    faults: list[Row] = []
    finds = service.finds(image, case.who, case, faults)
    with left:
        seen = stage.outlines(case, image, finds)
    measured = seen.rows
    with right:
        series.slice_line(case, seen.at)
        first, *rest = finds or [None]
        if first is None:
            st.html(html(Panel("none", findings.DRAW_BOX, findings.WHY_BOX, rows=(*faults, *measured))))
            return words.NOT_RUN, ""
        panel = findings.panel(first)
        more = [row for one in rest for row in findings.short_rows(one)]
        st.html(html(replace(panel, rows=())))
        measuring.controls(case, finds)
        st.html(rows_html((*panel.rows, *more, *faults, *measured, *saving.row(finds, session.workspace()))))
    return findings.provenance(first), naming.licence_mark(*(one.card for one in finds))


def main() -> tuple[str, str]:
    """The state of the open case; returns the right end of the footer and the mark of the data."""
    case = session.current()
    if case is None:
        panel = Panel("none", words.NOTHING_OPEN, words.OPEN_ONE)
        return stage.beside(panel, lambda: stage.black("diagnosis", words.NO_PICTURE, calm=True)), ""
    if case.image is None:
        panel = failure_panel(case.study.failures[0])
        return stage.beside(panel, lambda: stage.black("diagnosis", words.UNREADABLE_PICTURE)), ""
    return show(case, case.image)


with page(patient=True):
    with st.container(key="stage", height="stretch", horizontal=True, wrap=False, gap=None):
        said, mark = main()
    footer(said, mark)
