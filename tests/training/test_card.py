from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from medimg_core.catalog import Calibration, read_card, write_hashes
from medimg_core.training.architectures import Built
from medimg_core.training.calibrate import Fitted
from medimg_core.training.card import population, to_toml, write_card
from medimg_core.training.recipe import read_recipe
from medimg_core.types import OperatingPoint

FITTED = Fitted(
    Calibration(1.5, -0.25, ((1.4, -0.2), (1.6, -0.3))),
    (OperatingPoint("rule_out", 0.1), OperatingPoint("balanced", 0.4), OperatingPoint("rule_in", 0.9)),
    {"normal": 0.7, "pneumonia": 0.8},
    0.25,
    55,
)


def test_toml_comes_back_as_it_went() -> None:
    table = {
        "text": 'a "quoted" back\\slash, en–dash\nand a line',
        "number": 1e-05,
        "yes": True,
        "pairs": [[1.0, -2.5], [3.0, 4.0]],
        "empty": [],
        "inner": {"deep": {"x": 1}, "y": "z"},
        "rows": [{"a": 1, "more": {"b": 2}}, {"a": 3}],
        "nothing": None,
    }
    read = tomllib.loads(to_toml(table))
    del table["nothing"]
    assert read == table


@pytest.mark.parametrize("name", ["chest_xray_pneumonia", "chest_xray_pneumonia_baseline"])
def test_the_catalog_reads_what_was_written(tmp_path: Path, name: str) -> None:
    recipe = read_recipe(Path(__file__).resolve().parents[2] / "recipes" / f"{name}.toml")
    people = [population(rule, FITTED, rule["id"] == "children") for rule in recipe.card["populations"]]
    write_card(tmp_path, recipe, Built(None, "layer_x", "pooled"), people, {})
    write_hashes(tmp_path)
    card = read_card(tmp_path)
    assert card.input == recipe.input
    assert card.class_ids == ("normal", "pneumonia")
    assert card.cam_layer == "layer_x"
    assert card.baseline == name.endswith("baseline")
    assert card.populations[0].calibration == FITTED.calibration
    assert card.populations[0].point("rule_in").threshold == 0.9
    assert [p.fit_for_use for p in card.populations] == [True, False, False]
    # Ages 0 and 6-17 were not studied: no population takes them.
    assert [p.id for p in card.populations if p.takes(4, None)] == ["children"]
    assert [p.id for p in card.populations if p.takes(60, "ap")] == ["adults_ap"]
    for age in (0.5, 6, 12, 17.9):
        assert not any(p.takes(age, "PA") for p in card.populations)
