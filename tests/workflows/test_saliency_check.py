"""Maps against drawn truth: the manifest's boxes and masks, the figures, and what they write."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from medimg_core import catalog, explain
from medimg_core.catalog import read_card
from medimg_core.errors import BadTable, Cancelled, UnreadableImage
from medimg_core.explain import quality
from medimg_core.io import read_file
from medimg_core.workflows.explain import explain as explain_image
from medimg_core.workflows.saliency_check import (
    Plan,
    Row,
    mean_interval,
    measure,
    measure_films,
    saliency_check,
    scale,
    summarise,
)
from medimg_core.workflows.saliency_complete import complete_evaluation, main
from medimg_core.workflows.saliency_films import Film, read_films, truth_mask
from model_folder import FORMS, GRADES, KINDS, TINY_BASELINE, TINY_MODEL, copy_model, film_pixels

CARD = read_card(TINY_MODEL)
QUICK = Plan(slow_films=4, score_films=2, sanity_films=0, perturbed_films=0)


def write_manifest(folder: Path, rows: list[dict[str, str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def drawn_set(folder: Path, n: int = 12, *, masks: bool = False) -> Path:
    """Films with a blob (even numbers) and without; the truth is a square of 60 pixels around the blob."""
    rows = []
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for seed in range(n):
        positive = seed % 2 == 0
        pixels, (row, column) = film_pixels(seed, 0.4 if positive else 0.0)
        cv2.imwrite(str(folder / f"images/f{seed}.png"), pixels.astype(np.uint8))
        box = [column - 30, row - 30, column + 30, row + 30]
        mask = np.zeros(pixels.shape, np.uint8)
        mask[row - 30 : row + 30, column - 30 : column + 30] = 255
        cv2.imwrite(str(folder / f"masks/f{seed}.png"), mask)
        cells = {"id": f"f{seed}", "file": f"images/f{seed}.png", "split": "test", "patient": f"p{seed // 4}"}
        if masks:
            rows.append({**cells, "label": "pneumonia" if positive else "normal", "mask": f"masks/f{seed}.png"})
        else:
            boxes = [[*box, "opacity"], [0, 0, 9, 9, "nih:Mass"]] if positive else []
            rows.append({**cells, "boxes": json.dumps(boxes)})
    return write_manifest(folder, rows)


def test_boxes_are_truth_and_other_sources_are_left_out(tmp_path: Path) -> None:
    films = read_films(drawn_set(tmp_path), "test", CARD)
    assert [film.truth for film in films[:3]] == ["opacity boxes", "", "opacity boxes"]
    assert [len(film.boxes) for film in films[:2]] == [1, 0]
    assert films[5].patient == "p1"
    inside = truth_mask(films[0], (180, 220))
    assert inside.sum() == 60 * 60
    row, column = film_pixels(0, 0.4)[1]
    assert inside[row - 30, column - 30]
    assert not inside[row + 30, column]


def test_masks_are_truth_of_positive_films_only(tmp_path: Path) -> None:
    films = read_films(drawn_set(tmp_path, masks=True), "test", CARD, mask_name="lung mask")
    assert [film.truth for film in films[:2]] == ["lung mask", ""]
    assert truth_mask(films[0], (180, 220)).sum() == 60 * 60
    with pytest.raises(UnreadableImage, match="size"):
        truth_mask(films[0], (180, 221))
    with pytest.raises(UnreadableImage, match="cannot be read"):
        truth_mask(Film("a", tmp_path, "a", mask=tmp_path / "none.png", truth="x"), (2, 2))


def test_boxes_beyond_the_edge_are_cut() -> None:
    film = Film("a", Path("a"), "a", boxes=((-5.0, -5.0, 2.0, 3.0), (8.0, 8.0, 99.0, 99.0)))
    inside = truth_mask(film, (10, 10))
    assert inside.sum() == 2 * 3 + 2 * 2


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"id": "a", "file": "a.png", "split": "val"}], "no film in the split"),
        ([{"id": "a", "split": "test"}], "lacks the column file"),
        ([{"id": "a", "file": "a.png", "split": "test", "boxes": "[[1,2"}], "boxes cannot be read"),
        ([{"id": "a", "file": "a.png", "split": "test", "boxes": "[[1,2,3]]"}], "boxes cannot be read"),
        ([{"id": "a", "file": "a.png", "split": "test"}], "No positive film"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path: Path, rows: list[dict[str, str]], words: str) -> None:
    with pytest.raises(BadTable, match=words):
        saliency_check(CARD, write_manifest(tmp_path, rows), "test", "cam", plan=QUICK)
    with pytest.raises(BadTable, match="does not exist"):
        read_films(tmp_path / "none.csv", "test", CARD)


def test_intervals_count_patients() -> None:
    values = np.array([1.0, 1, 1, 1, 0, 0, 0, 0])
    by_film = mean_interval(values, [str(i) for i in range(8)])
    by_patient = mean_interval(values, list("aaaabbbb"))
    assert by_film.value == by_patient.value == 0.5
    assert (by_patient.low, by_patient.high) == (0.0, 1.0)  # two patients: a draw may hold one of them only
    # Binomial(8, 0.5) / 8 has its 2.5th and 97.5th percentile at 1/8 and 7/8.
    assert (by_film.low, by_film.high) == (0.125, 0.875)
    unequal = mean_interval(np.array([1.0, 0, 0]), ["a", "b", "b"])
    assert unequal.value == pytest.approx(1 / 3)


def row(film: str, maximum: float, scales: bool = True, **figures: float) -> Row:
    return Row(Film(film, Path(film), film, truth="boxes" if figures else ""), scales, maximum, figures)


def test_the_scale_is_the_99th_percentile_of_the_largest_values() -> None:
    rows = [row(str(i), float(i)) for i in range(101)] + [row("x", 1e9, scales=False)]
    assert scale(rows) == 99.0


def test_summaries_take_the_films_of_a_test_set() -> None:
    figures = dict.fromkeys(("energy_inside", "iou", "area", "centre", "random", "gain"), 0.0)
    rows = [row("a", 1.0, pointing_game=1.0, **figures), row("b", 3.0, pointing_game=0.0, **figures), row("c", 5.0)]
    whole, part = summarise("cam", rows), summarise("cam", rows, {"a"})
    assert whole is not None
    assert part is not None
    assert (whole.n, whole.films, whole.figures["pointing_game"].value) == (2, 3, 0.5)
    assert (part.n, part.figures["pointing_game"].value) == (1, 1.0)
    assert "sanity" not in whole.figures
    assert summarise("cam", rows, {"c"}) is None


def test_slow_methods_see_a_draw_and_truth_is_not_favoured_in_the_scale() -> None:
    films = [Film(str(i), Path(), str(i), truth="t" if i < 40 else "") for i in range(200)]
    plan = Plan(slow_films=20, score_films=10)
    assert len(plan.films_for("cam", films)) == 200
    assert len(plan.scale_films("smoothgrad", films)) == 20
    with_truth = {str(i) for i in range(40)}
    assert len(plan.films_for("smoothgrad", films) & with_truth) >= 20
    assert 1 <= len(plan.scale_films("smoothgrad", films) & with_truth) <= 9  # a fifth of 20, give or take
    assert plan.films_for("scorecam", films) <= plan.films_for("occlusion", films)


def test_the_check_measures_and_writes(tmp_path: Path) -> None:
    manifest = drawn_set(tmp_path / "set", 24)
    shares: list[float] = []
    checks = saliency_check(
        CARD, manifest, "test", "cam,gradcam,occlusion", tmp_path / "out", QUICK, progress=shares.append
    )
    cam, gradcam, occlusion = checks
    assert (cam.method, cam.truth, cam.n, cam.films, cam.patients) == ("cam", "opacity boxes", 12, 24, 6)
    assert occlusion.n < 12  # a draw of 4 with a truth, and those of the draw for the scale
    # The truth is 60 x 60 of 180 x 220 pixels, less what lies beyond the edge: its share is the random baseline.
    assert cam.figures["area"].value == pytest.approx(3600 / 39600, abs=0.005)
    assert cam.figures["random"] == cam.figures["area"]
    # CAM and Grad-CAM differ by a factor: equal places, other scale.
    assert cam.as_json() == gradcam.as_json()
    assert cam.scale == pytest.approx(64 * gradcam.scale, rel=1e-5)
    assert cam.figures["pointing_game"].value > cam.figures["centre"].value
    assert cam.figures["gain"].value == pytest.approx(
        cam.figures["pointing_game"].value - cam.figures["centre"].value, abs=1e-9
    )
    written = json.loads((tmp_path / "out/saliency_check.json").read_text())
    assert written["methods"]["cam"]["pointing_game"]["value"] == round(cam.figures["pointing_game"].value, 4)
    assert written["model"]["hash"] == CARD.ref.hash
    assert shares[-1] == 1.0


def test_deletion_and_insertion_are_reported_where_asked_for(tmp_path: Path) -> None:
    manifest = drawn_set(tmp_path, 4)
    (check,) = saliency_check(CARD, manifest, "test", "occlusion", plan=Plan(4, 2, 0, 2))
    assert check.figures["deletion_gain"].n == check.figures["insertion_gain"].n == 2
    assert check.figures["deletion_gain"].value > 0  # covering what occlusion names drops the answer faster


def test_cancelling_stops_between_films(tmp_path: Path) -> None:
    films = read_films(drawn_set(tmp_path, 4), "test", CARD)
    with pytest.raises(Cancelled):
        measure_films(CARD, films, "cam", QUICK, cancelled=lambda: True)


@pytest.mark.slow
def test_sanity_is_the_correlation_with_a_shuffled_head(tmp_path: Path) -> None:
    manifest = drawn_set(tmp_path, 8)
    for card in (CARD, read_card(TINY_BASELINE)):
        found = measure(card, manifest, "test", "gradcam,gradients", Plan(8, 2, sanity_films=4, perturbed_films=0))
        for entry in found["saliency"].values():
            assert entry["sanity"]["n"] == 4
            assert -1 <= entry["sanity"]["value"] < 0.999
        assert set(found["saliency_scales"]) == {"gradcam", "gradients"}


def test_completing_an_evaluation_changes_two_keys_and_the_hashes(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "models/tiny_model")
    drawn_set(tmp_path / "data/boxed", 12)
    drawn_set(tmp_path / "data/masked", 8, masks=True)
    described = json.loads((folder / "evaluation.json").read_text())
    for name, data_set, ids in (
        ("children", "masked", range(8)),
        ("adults_pa", "boxed", range(6)),
        ("adults_ap", "boxed", range(6, 12)),
    ):
        described["test_sets"][name] |= {"data_set": data_set, "split": "test", "saliency": {}}
        described["test_sets"][name]["predictions"]["id"] = [f"f{i}" for i in ids]
    described["saliency_scales"] = {"hirescam": 7.0, "cam": 7.0}
    (folder / "evaluation.json").write_text(json.dumps(described))
    card = read_card(folder)
    complete_evaluation(card, tmp_path / "data", "cam,gradients", QUICK)
    after = json.loads((folder / "evaluation.json").read_text())
    assert {k: v["saliency"]["cam"]["n"] for k, v in after["test_sets"].items()} == {
        "children": 4,
        "adults_pa": 3,
        "adults_ap": 3,
    }
    assert after["test_sets"]["children"]["saliency"]["cam"]["truth"] == "lung mask"
    assert set(after["saliency_scales"]) == {"cam", "gradients", "hirescam"}
    assert after["saliency_scales"]["hirescam"] == 7.0  # not asked for
    assert 0 < after["saliency_scales"]["cam"] != 7.0
    for described_set in (*described["test_sets"].values(), *after["test_sets"].values()):
        described_set.pop("saliency")
    assert {**described, "saliency_scales": 0} == {**after, "saliency_scales": 0}
    digest = hashlib.sha256((folder / "evaluation.json").read_bytes()).hexdigest()
    assert catalog.hashes(card)["evaluation.json"] == digest
    assert explain.verdict(card, "cam", "adults_pa").measured


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no_such_model", "--data", str(tmp_path)]) == 2
    assert "no model named 'no_such_model'" in capsys.readouterr().err


@pytest.mark.shared
@pytest.mark.parametrize(
    ("data_set", "n", "truth", "with_truth"),
    [("chest_xray_children", 566, "lung mask", 354), ("chest_xray_adults", 317, "opacity boxes", 55)],
)
def test_the_truth_of_the_real_sets(shared: Path, data_set: str, n: int, truth: str, with_truth: int) -> None:
    films = read_films(shared / "data" / data_set / "manifest.csv", "test", CARD)
    drawn = [film for film in films if film.truth]
    assert (len(films), len(drawn), {film.truth for film in drawn}) == (n, with_truth, {truth})
    for film in drawn[:20]:
        height, width = cv2.imread(str(film.file), cv2.IMREAD_GRAYSCALE).shape
        assert 0.005 < truth_mask(film, (height, width)).mean() < 0.8


def form_set(folder: Path, strengths: dict[str, float], boxes: str = "") -> Path:
    """Twelve drawn films of the classes in turn, each with the outline of its blob where it has one."""
    (folder / "masks").mkdir(parents=True)
    rows = []
    for i in range(12):
        name, strength = list(strengths.items())[i % len(strengths)]
        pixels, (row, column) = film_pixels(700 + i, strength)
        cv2.imwrite(str(folder / f"f{i}.png"), pixels.astype(np.uint8))
        mask = np.zeros(pixels.shape, np.uint8)
        if strength:
            mask[row - 25 : row + 25, column - 25 : column + 25] = 255
            cv2.imwrite(str(folder / f"masks/f{i}.png"), mask)
        cells = {"id": f"f{i}", "file": f"f{i}.png", "split": "test", "patient": f"p{i}", "label": name}
        rows.append({**cells, "mask": f"masks/f{i}.png" if strength else "", "boxes": boxes})
    return write_manifest(folder, rows)


def test_of_several_kinds_each_film_is_asked_for_its_own(tmp_path: Path) -> None:
    card = read_card(FORMS / "tiny_kinds")
    manifest = form_set(tmp_path, KINDS, json.dumps([[0, 0, 5, 5, "corner"]]))
    films = read_films(manifest, "test", card)
    assert [film.target for film in films[:3]] == ["clear", "bright", "dark"]
    assert [film.truth for film in films[:3]] == ["corner boxes", "lung mask", "lung mask"]  # the mask before the box
    (check,) = saliency_check(card, manifest, "test", "cam", tmp_path / "out", QUICK)
    written = json.loads((tmp_path / "out/saliency_check.json").read_text())
    assert written["target"] == "the class of each film"
    rows = measure_films(card, films, "cam", QUICK)["cam"]
    for film, found in zip(films[1:3], rows[1:3], strict=True):
        image = read_file(film.file).images[0]
        (own,) = explain_image(image, card, "cam", target=film.target)
        assert found.maximum == pytest.approx(max(own.values.max(), 0.0))
        assert found.figures["pointing_game"] == quality.pointing_game(own.values, truth_mask(film, image.shape))
    assert check.n == 12


def test_grades_without_a_truth_are_skipped_with_a_sentence(tmp_path: Path) -> None:
    card = read_card(copy_model(FORMS / "tiny_grades", tmp_path / "tiny_grades"))
    manifest = form_set(tmp_path / "data/drawn", GRADES)
    films = read_films(manifest, "test", card)
    assert [bool(film.truth) for film in films[:4]] == [False, False, True, True]  # from the first positive grade on
    assert saliency_check(card, manifest, "test", "cam", plan=QUICK)[0].n == 6
    rows = list(csv.DictReader(manifest.read_text().splitlines()))
    write_manifest(
        tmp_path / "data/drawn", [{k: v for k, v in row.items() if k not in ("mask", "boxes")} for row in rows]
    )
    with pytest.raises(BadTable, match="No positive film of this split has boxes or a mask"):
        saliency_check(card, manifest, "test", "cam", plan=QUICK)
    described = json.loads((card.folder / "evaluation.json").read_text())
    described["test_sets"]["drawn"] |= {"data_set": "drawn"}
    described["test_sets"]["drawn"]["predictions"]["id"] = [f"f{i}" for i in range(12)]
    (card.folder / "evaluation.json").write_text(json.dumps(described))
    said: list[str] = []
    complete_evaluation(card, tmp_path / "data", "cam", QUICK, told=said.append)
    after = json.loads((card.folder / "evaluation.json").read_text())
    assert said == ["Nothing is drawn on the films of drawn: where its maps point is not checked."]
    assert after["test_sets"]["drawn"]["saliency"] == {}
    assert after["saliency_scales"]["cam"] > 0


def test_a_card_names_the_boxes_that_count_and_what_its_masks_outline(tmp_path: Path) -> None:
    boxes = json.dumps([[0, 0, 9, 9, "corner"], [5, 5, 30, 30, "nih:blob"]])
    manifest = form_set(tmp_path, {"normal": 0.0, "pneumonia": 0.4}, boxes)
    chosen = replace(CARD, text={**CARD.text, "saliency": {"boxes": ["nih:blob"], "mask": "blob outline"}})
    first, second = read_films(manifest, "test", chosen)[:2]
    assert (first.truth, first.boxes) == ("nih:blob boxes", ((5.0, 5.0, 30.0, 30.0),))
    assert second.truth == "blob outline"
    assert read_films(manifest, "test", CARD)[1].truth == "lung mask"
    assert read_films(manifest, "test", replace(CARD, takes=("mammogram",)))[1].truth == "outline"
