"""What each model is for, on whom it was measured, how often it is wrong."""

from __future__ import annotations

import streamlit as st

from medimg_core.catalog import list_models
from medimg_core.ui import cards
from medimg_core.ui.page import footer, page


def show() -> None:
    found = sorted(list_models(), key=lambda card: (card.task == "gate", card.baseline, card.name))
    if not found:
        st.html("<div class='mi mi-verdict'><p><b>No model is installed.</b> Restore the models folder.</p></div>")
        return
    with st.container(key="card-columns", horizontal=True, wrap=False, height="stretch", gap="large"):
        with st.container(key="card-list"):
            name = st.radio(
                "Model",
                [card.name for card in found],
                format_func=lambda key: next(card.title for card in found if card.name == key),
                captions=[cards.caption(card) for card in found],
                label_visibility="collapsed",
            )
        card = next(card for card in found if card.name == name)
        with st.container(key="card-words", height="stretch"):
            st.html(cards.words(card))
        with st.container(key="card-facts", height="stretch"):
            st.html(cards.facts(card))
    footer(f"{card.ref.name} {card.ref.version} · sha256 {card.ref.hash}")


with page():
    show()
