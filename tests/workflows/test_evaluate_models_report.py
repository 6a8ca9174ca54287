"""Model folders whose figures were measured on films that are measured again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from medimg_core.catalog import Calibration, StatementCard, StatementFit, read_card, write_hashes
from medimg_core.cli import main as cli
from medimg_core.inference import predict
from medimg_core.metrics import auroc, rates
from medimg_core.training import router_measure
from medimg_core.types import GateVerdict
from medimg_core.workflows.answers import read_row
from medimg_core.workflows.manifest import read_manifest
from medimg_core.workflows.models_report import _Film, _statements, main
from model_folder import FORMS, GRADES, KINDS, TINY_MODEL, copy_model, film_pixels

SHIPPED = Path(__file__).resolve().parents[2] / "models"


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


def measured_form(tmp_path: Path, name: str, strengths: dict[str, float]) -> Path:
    """A model of several kinds or of grades, with figures from `evaluate` on drawn films of its classes."""
    films = tmp_path / "data" / "drawn"
    films.mkdir(parents=True)
    lines = ["id,file,patient,label"]
    for i in range(24):
        number = i % len(strengths)
        strength = list(strengths.values())[number] * (0.5 if i % 5 == 0 else 1.0)  # some too faint
        Pillow.fromarray(film_pixels(300 + i, strength)[0].astype(np.uint8)).save(films / f"{i}.png")
        lines.append(f"f{i},{i}.png,p{i // 2},{list(strengths)[number]}")
    (films / "manifest.csv").write_text("\n".join(lines))
    folder = copy_model(FORMS / name, tmp_path / "models" / name)
    out = tmp_path / "out"
    manifest = str(films / "manifest.csv")
    assert cli(["evaluate", "--model", name, "--manifest", manifest, "--out", str(out)]) == 0
    said = json.loads((out / "metrics.json").read_text())
    content = json.loads((folder / "evaluation.json").read_text())
    content["test_sets"]["drawn"] |= {
        "data_set": "drawn",
        "n": 24,
        "refused": 0,
        "metrics": {key: {k: v[k] for k in ("value", "low", "high")} for key, v in said["metrics"].items()},
        "predictions": {
            "id": [f"f{i}" for i in range(24)],
            "patient": [f"p{i // 2}" for i in range(24)],
            "label": [i % len(strengths) for i in range(24)],
        },
    }
    (folder / "evaluation.json").write_text(json.dumps(content))
    write_hashes(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "strengths", "headline"),
    [("tiny_kinds", KINDS, "accuracy"), ("tiny_grades", GRADES, "kappa_quadratic")],
)
def test_kinds_and_grades_are_measured_anew(
    name: str,
    strengths: dict[str, float],
    headline: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path / "models"))
    folder = measured_form(tmp_path, name, strengths)
    capsys.readouterr()
    assert run(folder) == 0
    told = capsys.readouterr().out
    figures = json.loads((folder / "evaluation.json").read_text())["test_sets"]["drawn"]["metrics"]
    assert f"{len(figures) + 1} figures, 0 differ" in told
    (line,) = told.split("Headlines")[1].splitlines()[2:3]
    assert line.split()[:4] == [name, "grade" if name == "tiny_grades" else "one_of", "drawn", headline]
    content = json.loads((folder / "evaluation.json").read_text())
    content["test_sets"]["drawn"]["metrics"][headline]["value"] -= 0.01
    if name == "tiny_grades":  # the step to the third grade is the statement's: the same answers, the same figures
        content["test_sets"]["drawn"]["statements"] = {
            "referable": {key: figures[key] for key in ("auroc", "sensitivity", "specificity")}
        }
    (folder / "evaluation.json").write_text(json.dumps(content))
    assert run(folder) == 1
    told = capsys.readouterr().out
    assert told.count("DIFFERS") == 2  # in its line and under the headlines
    assert told.count("referable: ") == (3 if name == "tiny_grades" else 0)


def test_a_statement_is_measured_anew_where_its_truth_was_stored() -> None:
    tiny = read_card(TINY_MODEL)
    question = StatementCard("bacterial", "Rather bacterial", "Rather viral", "", 1)
    card = replace(tiny, outputs=2, statements=(question,))
    fit = StatementFit(Calibration(), 0.5, 0.5, 4)
    people = replace(tiny.populations[0], statements={"bacterial": fit})
    films = [_Film(np.array([0.0, z], np.float32), True) for z in (-3, 2, 1, -2, -1)]
    stated = {
        "predictions": {"label": [0, 0, 1, 1, 1], "patient": ["a", "b", "c", "d", "e"]},
        "statements": {"bacterial": {name: {"value": 0.75} for name in ("auroc", "sensitivity", "specificity")}},
    }
    assert not list(_statements(card, "drawn", stated, people, films))  # nobody says what is true
    stated["statements"]["bacterial"]["truth"] = [0, None, 1, 1, 0]
    found = {one.name: one.measured.value for one in _statements(card, "drawn", stated, people, films)}
    assert found == {"bacterial: auroc": 0.75, "bacterial: sensitivity": 0.5, "bacterial: specificity": 1.0}


def test_the_router_sorts_its_test_pictures_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "models" / "router"
    folder.mkdir(parents=True)
    for name in ("card.toml", "hashes.json"):
        (folder / name).write_bytes((SHIPPED / "router" / name).read_bytes())

    def one(group: str, expected: str, passed: bool, named: str = "chest_frontal") -> router_measure.Judged:
        return router_measure.Judged(group, group, group, expected, named, GateVerdict(passed, (), named))

    seen = [
        one("chest_xray_children", "chest_frontal", True),
        one("chest_xray_adults", "chest_frontal", False),
        one("not_medical: photo", "photo", False, "photo"),
        one("other_medical: skin", "other_medical", True),
        one("made: inverted", "chest_inverted", True),
    ]
    monkeypatch.setattr(router_measure, "judge", lambda *_: iter(seen))
    stated = router_measure.report(seen, read_card(folder).class_ids)
    (folder / "evaluation.json").write_text(json.dumps({"test_sets": {}, "gate": {"test": stated}}))
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path / "models"))
    assert main([]) == 0
    told = capsys.readouterr().out
    assert "router  router  known" in told
    assert "made" not in told
    stated["foreign"]["refused"]["value"] = 1.0
    (folder / "evaluation.json").write_text(json.dumps({"test_sets": {}, "gate": {"test": stated}}))
    assert main(["--model", "router"]) == 1
    assert "DIFFERS" in capsys.readouterr().out
    assert main(["--model", "tiny_model"]) == 2
