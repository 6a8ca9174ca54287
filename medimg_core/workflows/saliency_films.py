"""Films of a manifest with what is drawn on them: boxes or masks that a map should point at."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pictures

from medimg_core.catalog import ModelCard
from medimg_core.errors import BadTable, UnreadableImage
from medimg_core.types import MaskArray
from medimg_core.workflows.manifest import label_classes


@dataclass(frozen=True, slots=True)
class Film:
    """One row of a manifest.

    Attributes:
        boxes: `(x0, y0, x1, y1)` in stored pixels.
        mask: file of the mask, on the film's own grid.
        truth: what is drawn (`opacity boxes`, `lung mask`); empty where nothing is.
        target: the class whose evidence is looked for; the card's positive one where empty.
    """

    id: str
    file: Path
    patient: str
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    mask: Path | None = None
    truth: str = ""
    target: str = ""


def read_films(
    manifest: Path, split: str, card: ModelCard, *, label: str = "label", mask_name: str | None = None
) -> tuple[Film, ...]:
    """The films of a split, with the truth that is drawn on them and the class that is explained.

    A film labelled positive (of grades: at least the first positive one; of several kinds any known class, which is
    then its target) has its mask for truth, else its boxes. Boxes are truth by themselves, whatever the label. Those
    named `source:finding` are left out, because such sources mark a part of what is there only; `boxes` in the card's
    `[text.saliency]` lists the names that count.

    Args:
        mask_name: what the masks outline; None takes `mask` of `[text.saliency]`, or says `lung mask` for models of
            chest films and `outline` for others.

    Raises:
        BadTable: the manifest is missing, or lacks a column, or has no film in the split.
    """
    if not manifest.is_file():
        raise BadTable("The manifest does not exist.", "Give the path of a CSV file with the columns id, file, split.")
    with manifest.open(newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.DictReader(stream) if row.get("split") == split]
    if not rows:
        raise BadTable(f"The manifest has no film in the split {split!r}.", "Name a value of its column split.")
    lacking = [name for name in ("id", "file") if name not in rows[0]]
    if lacking:
        raise BadTable(f"The manifest lacks the column {', '.join(lacking)}.", "Add it, or name another manifest.")
    settings = card.text.get("saliency", {})
    outlined = mask_name or settings.get("mask") or ("lung mask" if "chest_frontal" in card.takes else "outline")
    classes = label_classes(card.class_ids, card.label_map, numbered=card.form == "grade")
    films = []
    for row in rows:
        kind = classes.get(row.get(label, "").casefold())
        boxes, named = _boxes(row.get("boxes") or "[]", settings.get("boxes"))
        mask = manifest.parent / row["mask"] if _marked(card, kind) and row.get("mask") else None
        truth = outlined if mask else f"{named} boxes" if boxes else ""
        file = manifest.parent / row["file"]
        target = kind or "" if card.form == "one_of" else ""
        films.append(Film(row["id"], file, row.get("patient") or row["id"], boxes, mask, truth, target))
    return tuple(films)


def _marked(card: ModelCard, kind: str | None) -> bool:
    """Whether a film's mask shows what the target's map should point at."""
    if kind is None:
        return False
    number = card.class_ids.index(kind)
    return {"yes_no": number == card.positive, "one_of": True, "grade": number >= card.positive}[card.form]


def _boxes(text: str, names: Collection[str] | None) -> tuple[tuple[tuple[float, float, float, float], ...], str]:
    """The boxes of a cell that count, and what they are named; `names` None counts all without a source."""
    try:
        kept = [box for box in json.loads(text) if (":" not in box[4] if names is None else box[4] in names)]
        boxes = tuple((float(b[0]), float(b[1]), float(b[2]), float(b[3])) for b in kept)
        return boxes, " and ".join(sorted({b[4] for b in kept}))
    except (ValueError, TypeError, IndexError) as error:
        raise BadTable(
            "A value in the column boxes cannot be read.", "Write boxes as [[x0, y0, x1, y1, label], ...]."
        ) from error


def truth_mask(film: Film, shape: tuple[int, int]) -> MaskArray:
    """What is drawn on a film, bool `[H, W]` on its own grid.

    Raises:
        UnreadableImage: the mask is missing or has not the film's size.
    """
    if film.mask is None:
        inside = np.zeros(shape, np.bool_)
        for x0, y0, x1, y1 in film.boxes:
            inside[max(round(y0), 0) : round(y1), max(round(x0), 0) : round(x1)] = True
        return inside
    try:
        with Pictures.open(film.mask) as picture:
            inside = np.asarray(picture) > 0
    except OSError as error:
        raise UnreadableImage("A mask of the manifest cannot be read.", "Check the column mask.") from error
    if inside.shape != shape:
        raise UnreadableImage("A mask of the manifest has not the size of its film.", "Check the column mask.")
    return inside
