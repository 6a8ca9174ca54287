"""Statements read in an outline: drawn pictures whose contrast is known, and a network that stays as it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from outline_set import RECIPE, write_set

from medimg_core.errors import BadRequest
from medimg_core.training.outlines.data import OutlineFilms, load_outlines, read_outlines, split_of
from medimg_core.training.outlines.export import export_outline
from medimg_core.training.outlines.recipe import OutlineRecipe, read_outline_recipe
from medimg_core.training.outlines.statements import contrast, with_statements
from medimg_core.training.outlines.unet import BuiltOutline, build_outline
from medimg_core.types import FloatArray

STATEMENT = """
[[statements]]
id = "bright"
set = "discs"
column = "site"
targets = { a = 1.0, b = 0.0 }

[card]
"""
TOLD = """
[[card.statements]]
id = "bright"
title = "Bright"
otherwise = "Dark"
meaning = "The core is bright."
output = 1
structure = "core"

[[card.populations]]
"""


@pytest.fixture
def recipe(tmp_path: Path) -> OutlineRecipe:
    """The drawn set's recipe with a statement read in its second structure, the core."""
    file = write_set(tmp_path)
    text = RECIPE.replace("\n[card]\n", STATEMENT, 1).replace("\n[[card.populations]]\n", TOLD, 1)
    file.write_text(text, encoding="utf-8")
    return read_outline_recipe(file)


def measured(x: FloatArray, places: FloatArray) -> FloatArray:
    """`contrast` of one picture `[H, W, C]` with logits `[h, w, K]`."""
    image, logits = keras.Input(x.shape), keras.Input(places.shape)
    answer = keras.Model([image, logits], contrast(image, logits)).predict_on_batch([x[None], places[None]])
    return np.asarray(answer[0], np.float32)


def scene(shift: float = 0.0, rim: float = 0.5) -> tuple[FloatArray, FloatArray]:
    """Grey 0.25 with two squares, of 0.75 and 0.5, whose outlines also take in a rim; two structures."""
    x, places = np.full((32, 32, 3), 0.25, np.float32), np.full((16, 16, 2), -40, np.float32)
    for k, (side, grey) in enumerate(((slice(2, 7), 0.75), (slice(9, 14), 0.5))):
        wide = slice(2 * side.start, 2 * side.stop)
        x[wide, wide] = rim
        x[wide.start + 2 : wide.stop - 2, wide.start + 2 : wide.stop - 2] = grey
        places[side, side, k] = 40
    return x + np.float32(shift), places


def test_the_contrast_is_that_of_the_core_and_knows_no_brightness() -> None:
    # Of the dark mean, exp(-20 x 0.25) outweighs the squares by 150 and more.
    np.testing.assert_allclose(measured(*scene()), [0.5, 0.25], atol=2e-3)
    np.testing.assert_allclose(measured(*scene(rim=0.3)), [0.5, 0.25], atol=5e-3)
    np.testing.assert_allclose(measured(*scene(shift=0.2)), measured(*scene()), atol=1e-5)


def test_where_nothing_is_outlined_it_is_a_number() -> None:
    x, places = scene()
    assert np.isfinite(measured(x, np.full_like(places, -1e4))).all()


def films(tmp_path: Path, recipe: OutlineRecipe) -> OutlineFilms:
    return load_outlines(split_of(read_outlines(tmp_path, recipe), "train"), recipe, lambda what, share: None)


def test_answer_and_outline_stay_as_they_were_to_the_last_bit(tmp_path: Path, recipe: OutlineRecipe) -> None:
    keras.utils.set_random_seed(1)
    built = build_outline(recipe)
    told = with_statements(built, recipe, films(tmp_path, recipe))
    x = np.random.default_rng(0).random((3, 64, 64, 3), np.float32)
    places, logits = built.model.predict_on_batch(x)
    same, more = told.model.predict_on_batch(x)
    np.testing.assert_array_equal(same, places)
    np.testing.assert_array_equal(more[:, :1], logits)
    assert more.shape == (3, 2)
    # The statement is the contrast of its own structure on a straight line.
    kernel, bias = told.model.get_layer("statements").get_weights()
    assert kernel[0, 0] == 0
    seen = np.stack([measured(one, place) for one, place in zip(x, places, strict=True)])
    np.testing.assert_allclose(more[:, 1], seen[:, 1] * kernel[1, 0] + bias[0], atol=1e-4)


def test_without_statements_the_network_is_the_same_one(tmp_path: Path, recipe: OutlineRecipe) -> None:
    built = BuiltOutline(object(), answers=True)
    assert with_statements(built, replace(recipe, statements=()), films(tmp_path, recipe)) is built


@pytest.mark.slow
def test_the_exported_network_says_it_too_and_its_head_leaves_it_out(tmp_path: Path, recipe: OutlineRecipe) -> None:
    keras.utils.set_random_seed(1)
    told = with_statements(build_outline(recipe), recipe, films(tmp_path, recipe))
    x = np.random.default_rng(0).random((2, 64, 64, 3), np.float32)
    export_outline(told, tmp_path / "out", "model", x, float16=False)  # raises where the files disagree
    with np.load(tmp_path / "out" / "head.npz") as head, np.load(tmp_path / "out" / "golden.npz") as golden:
        assert golden["logits"].shape == (2, 2)
        pooled = golden["features"].mean(axis=(1, 2)) @ head["kernel"] + head["bias"]
        np.testing.assert_allclose(pooled[:, 0], golden["logits"][:, 0], atol=1e-4)
        assert not head["kernel"][:, 1].any()
        again = keras.saving.load_model(tmp_path / "out" / "model.keras", compile=False)
        np.testing.assert_allclose(again.predict_on_batch(x)[1], golden["logits"], atol=1e-4)


def test_a_statement_needs_an_answer_to_stand_beside(tmp_path: Path, recipe: OutlineRecipe) -> None:
    text = (tmp_path / "discs.toml").read_text(encoding="utf-8")
    parts = text.split("[[card.classes]]")
    (tmp_path / "mute.toml").write_text(parts[0] + parts[2].split('meaning = "A disc."')[1], encoding="utf-8")
    with pytest.raises(BadRequest, match="no classes"):
        read_outline_recipe(tmp_path / "mute.toml")
