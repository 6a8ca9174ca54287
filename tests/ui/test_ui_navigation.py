"""Which page a run shows, whatever another run of the session does meanwhile."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def script() -> None:
    """Two pages; before each is looked up, a run of the first one that ends late asks for its own."""
    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    from medimg_core.ui.page import navigated

    def first() -> None:
        st.text("The first page")
        if st.button("Second"):
            st.switch_page(pages[1])

    def second() -> None:
        st.text("The second page")

    pages = [st.Page(first, default=True), st.Page(second)]
    run = get_script_run_ctx()
    assert run is not None
    run.pages_manager.set_script_intent(pages[0]._script_hash, "")
    navigated(pages).run()


def test_the_page_that_was_asked_for_is_shown_though_a_run_before_it_ends_late() -> None:
    app = AppTest.from_function(script).run()
    assert [text.value for text in app.text] == ["The first page"]
    app.button[0].click().run()
    assert not app.exception
    assert [text.value for text in app.text] == ["The second page"]
