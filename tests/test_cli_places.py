"""The command line against a small model that outlines and measures, and gives no answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from medimg_core.cli import main
from model_folder import OUTLINES


@pytest.fixture(autouse=True)
def _tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(OUTLINES))


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_models_name_structures_and_their_dice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    (model,) = objects(capsys)
    assert (model["task"], model["form"], model["classes"], model["positive"]) == ("outline", "places", [], None)
    assert model["structures"] == ["lungs", "lesion"]
    assert model["headline"]["metric"] == "dice"
    assert model["headline"]["low"] <= model["headline"]["value"] <= model["headline"]["high"]
    assert model["fit_for_use"] == {"drawn": True}
    assert model["places"]["measures"] == "lesion"
    assert main(["models"]) == 0
    told = capsys.readouterr().out
    assert "lungs/lesion; 64 x 64 px; Dice 0.99" in told
    assert "n 60, drawn; fit for use: drawn" in told
