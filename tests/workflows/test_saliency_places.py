"""What maps of outlines are worth, measured on drawn films by way of the command line, and written into a folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_outlines import STRENGTHS, outlined_films

from medimg_core.catalog import evaluation, read_card, read_verified
from medimg_core.cli import main
from medimg_core.errors import BadRequest, BadTable
from medimg_core.explain import verdict
from medimg_core.explain.engine import scale_of
from medimg_core.workflows.manifest import read_manifest
from medimg_core.workflows.saliency_places import check_outlines, complete_outlines
from model_folder import OUTLINES, TINY_MODEL, TINY_OUTLINE, copy_model


def test_saliency_check_measures_maps_of_outlines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(OUTLINES))
    path, out = str(outlined_films(tmp_path / "films")), tmp_path / "out"
    check = ["saliency-check", "--model", "tiny_outline", "--manifest", path, "--split", "test", "--out", str(out)]
    assert main([*check, "--method", "seg_hirescam", "--json"]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["method"], one["structure"], one["outlined"]) for one in said] == [
        ("seg_hirescam", "lungs", 6),
        ("seg_hirescam", "lesion", 4),
    ]
    for one in said:
        assert 0 < one["n"] <= one["outlined"]
        assert one["gain"]["value"] == pytest.approx(one["moved"]["value"] - one["random"]["value"], abs=2e-4)
        assert one["scale"] > 0
    written = json.loads((out / "saliency_outlines.json").read_text())
    assert written["methods"]["seg_hirescam"]["lesion"]["n"] == said[1]["n"]
    assert main([*check, "--method", "gradcam"]) == 2
    assert "does not explain what the model 'tiny_outline' says" in capsys.readouterr().err


def test_films_without_an_outline_do_not_count(tmp_path: Path) -> None:
    rows = read_manifest(outlined_films(tmp_path), "test", label=None)
    card = read_card(TINY_OUTLINE)
    assert card.places is not None
    lesion = replace(card.places.structures[1], threshold=0.5)
    hidden = replace(card.places.structures[0], threshold=1.0)  # never outlined
    card = replace(card, places=replace(card.places, structures=(hidden, lesion)))
    shares: list[float] = []
    (check,) = check_outlines(card, rows, "seg_hirescam", most=4, progress=shares.append)
    assert (check.structure, check.outlined, shares[-1]) == ("lesion", 4, 1.0)
    shown = np.cumsum([STRENGTHS[i] > 0 for i in np.random.default_rng(0).permutation(6)])
    assert len(shares) == 1 + int(np.argmax(shown == 4)) > 4  # a film without a lesion came before


def test_a_model_that_outlines_nothing_is_told(tmp_path: Path) -> None:
    rows = read_manifest(outlined_films(tmp_path), "test", label=None)
    with pytest.raises(BadRequest, match="outlines nothing"):
        check_outlines(read_card(TINY_MODEL), rows)


def test_what_was_measured_stands_in_the_folder(tmp_path: Path) -> None:
    folder = copy_model(TINY_OUTLINE, tmp_path / "tiny_outline")
    before = json.loads((folder / "evaluation.json").read_text())
    outlined_films(tmp_path / "data" / before["data"][0]["set"])
    with pytest.raises(BadTable, match="no rows of the split 'val'"):
        complete_outlines(read_card(folder), tmp_path / "data")
    checks = complete_outlines(read_card(folder), tmp_path / "data", "test")
    card = read_card(folder)
    assert read_verified(card, "evaluation.json")
    after = dict(evaluation(card))
    stored = after["places"]["saliency"]
    assert stored["split"] == "test"
    for check in checks:
        assert stored[check.method][check.structure] == check.as_json()
        assert verdict(card, check.method, target=check.structure).measured
        assert scale_of(card, check.method, check.structure) == pytest.approx(check.scale, rel=1e-4)
    assert {**after, "places": {k: v for k, v in after["places"].items() if k != "saliency"}} == before
