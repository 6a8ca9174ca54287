"""Outlines on the stage, and what a reader changes there: lines that he pulls, boxes that he draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from medimg_core.types import Image
from medimg_core.ui import corrected, drawn, regions, service, session
from medimg_core.ui.drawn import Viewed
from medimg_core.ui.session import Case
from medimg_core.ui.staged import Staged
from medimg_core.workflows.find import Found


def lines(images: Sequence[Image], finds: Sequence[Found]) -> list[dict[str, Any]]:
    """All outlines and boxes on the images of a stage; one that stands there twice has them twice."""
    return [line for index, image in enumerate(images) for line in _on(image, index, finds)]


def _on(image: Image, index: int, finds: Sequence[Found]) -> list[dict[str, Any]]:
    own = [one for one in finds if one.image.digest == image.digest and not one.prediction.refused]
    return [line for one in own for line in regions.lines(one, index)]


def take(case: Case, got: Any, images: Sequence[Image], finds: Sequence[Found]) -> Viewed:
    """What the reader drew. Where he corrected an outline or drew another box, the page runs again with it."""
    told = getattr(got, "corrected", None)
    index = told.get("image") if isinstance(told, dict) else None
    if isinstance(index, int) and 0 <= index < len(images):
        here = {one.card.name: one for one in finds if one.image.digest == images[index].digest}
        said = corrected.read(told, images, here)
        if said is not None:
            session.correct(images[index].digest, *said)
            st.rerun()
    return drawn.read(got.drawn, images, got.at)


def take_box(case: Case, seen: Viewed, images: Sequence[Image], image: Image) -> None:
    """Keep the last box that the reader drew on the chosen image, for models that have to be told where to look."""
    boxes = [mark.box for mark in seen.boxes if images[mark.image] is image]
    if session.draw_box(case.chosen, boxes[-1] if boxes else None):
        st.rerun()


def follow_box(case: Case, seen: Viewed, shown: Staged) -> None:
    """Speak about another slice of the series once the reader has drawn a box there for a model that waits for one."""
    kept = f"boxes-{case.number}"
    new = [mark for mark in seen.boxes if mark not in st.session_state.get(kept, ())]
    st.session_state[kept] = seen.boxes
    if not new or case.series is None:
        return
    mark, index = new[-1], shown.indices[new[-1].image]
    inside = case.start <= index < case.start + len(case.series.images)
    if inside and index != case.chosen and service.waits_for_box(shown.images[mark.image], case):
        session.go_to(index)
        session.draw_box(index, mark.box)
        st.rerun()
