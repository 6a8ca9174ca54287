"""Outlines in the app: typed spacing, a line pulled by hand, its way back, and what is saved opens again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import expect
from serving import Server, serving

from drawn_films import png
from model_folder import OUTLINES, film_masks, synthetic_film
from steps import diagnosed, go, idle, on_screen, ready

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHAPE = (180, 220)
FILM = png(np.asarray(synthetic_film(3, 0.4).pixels, np.uint8))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with the small model that only outlines."""
    with serving(OUTLINES, tmp_path_factory.mktemp("server") / "log.txt") as running:
        yield running


def test_spacing_is_typed_a_line_is_pulled_and_brought_back(open_page) -> None:  # type: ignore[no-untyped-def]
    page = diagnosed(open_page(), FILM, "Counted in pixels")
    page.get_by_placeholder("Height, mm").fill("0.5")
    page.get_by_placeholder("Height, mm").press("Tab")
    page.get_by_role("button", name="Measure").click()
    expect(page.get_by_text("typed by you").first).to_be_visible()
    ready(page)
    page.get_by_role("button", name="Correct", exact=True).click()
    edge = int(np.flatnonzero(film_masks(3, 0.4)["lungs"][90])[0])
    start, end = on_screen(page, SHAPE, edge, 90), on_screen(page, SHAPE, edge - 8, 90)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()
    expect(page.get_by_text("Corrected by you").first).to_be_visible()
    expect(page.get_by_text("Without an interval").first).to_be_visible()
    page.get_by_role("button", name="Reset to the model").click()
    expect(page.get_by_text("Corrected by you")).to_have_count(0)


def test_what_is_saved_opens_again_as_a_layer(open_page) -> None:  # type: ignore[no-untyped-def]
    page = diagnosed(open_page(), FILM, "Counted in pixels")
    with page.expect_download() as got:
        page.get_by_role("link", name="DICOM SEG").click()
    content = got.value.path().read_bytes()
    go(page, "Upload")
    page.set_input_files("input[type=file]", {"name": "x", "mimeType": "application/dicom", "buffer": content})
    expect(page.get_by_text("A DICOM segmentation with").first).to_be_visible()
    idle(page)
    go(page, "Diagnosis")
    expect(page.get_by_text("From a segmentation file").first).to_be_visible()
    ready(page)
    lesion = page.get_by_role("button", name="Lesion (file)")
    expect(lesion).to_have_attribute("aria-pressed", "true")
    lesion.click()
    expect(lesion).to_have_attribute("aria-pressed", "false")
