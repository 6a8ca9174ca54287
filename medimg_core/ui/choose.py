"""What the reader may choose about an open case: the image, and the model that is asked about it.

Streamlit keeps the functions given to a widget as long as the session: none of them may hold a case, or its images
would stay in memory after it was closed.
"""

from __future__ import annotations

import streamlit as st

from medimg_core.errors import ModelUnavailable
from medimg_core.ui import service, session, study
from medimg_core.ui.session import Case

_ALL = -1
"""In the list of images: all of them, side by side."""


def image(case: Case, *, all_of_them: bool = False) -> bool:
    """The list of images, where there are several; returns whether all stand side by side.

    Args:
        all_of_them: offer that, where the images are few and of one patient; it is then the first choice.
    """
    count = len(case.study.images)
    if count < 2:
        return False
    together = all_of_them and case.together
    kept = f"together-{case.number}"
    beside = together and bool(st.session_state.get(kept, True))
    key, now = f"image-{case.number}-{case.chosen}-{beside}", case.chosen

    def chosen() -> None:
        wanted = st.session_state.get(key)  # gone with its list, where that went in a run that was broken off
        if wanted is None or not _still(now):
            return
        if together:
            st.session_state[kept] = wanted == _ALL
        if wanted != _ALL:
            session.choose(wanted)

    options = [*([_ALL] if together else []), *range(count)]
    named = {index: _named(case, index) for index in options}
    st.selectbox(
        "Image",
        options,
        index=0 if beside else options.index(case.chosen),
        format_func=lambda index: named[index],
        key=key,
        on_change=chosen,
        label_visibility="collapsed",
    )
    return beside


def _still(index: int) -> bool:
    """Whether the case still speaks about the image that a list was made for.

    Where a run is broken off, Streamlit calls the function of a list that had gone already: it takes its value for new.
    """
    case = session.current()
    return case is not None and case.chosen == index


def _named(case: Case, index: int) -> str:
    count = len(case.study.images)
    if index == _ALL:
        return "Both side by side" if count == 2 else f"All {count} side by side"
    name = study.label(case, index)
    return f"{index + 1} of {count}" + ("" if name.startswith("Image") else f": {name}")


def model(case: Case) -> None:
    """The list of models, where there are several; the router's choice stands first."""
    if case.image is None:
        return
    try:
        cards = service.choices()
        routed = service.asked(case.image, None, session.workspace())
    except ModelUnavailable:
        return
    if len(cards) < 2:
        return
    titles = {card.name: card.title for card in cards}
    first = [card.name for card in routed.routed]
    names = [*first, *(name for name in titles if name not in first)]
    key = f"model-{case.number}-{case.chosen}"
    chosen, index = case.model or (first[0] if first else None), case.chosen

    def ask() -> None:
        wanted = st.session_state.get(key)
        if wanted is None or not _still(index):
            return
        session.ask(None if first and wanted == first[0] else wanted)
        session.workspace().lines.pop(index, None)

    st.selectbox(
        "Model",
        names,
        index=names.index(chosen) if chosen else None,
        format_func=lambda name: titles[name],
        placeholder="No model takes it; choose one",
        key=key,
        on_change=ask,
        label_visibility="collapsed",
    )
