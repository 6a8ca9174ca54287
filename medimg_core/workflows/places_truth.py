"""What a manifest says about places: true masks, true boxes, slices side by side, measurements known otherwise."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from medimg_core.catalog import ModelCard, PlacesCard, TruthRule
from medimg_core.errors import BadTable, UnreadableImage
from medimg_core.training.outlines.data import structures_of
from medimg_core.training.outlines.recipe import StructureRule
from medimg_core.types import Image, MaskArray
from medimg_core.workflows.answers import Entry, read_row
from medimg_core.workflows.manifest import Row

KNOWN: Mapping[str, tuple[str, str]] = {"head_circumference": ("hc_mm", "mm")}
"""Measurement -> the column of a manifest that knows it better than a mask does, and its unit."""

_KEPT = 8
"""Decoded slices that wait for their neighbours."""

_MODES = ("P", "L", "1", "I;16", "I;16B", "I")
"""Pillow's modes whose numbers are read as they are; a mask in colour is turned into grey."""


def truth_column(places: PlacesCard) -> str:
    """The column of a manifest that holds the truth."""
    return "boxes" if places.kind == "boxes" else "mask"


def has_truth(card: ModelCard, rows: Sequence[Row]) -> bool:
    """Whether the rows say what should have been outlined or boxed."""
    return card.places is not None and all(truth_column(card.places) in row.columns for row in rows)


def check_truth(card: ModelCard, rows: Sequence[Row]) -> None:
    """Refuse rows that say nothing about the places of a model that only outlines or boxes.

    Raises:
        BadTable: the column is missing.
    """
    if card.places is None or card.answers or has_truth(card, rows):
        return
    column = truth_column(card.places)
    names = ", ".join(structure.id for structure in card.places.outputs)
    raise BadTable(
        f"The manifest has no column {column!r}, so nothing says where {names} should have been found.",
        f"Give a manifest whose column {column!r} names the truth of every image, empty where there is nothing.",
    )


def rules(places: PlacesCard) -> tuple[StructureRule, ...]:
    """How masks are read: as the card says, else all but zero is the first structure."""
    stated = [s for s in places.outputs if s.truth != TruthRule()]
    return tuple(
        StructureRule(s.id, s.truth.values, s.truth.side, s.truth.sideless, s.truth.where)
        for s in (places.outputs if stated else places.outputs[:1])
    )


def true_masks(row: Row, shape: tuple[int, int] | None, places: PlacesCard) -> dict[str, MaskArray]:
    """Structure -> its true mask, bool `[H, W]`; structures that nobody outlined in this row are left out.

    Args:
        shape: of the image; None where it could not be read, then the mask's own.

    Raises:
        UnreadableImage: the mask is missing, no picture, or not of its image's size.
    """
    stored, how = _stored(row, shape), rules(places)
    inside = structures_of(stored, how)
    masks = {
        rule.id: inside[..., k]
        for k, rule in enumerate(how)
        if all(row.columns.get(column.casefold()) in values for column, values in rule.where.items())
    }
    for structure in places.structures:
        if structure.of and all(part in masks for part in structure.of):
            masks[structure.id] = np.logical_or.reduce([masks[part] for part in structure.of])
    return masks


def _stored(row: Row, shape: tuple[int, int] | None) -> NDArray[np.uint8]:
    """The numbers of a mask; an empty cell says that nothing is there."""
    name = row.columns.get("mask", "").replace("\\", "/")
    if not name:
        return np.zeros(shape or (1, 1), np.uint8)
    try:
        # OpenCV would turn palette entries into grey levels.
        with Pillow.open(row.folder / name) as opened:
            stored = np.asarray(opened if opened.mode in _MODES else opened.convert("L"))
    except (OSError, ValueError, Pillow.DecompressionBombError) as error:
        raise UnreadableImage("The mask that the manifest names cannot be read.", "Check the column mask.") from error
    if shape is not None and stored.shape != shape:
        raise UnreadableImage(
            f"The mask has {stored.shape[0]} x {stored.shape[1]} pixels and its image {shape[0]} x {shape[1]}.",
            "Give a mask on the grid of its image.",
        )
    return np.asarray(np.minimum(stored, 255), np.uint8)


def true_boxes(row: Row, places: PlacesCard) -> NDArray[np.float64]:
    """The true boxes of a row, float64 `[n, 4]`: those with the structure's name, or without any.

    Raises:
        BadTable: the cell holds no boxes.
    """
    (structure,) = places.structures
    try:
        cell = json.loads(row.columns.get("boxes") or "[]")
        named = [([float(side) for side in box[:4]], box[4] if len(box) > 4 else "") for box in cell]
    except (ValueError, TypeError, KeyError) as error:
        raise BadTable(
            f"The boxes of {row.id!r} cannot be read.", "Write them as [[x0, y0, x1, y1, name], ...]."
        ) from error
    kept = np.array([box for box, name in named if name in ("", structure.id)], np.float64).reshape(-1, 4)
    if not np.isfinite(kept).all() or (kept[:, 2:] <= kept[:, :2]).any():
        raise BadTable(f"A box of {row.id!r} has no area.", "Give x0 < x1 and y0 < y1.")
    return kept


def known_value(row: Row, name: str) -> tuple[float, str] | None:
    """A measurement that the manifest knows, and its unit; None where it does not."""
    column, unit = KNOWN.get(name, ("", ""))
    try:
        return float(row.columns[column]), unit
    except (KeyError, ValueError):
        return None


class Slices:
    """The slices beside a row, by `patient` and `slice`; decoded ones are kept for a while. Safe for threads.

    Args:
        rows: all rows that may lie beside one another.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {place: row for row in rows if (place := _place(row)) is not None}
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Entry] = OrderedDict()

    def entry(self, row: Row) -> Entry:
        """The image of a row."""
        with self._lock:
            kept = self._kept.get(row.id)
        if kept is not None:
            return kept
        entry = read_row(row)
        with self._lock:
            self._kept[row.id] = entry
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return entry

    def beside(self, row: Row, image: Image) -> tuple[Image, ...]:
        """The images before and after; the row's own stands in for one that is missing or cannot be read."""
        place = _place(row)
        if place is None:
            return ()
        around = [self._rows.get((place[0], place[1] + step)) for step in (-1, 1)]
        return tuple(image if other is None else self.entry(other).image or image for other in around)


def _place(row: Row) -> tuple[str, int] | None:
    try:
        return row.patient, int(row.columns["slice"])
    except (KeyError, ValueError):
        return None
