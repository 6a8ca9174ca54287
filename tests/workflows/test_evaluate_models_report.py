"""A model folder whose figures were measured on films that are measured again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from medimg_core.catalog import read_card, write_hashes
from medimg_core.inference import predict
from medimg_core.metrics import auroc, rates
from medimg_core.workflows.answers import read_row
from medimg_core.workflows.manifest import read_manifest
from medimg_core.workflows.models_report import main
from model_folder import TINY_MODEL, copy_model, film_pixels


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder with figures from twelve drawn films, and the films as a data set."""
    films = tmp_path / "data" / "drawn"
    films.mkdir(parents=True)
    lines = ["id,file,patient,label"]
    for i in range(12):
        pixels = film_pixels(60 + i, 0.15 if i % 2 else 0.0)[0].astype(np.uint8)
        Pillow.fromarray(pixels).save(films / f"{i}.png")
        lines.append(f"f{i},{i}.png,p{i},{i % 2}")
    (films / "manifest.csv").write_text("\n".join(lines))
    folder = copy_model(TINY_MODEL, tmp_path / "models" / "tiny_model")
    card = read_card(folder)
    images = [read_row(row).image for row in read_manifest(films / "manifest.csv")]
    p = [predict(image, card, "children").prediction.scores["pneumonia"] for image in images if image is not None]
    truth = [i % 2 for i in range(12)]
    threshold = card.population(chosen="children")[0].point().threshold
    content = {
        "test_sets": {
            "children": {
                "data_set": "drawn",
                "population": "children",
                "n": 12,
                "refused": 0,
                "metrics": {
                    "auroc": {"value": round(auroc(truth, p).value, 5)},
                    "accuracy": {"value": round(rates(truth, np.array(p) >= threshold).accuracy.value, 5)},
                },
                "predictions": {"id": [f"f{i}" for i in range(12)], "patient": ["p"] * 12, "label": truth},
            }
        }
    }
    (folder / "evaluation.json").write_text(json.dumps(content))
    write_hashes(folder)
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path / "models"))
    return folder


def change(folder: Path, **values: object) -> None:
    content = json.loads((folder / "evaluation.json").read_text())
    content["test_sets"]["children"].update(values)
    (folder / "evaluation.json").write_text(json.dumps(content))


def run(folder: Path) -> int:
    return main(["--data", str(folder.parents[1] / "data")])


def test_true_figures_pass(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(measured) == 0
    told = capsys.readouterr().out
    assert "3 figures, 0 differ" in told
    assert "DIFFERS" not in told


def test_a_prettier_figure_is_found(measured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(measured, metrics={"auroc": {"value": 0.1}})
    assert run(measured) == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_films_that_the_input_check_refuses_must_be_stated(measured: Path) -> None:
    change(measured, refused=3)
    assert run(measured) == 1


def test_what_cannot_be_measured_is_status_2(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change(measured, predictions={"id": ["nobody"], "patient": ["p"], "label": [1]})
    assert run(measured) == 2
    assert "lacks 1 of the films" in capsys.readouterr().err
    assert main(["--data", str(tmp_path / "none")]) == 2
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path / "none"))
    assert main(["--data", str(tmp_path)]) == 2
    assert "No installed model" in capsys.readouterr().err
