"""Outlines measured a second time: `models_report` on the stated figures, `compare` on the same patients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drawn_outlines import outlined_films

from medimg_core.catalog import write_hashes
from medimg_core.cli import main as cli
from medimg_core.workflows.models_report import main as report
from model_folder import TINY_MODEL, TINY_OUTLINE, copy_model


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`tiny_outline` and a copy that outlines less of each structure."""
    copy_model(TINY_OUTLINE, tmp_path / "models" / "tiny_outline")
    other = copy_model(TINY_OUTLINE, tmp_path / "models" / "shy")
    text = (other / "card.toml").read_text()
    (other / "card.toml").write_text(text.replace("smallest =", "threshold = 0.9\nsmallest ="))
    write_hashes(other)
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def evaluated(manifest: Path, out: Path, model: str = "tiny_outline") -> dict[str, Any]:
    assert cli(["evaluate", "--model", model, "--manifest", str(manifest), "--out", str(out)]) == 0
    content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return content


def plain(figure: dict[str, Any]) -> dict[str, float]:
    return {key: figure[key] for key in ("value", "low", "high")}


def test_models_report_measures_outlines_anew(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = evaluated(outlined_films(tmp_path / "data" / "films"), tmp_path / "out")
    stated = {
        "title": "Films",
        "data_set": "films",
        "split": "test",
        "n": 6,
        "refused": 0,
        "structures": {
            name: {key: plain(figures[key]) for key in ("dice", "dice_per_image", "iou")} | {"missed": 0, "false": 0}
            for name, figures in said["structures"].items()
        },
        "measurements": {},
        "predictions": {"id": [f"f{i}" for i in range(6)]},
    }
    path = models / "tiny_outline" / "evaluation.json"

    def state() -> None:
        content = json.loads((TINY_OUTLINE / "evaluation.json").read_text())
        path.write_text(json.dumps(content | {"places": {"test_sets": {"drawn": stated}}}))
        write_hashes(path.parent)

    state()
    arguments = ["--data", str(tmp_path / "data"), "--model", "tiny_outline"]
    capsys.readouterr()
    assert report(arguments) == 0
    told = capsys.readouterr().out
    assert "11 figures, 0 differ" in told
    assert "lungs: dice" in told.split("Headlines")[1]
    stated["structures"]["lesion"]["dice"]["value"] -= 0.01
    state()
    assert report(arguments) == 1
    assert "DIFFERS" in capsys.readouterr().out
    stated["predictions"]["id"] = ["f0", "elsewhere"]
    state()
    assert report(arguments) == 2
    assert "lacks 1 of the films" in capsys.readouterr().err


def test_many_small_structures_are_headed_by_their_mean_and_judged_by_pixel(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = models / "tiny_outline" / "card.toml"
    card.write_text(card.read_text().replace("[places]\n", "[places]\npixelwise = true\n"))
    write_hashes(card.parent)
    manifest = outlined_films(tmp_path / "data" / "films")
    said = evaluated(manifest, tmp_path / "out")
    each = said["structures"]
    both = [each[name]["dice"]["value"] for name in ("lungs", "lesion")]
    assert said["metrics"]["dice"]["value"] == pytest.approx(sum(both) / 2)
    assert both[0] != pytest.approx(both[1], abs=1e-3)
    assert plain(said["metrics"]["auprc_lesion"]) == plain(each["lesion"]["auprc"])
    assert each["lungs"]["auprc"]["value"] > 0.99  # the tiny network knows its drawn fields by heart
    assert each["lesion"]["auprc"]["refused_wrong"] is None
    figures = {name: {key: plain(row[key]) for key in ("dice", "auprc")} for name, row in each.items()}
    counted = {"title": "Films", "data_set": "films", "split": "test", "n": 6, "refused": 0, "measurements": {}}
    stated = counted | {"structures": figures, "metrics": {"dice": plain(said["metrics"]["dice"])}}
    stated |= {"predictions": {"id": [f"f{i}" for i in range(6)]}}
    content = json.loads((TINY_OUTLINE / "evaluation.json").read_text()) | {"places": {"test_sets": {"drawn": stated}}}
    (card.parent / "evaluation.json").write_text(json.dumps(content))
    write_hashes(card.parent)
    capsys.readouterr()
    assert report(["--data", str(tmp_path / "data"), "--model", "tiny_outline"]) == 0
    told = capsys.readouterr().out
    assert "6 figures, 0 differ" in told
    assert "lungs: dice" not in told.split("Headlines")[1]
    assert "dice" in told.split("Headlines")[1]


def test_two_outline_models_are_compared_patient_by_patient(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = outlined_films(tmp_path / "films", patients=6)
    one, other = (evaluated(manifest, tmp_path / "out" / name, name) for name in ("tiny_outline", "shy"))
    capsys.readouterr()
    out = tmp_path / "both"
    assert (
        cli(["compare", "--models", "tiny_outline,shy", "--manifest", str(manifest), "--out", str(out), "--json"]) == 0
    )
    (found,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (found["form"], found["n"], found["patients"]) == ("places", 6, 6)
    pairs = {pair["structure"]: pair["dice"] for pair in found["refused_left_out"]}
    for name, pair in pairs.items():
        a, b = one["structures"][name]["dice"]["value"], other["structures"][name]["dice"]["value"]
        assert pair["a"]["value"] == pytest.approx(a)
        assert pair["difference"]["value"] == pytest.approx(a - b)
        assert pair["difference"]["low"] <= a - b <= pair["difference"]["high"]
    assert pairs["lungs"]["difference"]["low"] > 0
    assert pairs["lungs"]["p"] == pytest.approx(2 / 2**6)
    assert pairs["lungs"]["p_holm"] >= pairs["lungs"]["p"]
    assert "after Holm" in (out / "comparison.html").read_text()
    tables = ",".join(str(tmp_path / "out" / name / "predictions.csv") for name in ("tiny_outline", "shy"))
    assert cli(["compare", "--predictions", tables, "--out", str(out), "--json"]) == 0
    (again,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert again == found
    assert cli(["compare", "--predictions", tables, "--out", str(out)]) == 0
    assert "tiny_outline against shy, lungs, 6 patients: Dice 0.99" in capsys.readouterr().out


def test_models_of_different_questions_are_not_compared(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_model(TINY_MODEL, models / "tiny_model")
    manifest = outlined_films(tmp_path / "films")
    common = ["--manifest", str(manifest), "--out", str(tmp_path / "out")]
    assert cli(["compare", "--models", "tiny_outline,tiny_model", *common]) == 2
    assert "gives no answer" in capsys.readouterr().err
    card = models / "shy" / "card.toml"
    card.write_text(card.read_text().replace('id = "lesion"', 'id = "nodule"'))
    write_hashes(card.parent)
    assert cli(["compare", "--models", "tiny_outline,shy", *common]) == 2
    assert "outline different structures: tiny_outline lungs, lesion; shy lungs, nodule" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_other_masks_are_another_truth(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = outlined_films(tmp_path / "films")
    evaluated(manifest, tmp_path / "a")
    manifest.write_text(manifest.read_text().replace("m0.png", "m2.png"))
    evaluated(manifest, tmp_path / "b")
    capsys.readouterr()
    tables = f"{tmp_path / 'a' / 'predictions.csv'},{tmp_path / 'b' / 'predictions.csv'}"
    assert cli(["compare", "--predictions", tables, "--out", str(tmp_path / "out")]) == 2
    assert "different true outlines" in capsys.readouterr().err
