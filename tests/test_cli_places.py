"""The command line against a small model that outlines and measures, and gives no answer."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from mr_files import three_series
from PIL import Image as Pillow
from scipy.spatial.distance import pdist

from drawn_films import dicom_film
from medimg_core.catalog import ModelCard, read_card, write_hashes
from medimg_core.cli import main
from medimg_core.inference import Answer
from medimg_core.types import GateVerdict, Image, Prediction, Region, Spacing
from medimg_core.workflows.beside import with_neighbours
from medimg_core.workflows.diagnose_files import Opened
from medimg_core.workflows.heart_files import HeartFiles
from model_folder import OUTLINES, TINY_OUTLINE, copy_model, film_masks, film_pixels


@pytest.fixture(autouse=True)
def _tiny_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIMG_MODELS", str(OUTLINES))


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_models_name_structures_and_their_dice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    (model,) = objects(capsys)
    assert (model["task"], model["form"], model["classes"], model["positive"]) == ("outline", "places", [], None)
    assert model["structures"] == ["lungs", "lesion"]
    assert model["headline"]["metric"] == "dice"
    assert model["headline"]["low"] <= model["headline"]["value"] <= model["headline"]["high"]
    assert model["fit_for_use"] == {"drawn": True}
    assert model["places"]["measures"] == "lesion"
    assert model["places"]["fit_for_use"] == {"drawn": True}
    assert main(["models"]) == 0
    told = capsys.readouterr().out
    assert "lungs/lesion; 64 x 64 px; Dice 0.99" in told
    assert "n 60, drawn; fit for use: drawn" in told


def film(path: Path, seed: int = 1, strength: float = 0.4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), film_pixels(seed, strength)[0].astype(np.uint8))
    return path


def mask(path: Path) -> np.ndarray:
    return np.asarray(Pillow.open(path))


def test_predict_gives_regions_with_masks_and_measurements(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = str(film(tmp_path / "a.png")), tmp_path / "out"
    assert (
        main(["predict", "--model", "tiny_outline", "--out", str(out), "--spacing-mm", "0.5,0.5", "--json", path]) == 0
    )
    (said,) = objects(capsys)
    assert (said["status"], said["decision"], said["scores"], said["prediction_set"]) == ("ok", None, {}, [])
    assert (said["population"], said["fit_for_use"]) == ("drawn", True)
    assert said["places_fit_for_use"] is True
    truth = film_masks(1, 0.4)
    assert [region["label"] for region in said["regions"]] == ["lungs", "lesion"]
    for region in said["regions"]:
        found = mask(out / region["mask"])
        assert found.shape == (180, 220)
        assert set(np.unique(found)) == {0, 255}
        wanted = truth[region["label"]] | (truth["lesion"] & (region["label"] == "lungs"))
        assert 2 * (wanted & (found > 0)).sum() / (wanted.sum() + (found > 0).sum()) > 0.8
        assert region["kind"] == "outline"
        x0, y0, x1, y1 = region["box"]
        assert (found[int(y0) : int(y1), int(x0) : int(x1)] > 0).sum() == (found > 0).sum()
    measured = {m["name"]: m for m in said["measurements"]}
    assert measured["area"]["unit"] == "mm2"
    assert measured["area"]["value"] == pytest.approx((mask(out / said["regions"][1]["mask"]) > 0).sum() * 0.25)
    assert measured["area"]["low"] < measured["area"]["high"]
    assert main(["predict", "--model", "tiny_outline", path]) == 0
    told = capsys.readouterr().out
    assert "outlined lungs (expected Dice " in told
    assert "measured area " in told
    assert "px²" in told


def dicom(path: Path, **header: object) -> str:
    """A drawn film as DICOM whose header states these entries and no other spacing."""
    data = pydicom.dcmread(io.BytesIO(dicom_film(3, 0.4)))
    del data.ImagerPixelSpacing
    for keyword, value in header.items():
        setattr(data, keyword, value)
    data.save_as(path)
    return str(path)


@pytest.mark.parametrize("header", [{}, {"PixelSpacing": [0, 0]}, {"PixelSpacing": [-0.5, 0.5]}])
def test_without_a_size_that_can_be_true_pixels_are_counted_until_one_is_typed(
    header: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = dicom(tmp_path / "a.dcm", **header)
    assert main(["predict", "--model", "tiny_outline", path]) == 0
    told = capsys.readouterr().out
    assert "in pixels, because the file states no size of one that can be true (--spacing-mm R,C);" in told
    assert main(["predict", "--model", "tiny_outline", "--json", path]) == 0
    counted = {m["name"]: m for m in objects(capsys)[0]["measurements"]}
    assert (counted["area"]["unit"], counted["area"]["basis"]) == ("px2", "px")
    assert main(["predict", "--model", "tiny_outline", "--json", "--spacing-mm", "0.8,0.4", path]) == 0
    typed = {m["name"]: m for m in objects(capsys)[0]["measurements"]}
    assert (typed["area"]["unit"], typed["area"]["basis"]) == ("mm2", "typed")
    assert typed["area"]["value"] == pytest.approx(0.8 * 0.4 * counted["area"]["value"])


def test_rows_and_columns_of_different_size_are_measured_in_mm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same outline on pixels 0.8 mm high and 0.4 mm wide: every size follows from the mask that was written."""
    path, out = dicom(tmp_path / "a.dcm", PixelSpacing=[0.8, 0.4]), tmp_path / "out"
    assert main(["predict", "--model", "tiny_outline", "--json", "--out", str(out), path]) == 0
    (said,) = objects(capsys)
    measured = {m["name"]: m for m in said["measurements"]}
    assert {m["basis"] for m in measured.values()} == {"PixelSpacing"}
    inside = mask(out / next(r["mask"] for r in said["regions"] if r["label"] == "lesion")) > 0
    assert measured["area"]["value"] == pytest.approx(inside.sum() * 0.32)
    corners = np.argwhere(inside)[:, None] + np.array([(0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1)])  # middles of the edges
    places = np.unique(corners.reshape(-1, 2), axis=0) * (0.8, 0.4)
    outer = places[np.ravel(cv2.convexHull(places.astype(np.float32), returnPoints=False))]
    assert measured["longest_diameter"]["value"] == pytest.approx(pdist(outer).max(), abs=1e-3)


def test_a_size_that_the_file_states_stands_and_the_other_is_said_not_to_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = dicom(tmp_path / "a.dcm", PixelSpacing=[0.8, 0.4])
    assert main(["predict", "--model", "tiny_outline", "--json", "--spacing-mm", "0.1,0.1", path]) == 0
    said = capsys.readouterr()
    assert {m["basis"] for m in json.loads(said.out)["measurements"]} == {"PixelSpacing"}
    assert "Images that state the size of their pixels themselves: 1; --spacing-mm is not used for them." in said.err


@pytest.mark.parametrize("spacing", ["0.0001,0.5", "900,900"])
def test_a_size_that_no_pixel_has_is_refused_like_on_the_page(
    spacing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(film(tmp_path / "a.png"))
    assert main(["predict", "--model", "tiny_outline", "--spacing-mm", spacing, path]) == 2
    assert "A pixel is between 0.001 and 50 mm high and wide." in capsys.readouterr().err


def test_frames_and_equal_stems_have_masks_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Pillow.fromarray(film_pixels(seed, 0.4)[0].astype(np.uint8)) for seed in (1, 2)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    paths = [str(tmp_path / "a.tif"), str(film(tmp_path / "x/a.png", 3)), str(film(tmp_path / "y/a.png", 4))]
    assert main(["predict", "--model", "tiny_outline", "--out", str(tmp_path / "out"), "--json", *paths]) == 0
    names = [region["mask"] for said in objects(capsys) for region in said["regions"]]
    assert len(set(names)) == len(names) == 8
    assert all((tmp_path / "out" / name).is_file() for name in names)


def test_nothing_outlined_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((200, 200), 90, np.uint8))
    assert main(["predict", "--model", "tiny_outline", str(blank)]) in (0, 1)
    told = capsys.readouterr().out
    assert "no lungs, no lesion" in told or "outlined" in told


@pytest.fixture
def boxed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    """The same model as one that looks at a square round a box."""
    folder = copy_model(TINY_OUTLINE, tmp_path / "models" / "tiny_boxed")
    text = (folder / "card.toml").read_text()
    (folder / "card.toml").write_text(text.replace('measure = "lesion"\n', 'measure = "lesion"\nwindow_mm = 40.0\n'))
    write_hashes(folder)
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path / "models"))
    return read_card(folder)


def test_a_model_that_needs_a_box_says_so(boxed: ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(film(tmp_path / "a.png"))
    assert boxed.places is not None
    assert main(["predict", "--model", "tiny_boxed", "--json", path]) == 1
    (said,) = objects(capsys)
    assert said["status"] == "error"
    assert "no box was given" in said["reason"]
    assert main(["predict", "--model", "tiny_boxed", "--json", "--box", "60,40,160,140", path]) == 0
    (said,) = objects(capsys)
    assert said["status"] == "ok"


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_box_outside_one_image_leaves_the_others_done(
    command: str, boxed: ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "a_small.png"
    cv2.imwrite(str(small), film_pixels(2, 0.4)[0].astype(np.uint8)[:80, :80])
    paths = [str(small), str(film(tmp_path / "b.png"))]
    more = ["--out", str(tmp_path / "out"), "--json", "--box", "100,40,180,140", *paths]
    assert main([command, "--model", "tiny_boxed", *more]) == 1
    first, second = objects(capsys)
    assert (first["status"], second["status"]) == ("error", "ok")
    assert first["reason"].startswith("The box lies outside the image, which has 80 columns and 80 rows. Draw it round")


def test_a_box_may_begin_outside_the_image(
    boxed: ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(film(tmp_path / "a.png"))
    assert main(["predict", "--model", "tiny_boxed", "--json", "--box", "-5,-3.5,100,140", path]) == 0
    (said,) = objects(capsys)
    assert said["status"] == "ok"


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ("1,2,3", "write 4 numbers as x0,y0,x1,y1"),
        ("a,b,c,d", "write 4 numbers as x0,y0,x1,y1"),
        ("0,0,nan,4", "write 4 numbers as x0,y0,x1,y1"),
        ("5,5,5,9", "a box has x0 below x1 and y0 below y1"),
        ("9,2,3,8", "a box has x0 below x1 and y0 below y1"),
        ("-9,-9,-2,-2", "the box lies outside every image"),
    ],
)
def test_a_box_that_is_none_is_a_usage_error(box: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["predict", "--box", box, "a.png"])
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert "--box" in told
    assert said in told


def test_auto_leaves_models_out_that_need_a_box(
    boxed: ModelCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_model(TINY_OUTLINE, boxed.folder.parent / "tiny_outline")
    path = str(film(tmp_path / "a.png"))
    assert main(["predict", "--json", path]) == 0
    assert [said["model"] for said in objects(capsys)] == ["tiny_outline"]
    assert main(["predict", "--json", "--box", "60,40,160,140", path]) == 0
    assert sorted(said["model"] for said in objects(capsys)) == ["tiny_boxed", "tiny_outline"]


def test_explain_writes_maps_of_a_structure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = str(film(tmp_path / "a.png")), tmp_path / "out"
    command = ["explain", "--model", "tiny_outline", "--out", str(out), "--json", path]
    assert main([*command, "--method", "all", "--target", "lesion"]) == 0
    said = objects(capsys)
    assert [(one["method"], one["target"], one["layer"]) for one in said] == [
        ("seg_gradcam", "lesion", "bottom"),
        ("seg_hirescam", "lesion", "bottom"),
    ]
    truth = film_masks(1, 0.4)["lesion"]
    for one in said:
        values = np.load(out / one["npy"])
        assert values.shape == truth.shape
        assert (out / one["png"]).read_bytes()[:4] == b"\x89PNG"
        assert one["reason"] == ""
    local = np.load(out / "a.seg_hirescam.npy")
    assert local[truth].mean() > 5 * local[~truth].mean()
    assert main(command) == 0  # the first structure
    assert [(one["method"], one["target"]) for one in objects(capsys)] == [("seg_gradcam", "lungs")]


def test_a_structure_that_was_not_outlined_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(film(tmp_path / "a.png", seed=2, strength=0.0))
    command = ["explain", "--model", "tiny_outline", "--out", str(tmp_path / "out"), "--json", "--no-png"]
    assert main([*command, "--target", "lesion", path]) == 0
    (said,) = objects(capsys)
    assert said["reason"].startswith("Not outlined here: the map asks for it in the whole picture.")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--target", "horse"], "no class or structure 'horse'. Its structures: lungs, lesion."),
        (["--method", "gradcam"], "The method gradcam does not explain what the model 'tiny_outline' says."),
        (["--method", "cam,seg_gradcam", "--target", "lungs"], "The method cam does not explain 'lungs'."),
        (["--method", "seg_gradcan"], "Near names: seg_gradcam"),
    ],
)
def test_explain_says_what_a_model_that_outlines_cannot(
    more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(film(tmp_path / "a.png"))
    assert main(["explain", "--model", "tiny_outline", "--out", str(tmp_path / "out"), *more, path]) == 2
    assert words in capsys.readouterr().err


def slice_at(mm: float, value: int, down: float = 1.0) -> Opened:
    image = Image(
        np.full((8, 8), value, np.float32),
        "MONOCHROME2",
        f"slice {value}",
        position=(0.0, 0.0, mm),
        orientation=(1.0, 0.0, 0.0, 0.0, down, 0.0),
    )
    return Opened(f"{value}.dcm", 0, image, 1, group="series")


def test_slices_get_their_neighbours_by_position() -> None:
    card = read_card(TINY_OUTLINE)
    assert card.places is not None
    looking = replace(card, places=replace(card.places, context=1))
    alone = Opened("alone.png", 0, Image(np.zeros((8, 8), np.float32), "MONOCHROME2", "alone"), 1)
    stream = [slice_at(10, 1), slice_at(0, 2), slice_at(5, 3), alone]
    found = [(opened.file, [image.digest for image in beside]) for opened, beside in with_neighbours(stream, [looking])]
    assert found == [
        ("1.dcm", ["slice 3", "slice 1"]),
        ("2.dcm", ["slice 2", "slice 3"]),
        ("3.dcm", ["slice 2", "slice 1"]),
        ("alone.png", []),
    ]
    assert all(not beside for _, beside in with_neighbours(stream, [card]))
    feet_first = [slice_at(10, 1, -1.0), slice_at(0, 2, -1.0), slice_at(5, 3, -1.0), slice_at(5, 4, -1.0)]
    turned = [[image.digest for image in beside] for _, beside in with_neighbours(feet_first, [looking])]
    assert turned[:3] == [["slice 3", "slice 1"], ["slice 2", "slice 3"], ["slice 2", "slice 1"]]
    assert turned[3] == ["slice 2", "slice 1"]  # doubled: a slice is no neighbour of its own place


def chamber(
    radius: float, index: int, frames: int = 1, file: str = "a.png", score: float = 0.9
) -> tuple[Opened, Answer]:
    rows, columns = np.mgrid[0:120, 0:120]
    ventricle = ((rows - 50) / (1.6 * radius)) ** 2 + ((columns - 60) / radius) ** 2 < 1
    region = Region("outline", "left_ventricle", score, mask=ventricle)
    known, digest = Spacing(1.0, 1.0, "typed"), f"{index} {radius}"
    image = Image(np.zeros((120, 120), np.float32), "MONOCHROME2", digest, spacing=known)
    said = Prediction(read_card(TINY_OUTLINE).ref, {}, GateVerdict(True), population="drawn", regions=(region,))
    return Opened(file, index, image, frames, group="file 1" if frames > 1 else ""), Answer(said)


def told_hearts(frames: list[tuple[Opened, Answer]]) -> list[dict[str, Any]]:
    card = read_card(TINY_OUTLINE)
    assert card.places is not None
    heart = replace(card, places=replace(card.places, measure="heart"))
    hearts = HeartFiles([heart])
    for opened, answer in frames:
        hearts.add(opened, [(heart, answer)])
    return list(hearts.results())


def test_two_frames_give_one_ejection_fraction() -> None:
    (said,) = told_hearts([chamber(16, 0, file="es.png"), chamber(20, 0, file="ed.png")])
    assert (said["index"], said["status"], said["files"]) == (None, "ok", ["es.png", "ed.png"])
    measured = {m["name"]: m for m in said["measurements"]}
    assert measured["ejection_fraction"]["value"] == pytest.approx(100 * (1 - 0.8**3), abs=2)
    assert measured["end_diastolic_volume"]["unit"] == "ml"
    assert said["frames"]["end_diastole"] == {"file": "ed.png", "index": 0}
    assert "larger ventricle was taken for end-diastole" in said["reason"]
    assert told_hearts([chamber(16, 0), chamber(20, 0), chamber(18, 0)]) == []


def test_one_frame_twice_gives_no_ejection_fraction_and_keeps_what_was_said_of_it() -> None:
    (said,) = told_hearts([chamber(20, 0, file="ed.png"), chamber(20, 0, file="again.png")])
    assert (said["status"], said["measurements"]) == ("refused", [])
    assert said["files"] == ["ed.png", "again.png"]
    assert "Both frames are one picture, so no ejection fraction is told. Load one of each phase." in said["reason"]


def test_a_file_of_two_frames_is_a_clip_among_others() -> None:
    frames = [chamber(20, 0, 2, "two.dcm"), chamber(16, 1, 2, "two.dcm"), chamber(18, 0, file="alone.png")]
    (said,) = told_hearts(frames)
    assert (said["status"], said["files"]) == ("ok", ["two.dcm"])
    assert said["frames"]["end_systole"] == {"file": "two.dcm", "index": 1}


def test_a_cine_gives_one_ejection_fraction() -> None:
    radii = [20, 19, 17, 15, 16, 18, 20]
    (said,) = told_hearts([chamber(radius, i, frames=7, file="clip.dcm") for i, radius in enumerate(radii)])
    assert said["files"] == ["clip.dcm"]
    assert said["frames"]["end_systole"]["index"] == 3
    assert said["frames"]["end_diastole"]["index"] in (0, 6)
    assert {m["name"] for m in said["measurements"]} >= {"ejection_fraction"}


def test_an_outline_that_its_model_does_not_trust_gives_no_ejection_fraction() -> None:
    (said,) = told_hearts([chamber(16, 0, file="es.png", score=0.3), chamber(20, 0, file="ed.png")])
    assert (said["status"], said["measurements"]) == ("refused", [])
    assert "Correct the outline of the left ventricle by hand" in said["reason"]


@pytest.fixture
def taking_sequences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same model as one of MR slices with three sequences as colours."""
    folder = copy_model(TINY_OUTLINE, tmp_path / "models" / "tiny_sequences")
    text = (folder / "card.toml").read_text()
    (folder / "card.toml").write_text(text.replace("chest_frontal", "brain_mr_sequences").replace('"CR"', '"MR"'))
    write_hashes(folder)
    monkeypatch.setenv("MEDIMG_MODELS", str(tmp_path / "models"))


@pytest.mark.usefixtures("taking_sequences")
def test_three_series_of_a_study_are_answered_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = three_series((0.0, 5.0))
    zipped = tmp_path / "study.zip"
    with zipfile.ZipFile(zipped, "w") as archive:
        for name, data in zip(("t1/1", "t1/2", "flair/1", "flair/2", "late/1", "late/2"), files, strict=True):
            archive.writestr(f"{name}.dcm", data)
    command = ["predict", "--model", "tiny_sequences", "--out", str(tmp_path / "out")]
    assert main([*command, "--json", str(zipped)]) == 1  # the single sequences are refused
    said = objects(capsys)
    assert [one["status"] for one in said] == ["refused"] * 6 + ["ok"] * 2
    assert [(one["file"], one["index"]) for one in said[6:]] == [(str(zipped), 0), (str(zipped), 1)]
    assert said[7]["files"] == [f"{zipped}/{part}/2.dcm" for part in ("t1", "flair", "late")]
    assert "files" not in said[0]
    for one in said[6:]:
        assert [m["unit"] for m in one["measurements"] if m["name"] == "area"] in ([], ["mm2"])
        assert all((tmp_path / "out" / region["mask"]).is_file() for region in one["regions"])
    assert main([*command, str(zipped)]) == 1
    assert f"{zipped} joined slice 2: outlined" in capsys.readouterr().out


@pytest.mark.usefixtures("taking_sequences")
def test_sequences_that_are_missing_are_said_beside_the_objects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study").mkdir()
    for i, data in enumerate(three_series((0.0, 5.0))[:4]):
        (tmp_path / "study" / f"{i}.dcm").write_bytes(data)
    assert main(["predict", "--model", "tiny_sequences", "--json", str(tmp_path / "study")]) == 1
    told = capsys.readouterr()
    assert [json.loads(line)["status"] for line in told.out.splitlines()] == ["refused"] * 4
    assert "Two sequences where three are needed to outline a glioma: T1 before contrast and FLAIR are here" in told.err


@pytest.mark.usefixtures("taking_sequences")
def test_joined_slices_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study").mkdir()
    for i, data in enumerate(three_series((0.0, 5.0))):
        (tmp_path / "study" / f"{i}.dcm").write_bytes(data)
    out = tmp_path / "out"
    command = ["explain", "--model", "tiny_sequences", "--out", str(out), "--json", "--no-png"]
    assert main([*command, str(tmp_path / "study")]) == 1
    said = objects(capsys)
    assert [one["status"] for one in said] == ["refused"] * 6 + ["ok"] * 2
    assert [one["file"] for one in said[6:]] == [str(tmp_path / "study")] * 2
    assert [np.load(out / one["npy"]).shape for one in said[6:]] == [(64, 64)] * 2
