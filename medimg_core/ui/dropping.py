"""What becomes of dropped files: a new case, or a layer of the open one where they are segmentations alone."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from medimg_core.explain.registry import Progress
from medimg_core.ui import session
from medimg_core.ui.jobs import Job
from medimg_core.ui.reading import Reading

READING = "reading"
"""Key of the job that reads dropped files."""


def let_go(files: list[str]) -> None:
    """Make Streamlit forget uploaded files, by their ids: it would keep their bytes until the browser goes."""
    context = get_script_run_ctx()
    for file in files if context is not None else ():
        context.uploaded_file_mgr.remove_file(context.session_id, file)


def start(work: Callable[[Progress], Reading]) -> Job:
    """Begin to read dropped files, before all that nobody waits for."""
    job: Job = session.workspace().jobs.start(READING, "Reading", work, waited_for=True)
    return job


def take(job: Job) -> None:
    """Open what was read; whatever went wrong is told by the page's frame.

    Segmentations by themselves belong to the case that is open, which stays.
    """
    session.workspace().jobs.forget(READING)
    if job.error is not None:
        raise job.error
    reading: Reading = job.result
    study, case = reading.study, session.current()
    alone = study.segmentations and not study.images and not study.failures
    if alone and case is not None and case.image is not None:
        session.add_segmentations(study)
    else:
        session.open_case(study, reading.headers)
    st.rerun()
