"""The shipped films against the training films themselves, apart from the code that made them."""

from __future__ import annotations

import csv
import dataclasses
import tomllib
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from medimg_core.catalog import models_folder
from medimg_core.imaging import to_display
from medimg_core.io import read_file
from medimg_core.training.appearance.cases import CASES, Case
from medimg_core.training.appearance.films import POPULATIONS, read_films
from medimg_core.training.appearance.model import fit
from medimg_core.training.appearance.novelty import novelty, reference

FILMS = [case for case in CASES if case.kind == "film"]
SIDE = 48


def squashed(pixels: np.ndarray) -> np.ndarray:
    """A 48 x 48 thumbnail as a unit vector: products are correlations."""
    small = cv2.resize(np.asarray(pixels, np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel()
    small -= small.mean()
    return small / np.linalg.norm(small)


def difference_hash(pixels: np.ndarray) -> np.ndarray:
    """64 bits: whether each of 8 x 9 cells is darker than its right neighbour."""
    small = cv2.resize(np.asarray(pixels, np.float32), (9, 8), interpolation=cv2.INTER_AREA)
    return (np.diff(small, axis=1) > 0).ravel()


@cache
def shown(stem: str) -> np.ndarray:
    return np.asarray(to_display(read_file(models_folder() / "demo_cases" / f"{stem}.dcm").images[0]))


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("name", ["chest_xray_adults", "chest_xray_children"])
def test_no_shipped_film_is_a_near_duplicate_by_the_rule_of_the_data_sets(shared: Path, name: str) -> None:
    # Both sets were cleaned by it: difference hash within 4 bits of 64 and thumbnail correlation of 0.98 or more.
    folder = shared / "data" / name
    with (folder / "manifest.csv").open(newline="") as lines:
        files = [row["file"] for row in csv.DictReader(lines)]
    cases = [case for case in FILMS if POPULATIONS[case.population].folder == name]
    films = [shown(case.stem) for case in cases]
    thumbs, hashes = np.stack([squashed(f) for f in films]), np.stack([difference_hash(f) for f in films])
    for file in files:
        real = cv2.imread(str(folder / file), cv2.IMREAD_GRAYSCALE)
        alike = thumbs @ squashed(real) >= 0.98
        same = (hashes != difference_hash(real)).sum(axis=1) <= 4
        assert not (alike & same).any(), file


@pytest.mark.shared
@pytest.mark.slow
def test_the_shipped_adults_pass_the_check_again(shared: Path) -> None:
    population = POPULATIONS["adult_pa"]
    model = fit(population, read_films(shared / "data", population))
    everybody = read_films(shared / "data", dataclasses.replace(population, chosen=lambda row: True))
    known = reference(model, everybody)
    table = tomllib.loads((models_folder() / "demo_cases" / "cases.toml").read_text(encoding="utf-8"))
    cases: list[Case] = [case for case in FILMS if case.population == "adult_pa"]
    for case in cases:
        entry = table[case.stem]
        again = novelty(np.asarray(shown(case.stem), np.float32), np.array([entry["largest_share"]], np.float32), known)
        assert again.is_new
        assert again.nearest == pytest.approx(entry["nearest_training_film"], abs=0.01)  # stored values are rounded
    copied = novelty(everybody[7].pixels, np.array([0.1], np.float32), known)
    assert copied.nearest > 0.999
    assert not copied.is_new


@pytest.mark.shared
def test_only_training_films_of_the_population_are_read(shared: Path) -> None:
    films = read_films(shared / "data", POPULATIONS["adult_opacity"])
    assert len(films) == 61  # README of the set: opacity yes in train
    assert {film.row["split"] for film in films} == {"train"}
    assert {film.row["opacity"] for film in films} == {"yes"}
    assert all(film.pixels.min() >= 0 and film.pixels.max() <= 1 for film in films)
