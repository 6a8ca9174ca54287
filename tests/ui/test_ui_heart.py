"""Two frames of the heart on the Diagnosis page, with the shipped model and frames of the drawn beating heart."""

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from streamlit.testing.v1 import AppTest
from test_ui_pages import start, text, upload, viewers

ROOT = Path(__file__).resolve().parents[2]
LARGEST, SMALLEST = 0, 10
"""Frames of the drawn heart near end-diastole and end-systole."""


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AppTest:
    """The app with the heart's model and the router alone."""
    for name in ("cardiac_ultrasound", "router"):
        (tmp_path / name).symlink_to(ROOT / "models" / name)
    return start(monkeypatch, tmp_path)


def frame(number: int, rows: int | None = None) -> bytes:
    """One frame of the drawn heart as a file of its own; fewer rows are cut off at the bottom."""
    data = pydicom.dcmread(ROOT / "models" / "demo_cases" / "19_heart_cine.dcm")
    pixels = np.ascontiguousarray(data.pixel_array[number][:rows])
    data.Rows, data.NumberOfFrames = pixels.shape[0], 1
    data.PixelData = pixels.tobytes()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if rows is not None:
        data.SequenceOfUltrasoundRegions[0].RegionLocationMaxY1 = rows - 1
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number + 1}"
    out = io.BytesIO()
    data.save_as(out)
    return out.getvalue()


def diagnosis(app: AppTest, *files: bytes) -> str:
    upload(app, *files)
    app.switch_page("pages/diagnosis.py").run()
    for _ in range(200):
        if not any(button.key == "cancel-clip" for button in app.button):
            return text(app)
        time.sleep(0.1)
        app.run()
    raise AssertionError("the frames were not outlined")


def test_two_phases_have_an_ejection_fraction(app: AppTest) -> None:
    page = diagnosis(app, frame(SMALLEST), frame(LARGEST))
    assert "Ejection fraction" in page
    assert "End-diastole is frame 2, end-systole frame 1 of 2." in page
    assert "Doubts" not in page


def test_one_frame_twice_has_none_and_both_stay_on_the_stage(app: AppTest) -> None:
    page = diagnosis(app, frame(LARGEST), frame(LARGEST))
    assert "No ejection fraction can be told." in page
    assert "Both frames are one picture, so no ejection fraction is told. Load one of each phase." in page
    (viewer,) = viewers(app)
    assert {line["structure"] for line in viewer["regions"]} == {"left_ventricle", "myocardium", "left_atrium"}


def test_two_frames_of_one_phase_are_doubtful(app: AppTest) -> None:
    page = diagnosis(app, frame(LARGEST), frame(LARGEST + 1))
    assert "The two frames are almost alike: they may show one phase." in page


def test_two_frames_of_different_size_have_none(app: AppTest) -> None:
    page = diagnosis(app, frame(LARGEST), frame(SMALLEST, rows=230))
    assert "The two frames differ in size or scale, so no ejection fraction is told." in page
