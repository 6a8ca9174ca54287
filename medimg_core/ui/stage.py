"""The black stage with an open film: preview, single picture with its map, several maps side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from medimg_core.explain.engine import scale_of
from medimg_core.types import Image
from medimg_core.ui import pixels, service, session, words
from medimg_core.ui.answer import Answer
from medimg_core.ui.answer import names as names_of
from medimg_core.ui.maps import Shown
from medimg_core.ui.panel import Panel, html
from medimg_core.ui.session import Case
from medimg_core.ui.viewer import Pane, Picker, Stage, film, later_layer, layer, viewer


def films(images: Sequence[Image]) -> list[dict[str, Any]]:
    """Viewer entries of images, under the tokens of the open case."""
    tokens = session.workspace().case
    return [film(image, tokens, _encoding(image)) for image in images]


def _encoding(image: Image) -> pixels.Encoding:
    return session.remember(("encoding", image.digest), lambda: pixels.encoding(image))


def preview(case: Case, name: str) -> None:
    """The chosen image, or all images of its series to scroll through, without a map."""
    image, series = case.image, case.series
    if image is None or series is None:
        black(name, words.UNREADABLE_PICTURE)
        return
    images = series.images if len(series.images) > 1 else (image,)
    several = len(images) > 1
    stage = Stage(series=several, start=case.chosen - case.start if several else 0)
    viewer(f"{name}-{case.number}-{image.digest[:16]}", films(images), [Pane(0, "The open image")], stage)


def with_map(case: Case, answer: Answer) -> None:
    """A film with the map beside its answer. All fast methods are there to choose from, without asking the server."""
    image = answer.image
    if answer.layer is None:
        preview(case, "diagnosis")
        return
    card, space, digest = answer.card, session.workspace(), image.digest
    fast = [m for m in service.offered(card) if m.family == "cam" and service.is_fast(m.name)]
    entries = {}
    for m in fast:
        if m.name == answer.layer.method:
            entries[m.name] = layer(answer.layer, digest, space.case)
        else:
            make = partial(service.one_layer, answer, m.name, answer.layer.target, space)
            scale = scale_of(card, m.name)
            entries[m.name] = later_layer(m.name, answer.layer.target, scale, digest, space.case, make)
    scaled = answer.layer.scale is not None
    stage = Stage(
        shown=answer.map_trusted,
        bar={"signed": False, "high": "evidence" if scaled else "raw value", "low": "none", "label": words.SCALE},
        picker=Picker("Method", [(m.name, m.title) for m in fast], answer.layer.method),
        note_off="" if answer.map_trusted else words.map_off(answer.studied, answer.verdict),
    )
    pane = Pane(0, "The film with the map of its evidence")
    viewer(f"diagnosis-{case.number}-{image.digest[:16]}-{case.who}", films([image]), [pane], stage, entries)


def side_by_side(case: Case, answer: Answer, shown: Shown, names: Sequence[str], target: str) -> Any:
    """One film under several methods, 3 x 2 panes with one toolbar and one colour bar."""
    image, tokens = answer.image, session.workspace().case
    titles = names_of(answer.card)
    panes = [Pane(0, f"{shown.methods[name].title} on the film", slot=i) for i, name in enumerate(names)]
    stage = Stage(
        columns=3,
        bar={"signed": True, "high": "for", "low": "against", "label": words.SCALE},
        picker=Picker("Target", [(c, titles[c]) for c in reversed(answer.card.class_ids)], target, True, True),
        methods=shown.methods,
        slots=names,
        corners=False,
    )
    entries = {name: layer(map_, image.digest, tokens) for name, map_ in shown.layers.items()}
    key = f"explainability-{case.number}-{image.digest[:16]}"
    with st.container(key="image", height="stretch"):
        return viewer(key, films([image]), panes, stage, entries)


def beside(panel: Panel, picture: Callable[[], None]) -> str:
    """A picture without a map and a panel beside it; returns the right end of the footer: no model was run."""
    with st.container(key="image", height="stretch"):
        picture()
    with st.container(key="answer", height="stretch"):
        st.html(html(panel))
    return words.NOT_RUN


def black(name: str, note: str, calm: bool = False) -> None:
    """An empty stage with a reason; `calm` where nothing is wrong."""
    viewer(f"{name}-empty", [], [Pane(None, note, note=note, calm=calm)], Stage(toolbar=False))
