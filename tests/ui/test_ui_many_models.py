"""The pages with models of every form installed, as Streamlit runs them, without a browser."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from test_ui_pages import diagnosis, finished, start, text, tone, upload, viewers

from drawn_films import dicom_film, png, png_film
from model_folder import FORMS, GRADES, KINDS, MODELS


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AppTest:
    """The app with models of all three forms, which all take every picture, because no router is there."""
    for folder in (*MODELS.iterdir(), *FORMS.iterdir()):
        shutil.copytree(folder, tmp_path / folder.name)
    card = tmp_path / "tiny_grades" / "card.toml"
    card.write_text(card.read_text().replace('licence = "open"', 'licence = "research-only"'))
    return start(monkeypatch, tmp_path)


def ask(app: AppTest, model: str) -> AppTest:
    box = next(box for box in app.selectbox if box.label == "Model")
    return box.set_value(model).run()


def test_one_of_several_kinds(app: AppTest) -> None:
    diagnosis(app, png_film(3, KINDS["dark"]))
    page = text(ask(app, "tiny_kinds"))
    assert "asked about tiny Kinds (synthetic example) . You chose the model." in page
    assert re.search(r"(Dark blob|Not sure: (.*dark blob|no kind can be left out))\. .*probability of", page)
    assert all(title in page for title in ("Clear blob", "Bright blob", "AUROC, mean", "Of 100 films called dark blob"))
    assert "Not sure On 26 (18–36) of 100 films." in page
    assert "prevalence" not in page


def test_a_grade_with_its_statement(app: AppTest) -> None:
    diagnosis(app, png_film(3, GRADES["heavy"]))
    page = text(ask(app, "tiny_grades"))
    assert re.search(r"(Grade 3: heavy blob\.|Not sure: grade 2 or 3\.)", page)
    assert re.search(r"Expected grade (2\.[5-9]|3\.0) on the scale from 0 to 3\.", page)
    assert re.search(r"Referable : probability .* the threshold of 61 %\.", page)
    assert "Kappa, quadratic" in page
    assert "Data: research only. Not for a product." in page


def test_every_model_that_takes_the_image_is_asked(app: AppTest) -> None:
    page = text(diagnosis(app, dicom_film(3, 0.4)))
    labels = [block for block in ("Also asked Tiny Kinds", "Also asked Tiny Model") if block in page]
    assert labels == ["Also asked Tiny Kinds", "Also asked Tiny Model"]
    assert re.search(r"Tiny Model \(synthetic example\): pneumonia, >?[\d.]+ %", page)


def test_the_choice_of_a_model_holds_for_one_image(app: AppTest) -> None:
    upload(app, png_film(1), dicom_film(2))
    ask(app, "tiny_kinds")
    next(box for box in app.selectbox if box.label == "Image").set_value(1).run()
    assert next(box for box in app.selectbox if box.label == "Model").value == "tiny_grades"
    next(box for box in app.selectbox if box.label == "Image").set_value(0).run()
    assert next(box for box in app.selectbox if box.label == "Model").value == "tiny_kinds"


def test_a_few_images_of_one_patient_stand_side_by_side(app: AppTest) -> None:
    page = text(diagnosis(app, dicom_film(3, 0.4, view="PA"), dicom_film(4, 0.0, view="AP")))
    assert len(viewers(app)) == 2
    buttons = [button.label for button in app.button if button.key and button.key.startswith("select-")]
    assert [label.partition(":")[0] for label in buttons] == ["PA", "AP"]
    assert all(re.search(r"grade \d", label) for label in buttons)
    assert "View PA" in page
    next(button for button in app.button if button.label.startswith("AP")).click().run()
    assert "View AP" in text(app)
    next(box for box in app.selectbox if box.label == "Image").set_value(0).run()
    assert len(viewers(app)) == 1


def test_images_of_two_patients_never_stand_side_by_side(app: AppTest) -> None:
    diagnosis(app, dicom_film(3), dicom_film(4, name="Roe^Richard", patient_id="TEST-2"))
    assert len(viewers(app)) == 1


def test_all_images_of_a_study_are_answered_in_a_table(app: AppTest) -> None:
    page = text(upload(app, dicom_film(3, 0.4), png_film(4), png(np.full((300, 300), 120, np.uint8))))
    for _ in range(60):
        if page.count("grade") >= 2 and "waits" not in page:
            break
        page = text(app.run())
    assert "Read: three images." in page
    assert "1 AP not checked not sure: grade 3, 67 %" in page
    assert "pneumonia: age and view are needed" in page
    assert "3 Not analysed: there is hardly anything in this picture." in page


def test_work_on_a_study_is_stopped_and_what_is_done_is_kept(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    from medimg_core.ui import study

    made, asked = study.line, []

    def slow(*args: object) -> object:
        asked.append(args)
        while len(asked) > 1 and not held[0].stopped.is_set():
            held[0].stopped.wait(0.01)
        return made(*args)  # type: ignore[arg-type]

    begun, held = study.start, []

    def start_(*args: object) -> object:
        held[:] = [begun(*args)]  # type: ignore[arg-type]
        return held[0]

    monkeypatch.setattr(study, "line", slow)
    monkeypatch.setattr(study, "start", start_)
    upload(app, dicom_film(3, 0.4), dicom_film(4), dicom_film(5))
    app.button(key="cancel-All images").click().run()
    held[0].done.wait(30)
    page = text(app.run())
    assert re.search(r"Stopped: [12] of 3 images answered", page)
    assert "waits" in page
    monkeypatch.setattr(study, "line", made)
    app.button(key="go-on").click().run()
    held[0].done.wait(30)
    assert "waits" not in text(app.run())


def test_maps_speak_for_the_decision_until_another_class_is_chosen(app: AppTest) -> None:
    diagnosis(app, png_film(3, KINDS["dark"]))
    ask(app, "tiny_kinds")
    app.switch_page("pages/explainability.py").run()
    shown = finished(app)
    assert shown["picker"]["value"] == "dark"
    assert [option[0] for option in shown["picker"]["options"]] == ["clear", "bright", "dark"]


def test_exports_say_what_the_data_allow(app: AppTest) -> None:
    from medimg_core.ui import tokens

    diagnosis(app, png_film(3, GRADES["heavy"]))
    ask(app, "tiny_grades")
    app.switch_page("pages/explainability.py").run()
    assert "Data: research only." in text(app)
    served = tokens.find(finished(app)["methods"]["gradcam"]["link"].rsplit("/", 1)[1])
    assert served
    assert b"Data: research only. Not for a product." in served.make({})


def test_cards_start_with_a_table_of_all_models(app: AppTest) -> None:
    page = text(app.switch_page("pages/model_cards.py").run())
    assert "kappa 0.99 0.98–1.00, n 96" in page
    assert "accuracy 1.00 0.96–1.00, n 96" in page
    assert "research only" in page
    app.radio[0].set_value("tiny_grades").run()
    page = text(app)
    assert "Confusion matrix, Drawn films (synthetic example), n 96" in page
    assert "Drawn films (synthetic example): not sure on 12 (7–21) of 100; when sure it errs in 0 (0–4)" in page
    assert "Wrong answers, the most certain first" in page
    assert "Shortcuts in the data" in page


def test_models_of_one_question_are_compared_and_others_are_not(app: AppTest) -> None:
    page = text(app.switch_page("pages/model_comparison.py").run())
    assert "paired" in page
    app.selectbox(key="compare-first").set_value("tiny_kinds").run()
    page = text(app)
    assert "tiny_kinds: mean AUROC 1.00" in page
    assert "Confusion matrix, tiny_kinds" in page
    app.selectbox(key="compare-second-tiny_kinds").set_value("tiny_grades").run()
    assert "answer different questions" in text(app)


def test_pages_say_nothing_is_normal(app: AppTest) -> None:
    diagnosis(app, dicom_film(4, 0.0))
    assert tone(app) in ("none", "doubt", "evidence")
    assert not re.search(r"\bnormal\b", text(app))


def test_small_changes_of_the_picture_are_told_once_they_are_known(app: AppTest) -> None:
    page = text(diagnosis(app, dicom_film(3, 0.4)))
    for _ in range(100):
        if "Small changes of the picture" in page:
            break
        time.sleep(0.1)
        page = text(app.run())
    assert re.search(r"Small changes of the picture .* \(8 variants\)\.", page)
