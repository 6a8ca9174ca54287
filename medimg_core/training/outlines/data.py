"""From manifests with masks to arrays of films and structures on the network's grid."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from medimg_core.errors import BadTable, UnreadableImage
from medimg_core.imaging import Geometry, model_grid, window_round
from medimg_core.training.data import Progress, read_image
from medimg_core.training.outlines.recipe import OutlineRecipe, StructureRule
from medimg_core.types import Image, InputSpec, MaskArray, Spacing


@dataclass(frozen=True, slots=True)
class OutlineRecord:
    """One film of a manifest.

    Attributes:
        mask: file of its mask; None where nothing is there to be outlined.
        truth: number of the class of the network's own answer; None where it is not known.
        spacing: row and column in mm; None where unknown.
        slice: its place among the slices of the patient; None where the manifest does not count them.
    """

    set: str
    id: str
    file: Path
    split: str
    patient: str
    mask: Path | None
    truth: int | None
    spacing: tuple[float, float] | None
    slice: int | None
    columns: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def image(self) -> Image:
        """The picture, with its spacing."""
        read = read_image(self.file)
        return read if self.spacing is None else replace(read, spacing=Spacing(*self.spacing, "manifest"))


def read_outlines(data: Path, recipe: OutlineRecipe) -> tuple[OutlineRecord, ...]:
    """All rows of a recipe's manifest.

    Raises:
        BadTable: no manifest, or a column that the recipe names is missing.
    """
    rule, folder = recipe.data, data / recipe.data.set
    path = folder / "manifest.csv"
    if not path.is_file():
        raise BadTable(f"The folder {folder.name!r} holds no manifest.csv.", "Give a folder with a manifest in it.")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    needed = ["id", "file", "split", "patient", rule.mask, *filter(None, (rule.answer, rule.neighbours))]
    missing = [name for name in needed if not rows or name not in rows[0]]
    if missing:
        raise BadTable(f"The manifest lacks the column {', '.join(missing)}.", f"It needs {', '.join(needed)}.")
    kept = [row for row in rows if row[rule.mask] or not rule.only_outlined]
    kept = [r for r in kept if r["split"] != "train" or not any(r[c] in v for c, v in rule.leave_out.items())]
    return tuple(_record(folder, recipe, row) for row in kept)


def _record(folder: Path, recipe: OutlineRecipe, row: dict[str, str]) -> OutlineRecord:
    rule = recipe.data
    return OutlineRecord(
        set=folder.name,
        id=row["id"],
        file=folder / row["file"],
        split=row["split"],
        patient=row["patient"],
        mask=folder / row[rule.mask] if row[rule.mask] else None,
        truth=rule.targets.get(row[rule.answer]) if rule.answer else None,
        spacing=spacing_of(row.get("spacing_mm", "")),
        slice=int(row[rule.neighbours]) if rule.neighbours else None,
        columns=row,
    )


def spacing_of(text: str) -> tuple[float, float] | None:
    """`spacing_mm` of a manifest, one number or `row x column`, as row and column in mm; None where it is empty."""
    parts = [float(part) for part in text.lower().split("x") if part.strip()]
    return None if not parts else (parts[0], parts[-1])


def structures_of(mask: NDArray[np.uint8], rules: Sequence[StructureRule]) -> MaskArray:
    """The structures of a stored mask: bool `[H, W, K]`.

    A part of a value without a side belongs to the structure on whose half of the picture its centre lies.
    """
    out = np.zeros((*mask.shape, len(rules)), np.bool_)
    for k, rule in enumerate(rules):
        out[..., k] = np.isin(mask, rule.values) if rule.values or rule.sideless else mask > 0
        if rule.sideless:
            count, parts, _, centres = cv2.connectedComponentsWithStats(np.isin(mask, rule.sideless).astype(np.uint8))
            for part in range(1, count):
                half = "left" if centres[part][0] < mask.shape[1] / 2 else "right"
                out[..., k] |= (parts == part) & (half == rule.side)
    return out


def read_mask(record: OutlineRecord, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The stored mask `[H, W]` of a record, zeros where it has none; palette entries as they are.

    Raises:
        UnreadableImage: it is missing or not of its image's size.
    """
    if record.mask is None:
        return np.zeros(shape, np.uint8)
    try:
        # OpenCV would turn palette entries into grey levels.
        stored = np.asarray(Pillow.open(record.mask)).astype(np.uint8)
    except OSError as error:
        raise UnreadableImage("A mask that the manifest names cannot be read.", "Check the column mask.") from error
    if stored.shape != shape:
        raise UnreadableImage("A mask is not of its image's size.", "Check the column mask.")
    return stored


@dataclass(frozen=True, slots=True, eq=False)
class OutlineFilms:
    """Films on the network's grid.

    Attributes:
        grids: uint8 `[N, H, W, C]`.
        places: uint8 `[N, H, W, K]`, 255 where a pixel lies wholly inside a structure.
        known: bool `[N, K]`, whether a structure was outlined in the film at all.
        beside: int `[N, 2]`, index of the slices before and after; the film itself at the ends.
    """

    records: tuple[OutlineRecord, ...]
    grids: NDArray[np.uint8]
    places: NDArray[np.uint8]
    known: NDArray[np.bool_]
    beside: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.records)


def load_outlines(
    records: Sequence[OutlineRecord], recipe: OutlineRecipe, progress: Progress, cache: Path | None = None
) -> OutlineFilms:
    """Lower every film and its structures to the grid; `cache` is a folder that keeps the arrays for the next time."""
    spec = replace(recipe.input, channels=3 if recipe.colour else 1)
    path = cache / f"outlines_{_key(records, recipe):08x}.npz" if cache else None
    if path is not None and path.is_file():
        with np.load(path) as stored:
            grids, places = stored["grids"], stored["places"]
    else:
        grids = np.zeros((len(records), spec.height, spec.width, spec.channels), np.uint8)
        places = np.zeros((len(records), spec.height, spec.width, len(recipe.structures)), np.uint8)

        def lower(i: int) -> None:
            grid, geometry = grid_of(records[i].image(), spec, recipe.window_mm)
            grids[i] = np.rint(grid * 255).astype(np.uint8)
            if records[i].mask is not None:
                inside = structures_of(read_mask(records[i], geometry.source), recipe.structures)
                for k in range(inside.shape[-1]):
                    places[i, ..., k] = np.rint(geometry.lower(inside[..., k].astype(np.float32)) * 255)

        with ThreadPoolExecutor(2) as pool:
            for done, _ in enumerate(pool.map(lower, range(len(records))), start=1):
                if done % 200 == 0:
                    progress("Reading films", done / len(records))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, grids=grids, places=places)
    return OutlineFilms(tuple(records), grids, places, _known(records, recipe.structures), _beside(records))


def grid_of(image: Image, spec: InputSpec, window_mm: float) -> tuple[NDArray[np.float32], Geometry]:
    """A film on the network's grid: whole, or the square of `window_mm` round its centre."""
    if not window_mm:
        return model_grid(image, spec)
    rows, columns = image.shape
    return model_grid(image, spec, window_round(image, (rows / 2, columns / 2), window_mm))


def _known(records: Sequence[OutlineRecord], rules: Sequence[StructureRule]) -> NDArray[np.bool_]:
    def outlined(record: OutlineRecord, rule: StructureRule) -> bool:
        return all(record.columns.get(column) in values for column, values in rule.where.items())

    return np.array([[outlined(r, rule) for rule in rules] for r in records], np.bool_)


def _beside(records: Sequence[OutlineRecord]) -> NDArray[np.intp]:
    where = {(r.patient, r.slice): i for i, r in enumerate(records) if r.slice is not None}
    found = [
        [i if r.slice is None else where.get((r.patient, r.slice + step), i) for step in (-1, 1)]
        for i, r in enumerate(records)
    ]
    return np.array(found, np.intp).reshape(-1, 2)


def _key(records: Sequence[OutlineRecord], recipe: OutlineRecipe) -> int:
    key = zlib.crc32(repr((recipe.input, recipe.structures, recipe.window_mm, recipe.colour)).encode())
    for r in records:
        key = zlib.crc32(f"{r.file}{r.mask}{r.file.stat().st_mtime_ns}".encode(), key)
    return key


def split_of(records: Sequence[OutlineRecord], name: str) -> tuple[OutlineRecord, ...]:
    """The records of one split."""
    return tuple(r for r in records if r.split == name)
