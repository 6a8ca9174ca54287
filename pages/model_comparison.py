"""Models against each other on the test sets, with intervals and paired tests."""

from __future__ import annotations

import streamlit as st

from medimg_core.catalog import ModelCard, list_models
from medimg_core.ui import charts, comparison
from medimg_core.ui.page import footer, page
from medimg_core.workflows.dashboard import dashboard, measured_sets

CURVES = {"ROC": charts.roc, "Precision and recall": charts.precision_recall}
PLAIN = {"displayModeBar": False}


def chosen_models() -> list[ModelCard]:
    """The classifiers, the shipped one first, baselines last."""
    cards = [card for card in list_models() if card.task != "gate"]
    return sorted(cards, key=lambda card: (card.baseline, card.name))[:3]


def show() -> None:
    cards = chosen_models()
    sets = measured_sets(cards)
    if not sets:
        st.html("<div class='mi mi-verdict'><p><b>No evaluation is installed.</b> Restore the models folder.</p></div>")
        return
    head = st.container()
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen = st.segmented_control(
            "Test set",
            list(sets),
            default=next(iter(sets)),
            required=True,
            format_func=lambda key: sets[key],
            label_visibility="collapsed",
        )
        curve = st.segmented_control(
            "Curve", list(CURVES), default="ROC", required=True, label_visibility="collapsed", key="curve"
        )
        board = dashboard(cards, chosen)
        st.html(comparison.summary(board), width="stretch")
    head.html(comparison.verdict(board))
    with st.container(key="charts", horizontal=True, wrap=False, height="stretch"):
        for draw in (CURVES[curve], charts.calibration, charts.cost):
            st.plotly_chart(draw(board), height="stretch", config=PLAIN, key=f"{draw.__name__}-{chosen}")
    with st.container(key="tables", horizontal=True, wrap=False, height="stretch", gap="medium"):
        with st.container(key="forest-box", height="stretch"):
            st.plotly_chart(charts.forest(board), height="stretch", config=PLAIN, key=f"forest-{chosen}")
        st.html(comparison.tables(board))
    footer(comparison.provenance(board))


with page():
    show()
