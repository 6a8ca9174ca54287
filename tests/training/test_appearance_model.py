"""The fitted model, drawing a person, the check against copies, and opacities, on drawn films."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from medimg_core.errors import MedImgError
from medimg_core.training.appearance.blend import random_fields
from medimg_core.training.appearance.cases import CASES
from medimg_core.training.appearance.films import Film, Population
from medimg_core.training.appearance.make import Fitted, write_cases
from medimg_core.training.appearance.model import AppearanceModel, fit
from medimg_core.training.appearance.novelty import LARGEST_SHARE, Novelty, Reference, novelty, reference
from medimg_core.training.appearance.opacity import Boxed, Site, add_opacity, boxed
from medimg_core.training.appearance.person import Person, synthesise
from medimg_core.types import FloatArray

FRAME = (56, 64)
POPULATION = Population("drawn", "drawn", lambda row: True, FRAME, 3, 0.2, 0.5)
PATIENTS = 16


def chest(seed: int) -> FloatArray:
    """Two dark lungs with bright ribs and own specks, a little moved and scaled; float32 `[H, W]`."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:116, 0:132].astype(np.float32)
    x = (columns / 132 - 0.5 - rng.normal(0, 0.01)) * rng.normal(1, 0.02)
    y = (rows / 116 - 0.5 - rng.normal(0, 0.01)) * rng.normal(1, 0.02)
    film = np.full(x.shape, 0.72, np.float32)
    for side in (-1, 1):
        lung = ((x - side * 0.22) / 0.17) ** 2 + (y / rng.normal(0.38, 0.01)) ** 2
        film -= 0.45 / (1 + np.exp(np.minimum((lung - 1) * 12, 50)))
    film += 0.05 * np.sin(2 * np.pi * (7 * y + np.abs(x) + rng.normal(0, 0.02)))
    film += 0.06 * random_fields(rng, 1, film.shape, 9)[0]
    film += 0.03 * cv2.GaussianBlur(rng.standard_normal(film.shape).astype(np.float32), (0, 0), 1.5) / 0.19
    return np.asarray(np.clip(film, 0, 1), np.float32)


def row(number: int, patient: int, boxes: str = "") -> dict[str, str]:
    return {"id": f"d{number}", "patient": f"p{patient}", "boxes": boxes, "split": "train"}


@pytest.fixture(scope="module")
def films() -> tuple[Film, ...]:
    return tuple(Film(chest(i), row(i, i)) for i in range(PATIENTS))


@pytest.fixture(scope="module")
def model(films: tuple[Film, ...]) -> AppearanceModel:
    return fit(POPULATION, films)


@pytest.fixture(scope="module")
def known(model: AppearanceModel, films: tuple[Film, ...]) -> Reference:
    return reference(model, films)


@pytest.fixture(scope="module")
def person(model: AppearanceModel) -> Person:
    return synthesise(model, 3)


def test_the_gaussian_is_that_of_a_singular_value_decomposition(model: AppearanceModel) -> None:
    kept = model.features[[film.usable for film in model.films]]
    _, singular, vectors = np.linalg.svd(kept - kept.mean(axis=0), full_matrices=False)
    count = len(model.deviations)
    np.testing.assert_allclose(model.deviations, singular[:count] / np.sqrt(len(kept) - 1), rtol=1e-3)
    overlap = np.abs((model.components * vectors[:count]).sum(axis=1))
    np.testing.assert_allclose(overlap, 1, atol=1e-2)
    np.testing.assert_allclose(model.components @ model.components.T, np.eye(count), atol=1e-3)


def test_features_are_unit_vectors_without_exposure(model: AppearanceModel) -> None:
    np.testing.assert_allclose(np.linalg.norm(model.features, axis=1), 1, rtol=1e-5)
    _, once = model.locate(chest(3))
    _, darker = model.locate(np.asarray(0.6 * chest(3), np.float32))
    assert float(once @ darker) > 0.98


def test_a_drawn_thumbnail_is_a_unit_vector_near_the_films(model: AppearanceModel) -> None:
    drawn = model.draw(np.random.default_rng(0))
    assert np.linalg.norm(drawn) == pytest.approx(1, abs=1e-5)
    assert (model.features @ drawn).max() > 0.5


def test_a_person_is_repeatable_and_mixed_from_different_patients(model: AppearanceModel, person: Person) -> None:
    assert person.pixels.shape == (FRAME[0] * 3, FRAME[1] * 3)
    np.testing.assert_array_equal(synthesise(model, 3).pixels, person.pixels)
    assert np.abs(synthesise(model, 4).pixels - person.pixels).mean() > 0.01
    patients = [film.patient for film in person.sources]
    assert len(set(patients)) == len(patients) == 8
    assert person.shares.sum() == pytest.approx(1, abs=1e-4)


def test_a_copy_is_found_and_a_person_passes(known: Reference, person: Person) -> None:
    copied = novelty(chest(5), np.array([1.0], np.float32), known)
    assert copied.nearest > 0.999
    assert not copied.is_new
    bent = cv2.warpAffine(chest(5), np.array([[1.03, 0.01, -3], [0, 0.98, 2]], np.float32), (132, 116), borderMode=1)
    assert not novelty(np.asarray(bent**1.2, np.float32), np.array([0.1], np.float32), known).is_new
    fresh = novelty(person.pixels, person.shares, known)
    assert fresh.nearest < copied.nearest - 0.05
    assert fresh.lead < copied.lead


def test_the_yardstick_leaves_films_of_the_same_patient_out(model: AppearanceModel, films: tuple[Film, ...]) -> None:
    twin = Film(np.asarray(np.clip(films[0].pixels * 0.97 + 0.01, 0, 1), np.float32), row(99, 0))
    with_twin = reference(model, (*films, twin))
    assert with_twin.together.max() > 0.99
    assert with_twin.limit == pytest.approx(reference(model, films).limit, abs=5e-3)


@pytest.mark.parametrize(
    ("nearest", "lead", "share", "new"),
    [
        (0.90, 0.05, 0.30, True),
        (0.91, 0.01, 0.20, False),
        (0.80, 0.06, 0.20, False),
        (0.80, 0.01, 0.31, False),
    ],
)
def test_new_means_apart_not_standing_out_and_not_led(nearest: float, lead: float, share: float, new: bool) -> None:
    assert LARGEST_SHARE == 0.30
    assert Novelty(nearest, 0.9, lead, 0.05, share).is_new is new


def test_a_copy_stops_the_writing(model: AppearanceModel, known: Reference, tmp_path: pytest.TempPathFactory) -> None:
    strict = dataclasses.replace(known, apart=np.array([0.1], np.float32))
    case = dataclasses.replace(CASES[1], population="drawn")
    with pytest.raises(MedImgError, match="too near to a training film"):
        write_cases([case], Fitted({"drawn": model}, {"drawn": strict}, {}), tmp_path)


@pytest.fixture(scope="module")
def boxes(model: AppearanceModel) -> tuple[Boxed, ...]:
    found = []
    for i in range(6):
        film = chest(40 + i)
        spot = (32, 56) if i % 2 else (100, 56)
        y, x = np.mgrid[0:116, 0:132]
        blob = np.exp(-(((x - spot[0]) / 14) ** 2 + ((y - spot[1]) / 14) ** 2))
        film = np.asarray(film + 0.4 * blob * (film < 0.6), np.float32)
        where = f'[[{spot[0] - 16},{spot[1] - 16},{spot[0] + 16},{spot[1] + 16},"opacity"],[0,0,9,9,"nih:Mass"]]'
        found.append(Film(film, row(40 + i, 40 + i, where)))
    return boxed(model, found)


def test_expert_boxes_are_moved_into_the_frame(boxes: tuple[Boxed, ...]) -> None:
    assert len(boxes) == 6
    for i, box in enumerate(boxes):
        unit = 116 / FRAME[0]  # film pixels a unit, about
        np.testing.assert_allclose(box.centre, [(32 if i % 2 else 100) / unit, 56 / unit], atol=3.5)
        np.testing.assert_allclose(box.size, 32 / unit, rtol=0.15)


def test_an_opacity_brightens_its_site_only(model: AppearanceModel, boxes: tuple[Boxed, ...], person: Person) -> None:
    site = Site((0.28, 0.5), (0.3, 0.4), 1.0)
    clear = person.pixels
    dense = add_opacity(clear, model, boxes, site, 0) - clear
    weak = add_opacity(clear, model, boxes, dataclasses.replace(site, strength=0.4), 0) - clear
    rows, columns = clear.shape
    spot = (slice(int(0.42 * rows), int(0.58 * rows)), slice(int(0.22 * columns), int(0.34 * columns)))
    assert dense[spot].mean() > 0.1
    assert 0.2 < weak[spot].mean() / dense[spot].mean() < 0.7
    assert np.abs(dense[:, columns // 2 + 12 :]).max() < 0.02
