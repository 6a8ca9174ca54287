"""Boxes in the app: one is pulled by its corner, removed and brought back; those that are not fit for use say so."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from serving import Server, serving

from drawn_films import dicom_film
from medimg_core.catalog import read_card
from medimg_core.io import read_study
from medimg_core.workflows.find import find
from model_folder import BOXES, TINY_BOXES
from steps import ready, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FILM = dicom_film(3, 0.4)
ROWS, COLUMNS = 360, 440


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with the small model that boxes beside its answer."""
    with serving(BOXES, tmp_path_factory.mktemp("server") / "log.txt") as running:
        yield running


def opened(open_page, content: bytes) -> Page:  # type: ignore[no-untyped-def]
    page: Page = open_page()
    upload(page, content)
    page.get_by_role("button", name="Open the diagnosis").click()
    expect(page.get_by_text("Chance that it is true").first).to_be_visible()
    ready(page)
    return page


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a place of the film stands, which is fitted into its frame."""
    box = page.locator(".st-key-image .frame").first.bounding_box()
    assert box
    k = min(box["width"] / COLUMNS, box["height"] / ROWS)
    return box["x"] + box["width"] / 2 + (x - COLUMNS / 2) * k, box["y"] + box["height"] / 2 + (y - ROWS / 2) * k


def test_a_box_is_pulled_removed_and_brought_back(open_page) -> None:  # type: ignore[no-untyped-def]
    image = read_study([("", FILM)])[0].images[0]
    shown = find(image, read_card(TINY_BOXES), "children").shown
    assert shown[0].box is not None
    x0, y0, _, _ = shown[0].box
    page = opened(open_page, FILM)
    chance = page.get_by_text(f"{round(100 * shown[0].score)}\u00a0%", exact=True)
    page.get_by_role("button", name="Correct", exact=True).click()
    page.mouse.move(*on_screen(page, x0, y0))
    page.mouse.down()
    page.mouse.move(*on_screen(page, x0 - 25, y0 - 25), steps=4)
    page.mouse.up()
    expect(page.get_by_text("Corrected by you").first).to_be_visible()
    expect(page.get_by_text("by you", exact=True)).to_have_count(1)
    removing = page.get_by_role("button", name=re.compile("^Remove (the box|box [0-9]+)$"))
    for left in range(len(shown), 0, -1):
        expect(removing).to_have_count(left)
        removing.first.click()
    expect(removing).to_have_count(0)
    expect(page.get_by_text("No lesion was boxed.")).to_be_visible()
    expect(page.get_by_role("button", name="Draw lesion")).to_be_visible()
    page.get_by_role("button", name="Reset to the model’s boxes").click()
    expect(page.get_by_text("Corrected by you")).to_have_count(0)
    expect(removing).to_have_count(len(shown))
    expect(chance.first).to_be_visible()


def test_a_box_that_the_model_missed_is_added_beside_the_others(open_page) -> None:  # type: ignore[no-untyped-def]
    image = read_study([("", FILM)])[0].images[0]
    count = len(find(image, read_card(TINY_BOXES), "children").shown)
    page = opened(open_page, FILM)
    page.get_by_role("button", name="Add lesion").click()
    page.mouse.move(*on_screen(page, 60, 300))
    page.mouse.down()
    for corner in ((110, 300), (110, 340), (60, 340), (60, 302)):
        page.mouse.move(*on_screen(page, *corner), steps=4)
    page.mouse.up()
    expect(page.get_by_text("Corrected by you").first).to_be_visible()
    expect(page.get_by_text("by you", exact=True)).to_have_count(1)
    removing = page.get_by_role("button", name=re.compile("^Remove (the box|box [0-9]+)$"))
    expect(removing).to_have_count(count + 1)  # the model's own stay as they were


def test_boxes_that_are_not_fit_for_use_say_so_beside_the_answer(open_page) -> None:  # type: ignore[no-untyped-def]
    page = opened(open_page, dicom_film(3, 0.4, age="040Y", view="PA"))
    expect(page.get_by_text("probability of pneumonia").first).to_be_visible()
    expect(page.get_by_text("Not fit for use on adults’ PA films; do not rely on these boxes.")).to_be_visible()
    expect(page.get_by_text("Drawn in grey; no evidence.")).to_be_visible()
