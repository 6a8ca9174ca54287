"""The viewer as a Python function: images and layers go in as types, what the reader drew and saw comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from medimg_core.types import Region, Series, Study
from medimg_core.ui import drawn, session, words
from medimg_core.ui.drawn import Annotation, Viewed, ViewState
from medimg_core.ui.viewer_data import (
    LAYOUTS,
    TOOLS,
    Counted,
    Layer,
    Layout,
    MethodView,
    Pane,
    Picker,
    Stack,
    Stage,
    Tool,
    described,
    film,
    later_layer,
    layer,
    outlines,
    stack_films,
    thumbnail,
)

__all__ = [
    "LAYOUTS",
    "TOOLS",
    "Annotation",
    "Counted",
    "Layer",
    "Layout",
    "MethodView",
    "Pane",
    "Picker",
    "Stack",
    "Stage",
    "Tool",
    "ViewState",
    "Viewed",
    "film",
    "later_layer",
    "layer",
    "module",
    "mount",
    "outlines",
    "series_films",
    "stack_films",
    "thumbnail",
    "viewer",
]

_HERE = Path(__file__).parent
MODULES = (
    "viewer_math.js",
    "viewer_store.js",
    "viewer_layers.js",
    "viewer_regions.js",
    "viewer_tools.js",
    "viewer_pane.js",
    "viewer_input.js",
    "viewer_bar.js",
    "viewer_cine.js",
    "viewer_slices.js",
    "viewer.js",
)
"""The browser side, in the order in which the files are joined into one module."""


def module() -> str:
    """The browser side as one ES module."""
    return "\n".join((_HERE / name).read_text(encoding="utf-8") for name in MODULES)


_component = st.components.v2.component(
    "medimg_viewer",
    html="<div class='view'></div>",
    css=(_HERE / "viewer.css").read_text(encoding="utf-8"),
    js=module(),
)


def _rerun() -> None:
    """Streamlit hands a value back only where there is a callback for it; running the page again is all we want."""


def mount(
    key: str,
    films: Sequence[Mapping[str, Any]],
    panes: Sequence[Pane],
    stage: Stage,
    layers: Mapping[str, Mapping[str, Any]] | None = None,
) -> Any:
    """Mount the viewer; it fills its container.

    Args:
        key: identity of what is shown, with the digest of the image in it: another image is another viewer, so that
            nothing of the one before can stay on the stage.
        films: entries made by `film`, `stack_films` or `thumbnail`.
        layers: method -> entry made by `layer`.

    Returns:
        Streamlit's result with `open`, `pick`, `slots`, `drawn` and `at` (see `drawn.read`), `corrected` (see
        `corrected.read`).
    """
    case = session.current()
    data = described(key, case.number if case else 0, films, panes, stage, layers)
    data["session"] = session.workspace().case.session
    # In a list, because Streamlit looks for data frames in a dict and loads pandas for that: 150 MB.
    return _component(
        key=key,
        data=[data],
        height="stretch",
        on_open_change=_rerun,
        on_pick_change=_rerun,
        on_slots_change=_rerun,
        on_drawn_change=_rerun,
        on_at_change=_rerun,
        on_corrected_change=_rerun,
    )


def series_films(series: Sequence[Series], kinds: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Viewer entries of all images of several series, under the tokens of the open case; made once.

    Args:
        kinds: what the router takes the series for, as far as that is known; see `pixels.presets`.
    """
    tokens = session.workspace().case
    parts = tuple(tuple((image.digest, image.spacing) for image in one.images) for one in series)
    known = (*kinds, *[""] * (len(series) - len(kinds)))
    return session.remember(
        ("films", parts, known),
        lambda: [
            entry for one, kind in zip(series, known, strict=True) for entry in stack_films(one.images, tokens, kind)
        ],
    )


def viewer(
    shown: Study | Series,
    layers: Sequence[Layer | Region] = (),
    tools: Sequence[Tool] = TOOLS,
    key: str = "viewer",
    *,
    prior: Study | None = None,
    titles: Sequence[str] = (),
    start: tuple[int, int] = (0, 0),
    layout: Layout = "1x1",
    kinds: Sequence[str] = (),
    rests: bool = False,
) -> Viewed:
    """Show a study to scroll, window, measure and compare in.

    Args:
        layers: maps of the study's first image, of which the reader picks one, and regions on it.
        tools: those on offer.
        key: see `mount`.
        prior: an earlier study; its series follow those of `shown` and stand in the second pane.
        titles: what the series are called, those of `prior` last; else by their number.
        start: series and image within it that the first pane begins with.
        kinds: what the router takes the series for, as far as that is known; see `pixels.presets`.
        layout: panes at the beginning; the reader changes it where there are several series or images.
        rests: also tell which image the reader rests on, once he has stopped scrolling (`Viewed.at`).

    Returns:
        What the reader drew, in image pixels, and what he saw when he finished it. The images are counted through all
        series, those of `prior` last. Nothing but a finished measurement runs the page again, and with `rests` the end
        of scrolling.
    """
    now = shown.series if isinstance(shown, Study) else (shown,)
    series = now + (prior.series if prior is not None else ())
    images = [image for one in series for image in one.images]
    films = series_films(series, kinds)
    stacks, first = [], 0
    for index, one in enumerate(series):
        title = titles[index] if index < len(titles) else f"Series {index + 1}"
        begin = start[1] if index == start[0] else len(one.images) // 2 if one.kind == "slices" else 0
        stacks.append(Stack(title, first, len(one.images), begin, one.images[0].frame_ms if one.images else None))
        first += len(one.images)
    tokens = session.workspace().case
    maps = {one.method: layer(one, images[0].digest, tokens) for one in layers if isinstance(one, Layer)}
    panes = [Pane(0, stacks[start[0]].title, series=start[0])]
    if prior is not None:
        panes.append(Pane(0, "The earlier study", series=len(now)))
    stage = Stage(
        tools=tools,
        layouts=LAYOUTS if len(images) > 1 else ("1x1",),
        layout="1x2" if prior is not None and layout == "1x1" else layout,
        picker=Picker("Map", [(name, name) for name in maps], next(iter(maps))) if maps else None,
        bar=_bar(layers),
        stacks=stacks,
        regions=[line for one in layers if isinstance(one, Region) for line in outlines(one, 0)],
        wanted=stacks[start[0]].first + start[1] if rests and stacks else None,
    )
    got = mount(key, films, panes, stage, maps)
    return drawn.read(got.drawn, images, got.at)


def _bar(layers: Sequence[Layer | Region]) -> dict[str, Any] | None:
    """The colour bar that all maps among the layers share."""
    maps = [one for one in layers if isinstance(one, Layer)]
    if not maps:
        return None
    signed = any(one.signed for one in maps)
    return {"signed": signed, "high": "for", "low": "against" if signed else "none", "label": words.SCALE}
