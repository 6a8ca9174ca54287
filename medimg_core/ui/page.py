"""What every page shares: the look, the frame that fills the window, the patient strip, the footer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from medimg_core.types import Failure
from medimg_core.ui import session, words
from medimg_core.ui.faults import report
from medimg_core.ui.panel import html
from medimg_core.ui.reading import failure_panel

_HERE = Path(__file__).parent
_PAGES = ("upload", "diagnosis", "explainability", "model_comparison", "model_cards")

# Dark is the default whatever the desktop says: Streamlit would follow the desktop. Once a browser, before a case is
# open; the reader's own choice stays. Streamlit keeps the choice under one key a path.
_DARK_FIRST = """<script>
if (!localStorage.getItem("medimg-dark-first")) {
  localStorage.setItem("medimg-dark-first", "1");
  for (const path of PATHS) localStorage.setItem("stActiveTheme-/" + path + "-v2", '"Dark"');
  const told = location.search.includes("embed_options");
  if (matchMedia("(prefers-color-scheme: light)").matches && !told) location.reload();
}
</script>"""


def dress() -> None:
    """Page settings and look; called once a run, before the page."""
    st.set_page_config(
        page_title="Reading room",
        page_icon=str(_HERE / "icon.png"),
        layout="wide",
        # An entry of our own keeps the menu, and with it the choice of theme, in toolbarMode "minimal".
        menu_items={"About": words.DISCLAIMER},
    )
    st.html(_HERE / "look.css")
    with st.container(key="once"):
        paths = str(["", *_PAGES])
        st.html(_DARK_FIRST.replace("PATHS", paths), unsafe_allow_javascript=True)


def navigated(pages: Sequence[Any]) -> Any:
    """The page of a run among all pages (`st.Page`); draws the bar that leads to them.

    Streamlit keeps the asked page once a session. A run that is about to end (a fragment that asks for a rerun) may
    write its own there before the run that a click on another page began has read it: the click would be lost.
    """
    run = get_script_run_ctx()
    asked = run.page_script_hash if run is not None else ""  # of this run alone; a URL names its page otherwise
    found = st.navigation(pages, position="top")
    while found._script_hash != asked and any(one._script_hash == asked for one in pages):
        run.pages_manager.set_script_intent(asked, "")
        found = st.navigation(pages, position="top")
    return found


@contextmanager
def page(patient: bool = False) -> Iterator[None]:
    """The frame of a page, exactly as high as the window.

    Args:
        patient: show above everything whose image is open.

    What fails inside without a sentence of its own gets one, with a reference number; the trace stays in the log.
    """
    with st.container(key="page", height="stretch", gap=None):
        if patient:
            strip()
        try:
            yield
        except Exception as error:  # a rerun or a stop of Streamlit is no Exception and passes
            st.html(html(failure_panel(Failure(0, error, report(error)))))


def strip() -> None:
    """Whose image this is, and the mark of synthetic films."""
    case = session.current()
    header = case.header if case is not None and case.image is not None else None
    entries = words.patient_strip(header, session.patient_hidden(), case is not None)
    synthetic = case is not None and case.image is not None and case.image.synthetic
    items = "".join(
        f"<span class='who'><b>{escape(value)}</b></span>"
        if not label
        else f"<span>{escape(label)}<b>{escape(value)}</b></span>"
        for label, value in entries
    )
    tag = "<span class='mi-tag'>SYNTHETIC</span>" if synthetic else ""
    st.html(f"<div class='mi mi-strip'>{items}{tag}</div>")


def footer(right: str = "", mark: str = "") -> None:
    """The last line of every page: what this is and what its data allow on the left, provenance on the right."""
    data = f" <b class='mi-mark'>{escape(mark)}</b>" if mark else ""
    st.html(f"<div class='mi mi-foot'><span>{words.DISCLAIMER}{data}</span><span>{escape(right)}</span></div>")
