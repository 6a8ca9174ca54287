"""Outlines in the app: typed spacing, a line pulled by hand, its way back, and what is saved opens again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Page
from serving import Server, serving

from drawn_films import png
from model_folder import OUTLINES, film_masks, synthetic_film
from steps import go, ready, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FILM = png(np.asarray(synthetic_film(3, 0.4).pixels, np.uint8))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with the small model that only outlines."""
    with serving(OUTLINES, tmp_path_factory.mktemp("server") / "log.txt") as running:
        yield running


def opened(open_page) -> Page:  # type: ignore[no-untyped-def]
    page: Page = open_page()
    upload(page, FILM)
    page.get_by_role("button", name="Open the diagnosis").click()
    page.wait_for_selector("text=Counted in pixels")
    ready(page)
    return page


def on_screen(page: Page, row: float, column: float) -> tuple[float, float]:
    """Where a pixel of the film stands: 180 rows by 220 columns, fitted."""
    box = page.locator(".st-key-image .frame").first.bounding_box()
    assert box
    k = min(box["width"] / 220, box["height"] / 180)
    return box["x"] + box["width"] / 2 + (column - 110) * k, box["y"] + box["height"] / 2 + (row - 90) * k


def test_spacing_is_typed_a_line_is_pulled_and_brought_back(open_page) -> None:  # type: ignore[no-untyped-def]
    page = opened(open_page)
    page.get_by_placeholder("Height, mm").fill("0.5")
    page.get_by_placeholder("Height, mm").press("Tab")
    page.get_by_role("button", name="Measure").click()
    page.wait_for_selector("text=typed by you")
    ready(page)
    page.get_by_role("button", name="Correct", exact=True).click()
    edge = int(np.flatnonzero(film_masks(3, 0.4)["lungs"][90])[0])
    start, end = on_screen(page, 90, edge), on_screen(page, 90, edge - 8)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()
    page.wait_for_selector("text=Corrected by you")
    page.wait_for_selector("text=Without an interval")
    page.get_by_role("button", name="Reset to the model").click()
    page.wait_for_selector("text=Corrected by you", state="detached")


def test_what_is_saved_opens_again_as_a_layer(open_page) -> None:  # type: ignore[no-untyped-def]
    page = opened(open_page)
    with page.expect_download() as got:
        page.get_by_role("link", name="DICOM SEG").click()
    content = got.value.path().read_bytes()
    go(page, "Upload")
    page.set_input_files("input[type=file]", {"name": "x", "mimeType": "application/dicom", "buffer": content})
    page.wait_for_selector("text=A DICOM segmentation with")
    go(page, "Diagnosis")
    page.wait_for_selector("text=From a segmentation file")
    ready(page)
    page.get_by_role("button", name="Lesion (file)").click()
    assert page.get_by_role("button", name="Lesion (file)").get_attribute("aria-pressed") == "false"
