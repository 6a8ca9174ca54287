"""Findings leave as a picture, a table and a DICOM segmentation, and the segmentation opens again as a layer."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_ui_pages import diagnosis, start, text, upload, viewers

from drawn_films import dicom_film, png
from medimg_core.catalog import read_card
from medimg_core.errors import BadRequest
from medimg_core.io import read_study
from medimg_core.types import Region
from medimg_core.ui import saving
from medimg_core.ui.session import Workspace
from medimg_core.workflows.find import Found, correct, find
from model_folder import OUTLINES, TINY_OUTLINE, synthetic_film

FILM = png(np.asarray(synthetic_film(3, 0.4).pixels, np.uint8))


def found() -> Found:
    image = read_study([("", FILM)])[0].images[0]
    one = find(image, read_card(TINY_OUTLINE), spacing=(0.5, 0.5))
    mask = np.zeros(image.shape, np.bool_)
    mask[20:40, 30:70] = True
    return correct(one, {"lesion": (Region("outline", "lesion", math.nan, mask=mask),)})


@pytest.fixture
def space() -> Workspace:
    return Workspace()


def test_links_are_made_once_and_answer_with_what_is_found_now(space: Workspace) -> None:
    one = found()
    ((label, links),) = saving.row([correct(one, {})], space)
    assert label == "Save"
    assert saving.row([one], space) == ((label, links),)
    (key,) = space.saves
    rows = list(csv.DictReader(io.StringIO(saving.make("csv", key, space, {}).decode())))
    assert {row["by"] for row in rows} == {"model", "reader"}
    own = next(row for row in rows if row["by"] == "reader" and row["name"] == "area")
    assert (float(own["value"]), own["basis"], own["low"]) == (200.0, "typed", "")
    assert saving.make("png", key, space, {}).startswith(b"\x89PNG")
    study, _ = read_study([("", FILM), ("", saving.make("seg", key, space, {}))])
    (segmentation,) = study.segmentations
    assert {mark.who for mark in segmentation.marks} == {"model", "reader"}
    space.close()
    assert not space.saves


def test_nothing_outlined_offers_the_table_alone(space: Workspace) -> None:
    nothing = replace(found(), corrected={}, prediction=replace(found().prediction, regions=(), measurements=()))
    links = saving.links([nothing], space)
    assert "CSV" in links
    assert "SEG" not in links


def test_what_was_taken_away_stands_in_the_table_alone(space: Workspace) -> None:
    away = correct(found(), {"lesion": ()})
    saving.row([away], space)
    (key,) = space.saves
    rows = list(csv.DictReader(io.StringIO(saving.make("csv", key, space, {}).decode())))
    assert [(row["label"], row["by"]) for row in rows] == [("lungs", "model"), ("lesion", "model, removed by reader")]
    assert float(rows[1]["area_mm2"]) > 0  # nothing is lost: its size stays beside its name
    kept = saving.kept(away)
    assert ([region.label for region in kept.regions], kept.measurements) == (["lungs"], ())
    study, _ = read_study([("", FILM), ("", saving.make("seg", key, space, {}))])
    (segmentation,) = study.segmentations
    assert [mark.region.label for mark in segmentation.marks] == ["lungs"]
    space.close()


def test_a_link_of_before_says_that_nothing_is_left(space: Workspace) -> None:
    saving.row([found()], space)
    saving.row([correct(found(), {"lesion": (), "lungs": ()})], space)
    (key,) = space.saves
    with pytest.raises(BadRequest, match="Nothing is outlined, so there is nothing to export"):
        saving.make("seg", key, space, {})
    assert saving.make("png", key, space, {}).startswith(b"\x89PNG")
    table = saving.make("csv", key, space, {}).decode()
    assert table.count("model, removed by reader") == 2
    space.close()


def test_a_dropped_segmentation_becomes_a_layer_of_the_open_case(monkeypatch: pytest.MonkeyPatch) -> None:
    seg = saving.series_to_dicom_seg([saving.kept(found())])
    app: AppTest = start(monkeypatch, OUTLINES)
    upload(app, FILM)
    upload(app, seg)
    assert "A DICOM segmentation with" in text(app)
    app.switch_page("pages/diagnosis.py").run()
    page = text(app)
    assert "From a segmentation file: Lungs (by a model), Lesion (by a model), Lesion (by a reader)." in page
    (viewer,) = viewers(app)
    assert sum(line.get("fixed", False) for line in viewer["regions"]) == 3
    layers = [entry for entry in viewer["legend"] if entry["structure"].startswith("file ")]
    assert [(entry["title"], entry["state"]) for entry in layers] == [
        ("Lungs (file)", "shown"),
        ("Lesion (file)", "shown"),
    ]


def test_a_layer_says_that_its_model_was_not_fit_for_use(monkeypatch: pytest.MonkeyPatch) -> None:
    seg = saving.series_to_dicom_seg([replace(saving.kept(found()), fit_for_use=False)])
    app: AppTest = start(monkeypatch, OUTLINES)
    diagnosis(app, FILM, seg)
    said = "Lungs (by a model, not fit for use), Lesion (by a model, not fit for use), Lesion (by a reader)."
    assert f"From a segmentation file: {said}" in text(app)
    (viewer,) = viewers(app)
    layers = {line["words"]: line["colour"] for line in viewer["regions"] if line.get("fixed")}
    assert layers["Lungs (file, not fit for use)"] == layers["Lesion (file, not fit for use)"] == "#9EA4A9"
    assert layers["Lesion (file)"] != "#9EA4A9"


def test_a_segmentation_of_another_image_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    seg = saving.series_to_dicom_seg([saving.kept(found())])
    app = start(monkeypatch, OUTLINES)
    diagnosis(app, dicom_film(3, 0.4), seg)
    assert "belongs to an image that is not open" in text(app)
