"""`evaluate` and `compare` for several kinds and for grades, from files on disk to the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sklearn import metrics as sk

from medimg_core.catalog import read_card, write_hashes
from medimg_core.cli import main
from medimg_core.errors import BadTable
from medimg_core.workflows.compare import compare
from medimg_core.workflows.manifest import label_classes
from medimg_core.workflows.predictions import Line, Table, read_predictions, written
from model_folder import FORMS, GRADES, KINDS, copy_model, film_pixels


@pytest.fixture(autouse=True)
def _forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(FORMS))


def drawn(folder: Path, strengths: dict[str, float], n: int = 24) -> Path:
    """Films of every class in turn, some too faint to tell, with a column of grades; one that is blank."""
    folder.mkdir(parents=True)
    rows = []
    for i in range(n):
        number = i % len(strengths)
        strength = list(strengths.values())[number] * (0.5 if i % 5 == 0 else 1.0)
        cv2.imwrite(str(folder / f"{i}.png"), film_pixels(900 + i, strength)[0].astype(np.uint8))
        rows.append([f"f{i}", f"{i}.png", f"p{i // 2}", list(strengths)[number], number])
    cv2.imwrite(str(folder / "blank.png"), np.full((200, 200), 90, np.uint8))
    rows.append(["r0", "blank.png", "p90", list(strengths)[-1], len(strengths) - 1])
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["id", "file", "patient", "label", "grade"], *rows])
    return folder / "manifest.csv"


def run(model: str, manifest: Path, out: Path, *more: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    assert main(["evaluate", "--model", model, "--manifest", str(manifest), "--out", str(out), *more]) == 1  # blank
    content = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return content, list(csv.DictReader((out / "predictions.csv").read_text(encoding="utf-8").splitlines()))


def test_several_kinds(tmp_path: Path) -> None:
    content, rows = run("tiny_kinds", drawn(tmp_path / "set", KINDS), tmp_path / "out")
    assert list(rows[0])[:8] == ["id", "status", "reason", "label", *(f"p_{k}" for k in KINDS), "decision"]
    assert "grade" not in rows[0]
    answered = [row for row in rows if row["status"] == "ok"]
    truth = [row["label"] for row in answered]
    scores = np.array([[float(row[f"p_{k}"]) for k in KINDS] for row in answered])
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert [row["decision"] for row in answered] == [list(KINDS)[i] for i in scores.argmax(axis=1)]
    metrics, names = content["metrics"], list(KINDS)
    numbers = np.array([names.index(t) for t in truth])
    assert metrics["auroc"]["value"] == pytest.approx(sk.roc_auc_score(numbers, scores, multi_class="ovr"), abs=1e-12)
    assert metrics["accuracy"]["value"] == np.mean([row["label"] == row["decision"] for row in answered])
    assert {"auroc_clear", "auroc_bright", "auroc_dark", "ece", "brier", "sensitivity"} <= set(metrics)
    assert metrics["accuracy"]["refused_wrong"]["n"] == 25
    assert (content["form"], content["positive"], content["positives"]) == ("one_of", None, None)
    assert content["per_class"] == {"clear": 8, "bright": 8, "dark": 9}
    assert content["operating_points"] == {}
    assert np.sum(content["confusion"]["rows_truth"]) == 24
    assert 0 <= content["undecided"]["share"]["value"] <= 1
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2  # curves against the rest, reliability of the class decided
    assert "ROC of every class against the rest" in page
    assert "Calibration error of the class decided" in page
    assert "called Dark blob" in page
    assert page.count("not a medical device") == 1


def test_grades_by_name_or_number(tmp_path: Path) -> None:
    manifest = drawn(tmp_path / "set", GRADES)
    content, rows = run("tiny_grades", manifest, tmp_path / "out")
    again, numbered = run("tiny_grades", manifest, tmp_path / "again", "--label", "grade")
    assert numbered == rows
    assert again["metrics"] == content["metrics"]
    card = read_card(FORMS / "tiny_grades")
    names, point = list(GRADES), card.populations[0].point().threshold
    answered = [row for row in rows if row["status"] == "ok"]
    for row in answered:
        assert names[int(row["grade"])] == row["decision"]
        referable = float(row["p_marked"]) + float(row["p_heavy"])
        assert row["at_least_marked"] == ("yes" if referable >= point else "no")
    truth = np.array([names.index(row["label"]) for row in answered])
    decided = np.array([int(row["grade"]) for row in answered])
    p = np.array([float(row["p_marked"]) + float(row["p_heavy"]) for row in answered])
    metrics = {name: figure["value"] for name, figure in content["metrics"].items()}
    assert metrics["kappa_quadratic"] == pytest.approx(sk.cohen_kappa_score(truth, decided, weights="quadratic"))
    assert metrics["mae"] == pytest.approx(np.abs(truth - decided).mean())
    assert metrics["auroc"] == pytest.approx(sk.roc_auc_score(truth >= 2, p), abs=1e-12)
    assert metrics["sensitivity"] == pytest.approx((p >= point)[truth >= 2].mean())
    assert (content["form"], content["positive"], content["positives"]) == ("grade", "marked", 13)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "marked or higher" in page
    assert page.count("<svg") == 3


def test_numbers_are_labels_of_grades_only() -> None:
    assert label_classes(("a", "b"), {}, numbered=True)["1.0"] == "b"
    assert "1" not in label_classes(("a", "b"), {})
    assert label_classes(("a", "b"), {"1": "a"}, {"0": "b"}, numbered=True)["0"] == "b"  # the caller overrides


def test_no_known_label_is_told_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = drawn(tmp_path / "set", KINDS)
    arguments = ["evaluate", "--model", "tiny_grades", "--manifest", str(manifest), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "knows none of the labels: dark (9), clear (8), bright (8)" in told
    assert "none, slight, marked, heavy" in told
    assert not (tmp_path / "out").exists()


def softer(tmp_path: Path, name: str) -> Path:
    """A copy of a model that is less certain, beside the original."""
    folder = tmp_path / "models"
    copy_model(FORMS / name, folder / name)
    other = copy_model(FORMS / name, folder / "softer")
    lines = []
    for line in (other / "card.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("temperature"):
            lines.append(f"temperature = {3 * float(line.split('=')[1])}")
        elif line.startswith("shift"):
            lines.append(f"shift = {float(line.split('=')[1]) - 0.7}")
        else:
            lines.append(line)
    (other / "card.toml").write_text("\n".join(lines), encoding="utf-8")
    write_hashes(other)
    return folder


@pytest.mark.parametrize(("name", "strengths"), [("tiny_kinds", KINDS), ("tiny_grades", GRADES)])
def test_two_models_of_one_question(
    name: str,
    strengths: dict[str, float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(softer(tmp_path, name)))
    manifest, out = str(drawn(tmp_path / "set", strengths)), tmp_path / "out"
    options = ["--manifest", manifest, "--out", str(out), "--json"]
    assert main(["compare", "--models", f"{name},softer", *options]) == 1
    found = json.loads(capsys.readouterr().out)
    (pair,) = found["refused_left_out"]
    first, second = found["metrics"][name], found["metrics"]["softer"]
    for figure, difference in pair["differences"].items():
        assert difference["value"] == pytest.approx(first[figure]["value"] - second[figure]["value"], abs=1e-9)
    assert pair["differences"]["brier"]["value"] != 0
    if name == "tiny_grades":
        assert {"kappa_quadratic", "mae", "sensitivity"} <= set(pair["differences"])
        assert pair["auroc"]["test"].startswith("DeLong")
    else:
        assert set(pair["differences"]) == {"accuracy", "brier"}
        assert pair["auroc"]["test"].startswith("bootstrap of the mean area")
    assert pair["auroc"]["difference"]["value"] == pytest.approx(first["auroc"]["value"] - second["auroc"]["value"])
    assert "after Holm" in (out / "comparison.html").read_text(encoding="utf-8")
    tables = ",".join(str(out / model / "predictions.csv") for model in found["models"])
    assert main(["compare", "--predictions", tables, "--out", str(tmp_path / "again"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found


def test_models_of_different_questions_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = str(drawn(tmp_path / "set", KINDS, 3))
    arguments = ["compare", "--models", "tiny_kinds,tiny_grades", "--manifest", manifest, "--out", str(tmp_path / "o")]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "tiny_kinds tells clear, bright, dark; tiny_grades tells none, slight, marked, heavy" in told


def line(i: int, label: str, **values: Any) -> Line:
    scores = {"a": 0.2, "b": 0.3, "c": 0.5}
    return Line(f"f{i}", "ok", "", label, scores, "c", f"p{i}", "x", **values)


def test_tables_of_grades_survive_the_disk(tmp_path: Path) -> None:
    lines = (
        line(0, "a", prediction_set=("b", "c"), called=True),
        line(1, "b", prediction_set=(), called=False),
        Line("f2", "refused", "Blank.", "c", patient="p2"),
    )
    assert tuple(written(tmp_path / "p.csv", ("a", "b", "c"), lines, "b")) == lines
    table = read_predictions(tmp_path / "p.csv")
    assert table == Table(("a", "b", "c"), lines, "b")
    assert (table.form, table.usual_positive) == ("grade", "b")
    left = table.classes_left()
    assert left is not None
    assert left.tolist() == [2, 0, 0]
    given, answered = table.answers("b")
    assert given.probability.tolist() == [0.8, 0.8, 0.0]
    assert given.labels.tolist() == [False, True, True]
    assert given.called is not None
    assert given.called.tolist() == [True, False, False]
    assert answered.tolist() == [True, True, False]
    assert Table(("a", "b", "c"), (line(0, "a"),)).classes_left() is None


@pytest.mark.parametrize(
    ("head", "cells", "cause"),
    [("at_least_d", "yes", "names no grade"), ("at_least_b", "maybe", "Line 2"), ("at_least_b", "", "Line 2")],
)
def test_bad_columns_of_grades_are_told(tmp_path: Path, head: str, cells: str, cause: str) -> None:
    text = f"id,status,label,decision,p_a,p_b,p_c,{head}\nx,ok,a,a,1,0,0,{cells}\n"
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(BadTable, match=cause):
        read_predictions(tmp_path / "p.csv")


def test_scales_that_start_elsewhere_are_not_compared() -> None:
    lines = tuple(line(i, "abc"[i % 3], called=True) for i in range(6))
    with pytest.raises(BadTable, match="same grades as positive"):
        compare({"x": Table(("a", "b", "c"), lines, "b"), "y": Table(("a", "b", "c"), lines, "c")})
