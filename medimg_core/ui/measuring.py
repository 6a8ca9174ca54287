"""What a reader does about measurements: type the size of a pixel, take corrections back, save what was found."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator as Place

from medimg_core.errors import BadRequest
from medimg_core.types import Region
from medimg_core.ui import findings, naming, quantities, session
from medimg_core.ui.session import Case
from medimg_core.workflows.find import Found, typed, without

__all__ = ["Place", "controls"]

_WRONG = "spacing-wrong"


def controls(case: Case, finds: Sequence[Found], everywhere: bool = False, removing: bool = True) -> None:
    """The lines below the rows, as far as there is something to do.

    Args:
        everywhere: a typed size holds for all images of the case, not for the chosen series alone.
        removing: outlines and boxes can be taken away; of two frames side by side a button would not say whose.
    """
    useful = [one for one in finds if not one.prediction.refused]
    if not useful:
        return
    for one in useful:
        if removing:
            _remove(one)
        if one.corrected:
            _reset(one)
    if case.chosen in case.untyped:
        _typed(case, everywhere)
    elif any(quantities.in_pixels(one.measurements) for one in useful):
        _ask(case, everywhere)


def _remove(one: Found) -> None:
    """A button for each outline that is shown, by its name, and for each box, by its number there."""
    wholes = {structure.id for structure in one.places.structures if structure.of}
    several = [region for region in one.shown if region.label not in wholes]  # a whole goes with its parts
    if not several:
        return
    with st.container(key=f"boxes-{one.card.name}", horizontal=True, vertical_alignment="center", gap="small"):
        for number, region in enumerate(several, 1):
            st.button(
                _named(one, region, number, len(several)),
                key=f"remove-{one.card.name}-{one.image.digest[:16]}-{number}",
                type="tertiary",
                on_click=session.correct,
                args=(one.image.digest, one.card.name, region.label, without(one, region)),
            )


def _named(one: Found, region: Region, number: int, count: int) -> str:
    if region.kind != "box":
        return f"Remove {naming.lower(findings.title_of(one, region))}"
    return f"Remove box {number}" if count > 1 else "Remove the box"


def _reset(one: Found) -> None:
    with st.container(key=f"reset-{one.card.name}", horizontal=True, vertical_alignment="center"):
        st.button(
            f"Reset to the model’s {'boxes' if one.places.kind == 'boxes' else 'outline'}",
            key=f"uncorrect-{one.card.name}",
            type="tertiary",
            on_click=session.uncorrect,
            args=(one.image.digest, one.card.name),
        )


def _typed(case: Case, everywhere: bool) -> None:
    with st.container(key="spacing-typed", horizontal=True, vertical_alignment="center"):
        st.button(
            "Take the typed size back",
            key=f"untype-{case.number}-{case.chosen}",
            type="tertiary",
            on_click=session.type_spacing,
            args=(None, everywhere),
        )


def _ask(case: Case, everywhere: bool) -> None:
    """Two numbers; measuring in millimetres begins once both are sizes that a pixel can have."""
    with st.container(key="spacing", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f"<span class='mi q'>{findings.TYPE_SPACING}</span>", width="stretch")
        keys = [f"spacing-{side}-{case.number}-{case.chosen}" for side in ("row", "column")]
        for key, label in zip(keys, ("Height, mm", "Width, mm"), strict=True):
            st.text_input(label, key=key, placeholder=label, label_visibility="collapsed", max_chars=12)
        st.button("Measure", key=f"type-{case.number}-{case.chosen}", on_click=_take, args=(keys, everywhere))
    wrong = st.session_state.pop(_WRONG, "")
    if wrong:
        st.html(f"<p class='mi w' role='alert' style='padding-left:20px'>{wrong}</p>")


def _take(keys: Sequence[str], everywhere: bool) -> None:
    """Read what was typed; one number stands for both. A comma is a point."""
    told = [str(st.session_state.get(key, "")).strip().replace(",", ".").removesuffix("mm").strip() for key in keys]
    row, column = told[0] or told[1], told[1] or told[0]
    try:
        session.type_spacing(typed(float(row), float(column)), everywhere)
    except ValueError:
        st.session_state[_WRONG] = "That is no number. Type millimetres, for example 0.15."
    except BadRequest as error:
        st.session_state[_WRONG] = str(error)
