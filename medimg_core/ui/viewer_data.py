"""What the viewer's browser side is told: images, stacks, layers and the stage, as plain values.

Pixels never travel here: an entry names a token under which the browser fetches them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import cv2
import numpy as np

from medimg_core.io.series import place
from medimg_core.types import FloatArray, Image, MaskArray, Region
from medimg_core.ui import palette, pixels, routes, words
from medimg_core.ui.tokens import Tokens

Tool = Literal["window", "move", "scroll", "length", "angle", "ellipse", "rectangle", "box", "correct"]
TOOLS: tuple[Tool, ...] = tuple(tool for tool in get_args(Tool) if tool != "correct")
"""The tools of every stage; `correct` is added where there are outlines."""
Layout = Literal["1x1", "1x2", "2x2"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)


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
        series: index of the stack that can be turned in the pane; None shows `image` alone.
    """

    image: int | None
    alt: str
    slot: int | None = None
    title: str = ""
    note: str = ""
    calm: bool = False
    opens: str = ""
    series: int | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """Images that follow each other in the list of images; `start` is the one shown first, counted within the stack."""

    title: str
    first: int
    count: int
    start: int = 0
    frame_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """How much each slice of a series weighed in its answer.

    Attributes:
        series: number of its stack.
        weights: of every slice, 0 to 1; None for one that was not used.
        slices: those that counted most, counted within the stack.
        evidence: whether they are evidence for something; they are drawn grey otherwise.
    """

    series: int
    weights: Sequence[float | None]
    slices: Sequence[int]
    evidence: bool = True


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
    """All that is not a picture: toolbar, tools, colour bar, words, how panes are laid out and how the map starts.

    `layouts` are those to choose from; with one, the panes stand in `columns`. `legend` lists the structures of
    `regions` that can be shown, hidden and corrected (see `regions.legend`). Maps lie on the images `mapped`, and
    `answered` stands on every pane that shows another one.

    `wanted` is the image that the page speaks about: another number brings that image up, and with a number the viewer
    tells which image the reader rests on. `counted` marks the slices that counted beside the slider.
    """

    columns: int = 1
    toolbar: bool = True
    tools: Sequence[Tool] = TOOLS
    layouts: Sequence[Layout] = ("1x1",)
    layout: Layout = "1x1"
    shown: bool = True
    bar: Mapping[str, Any] | None = None
    picker: Picker | None = None
    methods: Mapping[str, MethodView] = field(default_factory=dict)
    slots: Sequence[str] = ()
    stacks: Sequence[Stack] = ()
    regions: Sequence[Mapping[str, Any]] = ()
    legend: Sequence[Mapping[str, Any]] = ()
    note_off: str = ""
    answered: str = ""
    mapped: Sequence[int] = (0,)
    corners: bool = True
    wanted: int | None = None
    counted: Counted | None = None


def described(
    key: str,
    case: int,
    films: Sequence[Mapping[str, Any]],
    panes: Sequence[Pane],
    stage: Stage,
    layers: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Everything that one viewer shows, as plain values.

    Args:
        case: number of the open case; another number makes the browser forget all pixels of the one before.
        films: entries made by `film`, `stack_films` or `thumbnail`.
        layers: method -> entry made by `layer`.
    """
    return {
        "id": key,
        "case": case,
        "images": list(films),
        "maps": dict(layers or {}),
        "panes": [asdict(pane) for pane in panes],
        "ramps": palette.RAMPS,
        "opacity": palette.OPACITY,
        "threshold": palette.THRESHOLD,
        "picker": asdict(stage.picker) if stage.picker else None,
        "methods": {name: asdict(view) for name, view in stage.methods.items()},
        "series": [asdict(stack) for stack in stage.stacks],
        "columns": stage.columns,
        "toolbar": stage.toolbar,
        "tools": [*stage.tools, *(["correct"] if stage.legend and stage.tools else [])],
        "layouts": list(stage.layouts),
        "layout": stage.layout,
        "shown": stage.shown,
        "bar": stage.bar,
        "slots": list(stage.slots),
        "regions": list(stage.regions),
        "legend": list(stage.legend),
        "corners": stage.corners,
        "mapped": list(stage.mapped),
        "wanted": stage.wanted,
        "counted": asdict(stage.counted) if stage.counted else None,
        "words": {
            "empty": words.EMPTY_NOTE,
            "raw": words.RAW_NOTE,
            "lost": words.LOST,
            "off": stage.note_off,
            "answered": stage.answered,
        },
    }


def film(image: Image, tokens: Tokens, how: pixels.Encoding, presets: bool = True, kind: str = "") -> dict[str, Any]:
    """An image for the viewer: where its stored values are fetched, and how they become grey.

    Args:
        presets: name the windows to choose from; images of a stack take those of its first.
        kind: see `pixels.presets`.
    """
    rows, columns = image.shape
    first = pixels.first_window(image)
    table = pixels.voi_table(image, how)
    spacing = words.true_spacing(image)
    at = place(image)
    return {
        "url": routes.url(tokens.give(("film", image.digest, how), lambda _: pixels.encode(image, how))),
        "lut": None if table is None else routes.url(tokens.give(("voi", image.digest, how), lambda _: table)),
        "w": columns,
        "h": rows,
        "kind": how.kind,
        "slope": how.slope,
        "intercept": how.intercept,
        "padding": how.padding,
        "mono1": image.photometric == "MONOCHROME1",
        "aspect": spacing.row_mm / spacing.column_mm if spacing else 1.0,
        "mm": [spacing.row_mm, spacing.column_mm] if spacing else None,
        "source": words.spacing_source(spacing) if spacing else "",
        "at": None if at is None else round(at, 3),
        "orientation": list(image.orientation) if image.orientation else None,
        "sides": sides(image),
        "window": {"centre": first.centre, "width": first.width, "kind": first.function},
        "presets": pixels.presets(image, kind) if presets else None,
        "corner": words.corner(image),
        "spacing": words.spacing(image),
        "unit": image.modality_units,
    }


def sides(image: Image) -> list[float] | None:
    """Where rows and columns run to, as six direction cosines: those of slices, of films what their letters amount to.

    Only the order of the letters counts: each weighs half as much again as the next, so that the names that the browser
    makes of the cosines are the letters of the file. None where the header does not tell.
    """
    if image.orientation is not None or image.patient_orientation is None:
        return list(image.orientation) if image.orientation is not None else None
    out = []
    for letters in image.patient_orientation:
        weights = {letter: 1.5**-place for place, letter in enumerate(letters)}
        size = math.hypot(*weights.values())
        out += [(weights.get(to, 0.0) - weights.get(away, 0.0)) / size for to, away in ("LR", "PA", "HF")]
    return out


def stack_films(images: Sequence[Image], tokens: Tokens, kind: str = "") -> list[dict[str, Any]]:
    """Viewer entries of the images of one stack, stored alike where they can be; `kind` is that of the first."""
    stored = zip(images, pixels.encodings(images), strict=True)
    return [film(image, tokens, how, index == 0, kind) for index, (image, how) in enumerate(stored)]


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
        "mm": None,
        "source": "",
        "at": None,
        "orientation": None,
        "sides": None,
        "window": grey,
        "presets": [{"title": "Default", "own": True, **grey}],
        "corner": "",
        "spacing": "",
        "unit": "",
        "keep": True,  # it belongs to no case and outlives them
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


def outlines(region: Region, image: int) -> list[dict[str, Any]]:
    """A model's region as closed lines on image number `image`; a mask gives one line for each of its parts.

    `area` is in pixels: of a mask the number of its own, of others that of the line.
    """
    told = {"image": image, "kind": "outline", "label": region.label, "score": region.score}
    if region.box is not None:
        x0, y0, x1, y1 = region.box
        return [{**told, "kind": "box", "points": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]], "area": None}]
    if region.polygon:
        return [{**told, "points": [list(point) for point in region.polygon], "area": None}]
    return [{**told, **part} for part in _parts(region.mask)] if region.mask is not None else []


def _parts(mask: MaskArray) -> list[dict[str, Any]]:
    """The outer line of every connected part of a mask, along the outer edges of its pixels, and its size."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    parts = []
    for label in range(1, count):
        part = labels == label
        # Three by three places a pixel: the line through the outermost of them runs a sixth of a pixel inside the edge.
        fine = part.repeat(3, axis=0).repeat(3, axis=1).astype(np.uint8)
        found, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        points = [[(x + 0.5) / 3, (y + 0.5) / 3] for x, y in found[0][:, 0].tolist()]
        parts.append({"points": points, "area": int(part.sum())})
    return parts
