"""Outlines and measurements in words and on the pages, with a small model that only outlines."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from streamlit.testing.v1 import AppTest
from test_ui_pages import diagnosis, start, text, upload, viewers

from drawn_films import dicom_film, png
from medimg_core.catalog import read_card
from medimg_core.inference.places import Box
from medimg_core.types import Image, Measurement, PatientHeader, Region, Series, Spacing, Study
from medimg_core.ui import corrected, findings, quantities, regions, service
from medimg_core.ui.answer import Asked
from medimg_core.ui.panel import Drawing, Row, Table, rows_html
from medimg_core.ui.session import Case, Workspace
from medimg_core.workflows.find import Found, correct, find
from model_folder import OUTLINES, TINY_OUTLINE, synthetic_film

NAN = float("nan")
FILM = replace(synthetic_film(3, 0.4), spacing=None)
BOX: Box = (10.0, 10.0, 40.0, 30.0)


@pytest.fixture
def found() -> Found:
    return find(FILM, read_card(TINY_OUTLINE))


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    return start(monkeypatch, OUTLINES)


def film() -> bytes:
    return png(np.asarray(FILM.pixels, np.uint8))


# ---- words ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("measurement", "said"),
    [
        (Measurement("head_circumference", 178.3, 172, 184.4, "mm", "x"), "Head circumference 178 mm (172–184)"),
        (Measurement("left_ventricle_area", 3100, 2800, 3420, "mm2", "x"), "Left ventricle 31 cm² (28–34)"),
        (Measurement("left_atrium_area", 349, 245, 477, "mm2", "x"), "Left atrium 3.5 cm² (2.5–4.8)"),
        (Measurement("area", 120.4, NAN, NAN, "mm2", "x"), "Area 120 mm²"),
        (Measurement("cardiothoracic_ratio", 0.481, 0.44, 0.52, "", "x"), "Cardiothoracic ratio 0.48 (0.44–0.52)"),
        (Measurement("gestational_age", 20.31, 19.1, 21.5, "weeks", "x"), "Age by the chart 20.3 weeks (19.1–21.5)"),
        (Measurement("ejection_fraction", 54.6, 40, 70, "%", "px"), "Ejection fraction 55 % (40–70)"),
        (Measurement("microaneurysm_count", 3, NAN, NAN, "", "px"), "Microaneurysm count 3"),
    ],
)
def test_measurements_have_the_digits_that_their_error_leaves(measurement: Measurement, said: str) -> None:
    assert quantities.said(measurement).replace("\u2060", "").replace("\u00a0", " ") == said


def test_the_scale_says_where_it_comes_from() -> None:
    film_ = replace(FILM, spacing=Spacing(0.12, 0.12, "typed"))
    assert quantities.scale(film_) == "Scale: **typed by you**, 0.12 mm a pixel."
    assert "not square" in quantities.scale(replace(FILM, spacing=Spacing(0.5, 0.8, "PixelSpacing")))
    assert quantities.scale(FILM) == ""
    assert quantities.scale(replace(FILM, spacing=Spacing(0, 0, "PixelSpacing"))) == ""


def test_an_empty_outline_is_said(found: Found) -> None:
    nothing = replace(found, prediction=replace(found.prediction, regions=(), measurements=()))
    assert findings.headline(nothing) == "Nothing was outlined: no lungs or lesion was found."
    assert [entry["state"] for entry in regions.legend([nothing])] == ["missing", "missing"]
    assert "none found" in rows_html(findings.rows(nothing))


def test_an_outline_that_was_taken_away_is_said(found: Found) -> None:
    left = correct(found, {"lesion": ()})
    assert findings.headline(left) == "Lungs: outlined, not measured."
    assert findings.corrected_words(left) == "Removed by you: **lesion**."
    assert findings.corrected_words(left) in findings.panel(left).more
    assert "removed by you" in rows_html(findings.rows(left))
    missing = [entry["structure"] for entry in regions.legend([left]) if entry["state"] == "missing"]
    assert missing == ["lesion"]  # it can be drawn by hand
    nothing = correct(found, {"lesion": (), "lungs": ()})
    assert findings.headline(nothing) == "No outline is left: you removed what the model had drawn."
    assert regions.lines(nothing, 0) == []
    assert correct(nothing, {}).shown == found.shown


def test_tables_and_drawings_cannot_become_markup() -> None:
    page = rows_html((("A", Table((("<i>", "**1**"),), ("<b>", ""), ("a < b",))), ("B", Drawing("<svg></svg>", "<u>"))))
    assert "&lt;i&gt;" in page
    assert "<b>1</b>" in page
    assert "&lt;b&gt;" in page
    assert "<svg></svg>" in page
    assert "<u>" not in page


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((300.0, 10.0, 320.0, 30.0), "The box lies outside the image, which has 220 columns and 180 rows."),
        ((40.0, 40.0, 40.0, 40.0), "The box is empty: it is less than a pixel wide or high."),  # a click
        ((60.0, 40.0, 20.0, 90.0), "The box is empty: it is less than a pixel wide or high."),  # the wrong way round
    ],
)
def test_a_box_that_shows_nothing_is_said_and_the_other_models_stand(
    box: Box, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_card(TINY_OUTLINE)
    assert whole.places is not None
    boxed = replace(whole, name="tiny_boxed", places=replace(whole.places, window_mm=40.0))
    space = Workspace()
    monkeypatch.setattr(service.session, "workspace", lambda: space)
    monkeypatch.setattr(service, "asked", lambda *_: Asked(whole, (whole, boxed)))
    case = Case(Study((Series((FILM,)),)), (PatientHeader(),), boxes={0: box})
    faults: list[Row] = []
    shown = service.finds(FILM, None, case, faults)
    assert [one.card.name for one in shown] == ["tiny_outline"]
    assert [(title, str(text).startswith(said)) for title, text in faults] == [("Outline", True)]
    assert "Draw it round what should be outlined" in str(faults[0][1])
    right = replace(case, boxes={0: (60.0, 40.0, 160.0, 140.0)})
    assert len(service.finds(FILM, None, right, faults)) == 2
    assert len(faults) == 1
    space.close()


# ---- what comes back from the browser ---------------------------------------------------------------------------
def told(**more: object) -> dict[str, object]:
    ring = [[10, 10], [40, 10], [40, 30], [10, 30]]
    return {
        "image": 0,
        "model": "tiny_outline",
        "structure": "lesion",
        "regions": [{"kind": "outline", "rings": [ring]}],
    } | more


def test_a_corrected_outline_comes_back_as_a_region(found: Found) -> None:
    said = corrected.read(told(), [FILM], {"tiny_outline": found})
    assert said is not None
    name, structure, (region,) = said
    assert (name, structure, region.label, region.box) == ("tiny_outline", "lesion", "lesion", BOX)
    assert math.isnan(region.score)
    assert region.mask is not None
    assert int(region.mask.sum()) == 30 * 20
    changed = correct(found, {structure: (region,)})
    assert "Corrected by you: **lesion**." in findings.panel(changed).more
    lines = regions.lines(changed, 0)
    assert [line["by"] for line in lines] == ["model", "reader"]
    assert lines[-1]["words"] == "Lesion, corrected by you"
    assert not {line["colour"] for line in lines} & {"#E9A35C", "#E07B20"}


def test_a_hole_and_a_box_come_back_too(found: Found) -> None:
    ring, hole = [[10, 10], [40, 10], [40, 30], [10, 30]], [[20, 15], [30, 15], [30, 25], [20, 25]]
    said = corrected.read(told(regions=[{"kind": "outline", "rings": [ring, hole]}]), [FILM], {"tiny_outline": found})
    assert said is not None
    assert said[2][0].mask is not None
    assert int(said[2][0].mask.sum()) == 600 - 100
    said = corrected.read(told(regions=[{"kind": "box", "rings": [ring]}]), [FILM], {"tiny_outline": found})
    assert said is not None
    assert (said[2][0].kind, said[2][0].box) == ("box", BOX)


@pytest.mark.parametrize(
    "spoiled",
    [
        None,
        [],
        told(image=3),
        told(image=True),
        told(image="0"),
        told(model="other"),
        told(structure="heart"),
        told(regions=None),
        told(regions=[]),
        told(regions=[3]),
        told(regions=[{"kind": "outline", "rings": [[[1, 1], [2, 2]]]}]),
        told(regions=[{"kind": "outline", "rings": [[[1, 1], [2], [3, 3]]]}]),
        told(regions=[{"kind": "outline", "rings": [[[1, 1], ["a", 2], [3, 3]]]}]),
        told(regions=[{"kind": "outline", "rings": [[[1, 1], [float("nan"), 2], [3, 3]]]}]),
        told(regions=[{"kind": "outline", "rings": [[[500, 500], [600, 500], [600, 600]]]}]),
        told(regions=[{"kind": "box", "rings": [[[1, 1], [1, 1], [1, 1]]]}]),
    ],
)
def test_what_does_not_fit_is_left_out(found: Found, spoiled: object) -> None:
    assert corrected.read(spoiled, [FILM], {"tiny_outline": found}) is None


# ---- pages ------------------------------------------------------------------------------------------------------
def test_upload_says_what_will_be_outlined(app: AppTest) -> None:
    page = text(upload(app, film()))
    assert "outlined: lungs and lesion" in page


def test_the_diagnosis_of_a_model_that_only_outlines(app: AppTest) -> None:
    diagnosis(app, film())
    page = text(app)
    assert "Longest diameter" in page
    assert "Counted in pixels: the file states no size of them that can be true." in page
    assert "expected here" in page
    assert "Decision support, not a medical device." in page
    (viewer,) = viewers(app)
    assert {line["structure"] for line in viewer["regions"]} == {"lungs", "lesion"}
    assert "correct" in viewer["tools"]


def test_typed_spacing_measures_and_is_marked(app: AppTest) -> None:
    diagnosis(app, film())
    app.text_input[0].set_value("0,5 mm")
    next(b for b in app.button if b.label == "Measure").click().run()
    page = text(app)
    assert "typed by you , 0.5 mm a pixel" in page
    assert " mm" in page
    next(b for b in app.button if b.label == "Take the typed size back").click().run()
    assert "Counted in pixels" in text(app)


def test_outlines_are_taken_away_one_by_one_and_come_back(app: AppTest) -> None:
    diagnosis(app, film())
    for name in ("lesion", "lungs"):
        next(b for b in app.button if b.label == f"Remove {name}").click().run()
    page = text(app)
    assert "No outline is left: you removed what the model had drawn." in page
    assert "Longest diameter" not in page
    assert "CSV" in page
    assert "DICOM SEG" not in page
    assert viewers(app)[0]["regions"] == []
    next(b for b in app.button if b.label == "Reset to the model’s outline").click().run()
    assert "Longest diameter" in text(app)
    assert {line["structure"] for line in viewers(app)[0]["regions"]} == {"lungs", "lesion"}


def test_a_size_of_zero_is_said_and_another_can_be_typed(app: AppTest) -> None:
    data = pydicom.dcmread(io.BytesIO(dicom_film(3, 0.4)))
    del data.ImagerPixelSpacing
    data.PixelSpacing = [0, 0]
    out = io.BytesIO()
    data.save_as(out)
    assert "The pixel spacing in the file cannot be true: lengths are given in pixels." in text(
        upload(app, out.getvalue())
    )
    app.switch_page("pages/diagnosis.py").run()
    assert "Counted in pixels: the file states no size of them that can be true." in text(app)
    app.text_input[0].set_value("0.8")
    app.text_input[1].set_value("0.4")
    next(b for b in app.button if b.label == "Measure").click().run()
    page = text(app)
    assert "typed by you , pixels 0.8 mm high and 0.4 mm wide: not square, which is counted in." in page
    assert "Counted in pixels" not in page


def test_one_sequence_where_three_are_needed_is_refused_with_what_to_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models = Path(__file__).resolve().parents[2] / "models"
    for name in ("brain_tumour_outline", "router"):
        (tmp_path / name).symlink_to(models / name)
    three = pydicom.dcmread(models / "demo_cases" / "22_brain_mr_sequences_2.dcm").pixel_array
    app = start(monkeypatch, tmp_path)
    page = text(upload(app, png(np.ascontiguousarray(three[..., 1]))))
    headline = "Not analysed: this is one MR sequence, and three are needed."
    assert headline in page
    app.switch_page("pages/diagnosis.py").run()
    page = text(app)
    assert headline in page
    assert "Load the series before contrast, FLAIR and after contrast, or slices with the three as red, green" in page
    assert len(viewers(app)[0]["images"]) == 1  # it is shown all the same


@pytest.mark.parametrize(
    ("typed", "said"), [("abc", "That is no number."), ("0", "between 0.001 and 50 mm"), ("", "no")]
)
def test_wrong_spacing_is_said_and_nothing_is_lost(app: AppTest, typed: str, said: str) -> None:
    diagnosis(app, film())
    app.text_input[0].set_value(typed)
    next(b for b in app.button if b.label == "Measure").click().run()
    page = text(app)
    assert said in page
    assert "Counted in pixels" in page


@pytest.mark.parametrize("page", ["explainability", "model_comparison", "model_cards", "upload"])
def test_other_pages_live_with_a_model_that_only_outlines(app: AppTest, page: str) -> None:
    upload(app, film())
    app.switch_page(f"pages/{page}.py").run()
    assert "not foreseen" not in text(app)


def test_the_card_of_a_model_that_outlines(app: AppTest) -> None:
    app.switch_page("pages/model_cards.py").run()
    app.radio[0].set_value("tiny_outline").run()
    page = text(app)
    assert "Outlines, per structure" in page
    assert "Dice (95 %)" in page
    assert "Measured less true" in page


def test_regions_of_colour_and_dash_repeat_after_three(tmp_path: Path) -> None:
    assert regions.style(0) != regions.style(3)
    assert regions.style(3)["dash"]
    box = Region("box", "fracture", 0.8, (1.0, 2.0, 5.0, 8.0))
    assert regions.outline(box, 0)["rings"] == [[[1.0, 2.0], [5.0, 2.0], [5.0, 8.0], [1.0, 8.0]]]
    assert isinstance(FILM, Image)
