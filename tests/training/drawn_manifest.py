"""Drawn films and manifests of one's own for the tests of training."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np


def draw_film(seed: int, positive: bool, size: tuple[int, int] = (60, 72)) -> tuple[np.ndarray, np.ndarray]:
    """uint8 `[H, W]` and the mask of both lungs, 0/255."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    lungs = np.zeros(size, bool)
    for side in (0.3, 0.7):
        lungs |= ((columns / size[1] - side) / 0.18) ** 2 + ((rows / size[0] - 0.5) / 0.36) ** 2 < 1
    film = np.where(lungs, 70.0, 180.0) + rng.normal(0, 8, size)
    if positive:
        y, x = 0.5 * size[0], rng.choice((0.3, 0.7)) * size[1]
        film += 120 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 60)
    return np.clip(film, 0, 255).astype(np.uint8), lungs.astype(np.uint8) * 255


def write_manifest(folder: Path, rows: list[dict[str, object]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
