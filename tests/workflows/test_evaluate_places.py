"""`evaluate` of a model that outlines: files, figures against a second computation, tables that cannot be used."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from drawn_outlines import STRENGTHS, outlined_films

from medimg_core.catalog import read_card, write_hashes
from medimg_core.cli import main
from medimg_core.metrics import ImageBoxes
from medimg_core.training.outlines.measure import Agreement
from medimg_core.types import Image, Measurement, Region
from medimg_core.workflows.evaluate_places import Hearts
from medimg_core.workflows.manifest import Row, read_manifest
from medimg_core.workflows.places_figures import Film, Pair, box_figures, measured, outline_figures
from medimg_core.workflows.places_truth import rules, true_masks
from model_folder import OUTLINES, TINY_OUTLINE, copy_model, film_masks

PIXEL = 0.8


@pytest.fixture(autouse=True)
def _tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(OUTLINES))


def run(manifest: Path, out: Path, *further: str) -> int:
    return main(["evaluate", "--model", "tiny_outline", "--manifest", str(manifest), "--out", str(out), *further])


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """An evaluation of six drawn films, one more that is damaged, and one that nobody outlined."""
    manifest = outlined_films(tmp_path / "films")
    with manifest.open("a") as file:
        file.write("\nbroken,broken.png,test,p9,m0.png,0.8")
    (manifest.parent / "broken.png").write_bytes(b"no picture")
    assert run(manifest, tmp_path / "out") == 1
    return tmp_path / "out"


def table(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "predictions.csv").read_text().splitlines()))


def test_regions_and_masks_are_written_for_every_image(done: Path) -> None:
    regions = json.loads((done / "regions.json").read_text())
    assert list(regions) == [*(f"f{i}" for i in range(6)), "broken"]
    assert regions["broken"] == []
    for i, strength in enumerate(STRENGTHS):
        found = {region["label"]: region for region in regions[f"f{i}"]}
        assert ("lesion" in found) == (strength > 0)
        for name, region in found.items():
            assert region["mask"] == f"masks/f{i}.{name}.png"
            mask = cv2.imread(str(done / region["mask"]), cv2.IMREAD_GRAYSCALE)
            assert mask.shape == (180, 220)
            assert set(np.unique(mask)) <= {0, 255}
            assert (0 <= region["score"] <= 1, len(region["box"])) == (True, 4)


def test_figures_agree_with_a_second_computation(done: Path) -> None:
    metrics = json.loads((done / "metrics.json").read_text())
    assert (metrics["n"], metrics["refused"], metrics["errors"]) == (7, 0, 1)
    rows = {row["id"]: row for row in table(done)}
    assert set(rows["broken"]) >= {"id", "status", "reason", "patient", "population"}
    assert (rows["broken"]["status"], rows["broken"]["dice_lesion"]) == ("error", "")
    both, sizes, each = np.zeros(3), np.zeros(3), []
    for i, strength in enumerate(STRENGTHS):
        truth = film_masks(40_000 + i, strength)["lesion"]
        path = done / "masks" / f"f{i}.lesion.png"
        found = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0 if path.exists() else np.zeros_like(truth)
        both[i % 3] += (truth & found).sum()
        sizes[i % 3] += truth.sum() + found.sum()
        if truth.any():
            each.append(2 * (truth & found).sum() / (truth.sum() + found.sum()))
            assert float(rows[f"f{i}"]["dice_lesion"]) == pytest.approx(each[-1])
            assert float(rows[f"f{i}"]["area"]) == pytest.approx(found.sum() * PIXEL**2)
    figures = metrics["structures"]["lesion"]
    assert sizes[1] == 0  # both films of this patient are rightly empty
    volume = float(np.mean([1.0 if size == 0 else 2 * b / size for b, size in zip(both, sizes, strict=True)]))
    assert figures["dice"]["refused_left_out"]["value"] == pytest.approx(volume)
    # The damaged file's patient has a mask with a blob, and nothing was found of it.
    assert figures["dice"]["refused_wrong"]["value"] == pytest.approx(3 * volume / 4)
    assert figures["dice_per_image"]["value"] == pytest.approx(np.mean(each))
    assert (figures["n"], figures["present"], figures["missed"], figures["false"]) == (6, 4, 0, 0)
    assert metrics["metrics"]["dice"] == metrics["structures"]["lungs"]["dice"]
    assert metrics["metrics"]["dice_lesion"] == figures["dice"]


def test_measurements_are_compared_with_those_of_the_true_mask(done: Path) -> None:
    said = json.loads((done / "metrics.json").read_text())["measurements"]["area"]
    assert (said["unit"], said["truth"], said["n"]) == ("mm2", "true mask", 4)
    errors = []
    for row in table(done):
        if row["area"]:
            i = int(row["id"][1:])
            errors.append(float(row["area"]) - film_masks(40_000 + i, STRENGTHS[i])["lesion"].sum() * PIXEL**2)
    assert said["mae"]["refused_left_out"]["value"] == pytest.approx(np.mean(np.abs(errors)))
    assert said["bias"]["value"] == pytest.approx(np.mean(errors))
    page = (done / "report.html").read_text()
    assert "Dice, mean of patients" in page
    assert "mean absolute error" in page


def test_json_prints_the_figures_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(outlined_films(tmp_path / "films", spacing=""), tmp_path / "out", "--json", "--split", "test") == 0
    (content,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert content == json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert content["measurements"]["area"]["unit"] == "px2"


def test_tables_without_truth_are_refused_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = outlined_films(tmp_path / "films")
    manifest.write_text(manifest.read_text().replace(",mask,", ",drawing,"))
    assert run(manifest, tmp_path / "out") == 2
    assert "has no column 'mask', so nothing says where lungs, lesion should have been found" in capsys.readouterr().err
    folder = ["evaluate", "--model", "tiny_outline", "--folder", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(folder) == 2
    assert "no column 'mask'" in capsys.readouterr().err


def test_a_mask_of_another_size_stands_in_no_figure(tmp_path: Path) -> None:
    manifest = outlined_films(tmp_path / "films")
    cv2.imwrite(str(manifest.parent / "m0.png"), np.ones((20, 20), np.uint8))
    assert run(manifest, tmp_path / "out") == 0
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    ((reason, n),) = content["without_usable_truth"].items()
    assert (n, content["structures"]["lungs"]["n"]) == (1, 5)
    assert "20 x 20" in reason


@pytest.fixture
def blind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes a model that outlines nothing at all the installed one; returns a manifest with masks."""
    folder = copy_model(TINY_OUTLINE, tmp_path / "models" / "tiny_outline")
    card = (folder / "card.toml").read_text()
    (folder / "card.toml").write_text(card.replace("[[places.structures]]", "[[places.structures]]\nthreshold = 1.5"))
    write_hashes(folder)
    monkeypatch.setenv("MEDIMG_MODELS", str(folder.parent))
    return outlined_films(tmp_path / "films")


def test_a_model_that_outlines_nothing_is_measured(blind: Path, tmp_path: Path) -> None:
    assert run(blind, tmp_path / "out") == 0
    written = (tmp_path / "out" / "metrics.json").read_text()
    assert "NaN" not in written
    assert "Infinity" not in written
    content = json.loads(written)
    lesion = content["structures"]["lesion"]
    assert (lesion["n"], lesion["present"], lesion["missed"], lesion["false"]) == (6, 4, 4, 0)
    # Of three patients one has no blob: rightly empty, which is a Dice of 1. All others were missed.
    assert lesion["dice"]["value"] == pytest.approx(1 / 3)
    assert (lesion["dice_per_image"]["value"], lesion["iou"]["value"]) == (0, 0)
    assert "hd95" not in lesion  # there is no distance from nothing
    assert content["measurements"] == {}
    rows = table(tmp_path / "out")
    assert [row["found_px_lesion"] for row in rows] == ["0"] * 6
    assert [row["dice_lesion"] for row in rows] == ["0.0", "1.0", "0.0"] * 2
    assert json.loads((tmp_path / "out" / "regions.json").read_text()) == {f"f{i}": [] for i in range(6)}
    assert "Dice, mean of patients" in (tmp_path / "out" / "report.html").read_text()


def test_maps_of_what_was_never_outlined_are_said_not_to_be_measured(
    blind: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check = ["saliency-check", "--model", "tiny_outline", "--manifest", str(blind), "--split", "test"]
    assert main([*check, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr()
    for name in ("lungs", "lesion"):
        assert f"{name}: outlined in none of these films, so that no map of it was measured." in told.err


def test_masks_are_read_as_the_card_says(tmp_path: Path) -> None:
    card = read_card(TINY_OUTLINE)
    assert card.places is not None
    assert [(rule.id, rule.values) for rule in rules(card.places)] == [("lungs", (1, 2)), ("lesion", (2,))]
    manifest = outlined_films(tmp_path)
    row = read_manifest(manifest, label=None)[0]
    found, truth = true_masks(row, (180, 220), card.places), film_masks(40_000, STRENGTHS[0])
    np.testing.assert_array_equal(found["lesion"], truth["lesion"])
    np.testing.assert_array_equal(found["lungs"], truth["lungs"] | truth["lesion"])


def film(patient: str, status: Any, **values: Any) -> Film:
    return Film(Row(patient, Path(), patient=patient), status, "", **values)


def agreement(both: int, true: int, found: int) -> Agreement:
    dice = 2 * both / (true + found) if true + found else 1.0
    return Agreement(both, true, found, dice, dice / (2 - dice), 1.0 if both else float("inf"), None)


def test_a_refused_film_counts_as_wrong_even_where_there_was_nothing() -> None:
    films = [
        film("a", "ok", agreement={"x": agreement(8, 10, 10)}),
        film("b", "refused", agreement={"x": agreement(0, 0, 0)}),
        film("c", "refused", agreement={"x": agreement(0, 10, 0)}),
    ]
    assert outline_figures(films, "x", wrong=False)["dice"].value == pytest.approx(0.8)
    assert outline_figures(films, "x", wrong=True)["dice"].value == pytest.approx(0.8 / 3)
    assert outline_figures(films, "x", wrong=True)["dice_per_image"].value == pytest.approx(0.4)
    assert "hd95" in outline_figures(films, "x", wrong=False)


def test_distances_in_millimetres_and_in_pixels_are_never_one_figure() -> None:
    def apart(patient: str, distance: float, in_mm: bool, status: str = "ok") -> Film:
        row = replace(agreement(8, 10, 10), hd95=distance, in_mm=in_mm)
        return film(patient, status, agreement={"x": row})

    mixed = [apart("a", 2.0, True), apart("b", 3.0, True), apart("c", 40.0, False), apart("d", 50.0, False)]
    mixed.append(apart("e", 60.0, False))
    figures = outline_figures(mixed, "x", wrong=False)
    assert figures["hd95"].value == pytest.approx(2.5)
    assert figures["dice_per_image"].n == 5  # what has no unit counts all films
    assert outline_figures(mixed[2:], "x", wrong=False)["hd95"].value == pytest.approx(50)
    lost = [apart(name, float("inf"), False, "refused") for name in "fgh"]
    assert "hd95" not in outline_figures([*mixed[:2], *lost], "x", wrong=True)  # most are infinitely far


def test_boxes_of_refused_films() -> None:
    box = np.array([[0.0, 0.0, 10.0, 10.0]])
    films = [
        film("a", "ok", boxes=ImageBoxes(box, box + 1, np.array([0.9]), "a")),
        film("b", "ok", boxes=ImageBoxes(box, box + 20, np.array([0.8]), "b")),
        film("c", "refused", boxes=ImageBoxes(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros(0), "c")),
    ]
    left_out, wrong = box_figures(films, wrong=False), box_figures(films, wrong=True)
    assert left_out["ap50"].value == pytest.approx(0.5)
    assert wrong["ap50"].value == pytest.approx(0.25)
    assert left_out["sensitivity_at_0.5"].value == pytest.approx(0.5)
    assert box_figures(films[2:], wrong=True) == {}


def test_two_frames_of_one_phase_leave_a_fraction_that_is_missing() -> None:
    """Patients with both phases, with end-diastole twice, with the phases swapped, without a known fraction, and with
    frames of two sizes."""
    plain = read_card(TINY_OUTLINE)
    assert plain.places is not None
    hearts = Hearts(replace(plain, places=replace(plain.places, measure="heart", errors={})))

    def add(patient: str, phase: str, radius: float, ef: str = "50", side: int = 120) -> None:
        y, x = np.mgrid[:side, :120] - 60.0
        image = Image(np.zeros((side, 120), np.float32), "MONOCHROME2", "")
        mask = np.asarray((y / 1.6) ** 2 + x**2 < radius**2)
        drawn = (Region("outline", "left_ventricle", 0.9, mask=mask),)
        row = Row(f"{patient}{phase}", Path(), patient=patient, columns={"phase": phase, "ef": ef})
        hearts.add(Film(row, "ok", ""), drawn, image)

    for patient, phases in {"a": (("ED", 25), ("ES", 20)), "b": (("ED", 25), ("ED", 24))}.items():
        for phase, radius in phases:
            add(patient, phase, radius)
    add("c", "ED", 18)
    add("c", "ES", 25)
    add("d", "ED", 25, ef="")
    add("e", "ED", 25)
    add("e", "ES", 20, side=130)
    hearts.finish()
    hearts.finish()  # what is told once is told once
    missing = {pair.patient: pair.found is None for pair in hearts.pairs}
    assert missing == {"a": False, "b": True, "c": True, "e": True}
    assert len(hearts.pairs) == 4
    found = measured(hearts.pairs, "column ef")
    assert found is not None
    assert (found.n, found.missing) == (1, 3)


def test_a_measurement_that_was_refused_counts_as_none_at_all() -> None:
    def said(value: float) -> Measurement:
        return Measurement("length", value, value - 1, value + 1, "mm", "typed")

    pairs = [Pair("a", 10, "mm", said(10.5), True), Pair("b", 20, "mm", said(24), True)]
    pairs += [Pair("c", 30, "mm", None, False), Pair("e", 99, "px", said(5), True)]
    found = measured([*pairs, Pair("d", 5, "mm", None, True)], "true mask")
    assert found is not None
    assert (found.n, found.missing) == (2, 1)
    assert found.left_out["mae"].value == pytest.approx(2.25)
    assert found.wrong["mae"].value == pytest.approx((0.5 + 4 + 30) / 3)
    assert found.coverage is not None
    assert found.coverage.value == pytest.approx(0.5)
