"""From manifests to records, and from records to one array of films on the network's grid.

Nothing of an image's name, size or shape reaches the network: films are lowered to the grid by `imaging.model_grid`,
the same function that the app uses, and kept as 8-bit grey (or RGB) levels that augmentation starts from.
"""

from __future__ import annotations

import csv
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.errors import BadTable, UnreadableImage
from medimg_core.imaging import Geometry, model_grid
from medimg_core.training.recipe import DataRule
from medimg_core.types import Image, InputSpec

Progress = Callable[[str, float], None]
"""Called with what is being done and the share done, 0 to 1; may raise `Cancelled`."""

_NEEDED = ("id", "file", "patient")


@dataclass(frozen=True, slots=True)
class Record:
    """One film of a manifest.

    Attributes:
        target: in [0, 1] for a yes/no question, else the number of the kind or grade; None where neither truth nor weak
            target is known.
        truth: whether the target is the truth (and not a weak guess from text).
        label: the value of the truth's column.
        mask: file of the mask, relative to nothing; None without one.
        boxes: `(x0, y0, x1, y1)` in stored pixels, of the rule's `box_label`.
        columns: the row as it stands in the manifest, for subgroups and the shortcut audit.
    """

    set: str
    id: str
    file: Path
    split: str
    patient: str
    target: float | None
    weight: float
    truth: bool
    label: str
    mask: Path | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    view: str = ""
    sex: str = ""
    age: float | None = None
    shape: tuple[int, int] | None = None
    columns: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def positive(self) -> bool:
        """Whether the target leans to the positive class; of kinds and grades, whether it is not the first."""
        return self.target is not None and self.target >= 0.5

    @property
    def index(self) -> int:
        """The number of the class, kind or grade that the target leans to."""
        return int((self.target or 0.0) + 0.5)

    def value(self, name: str) -> str:
        """What the manifest says in a column; empty where it says nothing."""
        return str(self.columns.get(name, getattr(self, name, "")) or "")


def read_manifest(folder: Path, rule: DataRule, seed: int = 0) -> tuple[Record, ...]:
    """All rows of `folder/manifest.csv` that a rule gives a target.

    Without a column `split` patients are divided 70 : 15 : 15 by the seed; without a column `patient` every film
    counts as a patient of its own.

    Raises:
        BadTable: no manifest, no rows, a missing column, an unreadable value, or a patient in two splits.
    """
    path = folder / "manifest.csv"
    if not path.is_file():
        raise BadTable(f"The folder {folder.name!r} holds no manifest.csv.", "Give a folder with a manifest in it.")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        raise BadTable("The manifest has no rows.", "Give it a row for every image.")
    if "patient" not in rows[0] and "id" in rows[0]:
        rows = [{**row, "patient": row["id"]} for row in rows]
    missing = [name for name in (*_NEEDED, rule.column) if name not in rows[0]]
    if missing:
        raise BadTable(
            f"The manifest lacks the column {', '.join(missing)}.",
            f"It needs id, file, patient and {rule.column}; split is made from the patients when it is missing.",
        )
    if "split" not in rows[0]:
        split = split_patients([row["patient"] for row in rows], seed)
        rows = [{**row, "split": split[row["patient"]]} for row in rows]
    records = tuple(_record(folder, rule, row) for row in rows)
    _check_patients(records)
    usable = tuple(record for record in records if record.target is not None and not _left_out(record, rule))
    if not usable:
        raise BadTable(
            f"No value of the column {rule.column} is one that the recipe knows.",
            f"It knows {', '.join(rule.targets)}.",
        )
    return usable


def _record(folder: Path, rule: DataRule, row: dict[str, str]) -> Record:
    value = (row[rule.column] or "").strip()
    truth = value in rule.targets
    target = rule.targets.get(value)
    weight = 1.0
    if not truth and not value and rule.weak_column and row.get("split") == "train":
        target, weight = rule.weak_targets.get(row.get(rule.weak_column, "")), rule.weak_weight
    try:
        boxes = json.loads(row.get("boxes") or "[]") if rule.box_label else []
        age = float(row["age"]) if row.get("age") else None
        shape = (int(row["height"]), int(row["width"])) if row.get("width") and row.get("height") else None
    except ValueError as error:
        raise BadTable(
            "A value in the columns boxes, age, width or height cannot be read.", "Correct the manifest."
        ) from error
    return Record(
        set=folder.name,
        id=row["id"],
        file=folder / row["file"],
        split=row["split"],
        patient=row["patient"],
        target=target,
        weight=weight,
        truth=truth,
        label=value,
        mask=folder / row[rule.mask] if rule.mask and row.get(rule.mask) else None,
        boxes=tuple((b[0], b[1], b[2], b[3]) for b in boxes if rule.box_label in ("*", b[4])),
        view=row.get("view", ""),
        sex=row.get("sex", ""),
        age=age,
        shape=shape,
        columns=row,
    )


def _left_out(record: Record, rule: DataRule) -> bool:
    return record.split == "train" and any(record.columns.get(c) in values for c, values in rule.leave_out.items())


def _check_patients(records: Sequence[Record]) -> None:
    seen: dict[str, str] = {}
    for record in records:
        if seen.setdefault(record.patient, record.split) != record.split:
            raise BadTable(
                "A patient has images in two splits, so that the test would know the patient.",
                "Give all images of a patient the same split, or leave the column split out.",
            )


def split_patients(patients: Sequence[str], seed: int) -> dict[str, str]:
    """Divide patients 70 : 15 : 15 into train, val and test: all films of a patient go together, seeded."""
    unique = sorted(set(patients))
    order = np.random.default_rng(seed).permutation(len(unique))
    held = max(1, round(0.15 * len(unique)))
    names = ["test"] * held + ["val"] * held
    return {unique[i]: names[k] if k < len(names) else "train" for k, i in enumerate(order)}


def data_hash(records: Sequence[Record]) -> str:
    """sha256 of the ids, targets and file bytes of some records, the same whatever the order or the folder."""
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda r: (r.set, r.id)):
        digest.update(f"{record.set}/{record.id}/{record.target}/".encode())
        digest.update(hashlib.sha256(record.file.read_bytes()).digest())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """Films on the network's grid.

    Attributes:
        records: one a film.
        grids: uint8 `[N, H, W, C]`, C is 1 for grey films and 3 for colour.
        masks: uint8 `[N, H, W]`, 1 inside; all zero where the film has no mask.
        masked: bool `[N]`, whether the film has a mask.
    """

    records: tuple[Record, ...]
    grids: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    masked: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.records)

    def take(self, keep: Callable[[Record], bool]) -> Films:
        """The films whose record passes; a copy."""
        index = np.array([i for i, record in enumerate(self.records) if keep(record)], np.intp)
        return Films(tuple(self.records[i] for i in index), self.grids[index], self.masks[index], self.masked[index])

    @property
    def targets(self) -> NDArray[np.float32]:
        """float32 `[N]`."""
        return np.array([record.target for record in self.records], np.float32)


def read_image(path: Path) -> Image:
    """A picture file as an `Image`, without the checks of `io`: for training on files that one has chosen oneself.

    Raises:
        UnreadableImage: the file is missing or no picture.
    """
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) if path.is_file() else None
    if pixels is None:
        raise UnreadableImage("An image that the manifest names cannot be read.", "Check the column file.")
    return Image(np.asarray(pixels, np.uint8), "RGB", digest="")


def load_films(
    records: Sequence[Record], spec: InputSpec, progress: Progress, cache: Path | None = None, grey: bool = True
) -> Films:
    """Lower every film, and its mask or boxes, to the network's grid.

    Args:
        records: what to read.
        spec: the network's input.
        progress: told the share done.
        cache: folder for the arrays; a later call with the same records and grid reads them from there.
        grey: keep one channel.
    """
    one = replace(spec, channels=1 if grey else 3)
    path = cache / f"films_{_cache_key(records, one)}.npz" if cache else None
    if path is not None and path.is_file():
        with np.load(path) as stored:
            return Films(tuple(records), stored["grids"], stored["masks"], stored["masked"])
    grids = np.zeros((len(records), one.height, one.width, one.channels), np.uint8)
    masks = np.zeros((len(records), one.height, one.width), np.uint8)

    def lower(i: int) -> None:
        grid, geometry = model_grid(read_image(records[i].file), one)
        grids[i] = np.rint(grid * 255).astype(np.uint8)
        masks[i] = _mask(records[i], geometry)

    with ThreadPoolExecutor(2) as pool:
        for done, _ in enumerate(pool.map(lower, range(len(records))), start=1):
            if done % 200 == 0:
                progress("Reading films", done / len(records))
    masked = np.array([r.mask is not None or bool(r.boxes) for r in records], np.bool_)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, grids=grids, masks=masks, masked=masked)
    return Films(tuple(records), grids, masks, masked)


def _cache_key(records: Sequence[Record], spec: InputSpec) -> str:
    key = zlib.crc32(repr(spec).encode())
    for r in records:
        key = zlib.crc32(f"{r.file}{r.mask}{r.boxes}{r.file.stat().st_mtime_ns}".encode(), key)
    return f"{key:08x}"


def _mask(record: Record, geometry: Geometry) -> NDArray[np.uint8]:
    """The film's mask, or its boxes filled, on the network's grid; 1 where at least half of the pixel is inside."""
    source = np.zeros(geometry.source, np.float32)
    if record.mask is not None:
        stored = cv2.imread(str(record.mask), cv2.IMREAD_GRAYSCALE)
        if stored is None or stored.shape != geometry.source:
            raise UnreadableImage("A mask is missing or not of its image's size.", "Check the column mask.")
        source = (stored > 0).astype(np.float32)
    for x0, y0, x1, y1 in record.boxes:
        source[round(y0) : round(y1), round(x0) : round(x1)] = 1
    return (geometry.lower(source) >= 0.5).astype(np.uint8)


def draw_weights(records: Sequence[Record], rule: DataRule) -> NDArray[np.float64]:
    """Probability with which each record is drawn: rarer combinations of `rule.balance` oftener; sums to 1.

    With a power of 0.7 a combination of share s gets a share proportional to s^0.3: nearly even, without showing the
    films of a rare one very often. The same as class weights in expectation, but every batch stays mixed.
    """
    keys = [tuple(str(r.index) if name == "target" else r.value(name) for name in rule.balance) for r in records]
    count: dict[tuple[str, ...], int] = {}
    for key in keys:
        count[key] = count.get(key, 0) + 1
    weights = np.array([(count[key] / len(keys)) ** -rule.balance_power for key in keys])
    return np.asarray(weights / weights.sum(), np.float64)
