"""All models in a table; and of each what it is for, on whom it was measured, how often it is wrong."""

from __future__ import annotations

import streamlit as st

from medimg_core.catalog import ModelCard, damaged_models, list_models
from medimg_core.ui import cards, naming
from medimg_core.ui.page import footer, page

ALL = ""
"""In the list of models: the table of all of them."""


def card_of(card: ModelCard) -> None:
    """The words and the figures of one model."""
    with st.container(key="card-words", height="stretch"):
        st.html(cards.words(card))
    with st.container(key="card-facts", height="stretch"):
        st.html(cards.facts(card))


def show() -> None:
    found = sorted(list_models(), key=lambda card: (card.task == "gate", card.baseline, card.title))
    if not found:
        st.html("<div class='mi mi-verdict'><p><b>No model is installed.</b> Restore the models folder.</p></div>")
        return
    known = {card.name: card for card in found}
    with st.container(key="card-columns", horizontal=True, wrap=False, height="stretch", gap="large"):
        with st.container(key="card-list", height="stretch"):
            name = st.radio(
                "Model",
                [ALL, *known],
                format_func=lambda key: known[key].title if key else "All models",
                captions=[f"{len(found)} installed", *(cards.caption(card) for card in found)],
                label_visibility="collapsed",
            )
        if name:
            card_of(known[name])
        else:
            with st.container(key="card-table", height="stretch"):
                st.html(cards.overview(found))
                for fault in damaged_models():
                    st.html(f"<p class='mi w'>{fault}</p>")
    if name:
        ref = known[name].ref
        footer(f"{ref.name} {ref.version} · sha256 {ref.hash}", naming.licence_mark(known[name]))
    else:
        footer(f"{len(found)} models")


with page():
    show()
