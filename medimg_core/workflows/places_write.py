"""What `evaluate` writes of places: a line an image, regions, masks."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from medimg_core.catalog import ModelCard
from medimg_core.types import Region
from medimg_core.workflows.places_figures import Film
from medimg_core.workflows.predictions import Line, cells, header

DICE, TRUE, FOUND = "dice_", "true_px_", "found_px_"
"""Before a structure's name: columns of `predictions.csv`; empty where it was not outlined in truth, or not asked."""

_BARE = ("id", "status", "reason", "patient", "population")
"""Columns of a model that gives no answer."""


class PlacesWriter:
    """Writes films as they come; `regions.json` and the columns of measurements are complete when it closes.

    Args:
        out: folder; nothing is written where None.
    """

    def __init__(self, out: Path | None, card: ModelCard) -> None:
        assert card.places is not None
        self._out, self._card = out, card
        boxes = card.places.kind == "boxes"
        self._structures = () if boxes else tuple(s.id for s in card.places.structures)
        self._threshold = card.places.structures[0].threshold if boxes else 0.0
        self._at_least = card.class_ids[card.positive] if card.form == "grade" else ""
        self._rows: list[tuple[list[str], Film]] = []
        self._regions: dict[str, list[dict[str, Any]]] = {}
        self._names: set[str] = set()

    def __enter__(self) -> Self:
        if self._out is not None:
            self._out.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the tables, also where the work was stopped: what was finished is kept."""
        if self._out is None:
            return
        measures = sorted({name for _, film in self._rows for name in film.measured})
        with (self._out / "predictions.csv").open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file)
            further = [start + name for name in self._structures for start in (DICE, TRUE, FOUND)]
            first = header(self._card.class_ids, self._at_least) if self._card.answers else list(_BARE)
            writer.writerow([*first, *further, *measures])
            for line, film in self._rows:
                said = [repr(film.measured[n].value) if n in film.measured else "" for n in measures]
                writer.writerow([*line, *self._agreement(film), *said])
        content = json.dumps(self._regions, indent=1, ensure_ascii=False) + "\n"
        (self._out / "regions.json").write_text(content, encoding="utf-8")

    def write(self, film: Film, line: Line, regions: Sequence[Region]) -> None:
        """Note a film, and write its masks."""
        if self._out is None:
            return
        shown = cells(line, self._card.class_ids, self._at_least) if self._card.answers else self._bare(line)
        self._rows.append((shown, film))
        self._regions[film.row.id] = [self._region(film.row.id, region) for region in regions]

    def _bare(self, line: Line) -> list[str]:
        return [line.id, line.status, line.reason, line.patient, line.population]

    def _agreement(self, film: Film) -> list[str]:
        found = []
        for name in self._structures:
            row = film.agreement.get(name)
            if row is None:
                found += ["", "", ""]
            else:
                answered = film.status == "ok"
                found += [repr(row.dice) if answered else "", str(row.true), str(row.found) if answered else ""]
        return found

    def _region(self, identifier: str, region: Region) -> dict[str, Any]:
        told: dict[str, Any] = {
            "kind": region.kind,
            "label": region.label,
            "score": region.score,
            "box": None if region.box is None else list(region.box),
            "mask": None,
        }
        if region.kind == "box":
            return {**told, "shown": region.score >= self._threshold}
        if region.mask is not None and self._out is not None:
            told["mask"] = f"masks/{self._name(identifier, region.label)}"
            folder = self._out / "masks"
            folder.mkdir(exist_ok=True)
            cv2.imwrite(str(self._out / told["mask"]), region.mask.astype(np.uint8) * np.uint8(255))
        return told

    def _name(self, identifier: str, label: str) -> str:
        """`<id>.<label>.png`; an id that is no file name loses what cannot stand in one, and none is used twice."""
        stem = re.sub(r"[^\w.+-]", "_", identifier).lstrip(".") or "image"
        name, number = f"{stem}.{label}.png", 1
        while name.casefold() in self._names:
            number += 1
            name = f"{stem}.{number}.{label}.png"
        self._names.add(name.casefold())
        return name
