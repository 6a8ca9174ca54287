"""The viewer in the app: a series from files to millimetres, and what a reader draws on the way back to Python."""

from __future__ import annotations

import io
import re
import time

import numpy as np
import pytest
from playwright.sync_api import Page, WebSocket, expect
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from drawn_films import dicom_film
from steps import canvas, diagnose, go, idle, light, ready, studied, until, upload

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
    upload(page, files)
    expect(page.locator(".st-key-image .c2")).to_contain_text("of 6")
    ready(page, 2)


def middle(page: Page) -> tuple[float, float]:
    box = page.locator(".st-key-image .frame").first.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def length(page: Page, px: float) -> None:
    """Measure a length across the middle of the image, in screen pixels."""
    page.get_by_role("button", name="Length", exact=True).click()
    x, y = middle(page)
    page.mouse.move(x - px / 2, y)
    page.mouse.down()
    page.mouse.move(x + px / 2, y, steps=5)
    page.mouse.up()


def test_a_series_is_turned_and_windowed_without_the_server(open_page) -> None:
    """The server is told where the reader rests, once for each place, and a finished measurement; nothing else."""
    page = open_page()
    sent: list[bytes | str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(frame))

    page.on("websocket", listen)
    page.reload()
    ready(page, 2)
    open_series(page)
    studied(page)
    ready(page, 2)
    level, corner = page.locator(".st-key-image .c1").first, page.locator(".st-key-image .c2").first
    expect(corner).to_contain_text("image 1 of 6, 0.0 mm")
    expect(corner).to_contain_text("one gap in this series")
    asked = len(sent)

    def told() -> int:
        ready(page, 2)
        return len(sent) - asked

    page.mouse.move(*middle(page))
    page.mouse.wheel(0, 100)
    expect(corner).to_contain_text("image 2 of 6, 3.0 mm")
    until(told, lambda times: times == 1)
    page.keyboard.press("Tab")
    page.locator(".st-key-image .frame").first.focus()
    page.keyboard.press("End")
    expect(corner).to_contain_text("image 6 of 6, 18.0 mm")
    until(told, lambda times: times == 2)
    page.keyboard.press("2")
    expect(level).to_contain_text("window −600 / 1500")
    page.get_by_label("Panes", exact=True).select_option("1x2")
    expect(page.locator(".st-key-image canvas.draw")).to_have_count(2)
    ready(page, 2)
    length(page, 30)
    expect(page.locator(".mi-rows dd", has_text="length")).to_be_visible()
    assert "length" in str(sent[asked + 2])  # no other frame came before it


def test_a_measurement_comes_back_to_the_panel_and_outlives_page_and_theme(open_page) -> None:
    page = open_page()
    upload(page, dicom_film(3, 0.4))
    diagnose(page)
    frame = page.locator(".st-key-image .frame")
    box = frame.bounding_box()
    assert box
    # 440 columns by 360 rows of 0.143 mm, fitted: 120 columns are measured.
    k = min(box["width"] / 440, box["height"] / 360)
    length(page, 120 * k)
    row, said = page.locator(".mi-rows dd", has_text="length"), re.compile(r"^length ([\d.]+) mm \(at the detector\)")
    expect(row).to_have_text(said)
    found = said.match(row.inner_text())
    assert found
    assert float(found[1]) == pytest.approx(120 * 0.143, rel=0.005)
    page.mouse.move(0, 0)
    ready(page)
    drawn = canvas(page)
    light(page)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("stMainMenuItem-theme-Light")).to_be_hidden()
    ready(page)
    assert canvas(page) == drawn  # film, map and measurement, to the pixel: the stage is black in both themes
    expect(row).to_have_text(re.compile("^" + re.escape(found[0])))
    go(page, "Upload")
    expect(page.locator(".st-key-drop")).to_be_visible()
    go(page, "Diagnosis")
    expect(page.get_by_text("Prediction set").first).to_be_visible()
    expect(row).to_be_visible()
    ready(page)
    page.locator(".frame").focus()
    page.keyboard.press("Delete")
    expect(row).to_have_count(0)


def test_a_closed_case_leaves_no_image_in_the_server(server, open_page) -> None:
    """Two films a case, 29 MB with their files: of five cases that stay in memory 140 would be seen."""
    page = open_page()
    films = [dicom_film(seed, size=(1400, 1700)) for seed in (3, 4)]

    def case() -> None:
        upload(page, films)
        expect(page.get_by_text("Read: two films.")).to_be_visible()
        studied(page)
        page.get_by_role("button", name="Close this case").click()
        expect(page.get_by_text("No image is open.")).to_be_visible()
        idle(page)

    def rested() -> float:
        """Memory once it stays as it is: it goes back beside the page, a second after a case was closed."""

        def changed() -> float:
            before = server.memory_mb()
            time.sleep(3)
            return float(abs(server.memory_mb() - before))

        until(changed, lambda mb: mb < 1)
        return float(server.memory_mb())

    case()
    case()
    first = rested()
    for _ in range(5):
        case()
    until(server.memory_mb, lambda mb: mb < first + 50)
