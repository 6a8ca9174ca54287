"""Two models against each other on the test sets, with intervals and paired tests."""

from __future__ import annotations

import streamlit as st

from medimg_core.catalog import ModelCard, list_models
from medimg_core.ui import charts, comparison, naming
from medimg_core.ui.page import footer, page
from medimg_core.workflows.dashboard import by_question, dashboard, measured_sets

CURVES = {"ROC": charts.roc, "Precision and recall": charts.precision_recall}
PLAIN = {"displayModeBar": False}
NOTHING = "<div class='mi mi-verdict'><p><b>No evaluation is installed.</b> Restore the models folder.</p></div>"


def installed() -> list[ModelCard]:
    """The models that were measured, baselines last."""
    cards = [card for card in list_models() if card.task != "gate" and measured_sets([card])]
    return sorted(cards, key=lambda card: (card.baseline, card.title))


def pick(label: str, cards: list[ModelCard], key: str, first: str | None, empty: str = "") -> ModelCard | None:
    """A list of models; `empty` offers to choose none."""
    names = [*([""] if empty else []), *(card.name for card in cards)]
    titles = {card.name: card.title for card in cards} | {"": empty}
    chosen = st.selectbox(
        label,
        names,
        index=names.index(first or "") if first or empty else 0,
        format_func=lambda name: titles[name],
        key=key,
        label_visibility="collapsed",
    )
    return next((card for card in cards if card.name == chosen), None)


def chosen_models(cards: list[ModelCard]) -> list[ModelCard]:
    """The model and the one it is set against; first those for which there is one with the same classes."""
    groups = by_question(cards)
    pair = next((group for group in groups if len(group) > 1), groups[0])
    one = pick("Model", cards, "compare-first", pair[0].name)
    assert one is not None
    rest = [card for card in cards if card.name != one.name]
    partner = next((card.name for card in rest if card.class_ids == one.class_ids), None)
    other = pick("Against", rest, f"compare-second-{one.name}", partner, "Against no other model")
    return [one] if other is None else [one, other]


def charts_of(cards: list[ModelCard], test_set: str, curve: str) -> None:
    """Charts and tables of one test set."""
    board = dashboard(cards, test_set)
    key = f"{'-'.join(card.name for card in cards)}-{test_set}"
    with st.container(key="charts", horizontal=True, wrap=False, height="stretch"):
        for draw in (CURVES[curve], charts.calibration, charts.cost):
            st.plotly_chart(draw(board), height="stretch", config=PLAIN, key=f"{draw.__name__}-{key}")
    with st.container(key="tables", horizontal=True, wrap=False, height="stretch", gap="medium"):
        with st.container(key="forest-box", height="stretch"):
            st.plotly_chart(charts.forest(board), height="stretch", config=PLAIN, key=f"forest-{key}")
        with st.container(key="tables-box", height="stretch"):
            st.html(comparison.tables(board, naming.names(cards[0])))
    footer(comparison.provenance(board), naming.licence_mark(*cards))


def show() -> None:
    cards = installed()
    if not cards:
        st.html(NOTHING)
        return
    head = st.container()
    with st.container(key="compare", horizontal=True, vertical_alignment="center"):
        compared = chosen_models(cards)
        sets = measured_sets(compared)
        if sets:
            chosen = st.segmented_control(
                "Test set",
                list(sets),
                default=next(iter(sets)),
                required=True,
                format_func=lambda key: sets[key],
                label_visibility="collapsed",
                key=f"sets-{'-'.join(card.name for card in compared)}",
            )
            curve = st.segmented_control(
                "Curve", list(CURVES), default="ROC", required=True, label_visibility="collapsed", key="curve"
            )
    if not sets:
        head.html(comparison.different(*compared))
        st.space("stretch")
        footer("", naming.licence_mark(*compared))
        return
    board = dashboard(compared, chosen)
    head.html(comparison.verdict(board))
    st.html(comparison.summary(board, naming.names(compared[0])))
    charts_of(compared, chosen, curve)


with page():
    show()
