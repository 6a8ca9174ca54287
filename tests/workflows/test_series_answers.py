"""A series on the command line, as a page gets it, and in an evaluation."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from series_folder import UPSIDE_DOWN, drawn_stack, series_model, slice_file

from medimg_core.catalog import ModelCard, evaluation, open_model
from medimg_core.cli import main
from medimg_core.io import read_study
from medimg_core.types import Series
from medimg_core.workflows.series import diagnose_series, series_figures
from model_folder import film_pixels


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    return series_model(tmp_path / "models" / "tiny_model")


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_page_gets_one_answer_and_the_slices_by_weight(model: ModelCard) -> None:
    found = diagnose_series(Series(tuple(drawn_stack(9, (4,))), "slices"), model, engine="litert")
    assert found.state == "positive"
    assert found.slices[0].index == 4
    assert found.slices[0].probability is not None
    assert [one.weight for one in found.slices] == sorted((one.weight or 0 for one in found.slices), reverse=True)
    assert found.population.id == "children"
    assert found.notes == ()
    few = diagnose_series(Series(tuple(drawn_stack(2, (0,))), "slices"), model, engine="litert")
    assert few.state == "refused"
    assert few.slices[0].probability is not None
    assert "Only 2 of 2" in few.notes[0]


def test_figures_are_read_from_the_evaluation(model: ModelCard) -> None:
    assert series_figures(model) is None
    known = {"value": 0.7, "low": 0.5, "high": 0.9}
    measured = {
        "title": "Drawn",
        "n": 12,
        "positives": 6,
        "metrics": {"auroc": known},
        "maximum": known,
        "difference": {"value": 0.0, "low": -0.1, "high": 0.1, "p": 1.0},
    }
    content = {**evaluation(model), "series": {"test": measured}}
    (model.folder / "evaluation.json").write_text(json.dumps(content), encoding="utf-8")
    found = series_figures(model)
    assert found is not None
    assert (found.n, found.metrics["auroc"].n, found.p) == (12, 12, 1.0)
    said = diagnose_series(Series(tuple(drawn_stack(4)), "slices"), model, engine="litert")
    assert said.state == "unfit"


def test_predict_tells_the_series_after_its_images(
    model: ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        slice_file(tmp_path / "ct" / f"{9 - number}.dcm", number, 0.4 if number == 2 else 0.0)
    slice_file(tmp_path / "ct" / "other.dcm", 3, series="1.2.3.5")
    assert main(["predict", "--model", model.name, "--json", str(tmp_path / "ct")]) == 0
    *images, series = objects(capsys)
    assert [image["index"] for image in images] == [0] * 7
    assert series["index"] is None
    assert series["file"] == str(tmp_path / "ct")
    assert len(series["files"]) == 6
    assert (series["status"], series["decision"]) == ("ok", "pneumonia")
    assert sum(series["scores"].values()) == pytest.approx(1)
    heaviest = series["slices"][0]
    assert heaviest["file"].endswith("7.dcm")
    assert set(heaviest) == {"file", "index", "weight", "probability"}
    assert sum(one["weight"] for one in series["slices"]) == pytest.approx(1)
    assert set(images[0]) <= set(series)
    assert main(["predict", "--model", model.name, str(tmp_path / "ct")]) == 0
    assert "series of 6 slices: Pneumonia, pneumonia" in capsys.readouterr().out


def told_series(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, Any]]]:
    """Exit status, and the objects of whole series."""
    status = main(["predict", "--model", "tiny_model", "--json", str(folder)])
    return status, [said for said in objects(capsys) if said["index"] is None and "slices" in said]


def test_half_a_series_says_what_is_missing_and_answers(
    model: ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every second slice is lost in the upper half, and one file is damaged."""
    for number in (0, 1, 2, 3, 5, 7):
        slice_file(tmp_path / "ct" / f"{number}.dcm", number, 0.4 if number == 2 else 0.0)
    (tmp_path / "ct" / "4.dcm").write_bytes((tmp_path / "ct" / "5.dcm").read_bytes()[:2000])
    status, (said,) = told_series(tmp_path / "ct", capsys)
    assert (status, said["status"], said["decision"], len(said["files"])) == (1, "ok", "pneumonia", 6)
    assert "Gap: one slice seems to be missing between slices 4 and 5." in said["reason"]
    assert "Gap: one slice seems to be missing between slices 5 and 6." in said["reason"]
    for number in (5, 7):
        (tmp_path / "ct" / f"{number}.dcm").unlink()
    _, (half,) = told_series(tmp_path / "ct", capsys)
    assert half["status"] == "ok"
    assert "Only a part of an examination: the slices cover 20 mm, a whole one 40 mm or more." in half["reason"]


def test_doubled_slices_count_once_and_are_said(
    model: ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(9):
        slice_file(tmp_path / "once" / f"{number}.dcm", number, 0.4 if number == 5 else 0.0)
        slice_file(tmp_path / "twice" / f"{number}.dcm", number, 0.4 if number == 5 else 0.0)
    copied = (tmp_path / "twice" / "5.dcm").read_bytes()
    (tmp_path / "twice" / "copy.dcm").write_bytes(copied)
    (_, (once,)), (status, (twice,)) = (told_series(tmp_path / name, capsys) for name in ("once", "twice"))
    assert (status, once["reason"], len(twice["files"])) == (0, "", 10)
    assert twice["reason"] == "One slice position occurs more than once; slices of one position count once together."
    assert twice["scores"] == pytest.approx(once["scores"], abs=1e-6)
    assert sum(one["weight"] for one in twice["slices"]) == pytest.approx(1)


def test_feet_first_is_the_same_series(model: ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The planes face the feet and the slices come in the other order: numbers, names and normals all disagree."""
    for number in range(9):
        strength = 0.4 if number == 6 else 0.0
        slice_file(tmp_path / "head" / f"{number}.dcm", number, strength)
        turned = {"PatientPosition": "FFS", "ImageOrientationPatient": list(UPSIDE_DOWN), "InstanceNumber": 9 - number}
        slice_file(tmp_path / "feet" / f"{9 - number}.dcm", number, strength, **turned)
    (_, (head,)), (status, (feet,)) = (told_series(tmp_path / name, capsys) for name in ("head", "feet"))
    assert (status, feet["reason"]) == (0, "")
    assert feet["scores"] == pytest.approx(head["scores"], abs=1e-6)
    assert Path(head["slices"][0]["file"]).name == "6.dcm"
    assert Path(feet["slices"][0]["file"]).name == "3.dcm"


def test_mixed_series_stay_apart_and_two_patients_get_no_common_answer(
    model: ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three stacks: of two numbers, and of one number in two directions."""
    sagittal = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]
    for number in range(5):
        slice_file(tmp_path / "ct" / f"a{number}.dcm", number, 0.4 if number == 2 else 0.0)
        slice_file(tmp_path / "ct" / f"b{number}.dcm", number, series="1.2.3.5")
        across = {"ImagePositionPatient": [5.0 * number, 0.0, 0.0], "ImageOrientationPatient": sagittal}
        slice_file(tmp_path / "ct" / f"c{number}.dcm", number, **across)
    status, found = told_series(tmp_path / "ct", capsys)
    assert status == 0
    stacks = {"".join(sorted({Path(name).name[0] for name in said["files"]})): said["decision"] for said in found}
    assert stacks == {"a": "pneumonia", "b": "normal", "c": "normal"}
    for number in range(5):
        slice_file(tmp_path / "two" / f"{number}.dcm", number, PatientSex="FM"[number % 2])
    status, (said,) = told_series(tmp_path / "two", capsys)
    assert (status, said["status"], said["scores"]) == (1, "refused", {})
    assert said["reason"].startswith("These slices are of more than one patient: sex or age in their headers differ.")
    assert all(one["probability"] is not None for one in said["slices"])  # the single slices stand


def test_evaluate_measures_series_beside_the_highest_slice(
    model: ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    for patient in range(6):
        for number in (2, 0, 1, 3):
            ill = patient % 2 == 1 and number == 2
            name = f"p{patient}_{number}.png"
            pixels = film_pixels(500 + 10 * patient + number, 0.4 if ill else 0.0)[0]
            cv2.imwrite(str(tmp_path / name), pixels.astype(np.uint8))
            label = "pneumonia" if ill else "normal"
            rows.append({"id": name, "file": name, "patient": f"p{patient}", "slice": number, "label": label})
    with (tmp_path / "m.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    out = tmp_path / "out"
    assert main(["evaluate", "--model", model.name, "--manifest", str(tmp_path / "m.csv"), "--out", str(out)]) == 0
    capsys.readouterr()
    series = json.loads((out / "metrics.json").read_text(encoding="utf-8"))["series"]
    assert (series["n"], series["positives"], series["refused"]) == (6, 3, 0)
    assert series["auroc"]["value"] == series["maximum"]["value"] == 1.0
    assert series["difference"]["value"] == 0.0
    assert [one["positive"] for one in series["predictions"]] == [False, True] * 3


@pytest.mark.shared
@pytest.mark.parametrize(("folder", "n"), [("ct_a", 24), ("ct_b", 20)])
def test_real_series_get_one_answer(folder: str, n: int, shared: Path) -> None:
    card = open_model("lung_ct_cancer")
    study, _ = read_study([shared / "data" / "lung_ct_dicom_series" / folder])
    (series,) = study.series
    found = diagnose_series(series, card)
    assert len(found.slices) == n
    assert any("Only a part of an examination" in note for note in found.notes)
    if found.state == "refused":
        assert "can be used" in found.notes[0]
        return
    assert sum(one.weight or 0 for one in found.slices) == pytest.approx(1)
    turned = diagnose_series(Series(series.images[::-1], series.kind), card)
    assert turned.prediction.scores == pytest.approx(found.prediction.scores, abs=1e-5)
