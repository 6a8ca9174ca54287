"""Launcher and script in one: `streamlit run app.py` serves the app with its own routes; a session runs `main`."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from medimg_core.ui.page import dress, navigated
from medimg_core.ui.routes import routes
from medimg_core.ui.startup import lifespan

PAGES = Path(__file__).parent / "pages"


def main() -> None:
    """One run of a session: the look, then the page."""
    dress()
    navigated(
        [
            st.Page(PAGES / "upload.py", title="Upload", url_path="upload", default=True),
            st.Page(PAGES / "diagnosis.py", title="Diagnosis", url_path="diagnosis"),
            st.Page(PAGES / "explainability.py", title="Explainability", url_path="explainability"),
            st.Page(PAGES / "model_comparison.py", title="Model comparison", url_path="model_comparison"),
            st.Page(PAGES / "model_cards.py", title="Model cards", url_path="model_cards"),
        ]
    ).run()


if get_script_run_ctx(suppress_warning=True) is None:
    # A folder named `pages` makes Streamlit run its files as pages of their own, without `main`, until the first
    # st.navigation: the first deep link after a start would meet a bare page.
    PagesManager.uses_pages_directory = False
    app = st.App(__file__, routes=routes(), lifespan=lifespan)
else:
    main()
