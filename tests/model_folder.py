"""Small model folders and synthetic films for tests: `tests/data/tiny_model` and `tests/data/tiny_baseline`.

`tiny_model` has a pooled head, `tiny_baseline` a flattened one; both were trained for seconds, by
`tests/make_tiny_model.py`, to find a bright blob on a drawn film. No figure of theirs says anything about patients.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np

from medimg_core.types import FloatArray, Image, MaskArray

MODELS = Path(__file__).resolve().parent / "data"
"""The folder that holds both; set `MEDIMG_MODELS` to it."""

TINY_MODEL = MODELS / "tiny_model"
TINY_BASELINE = MODELS / "tiny_baseline"

KINDS = {"clear": 0.0, "bright": 0.35, "dark": -0.3}
GRADES = {"none": 0.0, "slight": 0.12, "marked": 0.22, "heavy": 0.4}
"""Class of `tiny_kinds`, of `tiny_grades` -> strength of the blob on the drawn films."""

FORMS = Path(__file__).resolve().parent / "data_forms"
"""The folder with `tiny_kinds` (one of several kinds) and `tiny_grades` (grades and a statement).

`tests/make_tiny_forms.py` makes it.
"""

OUTLINES = Path(__file__).resolve().parent / "data_outlines"
"""The folder with `tiny_outline`, which `tests/make_tiny_outlines.py` makes."""

TINY_OUTLINE = OUTLINES / "tiny_outline"
"""Outlines the fields (`lungs`) and the blob (`lesion`) of drawn films, and measures the blob; gives no answer."""

BOXES = Path(__file__).resolve().parent / "data_boxes"
"""The folder with `tiny_boxes`, which `tests/make_tiny_boxes.py` makes."""

TINY_BOXES = BOXES / "tiny_boxes"
"""`tiny_model` with boxes round the blob (`lesion`) beside its answer: fit for use in children, not in adults."""


def film_pixels(seed: int, strength: float, size: tuple[int, int] = (180, 220)) -> tuple[FloatArray, tuple[int, int]]:
    """A drawn chest: two dark fields in a bright frame, noise, and a blob of `strength` in one of the fields.

    Returns:
        float32 `[H, W]` in 0 to 255, and the blob's centre (row, column).
    """
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    y, x = rows / size[0], columns / size[1]
    shift = draw.normal(0, 0.02, 2)
    film = np.full(size, 0.72, np.float32)
    for side in (0.3, 0.7):
        field = ((x - side - shift[0]) / 0.17) ** 2 + ((y - 0.5 - shift[1]) / 0.36) ** 2
        film -= 0.45 / (1 + np.exp(8 * (field - 1)))
    centre = draw.uniform(0.3, 0.7), draw.choice((0.3, 0.7)) + draw.uniform(-0.06, 0.06)
    film += strength * np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * 0.06**2)).astype(np.float32)
    film += draw.normal(0, 0.04, size).astype(np.float32)
    place = (int(centre[0] * size[0]), int(centre[1] * size[1]))
    return np.clip(film * 255, 0, 255).astype(np.float32), place


def film_masks(seed: int, strength: float, size: tuple[int, int] = (180, 220)) -> dict[str, MaskArray]:
    """What is true of `film_pixels`: bool `[H, W]` of both fields (`lungs`) and of the blob (`lesion`), which ends at
    half of its height; without strength there is none.
    """
    draw = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    y, x = rows / size[0], columns / size[1]
    shift = draw.normal(0, 0.02, 2)
    fields = [((x - side - shift[0]) / 0.17) ** 2 + ((y - 0.5 - shift[1]) / 0.36) ** 2 < 1 for side in (0.3, 0.7)]
    centre = draw.uniform(0.3, 0.7), draw.choice((0.3, 0.7)) + draw.uniform(-0.06, 0.06)
    near = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < 2 * np.log(2) * 0.06**2
    return {"lungs": fields[0] | fields[1], "lesion": near & (strength > 0)}


def synthetic_film(seed: int = 0, strength: float = 0.4, **attributes: object) -> Image:
    """A drawn film as `io` would give it: 0.4 shows a clear blob, 0.0 none, about 0.05 a doubtful one."""
    pixels, _ = film_pixels(seed, strength)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return Image(pixels=pixels, photometric="MONOCHROME2", digest=digest, format="PNG", synthetic=True, **attributes)


def copy_model(source: Path, folder: Path) -> Path:
    """A copy of a model folder that a test may damage."""
    return Path(shutil.copytree(source, folder))
