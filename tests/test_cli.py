"""The command line against two small models: names of keys, files and exit statuses are a contract."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from medimg_core.catalog import open_model
from medimg_core.cli import main
from medimg_core.progress import Progress
from medimg_core.workflows.explain import explain
from model_folder import FORMS, MODELS, TINY_MODEL, copy_model, film_pixels, synthetic_film

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(MODELS))


def film(path: Path, seed: int = 1, strength: float = 0.4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), film_pixels(seed, strength)[0].astype(np.uint8))
    return path


def blank(path: Path) -> Path:
    cv2.imwrite(str(path), np.full((200, 200), 90, np.uint8))
    return path


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_models_lists_the_headline_with_its_interval(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    baseline, model = objects(capsys)
    assert (baseline["name"], model["name"]) == ("tiny_baseline", "tiny_model")
    assert model["classes"] == ["normal", "pneumonia"]
    assert model["headline"]["metric"] == "auroc"
    assert model["headline"]["low"] <= model["headline"]["value"] <= model["headline"]["high"]
    assert model["fit_for_use"] == {"children": True, "adults_pa": True, "adults_ap": False}
    assert main(["models"]) == 0
    assert "n 80" in capsys.readouterr().out


def test_predict_gives_an_object_an_image_in_the_order_of_the_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "b.png", 1, 0.4), film(tmp_path / "sub/a.png", 2, 0.0)
    (tmp_path / "note.txt").write_text("no picture")
    paths = ["./b.png", "note.txt", "sub", "none.png"]
    assert main(["predict", "--model", "tiny_model", "--json", *paths]) == 1
    first, note, second, absent = objects(capsys)
    assert [o["file"] for o in (first, note, second, absent)] == ["./b.png", "note.txt", "sub/a.png", "none.png"]
    assert [o["status"] for o in (first, note, second, absent)] == ["ok", "error", "ok", "error"]
    contract = "file index status reason model scores decision operating_point prediction_set regions measurements"
    assert {*contract.split(), "seconds"} <= set(first) == set(second)
    assert (first["index"], note["index"]) == (0, None)
    assert first["decision"] == "pneumonia"
    assert second["decision"] == "normal"
    assert sum(first["scores"].values()) == pytest.approx(1.0)
    assert first["interval"]["low"] <= first["scores"]["pneumonia"] <= first["interval"]["high"]
    assert first["operating_point"] == {"name": "balanced", "threshold": 0.3579}
    assert (note["scores"], note["decision"], note["regions"]) == ({}, None, [])
    assert "no such file" in absent["reason"]


def test_predict_counts_frames_and_opens_zips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Pillow.fromarray(film_pixels(seed, 0.4)[0].astype(np.uint8)) for seed in (1, 2)]
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(film(tmp_path / "x.png"), "folder/x.png")
    paths = [str(tmp_path / "two.tif"), str(tmp_path / "all.zip")]
    assert main(["predict", "--model", "tiny_model", "--json", *paths]) == 0
    found = objects(capsys)
    assert [o["index"] for o in found] == [0, 1, 0]
    assert [o["file"] for o in found] == [paths[0], paths[0], f"{paths[1]}/folder/x.png"]


def test_predict_auto_asks_no_baseline_and_a_refusal_names_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", "--json", str(film(tmp_path / "a.png")), str(blank(tmp_path / "b.png"))]
    assert main(arguments) == 1
    answered, refused = objects(capsys)
    assert answered["model"] == "tiny_model"
    assert (refused["status"], refused["model"], refused["scores"]) == ("refused", None, {})
    assert refused["gate"]["reasons"]
    assert refused["reason"].startswith("Not analysed:")
    assert refused["reason"].endswith("one of the models takes.")  # what to do next
    assert main([*arguments, "--model", "tiny_model"]) == 1
    of_one = objects(capsys)[1]
    assert of_one["model"] == "tiny_model"
    assert of_one["reason"].endswith("choose their model.")


def test_predict_gives_an_object_for_every_model_that_the_router_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(FORMS))
    path = str(film(tmp_path / "a.png", 4, 0.4))
    assert main(["predict", "--json", path]) == 0
    graded, kind = objects(capsys)
    assert [o["model"] for o in (graded, kind)] == ["tiny_grades", "tiny_kinds"]
    assert list(graded) == list(kind)
    assert (graded["decision"], graded["grade"], kind["decision"], kind["grade"]) == ("heavy", 3, "bright", None)
    assert (graded["operating_point"], kind["operating_point"], kind["statements"]) == (None, None, [])
    (told,) = graded["statements"]
    assert set(told) == {"id", "probability", "low", "high", "claimed"}
    assert (told["id"], told["claimed"]) == ("referable", True)
    assert told["low"] <= told["probability"] <= told["high"]
    assert told["probability"] == pytest.approx(graded["scores"]["marked"] + graded["scores"]["heavy"], abs=1e-3)
    assert main(["predict", path]) == 0
    said = capsys.readouterr().out
    assert "Drawn as: heavy. grade 3 of 0 to 3: heavy" in said
    assert "Referable, referable " in said
    assert "Drawn as: bright. bright" in said


def test_models_name_the_figure_of_their_form(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(FORMS))
    assert main(["models", "--json"]) == 0
    graded, kind = objects(capsys)
    assert (graded["form"], graded["headline"]["metric"]) == ("grade", "kappa_quadratic")
    assert (kind["form"], kind["headline"]["metric"]) == ("one_of", "accuracy")
    assert (graded["statements"], graded["takes"], graded["licence"]) == (["referable"], ["chest_frontal"], "open")
    assert main(["models"]) == 0
    told = capsys.readouterr().out
    assert "kappa 0.9" in told
    assert told.count("licence of the data: open") == 2


def test_a_damaged_card_hides_no_other_and_an_empty_folder_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path / "models"))
    assert main(["models"]) == 2
    assert "No model is installed here" in capsys.readouterr().err
    copy_model(TINY_MODEL, tmp_path / "models" / "tiny_model")
    copy_model(TINY_MODEL, tmp_path / "models" / "broken")
    (tmp_path / "models" / "broken" / "card.toml").write_text("title = ")
    assert main(["models", "--json"]) == 1
    told = capsys.readouterr()
    assert [json.loads(line)["name"] for line in told.out.splitlines()] == ["tiny_model"]
    assert "The card of the model 'broken' cannot be used" in told.err
    assert main(["predict", "--json", str(film(tmp_path / "a.png"))]) == 0


def test_a_site_uses_only_the_licences_it_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(film(tmp_path / "a.png"))
    monkeypatch.setenv("MEDIMG_LICENCES", "unverified,research-only")
    assert main(["models"]) == 2
    assert "MEDIMG_LICENCES" in capsys.readouterr().err
    assert main(["predict", "--model", "tiny_model", path]) == 2
    told = capsys.readouterr().err
    assert "the licence of its data is open" in told
    assert "Choose another model" in told
    monkeypatch.setenv("MEDIMG_LICENCES", "free")
    assert main(["models"]) == 2
    assert "open, unverified, non-commercial, research-only" in capsys.readouterr().err


@pytest.mark.parametrize("numbers", [["--box", "nan,0,1,1"], ["--box", "0,0,inf,1"], ["--spacing-mm", "nan,1"]])
def test_numbers_are_finite(numbers: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["predict", *numbers, "a.png"])
    assert "numbers as" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["predict", "a.png", "b.png"], ["explain", "--model", "tiny_model", "--out", "x"]])
def test_an_engine_that_there_is_not_is_told_once(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDIMG_ENGINE", "abacus")
    assert main([*command, "c.png"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("no engine named 'abacus'") == 1


def test_predict_in_words_never_calls_a_film_normal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(film(tmp_path / "a.png", 3, 0.0))]) == 0
    said = capsys.readouterr().out
    assert "No sign of pneumonia; other findings are not assessed." in said
    assert "normal" not in said


def test_predict_for_a_population_that_the_model_does_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(film(tmp_path / "a.png"))
    assert main(["predict", "--population", "adults_ap", path]) == 0
    assert "Not fit for use" in capsys.readouterr().out
    assert main(["predict", "--population", "horses", path]) == 2
    assert "children" in capsys.readouterr().err


def test_json_is_the_only_thing_on_standard_output(tmp_path: Path) -> None:
    """In a process of its own, as a script would call it; nothing heavy is loaded on the way."""
    code = (
        "import sys; from medimg_core.cli import main; status = main(sys.argv[1:]);"
        "print(' '.join(sys.modules), file=sys.stderr); sys.exit(status)"
    )
    path = str(film(tmp_path / "a.png"))
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "--json", path],
        cwd=ROOT,
        env={**os.environ, "MEDIMG_MODELS": str(MODELS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["file"] == path
    heavy = {"tensorflow", "keras", "pandas", "scipy", "scipy.stats", "matplotlib", "streamlit", "sqlalchemy"}
    assert not heavy & set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["predict"],
        ["predict", "--model", "nobody", "a.png"],
        ["predict", "--spacing-mm", "0.1", "a.png"],
        ["predict", "--spacing-mm", "0,1", "a.png"],
        ["predict", "--box", "1,2,3", "a.png"],
        ["explain", "--model", "tiny_model", "--out", "out", "--method", "gradcan", "a.png"],
        ["explain", "--model", "tiny_model", "--out", "out", "--target", "horse", "a.png"],
        ["evaluate", "--model", "tiny_model", "--out", "out", "--manifest", "none.csv"],
        ["evaluate", "--model", "tiny_model", "--out", "out", "--folder", "none", "--map", "yes=horse"],
        ["evaluate", "--model", "tiny_model", "--out", "out"],
        ["compare", "--out", "out"],
        ["compare", "--models", "tiny_model,tiny_baseline", "--out", "out"],
        ["compare", "--predictions", "none.csv,none2.csv", "--out", "out"],
    ],
)
def test_what_cannot_be_carried_out_is_status_2(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as end:  # argparse
        status = int(end.code or 0)
    told = capsys.readouterr()
    assert status == 2
    assert told.out == ""
    assert told.err
    assert "Traceback" not in told.err


def test_explain_writes_raw_maps_on_the_source_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = film(tmp_path / "film.one.png"), tmp_path / "maps"
    arguments = [
        "explain",
        "--model",
        "tiny_model",
        "--method",
        "cam,gradients",
        "--out",
        str(out),
        "--json",
        str(path),
    ]
    assert main(arguments) == 0
    cam, gradients = objects(capsys)
    assert (cam["method"], cam["target"], cam["status"]) == ("cam", "pneumonia", "ok")
    assert cam["npy"] == "film.one.cam.npy"
    assert sorted(p.name for p in out.iterdir()) == sorted(
        f"film.one.{method}.{kind}" for method in ("cam", "gradients") for kind in ("npy", "png")
    )
    values = np.load(out / cam["npy"])
    assert (values.dtype, values.shape) == (np.float32, (180, 220))
    assert values.min() >= 0
    card = open_model("tiny_model")
    same = explain(synthetic_film(1, 0.4), card, "cam")[0].values
    assert np.corrcoef(values.ravel(), same.ravel())[0, 1] > 0.99
    with Pillow.open(out / gradients["png"]) as picture:
        assert picture.info["Method"] == "gradients"


def test_explain_names_frames_and_equal_stems_by_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Pillow.fromarray(film_pixels(seed, 0.4)[0].astype(np.uint8)) for seed in (1, 2)]
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    paths = [
        film(tmp_path / "a/x.png", 3),
        film(tmp_path / "b/x.png", 4),
        tmp_path / "two.tif",
        film(tmp_path / "y.png"),
    ]
    out = tmp_path / "maps"
    arguments = ["explain", "--model", "tiny_model", "--method", "cam", "--no-png", "--out", str(out), "--json"]
    assert main([*arguments, *map(str, paths), str(blank(tmp_path / "z.png"))]) == 1
    found = objects(capsys)
    names = ["x.0.cam.npy", "x.1.cam.npy", "two.0.cam.npy", "two.1.cam.npy", "y.cam.npy"]
    assert [o["npy"] for o in found] == [*names, None]
    assert sorted(p.name for p in out.iterdir()) == sorted(names)
    assert found[-1]["status"] == "refused"


def test_explain_for_the_other_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = str(film(tmp_path / "a.png")), str(tmp_path / "maps")
    arguments = ["explain", "--model", "tiny_baseline", "--no-png", "--target", "normal", "--out", out, "--json", path]
    assert main(arguments) == 0
    (found,) = objects(capsys)
    assert (found["target"], found["method"], found["png"]) == ("normal", "gradcam", None)


def test_the_shipped_models_are_listed_and_the_input_check_answers_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MEDIMG_MODELS")
    assert main(["models", "--json"]) == 0
    listed = {o["name"]: o for o in objects(capsys)}
    assert listed["router"]["task"] == "gate"
    assert listed["router"]["headline"] is None
    assert main(["models"]) == 0
    assert "gives no answer of its own" in capsys.readouterr().out
    for command in (["predict"], ["explain", "--out", str(tmp_path)]):
        assert main([command[0], "--model", "router", *command[1:], str(film(tmp_path / "a.png"))]) == 2
        assert "checks the input of other models" in capsys.readouterr().err


def test_a_device_is_no_image_and_an_odd_name_does_not_end_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "--model", "tiny_model", "--json", "/dev/zero"]) == 1
    assert "device or a pipe" in objects(capsys)[0]["reason"]
    for kind, strength in (("normal", 0.0), ("pneumonia", 0.4)):
        film(tmp_path / "set" / kind / "a.png", 7, strength).rename(tmp_path / "set" / kind / "odd\udcff.png")
    arguments = ["evaluate", "--model", "tiny_model", "--folder", str(tmp_path / "set"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert len((tmp_path / "out" / "predictions.csv").read_text(encoding="utf-8").splitlines()) == 3


def test_explain_without_a_method_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(film(tmp_path / "a.png"))
    assert main(["explain", "--model", "tiny_model", "--method", "", "--out", str(tmp_path / "maps"), path]) == 2
    assert "No saliency method was named" in capsys.readouterr().err


@pytest.mark.slow
def test_explain_with_the_reference_engine_agrees(tmp_path: Path) -> None:
    path, maps = str(film(tmp_path / "a.png")), {}
    for engine in ("own", "tf-keras-vis"):
        out = tmp_path / engine
        arguments = ["explain", "--model", "tiny_model", "--method", "gradcam", "--no-png", "--engine", engine]
        assert main([*arguments, "--out", str(out), path]) == 0
        maps[engine] = np.load(out / "a.gradcam.npy")
    np.testing.assert_allclose(maps["own"], maps["tf-keras-vis"], atol=1e-5 * maps["own"].max())


def labelled(folder: Path, n: int = 8) -> Path:
    """A manifest with films of both classes, two refusals, an unreadable file and a label nobody knows."""
    rows = []
    for i in range(n):
        positive = i % 2 == 1
        film(folder / f"images/{i}.png", 500 + i, 0.4 if positive else 0.0)
        rows.append([f"f{i}", f"images/{i}.png", "test", f"p{i // 2}", "yes" if positive else "no", "3", "PA"])
    blank(folder / "images/blank.png")
    (folder / "images/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    film(folder / "images/odd.png", 900)
    rows.append(["r0", "images/blank.png", "test", "p90", "yes", "", ""])
    rows.append(["r1", "images/blank.png", "test", "p91", "no", "", ""])
    rows.append(["e0", "images/broken.png", "test", "p92", "no", "40", "AP"])
    rows.append(["u0", "images/odd.png", "test", "p93", "perhaps", "40", "PA"])
    rows.append(["v0", "images/odd.png", "val", "p94", "yes", "40", "PA"])
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=";").writerows([["id", "file", "split", "patient", "truth", "age", "view"], *rows])
    return folder / "manifest.csv"


def evaluate_arguments(manifest: Path, out: Path) -> list[str]:
    options = ["--manifest", str(manifest), "--split", "test", "--label", "truth", "--map", "yes=pneumonia,no=normal"]
    return [*options, "--out", str(out)]


def test_evaluate_counts_what_was_refused_both_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest, out = labelled(tmp_path), tmp_path / "out"
    assert main(["evaluate", "--model", "tiny_model", *evaluate_arguments(manifest, out), "--json"]) == 1
    (content,) = objects(capsys)
    assert content == json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert (content["n"], content["refused"], content["errors"], content["labelled"]) == (12, 2, 1, 11)
    assert content["unknown_labels"] == {"perhaps": 1}
    rows = list(csv.DictReader((out / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["id"] for row in rows] == [*(f"f{i}" for i in range(8)), "r0", "r1", "e0", "u0"]
    assert list(rows[0])[:4] == ["id", "status", "reason", "label"]
    assert {"p_normal", "p_pneumonia", "decision"} <= set(rows[0])
    right = sum(row["decision"] == row["label"] for row in rows[:8])
    accuracy = content["metrics"]["accuracy"]
    assert accuracy["refused_left_out"]["value"] == accuracy["value"] == right / 8
    assert accuracy["refused_wrong"]["value"] == right / 11
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
    assert rows[-1]["label"] == "perhaps"
    assert rows[-1]["population"] == "adults_pa"
    assert rows[0]["population"] == "children"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http://www.w3.org", "")  # names of XML vocabularies only
    assert page.count("not a medical device") == 1


def test_evaluate_class_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(6):
        film(tmp_path / "data" / ("PNEUMONIA" if i % 2 else "NORMAL") / f"{i}.png", 700 + i, 0.4 * (i % 2))
    out = tmp_path / "out"
    assert main(["evaluate", "--model", "tiny_model", "--folder", str(tmp_path / "data"), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "6 images, 0 refused, 0 unreadable" in told
    assert "auroc" in told
    assert json.loads((out / "metrics.json").read_text())["labelled"] == 6


def test_compare_models_and_their_predictions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest, out = labelled(tmp_path), tmp_path / "out"
    names = ["--models", "tiny_model,tiny_baseline"]
    assert main(["compare", *names, *evaluate_arguments(manifest, out), "--json"]) == 1
    (found,) = objects(capsys)
    assert found["models"] == ["tiny_model", "tiny_baseline"]
    assert found["n"] == 11
    (pair,) = found["refused_left_out"]
    assert pair["n"] == 8
    assert found["refused_wrong"][0]["n"] == 11
    assert 0 <= pair["auroc"]["p"] <= 1
    assert set(pair["differences"]) >= {"accuracy", "sensitivity", "specificity", "f1", "brier"}
    assert (out / "comparison.html").is_file()
    tables = ",".join(str(out / name / "predictions.csv") for name in found["models"])
    assert main(["compare", "--predictions", tables, "--out", str(tmp_path / "again"), "--json"]) == 0
    assert objects(capsys) == [found]


def test_saliency_check_measures_against_drawn_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["id,file,split,patient,label,boxes"]
    for i in range(4):
        pixels, (row, column) = film_pixels(800 + i, 0.4)
        cv2.imwrite(str(tmp_path / f"{i}.png"), pixels.astype(np.uint8))
        box = json.dumps([[column - 20, row - 20, column + 20, row + 20, "blob"]]).replace('"', '""')
        rows.append(f'{i},{i}.png,test,p{i},pneumonia,"{box}"')
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    manifest, out = str(tmp_path / "manifest.csv"), str(tmp_path / "out")
    options = ["--manifest", manifest, "--split", "test", "--method", "cam", "--out", out, "--json"]
    assert main(["saliency-check", "--model", "tiny_model", *options]) == 0
    (found,) = objects(capsys)
    assert found["method"] == "cam"
    assert 0 <= found["pointing_game"]["value"] <= 1


def test_train_without_its_recipe_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", str(tmp_path / "none.toml"), "--data", str(tmp_path), "--out", str(tmp_path / "m")]
    assert main(arguments) == 2
    assert "recipe" in capsys.readouterr().err


def test_progress_waits_two_seconds_and_says_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr("medimg_core.progress.time.monotonic", lambda: now[0])
    progress = Progress("Image")
    progress.images(1, 10)
    now[0] += 1.9
    progress.images(2, 10)
    assert capsys.readouterr().err == ""
    now[0] += 2.1
    progress.images(4, 10)
    assert capsys.readouterr().err == "Image 4 of 10: 40%, 6 s left\n"
    now[0] += 9.0
    progress.images(5, 10)
    assert capsys.readouterr().err == ""
    now[0] += 200.0
    progress.images(6, 10)
    assert capsys.readouterr().err == "Image 6 of 10: 60%, 2 min left\n"


def test_what_cannot_be_written_and_what_nobody_foresaw_are_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, taken = str(film(tmp_path / "a.png")), tmp_path / "taken"
    taken.write_text("a file")
    assert main(["explain", "--model", "tiny_model", "--out", str(taken), path]) == 2
    assert "could not be written" in capsys.readouterr().err

    def fault(*_: object, **__: object) -> None:
        raise TypeError("Doe^Jane")

    monkeypatch.setattr("medimg_core.workflows.diagnose_files.diagnose_image", fault)
    assert main(["predict", path]) == 1
    told = capsys.readouterr().err
    assert "TypeError in test_cli.py" in told
    assert "Doe" not in told
    assert "Traceback" not in told
