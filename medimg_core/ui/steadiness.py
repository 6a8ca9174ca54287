"""How far small changes of the picture move the answer: computed once the answer is on the page, told in one line."""

from __future__ import annotations

import streamlit as st

from medimg_core.inference.spread import spread
from medimg_core.ui import forms, session
from medimg_core.ui.answer import Answer
from medimg_core.ui.jobs import Job


def line(answer: Answer) -> None:
    """The line below the panel; nothing for an answer that gives no number to rely on."""
    if answer.state in ("refused", "unfit"):
        return
    space, asked, card = session.workspace(), answer.found.answer, answer.card
    key = ("spread", answer.image.digest, answer.look, answer.found.population.id)
    job = space.jobs.start(key, "Small changes", lambda _: spread(asked, card))
    with st.container(key="steadiness"):
        (_told if job.done.is_set() else _waiting)(job)


@st.fragment(run_every=0.5)  # type: ignore[untyped-decorator]
def _waiting(job: Job) -> None:
    """The empty line until the figures are there; then it asks for nothing more."""
    if job.done.is_set():
        st.rerun()
    st.html("<p class='mi q'>\u00a0</p>")


def _told(job: Job) -> None:
    """The line; nothing where the figures could not be had."""
    if job.error is None:
        found = job.result
        st.html(f"<p class='mi q'>{forms.spread(found.low, found.high, found.n)}</p>")
