"""A manifest of drawn films with masks: 1 where a field is, 2 where the blob is (see `tests/make_tiny_outlines.py`)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from model_folder import film_masks, film_pixels

STRENGTHS = (0.4, 0.0, 0.3, 0.45, 0.0, 0.35)


def outlined_films(folder: Path, *, patients: int = 3, spacing: str = "0.8") -> Path:
    """Six films of some patients; returns `manifest.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["id,file,split,patient,mask,spacing_mm"]
    for i, strength in enumerate(STRENGTHS):
        seed = 40_000 + i
        masks = film_masks(seed, strength)
        cv2.imwrite(str(folder / f"f{i}.png"), film_pixels(seed, strength)[0].astype(np.uint8))
        drawn = masks["lungs"].astype(np.uint8)
        drawn[masks["lesion"]] = 2
        cv2.imwrite(str(folder / f"m{i}.png"), drawn)
        lines.append(f"f{i},f{i}.png,test,p{i % patients},m{i}.png,{spacing}")
    (folder / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "manifest.csv"
