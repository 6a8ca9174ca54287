"""Demo cases: synthetic images that the project made, opened by one click. They show no patient."""

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
    """One demo case: its files, the words below its thumbnail, its heading, and whether the files are whole."""

    paths: tuple[Path, ...]
    title: str
    group: str = ""
    whole: bool = True

    @property
    def key(self) -> str:
        """Names the case on the page."""
        return self.paths[0].stem


def demos(folder: Path | None = None) -> tuple[Demo, ...]:
    """The demo cases of `cases.toml` in its order, then files that it does not name.

    A table's `files`, or the file of its own name, make one case; `title`, `group` and `kind` are told besides.
    """
    base = folder or models_folder() / "demo_cases"
    table = base / "cases.toml"
    told = tomllib.loads(table.read_text(encoding="utf-8")) if table.is_file() else {}
    named = [_demo(base, stem, entry) for stem, entry in told.items()]
    known = {path for case in named for path in case.paths}
    rest = [_demo(base, path.stem, {}) for path in sorted(base.glob("*.dcm")) if path not in known]
    return tuple(case for case in (*named, *rest) if all(path.is_file() for path in case.paths))


def _demo(base: Path, stem: str, told: dict[str, Any]) -> Demo:
    paths = tuple(base / str(name) for name in told.get("files", [f"{stem}.dcm"]))
    title = str(told.get("title", stem.replace("_", " ").capitalize()))
    return Demo(paths, title, str(told.get("group", "")), told.get("kind") != "damaged")


def groups(cases: tuple[Demo, ...]) -> tuple[str, ...]:
    """The headings in their order; cases without one stand under the first."""
    return tuple(dict.fromkeys(case.group for case in cases if case.group))


def of_group(cases: tuple[Demo, ...], group: str | None) -> tuple[Demo, ...]:
    """The cases under a heading; those of the first where it is none of them, all where there are no headings."""
    known = groups(cases)
    if not known:
        return cases
    wanted = group if group in known else known[0]
    return tuple(case for case in cases if (case.group or known[0]) == wanted)


def open_demo(demo: Demo) -> Reading:
    """Read a demo case like any other files."""
    return read([path.read_bytes() for path in demo.paths])


@lru_cache(maxsize=32)
def thumbnail(path: Path) -> bytes:
    """The image in small on black, uint8 `THUMB`; black where the file cannot be read."""
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
