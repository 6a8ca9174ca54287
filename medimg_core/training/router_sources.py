"""The pictures that the router learns from: every set beside the checkout, read once, kept small."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.errors import BadTable
from medimg_core.imaging import model_grid
from medimg_core.training.data import Record, read_image
from medimg_core.types import Image, InputSpec

CACHE = 192
"""Side of the squashed pictures in memory: half as large again as the network's input, so that crops stay sharp."""

_BLANK = 3.0
"""A slice that deviates by fewer levels than this shows hardly anything."""

FILMS = ("chest_xray_children", "chest_xray_adults", "lung_fields")
SETS: Mapping[str, str] = {
    "bone_fracture": "bone_film",
    "mammography": "mammogram",
    "lung_ct_cancer": "lung_ct",
    "lung_nodule": "lung_nodule_patch",
    "brain_ct_haemorrhage": "head_ct",
    "brain_tumour_type": "brain_mr_t1c",
    "brain_tumour_outline": "brain_mr_sequences",
    "breast_ultrasound": "breast_ultrasound",
    "cardiac_ultrasound": "cardiac_ultrasound",
    "fetal_head": "fetal_ultrasound",
    "fundus_glaucoma": "fundus",
    "fundus_lesions": "fundus",
    "fundus_retinopathy": "fundus",
}
"""Data set -> class of all its pictures."""

_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("photo", "photo_object", "photo_grey", "photo_negative", "texture", "abstract"), "photo"),
    **dict.fromkeys(("screenshot", "text_page", "drawing", "diagram", "chart", "pattern"), "document"),
}
_OTHER_MODEL = (("X-ray", "bone_film"), ("mammogram", "mammogram"), ("CT skull", "head_ct"))
"""Rows of `not_medical` with the label `other_model`: words of `what` -> the kind that one of our models takes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One picture of a manifest and the class that it stands for."""

    data_set: str
    id: str
    path: Path
    label: str
    patient: str
    kind: str = ""
    mask: Path | None = None
    view: str = ""

    def record(self, split: str) -> Record:
        """The same as a training record, for provenance."""
        return Record(self.data_set, self.id, self.path, split, self.patient, None, 1.0, False, self.label)


@dataclass(slots=True, eq=False)
class Shelf:
    """Pictures of one class in one set: uint8 `[CACHE, CACHE]` or `[CACHE, CACHE, 3]`, and lung masks where known.

    `masks[i]` is bool `[CACHE / 4, CACHE / 4]` or None.
    """

    data_set: str
    label: str
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    masks: list[NDArray[np.bool_] | None] = field(default_factory=list)


def rows(data: Path, split: str) -> Iterator[Row]:
    """All pictures of a split, films first, in the order of the manifests.

    The table `not_medical` holds three sets in one: `not_medical`, `other_medical` (organs that no model here takes)
    and `other_model` (pictures of a kind that one of our models takes, from elsewhere).

    Raises:
        BadTable: a set is missing.
    """
    for data_set in (*FILMS, *SETS, "not_medical"):
        manifest = data / data_set / "manifest.csv"
        if not manifest.is_file():
            raise BadTable(f"The data set {data_set} is missing.", "Give the folder that holds all data sets.")
        with manifest.open(newline="", encoding="utf-8") as lines:
            for line in csv.DictReader(lines):
                if line["split"] == split:
                    yield _row(data, data_set, line)


def _row(data: Path, data_set: str, line: Mapping[str, str]) -> Row:
    folder = data / data_set
    label, kind = SETS.get(data_set, "chest_frontal"), data_set
    if data_set == "not_medical":
        if line["label"] == "other_model":
            data_set, kind = "other_model", line["what"]
            label = next(name for words, name in _OTHER_MODEL if words in kind)
        else:
            data_set = line["label"]
            kind = line["kind"] if data_set == "not_medical" else line["what"]
            label = _KINDS.get(line["kind"], "other_medical")
    mask = folder / line["mask"] if data_set in FILMS and line.get("mask") else None
    # Without a patient id every picture counts as its own.
    patient = f"{data_set}:{line['patient'] or line['id']}"
    return Row(data_set, line["id"], folder / line["file"], label, patient, kind, mask, line.get("view", ""))


def shrink(image: Image) -> NDArray[np.uint8]:
    """Display values squashed to `CACHE` pixels: uint8 `[CACHE, CACHE]` for grey pictures, else `[.., .., 3]`."""
    grid, _ = model_grid(image, InputSpec(CACHE, CACHE, channels=3))
    small = np.asarray(np.rint(grid * 255), np.uint8)
    grey = bool((small[..., 0] == small[..., 1]).all() and (small[..., 0] == small[..., 2]).all())
    return np.ascontiguousarray(small[..., 0]) if grey else small


def load(data: Path, split: str, cap: int, seed: int) -> list[Shelf]:
    """Read a split into memory, at most `cap` pictures of a set, drawn without replacement.

    Films keep twice as many as others, because five classes are made from them. Blank slices of a known kind (the
    outermost of a volume) are left out: they teach nothing.
    """
    rng = np.random.default_rng(seed)
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in rows(data, split):
        grouped.setdefault((row.data_set, row.label), []).append(row)
    shelves = []
    for (data_set, label), members in grouped.items():
        most = cap * (2 if data_set in FILMS else 1)
        chosen = members if len(members) <= most else [members[i] for i in rng.permutation(len(members))[:most]]
        shelf = Shelf(data_set, label)
        for row in chosen:
            small = shrink(read_image(row.path))
            if small.std() < _BLANK and label not in ("photo", "document", "other_medical"):
                continue
            shelf.pictures.append(small)
            shelf.masks.append(lung_mask(row))
        shelves.append(shelf)
    return shelves


def lung_mask(row: Row) -> NDArray[np.bool_] | None:
    """The outlined lungs, squashed to a quarter of `CACHE`; None where nobody outlined them.

    In `lung_fields` the palette values 1, 2 and 4 are lung and 3 is the heart; elsewhere any value is lung.
    """
    if row.mask is None or not row.mask.is_file():
        return None
    from PIL import Image as Pillow  # palette masks: OpenCV would turn the indices into grey levels

    with Pillow.open(row.mask) as opened:
        values = np.asarray(opened)
    lung = np.isin(values, (1, 2, 4)) if row.data_set == "lung_fields" else values > 0
    side = CACHE // 4
    return np.asarray(cv2.resize(lung.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) > 0.5)
