"""The parts of a training of outlines: truth, changes, losses, network; numbers known by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from outline_set import write_set

from medimg_core.errors import BadRequest, BadTable
from medimg_core.training.outlines.augment import augment_outline
from medimg_core.training.outlines.data import (
    OutlineRecord,
    load_outlines,
    read_outlines,
    spacing_of,
    split_of,
    structures_of,
)
from medimg_core.training.outlines.loop import grid_dice
from medimg_core.training.outlines.losses import pixel_cross_entropy, soft_dice
from medimg_core.training.outlines.measure import OutlineAnswer, fit_errors, fit_thresholds
from medimg_core.training.outlines.recipe import OutlineRecipe, StructureRule, read_outline_recipe
from medimg_core.training.outlines.unet import build_outline
from medimg_core.training.recipe import Augment
from medimg_core.types import Measurement


def quiet(what: str, share: float) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def drawn(tmp_path: Path) -> tuple[OutlineRecipe, Path]:
    return read_outline_recipe(write_set(tmp_path)), tmp_path


def test_parts_without_a_side_belong_to_the_half_they_lie_in() -> None:
    mask = np.zeros((10, 20), np.uint8)
    mask[2:6, 2:5], mask[2:6, 14:18], mask[8, 3] = 4, 4, 1
    rules = (StructureRule("right", (1,), "left", (4,)), StructureRule("left", (2,), "right", (4,)))
    found = structures_of(mask, rules)
    assert found[..., 0].sum() == 4 * 3 + 1
    assert found[..., 1].sum() == 4 * 4
    assert not (found[..., 0] & found[..., 1]).any()
    assert structures_of(mask, (StructureRule("any"),)).sum() == (mask > 0).sum()


@pytest.mark.parametrize(
    ("text", "known"), [("0.5", (0.5, 0.5)), ("0.7031x0.6", (0.7031, 0.6)), ("", None), ("1.5 x 2", (1.5, 2.0))]
)
def test_spacing_as_manifests_write_it(text: str, known: tuple[float, float] | None) -> None:
    assert spacing_of(text) == known


def test_films_and_structures_share_a_grid(drawn: tuple[OutlineRecipe, Path]) -> None:
    recipe, data = drawn
    records = read_outlines(data, recipe)
    films = load_outlines(split_of(records, "train"), recipe, quiet)
    assert films.grids.shape[1:] == (64, 64, 1)
    assert films.places.shape[1:] == (64, 64, 2)
    full = np.array([r.mask is not None for r in films.records])
    assert (films.places.reshape(len(films), -1).max(axis=1) > 0).tolist() == full.tolist()
    assert films.known.all(axis=0).tolist() == [True, False]  # the core was not outlined at site b
    assert (films.places[..., 1] <= films.places[..., 0]).all()
    again = load_outlines(split_of(records, "train"), recipe, quiet, data / "cache")
    cached = load_outlines(split_of(records, "train"), recipe, quiet, data / "cache")
    assert np.array_equal(again.places, cached.places)
    assert np.array_equal(again.grids, films.grids)


def test_the_slices_beside_are_those_of_the_same_patient(drawn: tuple[OutlineRecipe, Path]) -> None:
    recipe, data = drawn
    recipe = replace(recipe, data=replace(recipe.data, neighbours="slice"))
    films = load_outlines(split_of(read_outlines(data, recipe), "train"), recipe, quiet)
    assert films.beside[:4].tolist() == [[0, 1], [0, 1], [2, 3], [2, 3]]


def test_a_manifest_without_masks_is_a_sentence(drawn: tuple[OutlineRecipe, Path]) -> None:
    recipe, data = drawn
    with pytest.raises(BadTable, match="lacks the column outline"):
        read_outlines(data, replace(recipe, data=replace(recipe.data, mask="outline")))


@pytest.mark.parametrize(("old", "new"), [("[[structures]]\nid", "[[structures]]\nname"), ("epochs", "turns")])
def test_a_bad_recipe_is_a_sentence(drawn: tuple[OutlineRecipe, Path], old: str, new: str) -> None:
    path = drawn[1] / "discs.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(BadRequest, match="cannot be used"):
        read_outline_recipe(path)


def test_nothing_asked_for_changes_nothing_and_outlines_move_with_films() -> None:
    rng = np.random.default_rng(0)
    places = np.zeros((48, 48, 5), np.float32)
    places[10:30, 12:36] = 1
    grid = np.repeat(places[..., :1], 9, axis=-1) * 0.5 + 0.2
    still = augment_outline(grid, places, Augment(), rng)
    assert np.allclose(still[0], grid, atol=1e-6)
    assert np.allclose(still[1], places, atol=1e-6)
    how = Augment(rotate_degrees=40, zoom=(0.8, 1.2), shift=0.1, elastic=0.03, flip=0.5, flip_rows=0.5)
    for seed in range(5):
        x, moved = augment_outline(grid, places, how, np.random.default_rng(seed))
        seen, there = moved[..., 0] > 0.98, moved[..., 0] < 0.02
        assert seen.sum() > 100
        assert np.allclose(x[seen], 0.7, atol=0.02)
        assert (x[there] < 0.22).all()


def test_losses_against_hand_counts() -> None:
    truth = np.zeros((1, 4, 4, 1), np.float32)
    truth[0, :2] = 1
    sure = np.where(truth > 0, 30.0, -30.0).astype(np.float32)
    assert float(np.asarray(soft_dice(sure, truth))[0, 0]) == pytest.approx(0, abs=1e-6)
    assert float(np.asarray(soft_dice(-sure, truth))[0, 0]) == pytest.approx(1 - 5 / (8 + 8 + 5), abs=1e-6)
    flat = np.zeros_like(truth)
    assert float(np.asarray(pixel_cross_entropy(flat, truth))[0, 0]) == pytest.approx(np.log(2), abs=1e-6)
    focal = float(np.asarray(pixel_cross_entropy(flat, truth, 2.0))[0, 0])
    assert focal == pytest.approx(np.log(2) / 4, abs=1e-6)
    # An outline that was not there: Dice's gradient pulls all of it down.
    assert float(np.asarray(soft_dice(sure * 0 - 30, truth * 0))[0, 0]) == pytest.approx(0, abs=1e-5)


def test_pooled_losses_count_a_batch_as_one_picture() -> None:
    """Two pictures, only one of which has the structure: 8 of its 16 pixels; flat probabilities of one half."""
    truth = np.zeros((2, 4, 4, 1), np.float32)
    truth[0, :2] = 1
    flat = np.zeros_like(truth)
    dice = np.asarray(soft_dice(flat, truth, pooled=True))
    assert dice.shape == (1, 1)
    assert float(dice[0, 0]) == pytest.approx(1 - (2 * 4 + 5) / (16 + 8 + 5), abs=1e-6)
    entropy = np.asarray(pixel_cross_entropy(flat, truth, pooled=True))
    assert float(entropy[0, 0]) == pytest.approx(32 * np.log(2) / (8 + 50), abs=1e-6)


def test_errors_of_lengths_in_pixels_are_shares_so_that_they_hold_in_millimetres() -> None:
    def answer(measured: float, true: float, unit: str) -> OutlineAnswer:
        one, other = (Measurement("length", value, np.nan, np.nan, unit, "") for value in (measured, true))
        record = OutlineRecord("set", "a", Path("a"), "val", "p", None, None, None, {})
        return OutlineAnswer(record, np.zeros(0, np.float32), {}, {"length": one}, {"length": other}, 0.0, False)

    pairs = [(10.0 * k, 9.0 * k) for k in range(1, 13)]
    in_px = fit_errors([answer(*pair, "px") for pair in pairs])["length"]
    assert in_px == {"bias": pytest.approx(0.1), "sd": pytest.approx(0), "relative": True}
    in_mm = fit_errors([answer(*pair, "mm") for pair in pairs])["length"]
    assert (in_mm["bias"], in_mm["relative"]) == (pytest.approx(6.5), False)


def test_thresholds_have_the_highest_dice_over_all_pixels_of_val(drawn: tuple[OutlineRecipe, Path]) -> None:
    record = read_outlines(drawn[1], drawn[0])[0]
    pixels = np.zeros((2, 2, 256), np.int64)
    pixels[0, 0, :2], pixels[1, 0, 26], pixels[0, 0, 51] = 90, 4, 1  # outside
    pixels[0, 1, 51], pixels[1, 1, 204], pixels[0, 1, 0] = 3, 2, 5  # inside
    answers = [OutlineAnswer(record, np.zeros(0), {}, {}, {}, 0.0, False, {"lesion": each}) for each in pixels]
    # Of 10 pixels inside, above 26 / 255 five are found and one beside them, Dice 10 / 16; else 10 / 20 and less.
    assert fit_thresholds(answers) == {"lesion": pytest.approx(26.5 / 255, abs=1e-4)}
    assert fit_thresholds([]) == {}


def test_dice_on_the_grid_counts_half_covered_cells_as_inside(drawn: tuple[OutlineRecipe, Path]) -> None:
    recipe, data = drawn
    films = load_outlines(split_of(read_outlines(data, recipe), "train"), recipe, quiet)
    truth = films.places.reshape(len(films), 32, 2, 32, 2, 2).mean(axis=(2, 4)) >= 127.5
    found = grid_dice(np.where(truth, 5.0, -5.0).astype(np.float32), films)
    assert np.isnan(found).tolist() == (~films.known).tolist()
    assert np.nanmin(found) == 1


def test_the_network_outlines_at_stride_two_and_starts_blind_to_its_neighbours(
    drawn: tuple[OutlineRecipe, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = drawn[0]
    built = build_outline(recipe)
    assert [tuple(out.shape[1:]) for out in built.model.outputs] == [(32, 32, 2), (1,)]
    wide = build_outline(replace(recipe, data=replace(recipe.data, neighbours="slice")))
    assert tuple(wide.model.input.shape[1:]) == (64, 64, 9)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1, 64, 64, 9)).astype(np.float32)
    other = x.copy()
    other[..., :3], other[..., 6:] = 0, 1
    one, two = (wide.model.predict_on_batch(v)[0] for v in (x, other))
    assert np.allclose(one, two, atol=1e-5)
