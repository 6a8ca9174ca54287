"""Demo cases: synthetic films that the project made, opened by one click. They show no patient."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medimg_core.catalog import models_folder
from medimg_core.imaging import to_display
from medimg_core.types import Image
from medimg_core.ui.reading import Reading, read

THUMB = (264, 316)
"""Rows and columns of a thumbnail: twice the size on the page, for dense screens."""


@dataclass(frozen=True, slots=True)
class Demo:
    """One demo case: its file, the words below its thumbnail, and whether the file is whole."""

    path: Path
    title: str
    whole: bool = True


def demos(folder: Path | None = None) -> tuple[Demo, ...]:
    """The demo cases in the order of their file names; `cases.toml` holds `title` and `kind` for each file stem."""
    base = folder or models_folder() / "demo_cases"
    table = base / "cases.toml"
    told = tomllib.loads(table.read_text(encoding="utf-8")) if table.is_file() else {}
    return tuple(_demo(path, told.get(path.stem, {})) for path in sorted(base.glob("*.dcm")))


def _demo(path: Path, told: dict[str, Any]) -> Demo:
    title = str(told.get("title", path.stem.replace("_", " ").capitalize()))
    return Demo(path, title, told.get("kind") != "damaged")


def open_demo(demo: Demo) -> Reading:
    """Read a demo case like any other file."""
    return read([demo.path.read_bytes()])


@lru_cache(maxsize=32)
def thumbnail(path: Path) -> bytes:
    """The film in small on black, uint8 `THUMB`; black where the file cannot be read."""
    images = read([path.read_bytes()]).study.images
    return _small(images[0]).tobytes() if images else bytes(THUMB[0] * THUMB[1])


def _small(image: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    shown = to_display(image)
    grey = shown if shown.ndim == 2 else shown.mean(axis=2)
    rows, columns = grey.shape
    scale = min(THUMB[0] / rows, THUMB[1] / columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    small = np.rint(cv2.resize(grey, size, interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)
    out = np.zeros(THUMB, np.uint8)
    top, left = (THUMB[0] - size[1]) // 2, (THUMB[1] - size[0]) // 2
    out[top : top + size[1], left : left + size[0]] = small
    return out
