"""The pages as Streamlit runs them, without a browser: what they say in every state."""

from __future__ import annotations

import html
import json
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from drawn_films import cut_off_film, dicom_film, png, png_film, write_demos
from medimg_core.ui import tokens
from model_folder import MODELS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The app with the small models; nothing is open."""
    return start(monkeypatch, MODELS)


def start(monkeypatch: pytest.MonkeyPatch, models: Path) -> AppTest:
    monkeypatch.setenv("MEDIMG_MODELS", str(models))
    monkeypatch.chdir(ROOT)
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()


def upload(app: AppTest, *files: bytes) -> AppTest:
    """Drop files on the page Upload, under names that must appear nowhere."""
    app.file_uploader[0].set_value([(f"Doe^Jane {i}.txt", content, "text/plain") for i, content in enumerate(files)])
    app.run()
    for _ in range(100):
        if not any(button.key == "cancel-Reading" for button in app.button):
            break
        time.sleep(0.1)
        app.run()
    return app


def diagnosis(app: AppTest, *files: bytes) -> AppTest:
    upload(app, *files)
    return app.switch_page("pages/diagnosis.py").run()


def text(app: AppTest) -> str:
    """The words of the page."""
    assert not app.exception
    bodies = " ".join(block.value for block in app.get("html"))
    words = html.unescape(re.sub(r"<[^>]+>", " ", bodies)).replace("\u00a0", " ").replace("\u2060", "")
    return re.sub(r"\s+", " ", words)


def tone(app: AppTest) -> str:
    found = re.search(r"mi-answer (\w+)", " ".join(block.value for block in app.get("html")))
    assert found
    return found[1]


def viewers(app: AppTest) -> list[Mapping[str, Any]]:
    """What the viewers on the page were given."""
    return [json.loads(element.proto.json)[0] for element in app.get("bidi_component")]


# ---- Upload -----------------------------------------------------------------------------------------------------
def test_the_first_page_asks_for_a_film(app: AppTest) -> None:
    page = text(app)
    assert "No image is open." in page
    assert "Decision support, not a medical device." in page
    assert "Nothing leaves this machine." in page


def test_upload_shows_what_was_read_and_removed_and_lets_go_of_the_bytes(app: AppTest) -> None:
    page = text(upload(app, dicom_film(inverted=True)))
    assert "Read: one film." in page
    assert "DICOM, DX, 440 × 360, 12 bit, MONOCHROME1" in page
    assert "Inverted for display" in page
    assert "identifying attributes" in page
    assert "asked about pneumonia" in page
    assert "Doe, Jane" in page
    assert ".txt" not in page
    assert app.file_uploader[0].value == []
    preview = viewers(app)[0]
    assert (preview["images"][0]["w"], preview["images"][0]["mono1"]) == (440, True)
    assert "Doe" not in json.dumps(preview)


def test_a_drop_with_one_bad_file_keeps_the_good_one(app: AppTest) -> None:
    page = text(upload(app, dicom_film(), cut_off_film()))
    assert "Read: one film; one file could not be read." in page
    assert "File 2 The pixel data are cut off" in page


def test_another_image_of_the_drop_is_chosen(app: AppTest) -> None:
    upload(app, dicom_film(1), dicom_film(2, name="Roe^Richard"))
    assert "Doe, Jane" in text(app)
    app.selectbox[0].set_value(1).run()
    assert "Roe, Richard" in text(app)
    assert "image 2 of 2" in text(app)


def test_closing_a_case_frees_its_tokens(app: AppTest) -> None:
    upload(app, dicom_film())
    token = viewers(app)[0]["images"][0]["url"].rsplit("/", 1)[1]
    assert tokens.find(token)
    app.button(key="close-case").click().run()
    assert "No image is open." in text(app)
    assert "Doe" not in text(app)
    assert tokens.find(token) is None


def test_demo_cases_are_listed_with_their_titles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copytree(MODELS, tmp_path / "models")
    write_demos(tmp_path / "models" / "demo_cases")
    app = start(monkeypatch, tmp_path / "models")
    strip = viewers(app)[1]
    assert [pane["title"] for pane in strip["panes"]] == ["Opacity, right", "2 clear"]
    assert "Demo cases" in text(app)


# ---- Diagnosis --------------------------------------------------------------------------------------------------
def test_signs(app: AppTest) -> None:
    page = text(diagnosis(app, dicom_film(3, 0.4)))
    assert tone(app) == "evidence"
    assert "Signs of pneumonia." in page
    assert "probability of pneumonia, 95 % interval" in page
    assert re.search(r"Of 100 such films with this score, .* at a prevalence of 50 %", page)
    labels = ["Prediction set", "Patients like this", "Evidence", "Second model", "Input check"]
    places = [page.index(label) for label in labels]
    assert places == sorted(places)
    assert "Children (synthetic example) · test set, n 80" in page
    assert "View AP and age read from the header." in page
    shown = viewers(app)[0]
    assert shown["shown"] is True
    assert set(shown["maps"]) >= {"cam", "gradcam", "layercam"}
    assert "tiny_model 0.1.0 · sha256" in page


def test_no_sign(app: AppTest) -> None:
    page = text(diagnosis(app, dicom_film(4, 0.0)))
    assert tone(app) == "none"
    assert "No sign of pneumonia; other findings are not assessed." in page
    assert "Below the rule-out operating point" in page


def test_adults_in_bed_are_not_fit(app: AppTest) -> None:
    page = text(diagnosis(app, dicom_film(5, 0.4, age="067Y")))
    assert tone(app) == "stop"
    assert "Not fit for use on adults’ AP films; do not rely on this result." in page
    assert "How many of 100 such films have pneumonia is not stated" in page
    shown = viewers(app)[0]
    assert shown["shown"] is False
    assert shown["words"]["off"].startswith("Map off:")


@pytest.mark.parametrize(("age", "said"), [("012Y", "patients of 12 years"), ("003M", "patients below 1 year")])
def test_ages_that_were_not_studied(app: AppTest, age: str, said: str) -> None:
    page = text(diagnosis(app, dicom_film(6, 0.4, age=age)))
    assert tone(app) == "stop"
    assert f"Not studied in {said}; do not rely on this result." in page
    assert "Ages 0 and 6–17 were not studied." in page
    assert "AUROC" not in page


def test_what_the_header_does_not_tell_is_asked_once(app: AppTest) -> None:
    assert "Whose image is this?" in text(diagnosis(app, png_film(7)))
    assert "probability of" not in text(app)
    app.button(key="who-adults_pa").click().run()
    assert "Adults_pa (synthetic example) · test set" in text(app)
    assert "Age and view as you told." in text(app)
    app.switch_page("pages/upload.py").run()
    app.switch_page("pages/diagnosis.py").run()
    assert "Whose image is this?" not in text(app)


def test_an_unknown_patient_gets_an_answer_that_says_so(app: AppTest) -> None:
    diagnosis(app, png_film(7))
    app.button(key="who-unknown").click().run()
    assert "assumed: age and view are not known" in text(app)


def test_an_age_that_was_not_studied_can_be_told(app: AppTest) -> None:
    diagnosis(app, png_film(7))
    app.button(key="who-other_age").click().run()
    assert "Not studied at this age; do not rely on this result." in text(app)
    assert tone(app) == "stop"


def test_a_blank_picture_is_refused_without_a_number(app: AppTest) -> None:
    page = text(diagnosis(app, png(np.full((300, 300), 120, np.uint8))))
    assert "Not analysed:" in page
    assert "Whose image" not in page
    assert "No probability is given" in page
    assert "probability of" not in page
    assert all(label in page for label in ("Why", "Accepted", "Next step"))
    assert "No model was run." in page


def test_a_damaged_file_says_cause_next_step_and_reference(app: AppTest) -> None:
    page = text(diagnosis(app, cut_off_film()))
    assert "This file could not be read: the pixel data are cut off." in page
    assert "The header promises 316,800 bytes" in page
    assert re.search(r"Next step .* Reference [0-9a-f]{8}\. It finds the technical record", page)
    assert viewers(app)[0]["panes"][0]["note"] == "No picture: the pixel data could not be read"


def test_without_a_model_the_page_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = text(diagnosis(start(monkeypatch, tmp_path), dicom_film()))
    assert "No model is installed here" in page
    assert "Restore the models folder from the release, or ask who runs this site" in page


def test_the_patient_can_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIMG_HIDE_PATIENT", "1")
    page = text(diagnosis(start(monkeypatch, MODELS), dicom_film()))
    assert "Patient details are hidden." in page
    assert not any(value in page for value in ("Doe", "TEST-1", "2021-03-02"))


def test_a_hostile_name_is_text(app: AppTest) -> None:
    upload(app, dicom_film(name="<img src onerror>"))
    bodies = " ".join(block.value for block in app.get("html"))
    assert "&lt;img src onerror&gt;" in bodies
    assert "<img" not in bodies


def test_synthetic_films_are_marked(app: AppTest) -> None:
    assert "SYNTHETIC" in text(upload(app, dicom_film(synthetic=True)))


def test_a_rerun_computes_nothing_again(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    diagnosis(app, dicom_film())
    first = viewers(app)[0]

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    for name in ("medimg_core.ui.service.diagnose", "medimg_core.ui.service.explain", "medimg_core.ui.pixels.encoding"):
        monkeypatch.setattr(name, forbidden)
    app.run()
    assert viewers(app)[0] == first


def test_a_new_case_replaces_the_pixels_and_the_patient(app: AppTest) -> None:
    upload(app, dicom_film(1))
    old = viewers(app)[0]
    upload(app, dicom_film(2, name="Roe^Richard"))
    new = viewers(app)[0]
    assert "Doe" not in text(app)
    assert new["id"] != old["id"]
    assert tokens.find(old["images"][0]["url"].rsplit("/", 1)[1]) is None
    assert tokens.find(new["images"][0]["url"].rsplit("/", 1)[1]) is not None


def test_what_nobody_foresaw_is_a_sentence_with_a_reference(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Doe^Jane")

    monkeypatch.setattr("medimg_core.ui.service.diagnose", broken)
    page = text(diagnosis(app, dicom_film(name="Roe^Richard")))
    assert "This could not be finished. Something failed that was not foreseen." in page
    assert re.search(r"E-[0-9A-F]{4}-[0-9A-F]{4}", page)
    assert "RuntimeError" not in page
    assert "Doe" not in page


# ---- Explainability ---------------------------------------------------------------------------------------------
def finished(app: AppTest) -> Mapping[str, Any]:
    """The page once all maps are there."""
    for _ in range(100):
        shown = viewers(app)[0]
        if set(shown["slots"]) <= set(shown["maps"]):
            return shown
        time.sleep(0.1)
        app.run()
    raise AssertionError("the maps were not finished")


def test_six_methods_side_by_side_with_verdicts(app: AppTest) -> None:
    upload(app, dicom_film(3, 0.4))
    app.switch_page("pages/explainability.py").run()
    shown = finished(app)
    assert shown["columns"] == 3
    assert len(shown["panes"]) == len(set(shown["slots"])) == 6
    assert {"cam", "gradcam", "scorecam", "smoothgrad", "occlusion"} <= set(shown["methods"])
    assert shown["methods"]["gradcam"]["verdict"] == "Not measured on this model"
    assert shown["picker"]["options"] == [["pneumonia", "pneumonia"], ["normal", "no pneumonia"]]
    assert "1.0 = 99th percentile of the method on the test set" in text(app)


def test_slow_maps_are_computed_beside_the_page_and_can_be_stopped(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medimg_core.ui import service

    made = service.explain

    def endless(image: object, card: object, names: tuple[str, ...], *rest: object, **more: Any) -> object:
        while names == ("scorecam",):
            more["progress"](0.4)
        return made(image, card, names, *rest, **more)

    monkeypatch.setattr(service, "explain", endless)
    upload(app, dicom_film(3, 0.4))
    app.switch_page("pages/explainability.py").run()
    assert "Being computed:" in text(app)
    assert {"gradcam", "layercam"} <= set(viewers(app)[0]["maps"])
    app.button(key="work-button").click().run()
    for _ in range(100):
        if "Stopped: " in text(app):
            break
        time.sleep(0.1)
        app.run()
    assert "Score-CAM" in text(app)
    assert viewers(app)[0]["methods"]["scorecam"]["waiting"] == "Stopped"
    monkeypatch.setattr(service, "explain", made)
    app.button(key="work-button").click().run()
    assert set(finished(app)["maps"]) >= {"scorecam", "occlusion"}


def test_an_export_is_a_picture_with_its_provenance(app: AppTest) -> None:
    upload(app, dicom_film(3, 0.4))
    app.switch_page("pages/explainability.py").run()
    method = finished(app)["methods"]["gradcam"]
    served = tokens.find(method["link"].rsplit("/", 1)[1])
    assert served
    content = served.make({"opacity": "0.5", "threshold": "0.1", "centre": "2048", "width": "4096", "kind": "LINEAR"})
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert min(picture.shape[:2]) > 300
    assert b"tiny_model" in content
    assert b"Doe" not in content
    assert re.fullmatch(r"evidence-gradcam-[0-9a-f]{8}\.png", served.file)


def test_maps_of_a_refused_picture_are_not_made(app: AppTest) -> None:
    upload(app, png(np.full((300, 300), 120, np.uint8)))
    app.switch_page("pages/explainability.py").run()
    assert "No map: this picture was not analysed." in text(app)


def test_age_and_view_are_asked_before_maps_are_made(app: AppTest) -> None:
    upload(app, png_film(3))
    app.switch_page("pages/explainability.py").run()
    assert "The page Diagnosis asks for age and view first." in text(app)
