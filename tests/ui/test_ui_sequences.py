"""A study of three MR series on the pages: what is joined, what is missing, and that the joined one opens."""

from __future__ import annotations

from pathlib import Path

import pytest
from mr_files import three_series
from streamlit.testing.v1 import AppTest
from test_ui_pages import start, text, upload, viewers

from medimg_core.catalog import write_hashes
from model_folder import MODELS, TINY_OUTLINE, copy_model


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AppTest:
    """The app with a small model of MR slices that have three sequences as colours."""
    folder = copy_model(TINY_OUTLINE, tmp_path / "tiny_sequences")
    card = (folder / "card.toml").read_text()
    (folder / "card.toml").write_text(card.replace("chest_frontal", "brain_mr_sequences").replace('"CR"', '"MR"'))
    write_hashes(folder)
    return start(monkeypatch, tmp_path)


def test_upload_says_which_series_became_which_colour(app: AppTest) -> None:
    page = text(upload(app, *three_series((0.0, 5.0))))
    assert (
        "Sequences Series 4 is joined from three of this study: red is T1 before contrast (series 1), green is FLAIR "
        "(series 2), blue is T1 after contrast (series 3)." in page
    )
    assert page.count("Series 4 is joined") == 1
    assert "7 Joined 1" in page
    assert "8 Joined 2" in page
    (viewer,) = [one for one in viewers(app) if len(one["images"]) == 8]
    assert [stack["title"] for stack in viewer["series"]] == [
        "1 MR brain T1 before contrast, 2 slices",
        "2 MR brain FLAIR, 2 slices",
        "3 MR brain T1 after contrast, 2 slices",
        "4 MR brain three sequences joined, 2 slices",
    ]


def test_the_joined_series_opens_and_is_answered(app: AppTest) -> None:
    upload(app, *three_series((0.0, 5.0)))
    image = next(box for box in app.selectbox if box.label == "Image")
    image.set_value(6).run()
    page = text(app)
    assert "DICOM, MR, 64 × 64, 8 bit, RGB, joined from three series, 2 images" in page
    assert "Each sequence was scaled over all its slices" in page
    assert "Vera" in page
    page = text(app.switch_page("pages/diagnosis.py").run())
    assert "outlined lungs and lesion" in page
    assert "Not analysed" not in page


def test_what_is_missing_is_said_and_nothing_is_lost(app: AppTest) -> None:
    page = text(upload(app, *three_series((0.0, 5.0))[2:4]))
    assert "Read: two images." in page
    assert "Sequences One sequence where three are needed to outline a glioma: FLAIR is here" in page


def test_without_a_model_for_them_series_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    page = text(upload(start(monkeypatch, MODELS), *three_series((0.0, 5.0))))
    assert "Read: six images." in page
    assert "Sequences" not in page
