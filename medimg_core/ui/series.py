"""The answer for a whole series on the Diagnosis page: asked beside the page, shown above that of the single slice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

import streamlit as st

from medimg_core.catalog import ModelCard
from medimg_core.errors import Cancelled
from medimg_core.explain.registry import Progress
from medimg_core.inference.series import FEWEST
from medimg_core.io.series import place
from medimg_core.types import Failure, Image, Series
from medimg_core.ui import series_words, service, session, who, words
from medimg_core.ui.faults import report
from medimg_core.ui.jobs import Job
from medimg_core.ui.panel import Panel, html, rows_html
from medimg_core.ui.reading import failure_panel
from medimg_core.ui.session import Case, Workspace
from medimg_core.ui.viewer import Counted
from medimg_core.workflows.series import SeriesDiagnosis, diagnose_series

_PATIENCE = 0.4
"""Seconds that the page waits for an answer before it shows how far the slices are."""


@dataclass(slots=True, eq=False)
class Asked:
    """A series on its way to its answer.

    Attributes:
        places: of the slices along the stack in mm, as far as they are known.
        key: of the job.
        done: whether it was over when the page began to show it: stage and panel of one run say the same.
    """

    card: ModelCard
    places: tuple[float | None, ...]
    job: Job
    key: object
    done: bool = False

    def wait(self) -> None:
        """Wait a little for the answer, before anything is shown."""
        self.done = self.job.done.wait(_PATIENCE)

    @property
    def found(self) -> SeriesDiagnosis | None:
        """The answer; None while there is none."""
        result: SeriesDiagnosis | None = self.job.result if self.done else None
        return result

    @property
    def counted(self) -> Counted | None:
        """What the viewer marks beside its slider; None without an answer."""
        found = self.found
        if found is None or found.state == "refused":
            return None
        weights: list[float | None] = [None] * len(found.slices)
        for one in found.slices:
            weights[one.index] = one.weight
        heaviest = [one.index for one in found.counted]
        return Counted(0, weights, heaviest, evidence=found.state in ("positive", "doubtful"))


def start(case: Case) -> Asked | None:
    """Begin, or find, the work on the series of the chosen image; None where no model answers it as a series."""
    series, space = case.series, session.workspace()
    if series is None or series.kind != "slices" or len(series.images) < FEWEST:
        return None
    card = _card(case, series, space)
    if card is None or case.image is None or (case.who is None and who.question(card, case.image)):
        return None
    population = who.chosen_population(card, case.who)
    key = ("series", case.number, case.start, card.ref.hash, population)

    def work(progress: Progress) -> SeriesDiagnosis:
        def told(done: int, total: int) -> None:
            progress(done / total)

        return diagnose_series(series, card, population, progress=told, kept=space.slices)

    job = space.jobs.start(key, "The series", work, "series", waited_for=True)
    return Asked(card, tuple(place(image) for image in series.images), job, key)


def _card(case: Case, series: Series, space: Workspace) -> ModelCard | None:
    """The model that answers the series: the reader's for the chosen slice, else the router's for the middle one.

    The first and the last slices of a scan hold little that the router could know it by.
    """
    middle: Image = series.images[len(series.images) // 2]
    for image in (middle, case.image):
        if image is None:
            continue
        chosen = service.asked(image, case.model, space)
        cards = (chosen.card,) if chosen.by_reader else chosen.routed
        found = next((card for card in cards if card.series is not None), None)
        if found is not None or chosen.by_reader:
            return found
    return None


def show(asked: Asked) -> None:
    """The part of the panel about the series, in the running container."""
    job, count, found = asked.job, len(asked.places), asked.found
    if found is not None:
        panel = series_words.panel(found, asked.places)
        st.html(html(replace(panel, rows=())))
        st.html(rows_html(panel.rows))
    elif not asked.done:
        _follow(job, count)
    elif isinstance(job.error, Cancelled):
        st.html(html(Panel("none", series_words.NO_ANSWER, series_words.stopped(job.share, count))))
        with st.container(key="next"):
            st.button(words.GO_ON, key="series-again", on_click=_again, args=(asked.key,))
    elif job.error is not None and isinstance(job.error, Exception):
        job.reference = job.reference or report(job.error)
        st.html(html(failure_panel(Failure(0, job.error, job.reference))))


def _again(key: object) -> None:
    session.workspace().jobs.forget(key)


@st.fragment(run_every=0.4)  # type: ignore[untyped-decorator]
def _follow(job: Job, count: int) -> None:
    if job.done.is_set():
        st.rerun()
    st.html(html(Panel("none", series_words.asking(count), series_words.ASKING_WHY)))
    with st.container(key="next"), st.container(key="follow", horizontal=True, vertical_alignment="center"):
        st.progress(min(job.share, 1.0), text=series_words.progress(job.share, count))
        if st.button(words.CANCEL, key="cancel-series", type="tertiary"):
            job.stopped.set()


def slice_line(case: Case, at: int | None, said: str = "") -> None:
    """Which slice the answer below belongs to; where another is on the stage, the way to its answer.

    Args:
        at: number in the study of the image that the reader rests on.
        said: the answer to the chosen slice in a few words.
    """
    series = case.series
    if series is None or series.kind != "slices":
        return
    elsewhere = at is not None and at != case.chosen
    named = "Slice" if elsewhere else "This slice,"
    number = f"{named} {case.chosen - case.start + 1} of {len(series.images)}"
    with st.container(key="this-slice", horizontal=True, vertical_alignment="center", wrap=False):
        rest = f"<span class='q'>{escape(said)}</span>" if said else ""
        st.html(f"<div class='mi'><b>{number}</b>{rest}</div>", width="stretch")
        if at is not None and elsewhere:
            st.button(_ask(case, at), key="answer-slice", on_click=session.go_to, args=(at,))


def _ask(case: Case, at: int) -> str:
    series = case.series
    inside = series is not None and case.start <= at < case.start + len(series.images)
    return f"Answer this slice, {at - case.start + 1}" if inside else "Answer this image"
