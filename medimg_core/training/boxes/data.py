"""From a manifest with boxes to arrays of films and boxes on the network's grid."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medimg_core.errors import BadTable
from medimg_core.imaging import model_grid
from medimg_core.inference.boxes import to_model
from medimg_core.training.boxes.recipe import BoxRecipe
from medimg_core.training.data import Progress, read_image
from medimg_core.types import Image

Boxes = NDArray[np.float32]
"""`x0, y0, x1, y1` in pixels, float32 `[n, 4]`; x1 and y1 are the far edge."""

_NEEDED = ("id", "file", "split", "patient", "boxes")


@dataclass(frozen=True, slots=True)
class BoxRecord:
    """One film of a manifest; `boxes` are `(x0, y0, x1, y1)` in stored pixels, none where nothing is to be found."""

    set: str
    id: str
    file: Path
    split: str
    patient: str
    boxes: tuple[tuple[float, float, float, float], ...]
    columns: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def image(self) -> Image:
        """The picture."""
        return read_image(self.file)

    @property
    def truth(self) -> Boxes:
        """The boxes as an array, float32 `[n, 4]`."""
        return np.array(self.boxes, np.float32).reshape(-1, 4)


def read_boxes(data: Path, recipe: BoxRecipe) -> tuple[BoxRecord, ...]:
    """All rows of a recipe's manifest.

    Raises:
        BadTable: no manifest, a missing column, or boxes that are none.
    """
    folder = data / recipe.data.set
    path = folder / "manifest.csv"
    if not path.is_file():
        raise BadTable(f"The folder {folder.name!r} holds no manifest.csv.", "Give a folder with a manifest in it.")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    missing = [name for name in _NEEDED if not rows or name not in rows[0]]
    if missing:
        raise BadTable(f"The manifest lacks the column {', '.join(missing)}.", f"It needs {', '.join(_NEEDED)}.")
    return tuple(_record(folder, recipe.data.label, row) for row in rows)


def _record(folder: Path, label: str, row: dict[str, str]) -> BoxRecord:
    try:
        boxes = [(float(b[0]), float(b[1]), float(b[2]), float(b[3]), b[4]) for b in json.loads(row["boxes"] or "[]")]
    except (ValueError, TypeError, IndexError) as error:
        raise BadTable(
            f"The boxes of {row['id']!r} cannot be read.", "Write them as [[x0, y0, x1, y1, label], ...]."
        ) from error
    if any(not (x1 > x0 and y1 > y0) for x0, y0, x1, y1, _ in boxes):
        raise BadTable(f"A box of {row['id']!r} has no area.", "Give x0 < x1 and y0 < y1.")
    return BoxRecord(
        set=folder.name,
        id=row["id"],
        file=folder / row["file"],
        split=row["split"],
        patient=row["patient"],
        boxes=tuple(b[:4] for b in boxes if b[4] == label),
        columns=row,
    )


@dataclass(frozen=True, slots=True, eq=False)
class BoxFilms:
    """Films on the network's grid.

    Attributes:
        grids: uint8 `[N, H, W, 1]`.
        boxes: for every film float32 `[n, 4]` in pixels of the grid.
    """

    records: tuple[BoxRecord, ...]
    grids: NDArray[np.uint8]
    boxes: tuple[Boxes, ...]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def positive(self) -> NDArray[np.bool_]:
        """Whether there is anything to be found, `[N]`."""
        return np.array([len(b) > 0 for b in self.boxes], np.bool_)


def load_boxes(
    records: Sequence[BoxRecord], recipe: BoxRecipe, progress: Progress, cache: Path | None = None
) -> BoxFilms:
    """Lower every film and its boxes to the grid; `cache` is a folder that keeps the arrays for the next time."""
    spec = replace(recipe.input, channels=1)
    path = cache / f"boxes_{_key(records, recipe):08x}.npz" if cache else None
    if path is not None and path.is_file():
        with np.load(path) as stored:
            grids, flat, counts = stored["grids"], stored["flat"], stored["counts"]
        return BoxFilms(tuple(records), grids, tuple(np.split(flat, np.cumsum(counts)[:-1])))
    grids = np.zeros((len(records), spec.height, spec.width, 1), np.uint8)

    def lower(i: int) -> Boxes:
        grid, geometry = model_grid(records[i].image(), spec)
        grids[i] = np.rint(grid * 255).astype(np.uint8)
        return to_model(records[i].truth, geometry).astype(np.float32)

    boxes = []
    with ThreadPoolExecutor(2) as pool:
        for done, found in enumerate(pool.map(lower, range(len(records))), start=1):
            boxes.append(found)
            if done % 200 == 0:
                progress("Reading films", done / len(records))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, grids=grids, flat=np.concatenate(boxes), counts=np.array([len(b) for b in boxes]))
    return BoxFilms(tuple(records), grids, tuple(boxes))


def _key(records: Sequence[BoxRecord], recipe: BoxRecipe) -> int:
    key = zlib.crc32(repr(recipe.input).encode())
    for r in records:
        key = zlib.crc32(f"{r.file}{r.boxes}{r.file.stat().st_mtime_ns}".encode(), key)
    return key


def chosen(records: Sequence[BoxRecord], keep: Callable[[BoxRecord], bool]) -> tuple[BoxRecord, ...]:
    """The records that a rule keeps."""
    return tuple(r for r in records if keep(r))


def split_of(records: Sequence[BoxRecord], name: str) -> tuple[BoxRecord, ...]:
    """The records of one split."""
    return chosen(records, lambda r: r.split == name)
