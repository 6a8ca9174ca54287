"""The viewer as a Python function: what to show goes in as types, what the reader asked of the server comes out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import streamlit as st

from medimg_core.types import FloatArray, Image
from medimg_core.ui import palette, pixels, routes, words
from medimg_core.ui.tokens import Tokens

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "medimg_viewer",
    html="<div class='view'></div>",
    css=(_HERE / "viewer.css").read_text(encoding="utf-8"),
    js="\n".join((_HERE / name).read_text(encoding="utf-8") for name in ("viewer_math.js", "viewer.js")),
)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A saliency map as the viewer needs it; small, so that a session can keep many.

    Attributes:
        values: float32 `[h, w]`, raw, its outer edges on those of the image (see `pixels.overlay`).
        scale: the raw value shown as 1.0; None where it was not measured, then raw values are shown.
        maximum: largest positive value in units of `scale`.
        grid: rows and columns where the map was computed.
    """

    method: str
    target: str
    values: FloatArray
    scale: float | None
    maximum: float
    signed: bool
    grid: tuple[int, int]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class MethodView:
    """A method in the list of a pane.

    Attributes:
        mark: `full`, `half`, `hollow`; empty where nothing was measured.
        verdict: the line under its map.
        waiting: what stands on the film while there is no map.
        link, file: where its export is fetched, and the name of the file.
    """

    title: str
    mark: str = ""
    verdict: str = ""
    waiting: str = ""
    link: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Pane:
    """One picture on the stage.

    Attributes:
        image: index into the images; None shows `note` on black.
        slot: the pane's place among the methods side by side; None shows the picked map.
        calm: the note is no warning.
        opens: what a click reports as `open`; makes a thumbnail of the pane.
    """

    image: int | None
    alt: str
    slot: int | None = None
    title: str = ""
    note: str = ""
    calm: bool = False
    opens: str = ""


@dataclass(frozen=True, slots=True)
class Picker:
    """A list in the toolbar. `server` reports the choice as `pick` and waits for new data; otherwise it is local."""

    label: str
    options: Sequence[tuple[str, str]]
    value: str
    server: bool = False
    visible: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """All that is not a picture: toolbar, colour bar, words, and how the map starts."""

    columns: int = 1
    toolbar: bool = True
    shown: bool = True
    bar: Mapping[str, Any] | None = None
    picker: Picker | None = None
    methods: Mapping[str, MethodView] = field(default_factory=dict)
    slots: Sequence[str] = ()
    series: bool = False
    start: int = 0
    note_off: str = ""
    corners: bool = True


def _rerun() -> None:
    """Streamlit hands a value back only where there is a callback for it; running the page again is all we want."""


def viewer(
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
        films: entries made by `film` or `thumbnail`.
        layers: method -> entry made by `layer`.

    Returns:
        Streamlit's result with `open`, `pick` and `slots`.
    """
    data = {
        "id": key,
        "images": list(films),
        "maps": dict(layers or {}),
        "panes": [asdict(pane) for pane in panes],
        "ramps": palette.RAMPS,
        "presets": films[0]["presets"] if films else [],
        "columns": stage.columns,
        "toolbar": stage.toolbar,
        "shown": stage.shown,
        "opacity": palette.OPACITY,
        "threshold": palette.THRESHOLD,
        "bar": stage.bar,
        "picker": asdict(stage.picker) if stage.picker else None,
        "methods": {name: asdict(view) for name, view in stage.methods.items()},
        "slots": list(stage.slots),
        "series": stage.series,
        "start": stage.start,
        "corners": stage.corners,
        "words": {"empty": words.EMPTY_NOTE, "raw": words.RAW_NOTE, "lost": words.LOST, "off": stage.note_off},
    }
    # In a list, because Streamlit looks for data frames in a dict and loads pandas for that: 150 MB.
    return _component(
        key=key, data=[data], height="stretch", on_open_change=_rerun, on_pick_change=_rerun, on_slots_change=_rerun
    )


def film(image: Image, tokens: Tokens, how: pixels.Encoding) -> dict[str, Any]:
    """An image for the viewer: where its stored values are fetched, and how they become grey."""
    rows, columns = image.shape
    first = pixels.first_window(image)
    table = pixels.voi_table(image, how)
    spacing = image.spacing
    return {
        "url": routes.url(tokens.give(("film", image.digest), lambda _: pixels.encode(image, how))),
        "lut": None if table is None else routes.url(tokens.give(("voi", image.digest), lambda _: table)),
        "w": columns,
        "h": rows,
        "kind": how.kind,
        "slope": how.slope,
        "intercept": how.intercept,
        "padding": how.padding,
        "mono1": image.photometric == "MONOCHROME1",
        "aspect": spacing.row_mm / spacing.column_mm if spacing else 1.0,
        "window": {"centre": first.centre, "width": first.width, "kind": first.function},
        "presets": pixels.presets(image),
        "corner": words.corner(image),
        "spacing": words.spacing(image),
        "unit": image.modality_units,
    }


def thumbnail(key: str, tokens: Tokens, make: Callable[[], bytes], size: tuple[int, int]) -> dict[str, Any]:
    """A small grey picture, uint8 `size`, made when the browser asks for it."""
    grey = {"centre": 127.5, "width": 255.0, "kind": "LINEAR_EXACT"}
    return {
        "url": routes.url(tokens.give(("thumb", key), lambda _: make())),
        "lut": None,
        "w": size[1],
        "h": size[0],
        "kind": "u8",
        "slope": 1.0,
        "intercept": 0.0,
        "padding": None,
        "mono1": False,
        "aspect": 1.0,
        "window": grey,
        "presets": [{"title": "Default", "own": True, **grey}],
        "corner": "",
        "spacing": "",
        "unit": "",
    }


def layer(drawn: Layer, digest: str, tokens: Tokens) -> dict[str, Any]:
    """A map for the viewer."""
    token = tokens.give(_map_key(digest, drawn.method, drawn.target), lambda _: payload(drawn))
    return {"url": routes.url(token), "scale": drawn.scale or 1.0, "raw": drawn.scale is None, "max": drawn.maximum}


def later_layer(
    method: str, target: str, scale: float | None, digest: str, tokens: Tokens, make: Callable[[], Layer]
) -> dict[str, Any]:
    """A map that is made when the browser asks for it: the reader chose its method."""
    token = tokens.give(_map_key(digest, method, target), lambda _: payload(make()))
    return {"url": routes.url(token), "scale": scale or 1.0, "raw": scale is None, "max": None}


def payload(drawn: Layer) -> bytes:
    """Rows and columns as int32, then float32 `[rows, columns]`, little endian."""
    return struct.pack("<ii", *drawn.values.shape) + drawn.values.astype("<f4").tobytes()


def _map_key(digest: str, method: str, target: str) -> tuple[str, str, str, str]:
    return ("map", digest, method, target)
