from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medimg_core.errors import BadRequest, BadTable
from medimg_core.training.boxes.data import load_boxes, read_boxes, split_of
from medimg_core.training.boxes.recipe import read_box_recipe

ROOT = Path(__file__).resolve().parents[3]


def say(_: str, __: float) -> None:
    pass


def test_films_and_boxes_lie_on_the_same_grid(squares: Path, tmp_path: Path) -> None:
    recipe = read_box_recipe(squares / "recipe.toml")
    records = split_of(read_boxes(squares, recipe), "val")
    films = load_boxes(records, recipe, say, tmp_path)
    assert films.grids.shape == (24, 48, 48, 1)
    assert films.positive.sum() == 12
    for grid, boxes in zip(films.grids, films.boxes, strict=True):
        for x0, y0, x1, y1 in boxes.round().astype(int):
            assert (grid[y0:y1, x0:x1] > 150).all()
            assert (grid[y0:y1, x0 - 1 : x0] < 150).all()
            assert (grid[y1 : y1 + 1, x0:x1] < 150).all()
    again = load_boxes(records, recipe, say, tmp_path)
    np.testing.assert_array_equal(again.grids, films.grids)
    for one, other in zip(again.boxes, films.boxes, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_shipped_recipe_can_be_read() -> None:
    recipe = read_box_recipe(ROOT / "recipes" / "bone_fracture_boxes.toml")
    assert recipe.data.label == "fracture"
    assert recipe.input.fit == "letterbox"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("turns = [1]", "turns = [1, 1]"), "differ in number"),
        (('label = "square"', 'label = "square"\nturned = "circle"'), "ellipse"),
        (("seed = 5", ""), "seed"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_said(
    squares: Path, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text((squares / "recipe.toml").read_text(encoding="utf-8").replace(*change), encoding="utf-8")
    with pytest.raises(BadRequest, match=words):
        read_box_recipe(path)


@pytest.mark.parametrize(
    ("boxes", "words"), [("[[1, 2, 3]]", "cannot be read"), ('[[5, 5, 5, 9, ""square""]]', "no area"), ("[", "read")]
)
def test_what_is_wrong_with_boxes_is_said(squares: Path, tmp_path: Path, boxes: str, words: str) -> None:
    (tmp_path / "squares").mkdir()
    (tmp_path / "squares" / "manifest.csv").write_text(
        f'id,file,split,patient,boxes\na,a.png,train,p,"{boxes}"\n', encoding="utf-8"
    )
    with pytest.raises(BadTable, match=words):
        read_boxes(tmp_path, read_box_recipe(squares / "recipe.toml"))


def test_a_missing_column_or_manifest_is_named(squares: Path, tmp_path: Path) -> None:
    recipe = read_box_recipe(squares / "recipe.toml")
    with pytest.raises(BadTable, match="manifest"):
        read_boxes(tmp_path, recipe)
    (tmp_path / "squares").mkdir()
    (tmp_path / "squares" / "manifest.csv").write_text("id,file,split,patient\na,a.png,train,p\n", encoding="utf-8")
    with pytest.raises(BadTable, match="boxes"):
        read_boxes(tmp_path, recipe)
