"""How the router's pictures are made, and how its limits and its reference are fitted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medimg_core.errors import BadTable
from medimg_core.imaging.quality import Quality
from medimg_core.inference.gate_network import Impression, Reference
from medimg_core.inference.kinds import FOREIGN, KNOWN
from medimg_core.training.router import batch, read_recipe
from medimg_core.training.router_export import SHRINKAGE, fit_reference
from medimg_core.training.router_makers import make, make_plain
from medimg_core.training.router_measure import Judged, choose_limits, report, spoiled
from medimg_core.training.router_outliers import other_medical
from medimg_core.training.router_pictures import (
    LUNG_CUT,
    Draw,
    chest_inverted,
    lung_share,
    warp,
    window,
)
from medimg_core.training.router_sources import CACHE, FILMS, SETS, Row, Shelf, rows
from medimg_core.types import GateVerdict
from model_folder import film_pixels

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "router.toml"
ACCEPTED = "chest_frontal"


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
    for label in {*SETS.values(), "photo", "document", "other_medical"}:
        noise = [rng.integers(0, 256, (CACHE, CACHE, 3)).astype(np.uint8) for _ in range(2)]
        shelves.append(Shelf(label, label, noise, [None, None]))
    return Draw(np.random.default_rng(0), shelves, 64)


def test_the_recipe_teaches_what_the_gate_has_words_for() -> None:
    recipe = read_recipe(RECIPE)
    assert set(KNOWN) < set(recipe.classes) < {*KNOWN, *FOREIGN}
    assert [c["id"] for c in recipe.card["classes"]] == list(recipe.classes)
    assert {ACCEPTED, *SETS.values()} == set(KNOWN)


def test_shares_must_add_up(tmp_path: Path) -> None:
    wrong = RECIPE.read_text(encoding="utf-8").replace("mammogram = 0.025", "mammogram = 0.25")
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


@pytest.mark.parametrize(
    "name", ["photographed_film", "screen", "page", "pattern", "clouds", "chest_several", "several", "written"]
)
def test_plain_makes_are_pictures(draw: Draw, name: str) -> None:
    made = [make_plain(draw, name) for _ in range(8)]
    assert all(picture.shape == (64, 64, 3) and picture.std() > 1 for picture in made)


def test_an_inverted_film_has_bright_lungs(draw: Draw) -> None:
    from medimg_core.training.router_pictures import frontal

    plain = np.mean([frontal(draw)[20:44, 12:24].mean() for _ in range(20)])
    opposite = np.mean([chest_inverted(draw)[20:44, 12:24].mean() for _ in range(20)])
    assert plain < 110
    assert opposite > 145


def test_cropped_films_lose_lung(draw: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    from medimg_core.training import router_pictures as pictures

    shares = []

    def spy(picture: np.ndarray, matrix: np.ndarray, side: int, border: int = 0) -> np.ndarray:
        shares.append(lung_share(draw.shelves[0].masks[0], matrix, side))
        return warp(picture, matrix, side, border)

    monkeypatch.setattr(pictures, "warp", spy)
    for _ in range(40):
        pictures.chest_cropped(draw)
    assert max(shares) <= LUNG_CUT


def test_a_batch_is_prepared_and_smoothed(draw: Draw) -> None:
    recipe = read_recipe(RECIPE)
    x, y = batch(draw, recipe, 6)
    assert x.shape == (6, 64, 64, 3)
    assert np.abs(x).max() <= 1.6
    np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-6)
    assert y.max() == pytest.approx(1 - 0.02 + 0.02 / len(recipe.classes))


def test_the_reference_whitens_but_for_its_shrinkage() -> None:
    rng = np.random.default_rng(0)
    spread = np.diag([3.0, 1.0, 0.5, 0.1]) @ np.linalg.qr(rng.normal(size=(4, 4)))[0]
    features = (rng.normal(size=(20_000, 4)) @ spread + 7).astype(np.float32)
    mean, whitener = fit_reference(features)
    covariance = np.cov(features, rowvar=False)
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * np.trace(covariance) / 4 * np.eye(4)
    np.testing.assert_allclose(whitener.T @ shrunk @ whitener, np.eye(4), atol=1e-4)
    np.testing.assert_allclose(mean, 7, atol=0.1)
    reference = Reference((ACCEPTED,), mean[None], whitener[None])
    far = reference.distances(mean + np.float32(100))[ACCEPTED]
    assert far > 10 * np.mean([reference.distances(f)[ACCEPTED] for f in features[:200]])


def impression(share: float, distance: float) -> Impression:
    quality = Quality(300, 1.2, 0.8, 200, 0.05, 0.01, 0.0, 0.0, 0.0)
    return Impression({ACCEPTED: share, "head_ct": 1 - share}, {ACCEPTED: distance}, quality)


def test_limits_are_quantiles_with_every_set_counting_alike() -> None:
    films = [("large", impression(0.5 + i / 2000, 1 + i / 1000)) for i in range(1000)]
    films += [("small", impression(0.9, 1.0)) for _ in range(10)]
    settings = {"refused_by_class": 0.05, "refused_by_distance": 0.05, "doubted": 0.20}
    found = choose_limits(films, ACCEPTED, {**settings, "least_share": 0.5, "most_share": 1.0, "least_distance": 1.0})
    # The large set weighs a half: 5 % of the weight is a tenth of it.
    assert found.refuse_below == pytest.approx(0.55, abs=2e-3)
    assert found.doubt_below == pytest.approx(0.70, abs=2e-3)
    assert found.refuse_beyond == pytest.approx(1.90, abs=2e-3)
    assert found.doubt_beyond == pytest.approx(1.60, abs=2e-3)
    least = choose_limits(films, ACCEPTED, {**settings, "least_share": 0.8, "most_share": 0.9, "least_distance": 2.5})
    assert (least.refuse_below, least.doubt_below, least.refuse_beyond) == (0.8, 0.8, 2.5)
    most = choose_limits(films, ACCEPTED, {**settings, "least_share": 0.1, "most_share": 0.3, "least_distance": 1.0})
    assert most.refuse_below == 0.3


def test_the_report_counts_both_ways() -> None:
    classes = (ACCEPTED, "head_ct", "photo", "chest_inverted")
    passed, refused = GateVerdict(True, (), ACCEPTED), GateVerdict(False, ("x",), "unsure")
    doubtful, other = GateVerdict(True, ("y",), ACCEPTED), GateVerdict(True, (), "head_ct")
    judged = [
        Judged("chest_xray_adults", "a", "p1", ACCEPTED, ACCEPTED, passed),
        Judged("chest_xray_adults", "b", "p2", ACCEPTED, ACCEPTED, refused),
        Judged("chest_xray_adults", "c", "p3", ACCEPTED, ACCEPTED, doubtful),
        Judged("chest_xray_adults", "d", "p4", ACCEPTED, "head_ct", other),
        Judged("not_medical: photo", "e", "p5", "photo", "photo", refused),
        Judged("other_medical: CT neck", "f", "p6", "other_medical", "head_ct", other),
        Judged("other_model: CT skull", "g", "p7", "head_ct", "head_ct", other),
        Judged("made: inverted", "a", "p1", "chest_inverted", "photo", refused),
    ]
    rates = report(judged, classes)
    assert rates["known"]["n"] == rates["films"]["n"] == 4
    assert rates["known"]["refused"]["value"] == 0.25
    assert rates["known"]["doubted"]["value"] == 0.25
    assert rates["known"]["named_rightly"]["value"] == 0.75
    assert rates["known"]["right"]["value"] == 0.5
    assert [one["id"] for one in rates["known"]["failures"]] == ["b", "d"]
    assert rates["foreign"]["refused"]["value"] == 0.5
    assert rates["foreign"]["failures"][0]["id"] == "f"
    assert rates["other_model"]["right"]["value"] == 1
    assert rates["made"]["right"]["value"] == 1
    assert rates["made"]["named_rightly"]["value"] == 0
    assert rates["confusion"]["rows_truth"] == [ACCEPTED, "head_ct"]
    assert rates["confusion"]["counts"] == [[3, 1, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("seed", range(8))
def test_outliers_are_pictures_of_the_wanted_size(draw: Draw, seed: int) -> None:
    made = other_medical(replace(draw, rng=np.random.default_rng(seed)))
    assert made.shape == (64, 64, 3)
    assert made.dtype == np.uint8
    assert made.std() > 1


def test_spoiled_pictures_name_what_is_wrong() -> None:
    row = Row("brain_ct_haemorrhage", "a", Path("a"), "head_ct", "p")
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:3] = 200
    made = {name: (expected, altered) for name, _, expected, altered in spoiled({row.data_set: [(row, pixels)]})}
    assert made["head_ct, inverted"][0] == "inverted"
    np.testing.assert_array_equal(made["head_ct, inverted"][1], 255 - pixels)
    assert made["head_ct, turned by 90 degrees"][1].shape == (20, 10, 3)
    assert made["head_ct, two side by side"][1].shape == (10, 40, 3)
    assert made["head_ct, middle sixth"][1].shape == (4, 8, 3)


@pytest.mark.shared
def test_the_splits_share_no_patient(shared: Path) -> None:
    patients = {split: {row.patient for row in rows(shared / "data", split)} for split in ("train", "val", "test")}
    assert not patients["train"] & patients["val"]
    assert not patients["train"] & patients["test"]
    assert not patients["val"] & patients["test"]
