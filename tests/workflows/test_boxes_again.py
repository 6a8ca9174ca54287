"""Boxes on the command line: `predict`, `evaluate`, `models-report`, `compare`, with the small model that boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from medimg_core.catalog import read_card, write_hashes
from medimg_core.cli import main as cli
from medimg_core.training.data import read_image
from medimg_core.workflows.find import find
from medimg_core.workflows.models_report import main as report
from model_folder import TINY_BOXES, copy_model, film_masks, film_pixels

STRENGTHS = (0.4, 0.0, 0.3, 0.45, 0.0, 0.35, 0.0, 0.4)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`tiny_boxes` and a copy whose boxes overlap less with each other."""
    copy_model(TINY_BOXES, tmp_path / "models" / "tiny_boxes")
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Eight drawn films of four patients, five with a blob and its box."""
    folder = tmp_path / "data" / "films"
    folder.mkdir(parents=True)
    lines = ["id;file;patient;label;boxes"]
    for i, strength in enumerate(STRENGTHS):
        cv2.imwrite(str(folder / f"f{i}.png"), film_pixels(50_000 + i, strength)[0].astype(np.uint8))
        rows, columns = np.nonzero(film_masks(50_000 + i, strength)["lesion"])
        sides = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if rows.size else []
        boxes = json.dumps([[int(side) for side in sides]] if sides else [])
        lines.append(f"f{i};f{i}.png;p{i // 2};{'pneumonia' if strength else 'normal'};{boxes}")
    (folder / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "manifest.csv"


def evaluated(manifest: Path, out: Path) -> dict[str, Any]:
    assert cli(["evaluate", "--model", "tiny_boxes", "--manifest", str(manifest), "--out", str(out)]) == 0
    content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return content


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_predict_tells_boxes_with_their_mark(models: Path, manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = str(manifest.parent / "f0.png")
    for population, fit in (("children", True), ("adults_pa", False)):
        asked = ["predict", "--model", "tiny_boxes", "--population", population]
        assert cli([*asked, "--json", film]) == 0
        (said,) = objects(capsys.readouterr().out)
        assert (said["fit_for_use"], said["places_fit_for_use"]) == (True, fit)
        found = find(read_image(manifest.parent / "f0.png"), read_card(TINY_BOXES), population)
        assert len(said["regions"]) == len(found.shown) == 1
        assert said["regions"][0]["box"] == pytest.approx(found.shown[0].box, abs=1e-3)
        assert cli([*asked, film]) == 0
        told = capsys.readouterr().out
        assert "boxed lesion (chance 0." in told
        assert ("Its boxes are not fit for use in these patients" in told) is not fit
    assert cli(["models"]) == 0
    assert "boxes fit for use: children; fit for use: children, adults_pa" in capsys.readouterr().out


def test_evaluate_measures_answer_and_boxes(models: Path, manifest: Path, tmp_path: Path) -> None:
    said = evaluated(manifest, tmp_path / "out")
    assert (said["n"], said["form"]) == (8, "yes_no")
    assert said["metrics"]["ap50"]["value"] == said["structures"]["lesion"]["ap50"]["value"]
    assert said["metrics"]["ap50"]["n"] == 8
    assert {"auroc", "sensitivity_at_0.5", "ap_centre"} <= set(said["metrics"])
    regions = json.loads((tmp_path / "out" / "regions.json").read_text())
    shown = {name: sum(region["shown"] for region in several) for name, several in regions.items()}
    told = {
        f"f{i}": len(find(read_image(manifest.parent / f"f{i}.png"), read_card(TINY_BOXES)).shown) for i in range(8)
    }
    assert shown == told
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "not fit for use in: adults_pa (synthetic example); adults_ap (synthetic example)" in page


def test_models_report_measures_boxes_anew(
    models: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from medimg_core.inference.boxes import BoxRule
    from medimg_core.training.boxes import answers
    from medimg_core.training.boxes.data import BoxRecord
    from medimg_core.training.boxes.measure import boxes_set
    from medimg_core.workflows.manifest import read_manifest
    from medimg_core.workflows.places_truth import true_boxes

    folder = models / "tiny_boxes"
    card = read_card(folder)
    assert card.places is not None
    films = []
    for row in read_manifest(manifest, label=None):
        truth = tuple(tuple(box) for box in true_boxes(row, card.places).tolist())
        record = BoxRecord("films", row.id, row.file, "test", row.patient, truth)  # type: ignore[arg-type]
        films.append(answers.told(card, record, read_image(row.file)))
    stated = boxes_set("Films", films, BoxRule(threshold=card.places.structures[0].threshold))
    # The figures of boxes are those of `evaluate`, which looks at the same films in another way.
    again = evaluated(manifest, tmp_path / "out")["metrics"]
    for name, figure in stated["metrics"].items():
        assert figure["value"] == pytest.approx(again[name]["value"], abs=1e-5)

    def state() -> None:
        content = json.loads((TINY_BOXES / "evaluation.json").read_text())
        places = {"places": {"test_sets": {"children": stated}}}
        (folder / "evaluation.json").write_text(json.dumps(content | {"test_sets": {}} | places))
        write_hashes(folder)

    state()
    arguments = ["--data", str(tmp_path / "data"), "--model", "tiny_boxes"]
    capsys.readouterr()
    assert report(arguments) == 0
    told = capsys.readouterr().out
    assert "boxes: false_boxes_per_image" in told
    assert "0 differ" in told
    stated["metrics"]["ap50"]["value"] -= 0.01
    state()
    assert report(arguments) == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_two_models_are_compared_by_their_boxes_beside_their_answers(
    models: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = copy_model(TINY_BOXES, models / "loose")
    text = (other / "card.toml").read_text(encoding="utf-8")
    (other / "card.toml").write_text(text.replace("suppress = 0.3", "suppress = 0.95"), encoding="utf-8")
    write_hashes(other)
    out = tmp_path / "both"
    arguments = ["compare", "--models", "tiny_boxes,loose", "--manifest", str(manifest), "--out", str(out)]
    assert cli([*arguments, "--json"]) == 0
    boxes, answers = objects(capsys.readouterr().out)
    assert answers["models"] == boxes["models"] == ["tiny_boxes", "loose"]
    assert (boxes["form"], boxes["structure"], boxes["n"], boxes["patients"]) == ("boxes", "lesion", 8, 4)
    assert json.loads((out / "comparison_boxes.json").read_text()) == boxes
    first = boxes["refused_left_out"][0]
    own = json.loads((out / "tiny_boxes" / "metrics.json").read_text())["metrics"]["ap50"]
    assert first["ap50"]["a"]["value"] == pytest.approx(own["value"])
    assert first["ap50"]["difference"]["value"] == pytest.approx(
        first["ap50"]["a"]["value"] - first["ap50"]["b"]["value"]
    )
    assert first["ap50"]["p"] <= first["ap50"]["p_holm"] <= 1
    assert cli(arguments) == 0
    assert "tiny_boxes against loose, boxes of lesion, 4 patients: ap50" in capsys.readouterr().out
