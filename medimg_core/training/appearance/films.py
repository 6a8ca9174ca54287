"""Training films of one population: which rows of the manifests, read as display values, brought to one tone."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from medimg_core.errors import BadTable, UnreadableImage
from medimg_core.types import FloatArray

Row = Mapping[str, str]

QUANTILES = np.linspace(0, 1, 33)


@dataclass(frozen=True, slots=True)
class Population:
    """Films that one appearance model describes.

    Attributes:
        id: name in the tables of this package.
        folder: the data set's folder.
        chosen: which rows of its manifest belong here (split `train` is asked for apart).
        frame: rows and columns of the common frame in units; about 100 units span the chest.
        scale: pixels a unit in the finished film.
        uncovered: a source film may miss this share of the frame at one edge.
        crispness: gain of the edge enhancement at the smallest scale; films stored small and compressed bear little.
    """

    id: str
    folder: str
    chosen: Callable[[Row], bool]
    frame: tuple[int, int]
    scale: int
    uncovered: float
    crispness: float


def _clear_adult(row: Row) -> bool:
    return row["opacity"] == "no" or (not row["opacity"] and row["label"] == "no_finding")


POPULATIONS = {
    population.id: population
    for population in (
        Population("child_clear", "chest_xray_children", lambda r: r["label"] == "normal", (88, 112), 6, 0.03, 0.3),
        Population(
            "child_pneumonia", "chest_xray_children", lambda r: r["label"] == "pneumonia", (88, 112), 6, 0.03, 0.3
        ),
        Population(
            "adult_pa", "chest_xray_adults", lambda r: r["view"] == "PA" and _clear_adult(r), (112, 104), 7, 0.05, 0.7
        ),
        Population(
            "adult_ap", "chest_xray_adults", lambda r: r["view"] == "AP" and _clear_adult(r), (96, 112), 7, 0.08, 0.7
        ),
        Population(
            "adult_opacity",
            "chest_xray_adults",
            lambda r: r["opacity"] == "yes",
            (112, 104),
            7,
            1.0,
            0.7,
        ),
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """One training film: float32 `[H, W]` display values in [0, 1], and the row that describes it."""

    pixels: FloatArray
    row: Row

    @property
    def patient(self) -> str:
        """The patient's number in the data set."""
        return self.row["patient"]


def read_films(data: Path, population: Population) -> tuple[Film, ...]:
    """All films of the population in the split `train`.

    Raises:
        BadTable: there is no manifest, or no film of this population in it.
        UnreadableImage: a film that the manifest names cannot be read.
    """
    manifest = data / population.folder / "manifest.csv"
    if not manifest.is_file():
        raise BadTable(
            f"There is no manifest of the data set {population.folder!r}.",
            "Give the folder that holds the data sets with --data.",
        )
    with manifest.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "train" and population.chosen(row)]
    if not rows:
        raise BadTable(f"The data set {population.folder!r} has no training film of this kind.", "Check the manifest.")
    return tuple(Film(_read(manifest.parent / row["file"]), row) for row in rows)


def _read(path: Path) -> FloatArray:
    pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise UnreadableImage(f"The training film {path.name!r} cannot be read.", "Fetch the data set again.")
    return np.asarray(pixels, np.float32) / np.float32(255)


def tone_quantiles(pixels: FloatArray) -> FloatArray:
    """33 quantiles of the film's middle (an eighth is left off at each edge, where collimation differs most)."""
    rows, columns = pixels.shape
    middle = pixels[rows // 8 : rows - rows // 8 : 2, columns // 8 : columns - columns // 8 : 2]
    return np.quantile(middle, QUANTILES).astype(np.float32)


def common_tone(films: Sequence[Film]) -> FloatArray:
    """The mean quantile function of the films."""
    return np.asarray(np.mean([tone_quantiles(film.pixels) for film in films], axis=0), np.float32)


def match_tone(pixels: FloatArray, tone: FloatArray) -> FloatArray:
    """Give a film the quantiles `tone` by a rising piecewise linear curve through (0, 0) and (1, 1)."""
    own = tone_quantiles(pixels)
    # Equal quantiles (a saturated film) would make the curve jump: keep it rising by a hair.
    x = np.concatenate([[-1e-3], np.maximum.accumulate(own) + np.arange(len(own)) * 1e-6, [1.0 + 1e-3]])
    y = np.concatenate([[0.0], tone, [1.0]])
    return np.asarray(np.interp(pixels, x, y), np.float32)
