"""The viewer in the app: a series from files to millimetres, and what a reader draws on the way back to Python."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from playwright.sync_api import Page, WebSocket
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from drawn_films import dicom_film
from steps import canvas, diagnose, go, ready, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def ct_slice(series: str, number: int, height: float) -> bytes:
    """A made axial slice, 96 x 128, pixels of 0.5 x 0.8 mm: a cylinder of 60 HU in air, and a rod that wanders."""
    y, x = np.mgrid[:96, :128]
    levels = np.full((96, 128), -1000, np.int16)
    levels[(x - 64) ** 2 + (y - 48) ** 2 < 40**2] = 60
    levels[40:56, 40 + 4 * number : 50 + 4 * number] = 400
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = CTImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.PatientName, made.PatientID, made.Modality = "Doe^Jane", "TEST-1", "CT"
    made.StudyInstanceUID = made.FrameOfReferenceUID = series
    made.SeriesInstanceUID, made.InstanceNumber = series, number
    made.Rows, made.Columns = levels.shape
    made.SamplesPerPixel, made.BitsAllocated, made.BitsStored, made.HighBit = 1, 16, 16, 15
    made.PixelRepresentation, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, 0, "HU"
    made.WindowCenter, made.WindowWidth = 40, 400
    made.PixelSpacing, made.SliceThickness = [0.8, 0.5], 3
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.ImagePositionPatient = [0, 0, height]
    made.PixelData = levels.tobytes()
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()


def open_series(page: Page) -> None:
    """Six slices in no order, the fifth of them missing."""
    series = generate_uid()
    heights = {1: 0.0, 2: 3.0, 3: 6.0, 4: 9.0, 6: 15.0, 7: 18.0}
    files = [ct_slice(series, number, heights[number]) for number in (6, 2, 1, 7, 4, 3)]
    before = page.locator(".mi-answer").first.inner_text()
    page.set_input_files(
        "input[type=file]", [{"name": "x", "mimeType": "application/dicom", "buffer": content} for content in files]
    )
    page.wait_for_function("before => document.querySelector('.mi-answer')?.innerText !== before", arg=before)
    page.wait_for_selector(".c2:has-text('of 6')")
    ready(page, 2)


def middle(page: Page) -> tuple[float, float]:
    box = page.locator(".st-key-image .frame").first.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_series_is_turned_and_windowed_without_the_server(open_page) -> None:
    page = open_page()
    sent: list[object] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(frame))

    page.on("websocket", listen)
    page.reload()
    page.wait_for_selector("text=No image is open.")
    open_series(page)
    page.wait_for_function("() => !document.querySelector('.mi-study').innerText.includes('waits')")
    page.wait_for_timeout(1500)
    corner = page.locator(".st-key-image .c2").first
    assert "image 1 of 6, 0.0 mm" in corner.inner_text()
    assert "one gap in this series" in corner.inner_text()
    frames = len(sent)
    page.mouse.move(*middle(page))
    page.mouse.wheel(0, 100)
    page.wait_for_selector(".c2:has-text('image 2 of 6, 3.0 mm')")
    page.keyboard.press("Tab")
    page.locator(".st-key-image .frame").first.focus()
    page.keyboard.press("End")
    page.wait_for_selector(".c2:has-text('image 6 of 6, 18.0 mm')")
    page.keyboard.press("2")
    page.wait_for_selector(".c1:has-text('window −600 / 1500')")
    page.get_by_label("Panes", exact=True).select_option("1x2")
    page.wait_for_timeout(500)
    assert page.locator(".st-key-image canvas.draw").count() == 2
    assert len(sent) == frames


def test_a_measurement_comes_back_to_the_panel_and_outlives_page_and_theme(open_page) -> None:
    page = open_page()
    upload(page, dicom_film(3, 0.4))
    diagnose(page)
    page.get_by_role("button", name="Length", exact=True).click()
    frame = page.locator(".st-key-image .frame")
    box = frame.bounding_box()
    assert box
    # 440 columns by 360 rows of 0.143 mm, fitted: 120 columns are measured.
    k = min(box["width"] / 440, box["height"] / 360)
    x, y = middle(page)
    page.mouse.move(x - 60 * k, y)
    page.mouse.down()
    page.mouse.move(x + 60 * k, y, steps=5)
    page.mouse.up()
    row = page.locator(".mi-rows dd", has_text="length")
    row.wait_for()
    found = re.match(r"length ([\d.]+) mm \(at the detector\)", row.inner_text())
    assert found
    assert float(found[1]) == pytest.approx(120 * 0.143, rel=0.005)
    page.mouse.move(0, 0)
    page.wait_for_timeout(200)
    drawn = canvas(page)
    page.locator("[data-testid=stMainMenuButton]").click()
    page.locator("[data-testid=stMainMenuItem-theme-Light]").click()
    page.wait_for_function(
        "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).colorScheme === 'light'"
    )
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)
    assert canvas(page) == drawn  # film, map and measurement, to the pixel: the stage is black in both themes
    assert row.inner_text().startswith(found[0])
    go(page, "Upload")
    page.wait_for_selector(".st-key-drop")
    go(page, "Diagnosis")
    page.wait_for_selector("text=Prediction set")
    ready(page)
    row.wait_for()
    page.locator(".frame").focus()
    page.keyboard.press("Delete")
    row.wait_for(state="detached")


def test_a_closed_case_leaves_no_image_in_the_server(server, open_page) -> None:
    """Two films a case, 29 MB with their files: of five cases that stay in memory 140 would be seen."""
    page = open_page()
    files = [
        {"name": "film", "mimeType": "application/octet-stream", "buffer": dicom_film(seed, size=(1400, 1700))}
        for seed in (3, 4)
    ]

    def case() -> float:
        page.set_input_files("input[type=file]", files)
        page.wait_for_selector("text=Read: two films.")
        page.wait_for_function("() => document.querySelector('.mi-study')?.innerText.includes('waits') === false")
        page.get_by_role("button", name="Close this case").click()
        page.wait_for_selector("text=No image is open.")
        page.wait_for_timeout(2500)  # the memory goes back beside the page, a second later
        return float(server.memory_mb())

    case()
    first = case()
    later = [case() for _ in range(5)]
    assert later[-1] < first + 50, (first, later)
