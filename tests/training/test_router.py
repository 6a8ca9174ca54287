"""How the input check's pictures are made, and how its limits and its reference are fitted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medimg_core.errors import BadTable
from medimg_core.inference.gate import _KINDS
from medimg_core.inference.gate_network import ACCEPTED, Impression, Reference
from medimg_core.training.router import batch, read_recipe
from medimg_core.training.router_export import SHRINKAGE, fit_reference
from medimg_core.training.router_measure import Judged, choose_limits, report
from medimg_core.training.router_pictures import (
    LUNG_CUT,
    Draw,
    inverted,
    lung_share,
    make,
    make_plain,
    warp,
    window,
)
from medimg_core.training.router_sources import CACHE, FILMS, SETS, Shelf, rows
from medimg_core.types import GateVerdict
from model_folder import film_pixels

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "input_check.toml"


@pytest.fixture
def draw() -> Draw:
    """Drawn films with a mask of their right half, and noise for every other class."""
    rng = np.random.default_rng(3)
    half = np.zeros((CACHE // 4, CACHE // 4), np.bool_)
    half[:, CACHE // 8 :] = True
    shelves = [Shelf(name, ACCEPTED) for name in FILMS]
    for shelf in shelves:
        for seed in range(3):
            shelf.pictures.append(film_pixels(seed, 0.0, (CACHE, CACHE))[0].astype(np.uint8))
            shelf.masks.append(half)
    for label in {*SETS.values(), "photo", "document"}:
        noise = [rng.integers(0, 256, (CACHE, CACHE, 3)).astype(np.uint8) for _ in range(2)]
        shelves.append(Shelf(label, label, noise, [None, None]))
    return Draw(np.random.default_rng(0), shelves, 64)


def test_the_recipe_teaches_what_the_gate_has_words_for() -> None:
    recipe = read_recipe(RECIPE)
    assert set(recipe.classes) == {ACCEPTED, *_KINDS}
    assert [c["id"] for c in recipe.card["classes"]] == list(recipe.classes)
    assert set(SETS.values()) < set(recipe.classes)


def test_shares_must_add_up(tmp_path: Path) -> None:
    wrong = RECIPE.read_text(encoding="utf-8").replace("mammogram = 0.03", "mammogram = 0.30")
    path = tmp_path / "recipe.toml"
    path.write_text(wrong, encoding="utf-8")
    with pytest.raises(BadTable, match="add up"):
        read_recipe(path)


def test_window_of_the_whole_is_a_plain_scaling() -> None:
    np.testing.assert_allclose(window(CACHE // 2, (0, 0, 1, 1)), [[0.5, 0, 0], [0, 0.5, 0]], atol=1e-12)
    # Mirrored: column x goes to 96 - x / 2.
    np.testing.assert_allclose(window(CACHE // 2, (0, 0, 1, 1), flip=True), [[-0.5, 0, 96], [0, 0.5, 0]], atol=1e-12)


def test_a_quarter_turn_is_anticlockwise() -> None:
    picture = np.zeros((CACHE, CACHE), np.uint8)
    picture[:, CACHE // 2 :] = 255  # the right half
    turned = warp(picture, window(CACHE, (0, 0, 1, 1), 90.0), CACHE)
    assert turned[:80].mean() > 250
    assert turned[-80:].mean() < 5


@pytest.mark.parametrize(
    ("box", "share"), [((0, 0, 1, 1), 1.0), ((0, 0, 0.5, 1), 0.0), ((0.5, 0, 1, 1), 1.0), ((0.25, 0, 0.75, 1), 0.5)]
)
def test_lung_share_counts_what_a_window_leaves(box: tuple[float, float, float, float], share: float) -> None:
    mask = np.zeros((48, 48), np.bool_)
    mask[:, 24:] = True
    assert lung_share(mask, window(128, box), 128) == pytest.approx(share, abs=0.02)


def test_every_class_can_be_made_and_repeats_by_its_seed(draw: Draw) -> None:
    for label in read_recipe(RECIPE).classes:
        pictures = [make(replace(draw, rng=np.random.default_rng(5)), label) for _ in range(2)]
        assert pictures[0].shape == (64, 64, 3)
        assert pictures[0].dtype == np.uint8
        np.testing.assert_array_equal(pictures[0], pictures[1])


@pytest.mark.parametrize("name", ["photographed_film", "screen", "page", "pattern", "clouds", "chest_several"])
def test_plain_makes_are_pictures(draw: Draw, name: str) -> None:
    made = [make_plain(draw, name) for _ in range(8)]
    assert all(picture.shape == (64, 64, 3) and picture.std() > 1 for picture in made)


def test_an_inverted_film_has_bright_lungs(draw: Draw) -> None:
    from medimg_core.training.router_pictures import frontal

    plain = np.mean([frontal(draw)[20:44, 12:24].mean() for _ in range(20)])
    opposite = np.mean([inverted(draw)[20:44, 12:24].mean() for _ in range(20)])
    assert plain < 110
    assert opposite > 145


def test_cropped_films_lose_lung(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    from medimg_core.training import input_check_pictures as pictures

    shares = []

    def spy(picture: np.ndarray, matrix: np.ndarray, side: int, border: int = 0) -> np.ndarray:
        shares.append(lung_share(draw.shelves[0].masks[0], matrix, side))
        return warp(picture, matrix, side, border)

    monkeypatch.setattr(pictures, "warp", spy)
    for _ in range(40):
        pictures.cropped(draw)
    assert max(shares) <= LUNG_CUT


def test_a_batch_is_prepared_and_smoothed(draw: Draw) -> None:
    recipe = read_recipe(RECIPE)
    x, y = batch(draw, recipe, 6)
    assert x.shape == (6, 64, 64, 3)
    assert np.abs(x).max() <= 1.6
    np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-6)
    assert y.max() == pytest.approx(1 - 0.03 + 0.03 / len(recipe.classes))


def test_the_reference_whitens_but_for_its_shrinkage() -> None:
    rng = np.random.default_rng(0)
    spread = np.diag([3.0, 1.0, 0.5, 0.1]) @ np.linalg.qr(rng.normal(size=(4, 4)))[0]
    features = (rng.normal(size=(20_000, 4)) @ spread + 7).astype(np.float32)
    mean, whitener = fit_reference(features)
    covariance = np.cov(features, rowvar=False)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / 4 * np.eye(4)
    np.testing.assert_allclose(whitener.T @ shrunk @ whitener, np.eye(4), atol=1e-4)
    np.testing.assert_allclose(mean, 7, atol=0.1)
    far = Reference(mean, whitener).distance(mean + np.float32(100))
    assert far > 10 * np.mean([Reference(mean, whitener).distance(f) for f in features[:200]])


def test_limits_are_quantiles_with_every_set_counting_alike() -> None:
    def seen(frontal: float, distance: float) -> Impression:
        return Impression({ACCEPTED: frontal, "ct": 1 - frontal}, distance)

    films = [("large", seen(0.5 + i / 2000, 1 + i / 1000)) for i in range(1000)]
    films += [("small", seen(0.9, 1.0)) for _ in range(10)]
    settings = {"refused_by_class": 0.05, "refused_by_distance": 0.05, "doubted": 0.20}
    found = choose_limits(films, settings)
    # The large set weighs a half: 5 % of the weight is a tenth of it.
    assert found.refuse_below == pytest.approx(0.55, abs=2e-3)
    assert found.doubt_below == pytest.approx(0.70, abs=2e-3)
    assert found.refuse_beyond == pytest.approx(1.90, abs=2e-3)
    assert found.doubt_beyond == pytest.approx(1.60, abs=2e-3)


def test_the_report_counts_both_ways() -> None:
    passed, refused = GateVerdict(True, (), ACCEPTED), GateVerdict(False, ("x",), "ct")
    doubtful = GateVerdict(True, ("y",), ACCEPTED)
    judged = [
        Judged("chest_xray_adults", "a", "p1", ACCEPTED, passed),
        Judged("chest_xray_adults", "b", "p2", ACCEPTED, refused),
        Judged("chest_xray_adults", "c", "p3", ACCEPTED, doubtful),
        Judged("chest_xray_adults", "d", "p4", ACCEPTED, passed),
        Judged("lung_ct_cancer", "e", "p5", "ct", refused),
        Judged("not_medical: photo", "f", "p6", "photo", passed),
        Judged("made: inverted", "a", "p1", "chest_inverted", refused),
    ]
    rates = report(judged)
    assert rates["films"]["refused"]["value"] == 0.25
    assert rates["films"]["doubted"]["value"] == 0.25
    assert rates["films"]["failures"] == [{"id": "b", "group": "chest_xray_adults", "taken_for": "ct"}]
    assert rates["foreign"]["refused"]["value"] == 0.5
    assert rates["foreign"]["failures"][0]["id"] == "f"
    assert rates["made"]["refused"]["value"] == 1
    assert rates["made"]["named_rightly"]["value"] == 0


@pytest.mark.shared
def test_the_splits_share_no_patient(shared: Path) -> None:
    patients = {split: {row.patient for row in rows(shared / "data", split)} for split in ("train", "val", "test")}
    assert not patients["train"] & patients["val"]
    assert not patients["train"] & patients["test"]
    assert not patients["val"] & patients["test"]
