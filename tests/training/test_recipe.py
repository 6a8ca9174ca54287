from __future__ import annotations

from pathlib import Path

import pytest

from medimg_core.errors import BadRequest
from medimg_core.training.architectures import BODIES
from medimg_core.training.recipe import read_recipe

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["chest_xray_pneumonia", "chest_xray_pneumonia_baseline"])
def test_shipped_recipes_name_the_classes_of_the_command_line(name: str) -> None:
    recipe = read_recipe(ROOT / "recipes" / f"{name}.toml")
    assert recipe.name == name
    assert [c["id"] for c in recipe.card["classes"]] == ["normal", "pneumonia"]
    assert recipe.input.fit == "squash"  # the shape of a child's film gives the label away
    assert {rule["set"] for rule in recipe.card["populations"]} <= {rule.set for rule in recipe.data}


def test_weak_labels_never_outweigh_the_truth() -> None:
    recipe = read_recipe(ROOT / "recipes" / "chest_xray_pneumonia.toml")
    adults = next(rule for rule in recipe.data if rule.set == "chest_xray_adults")
    assert adults.column == "opacity"
    assert 0 < adults.weak_weight < 1
    assert all(0 < target < 0.5 for target in adults.weak_targets.values())
    assert recipe.network.architecture in BODIES


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("seed = 3", ""), "seed"),
        (("dropout = 0.1", "droput = 0.1"), "droput"),
        (("zoom = [0.95, 1.05]", "zoom = [0.95]"), "not enough values"),
        (("[loss]", "[loss"), "end of a table"),
    ],
)
def test_a_wrong_recipe_says_what_is_wrong(drawn_recipe: Path, change: tuple[str, str], named: str) -> None:
    drawn_recipe.write_text(drawn_recipe.read_text().replace(*change))
    with pytest.raises(BadRequest, match=named):
        read_recipe(drawn_recipe)


def test_a_missing_recipe_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"none\.toml"):
        read_recipe(tmp_path / "none.toml")
