"""Boxes in the app: one is pulled by its corner, removed and brought back; those that are not fit for use say so."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from serving import Server, serving

from drawn_films import dicom_film
from medimg_core.catalog import read_card
from medimg_core.io import read_study
from medimg_core.workflows.find import find
from model_folder import BOXES, TINY_BOXES
from steps import diagnosed, on_screen

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FILM = dicom_film(3, 0.4)
SHAPE = (360, 440)
SAID = "Chance that it is true"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with the small model that boxes beside its answer."""
    with serving(BOXES, tmp_path_factory.mktemp("server") / "log.txt") as running:
        yield running


def test_a_box_is_pulled_removed_and_brought_back(open_page) -> None:  # type: ignore[no-untyped-def]
    image = read_study([("", FILM)])[0].images[0]
    shown = find(image, read_card(TINY_BOXES), "children").shown
    assert shown[0].box is not None
    x0, y0, _, _ = shown[0].box
    page = diagnosed(open_page(), FILM, SAID)
    chance = page.get_by_text(f"{round(100 * shown[0].score)}\u00a0%", exact=True)
    page.get_by_role("button", name="Correct", exact=True).click()
    page.mouse.move(*on_screen(page, SHAPE, x0, y0))
    page.mouse.down()
    page.mouse.move(*on_screen(page, SHAPE, x0 - 25, y0 - 25), steps=4)
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
    page = diagnosed(open_page(), FILM, SAID)
    page.get_by_role("button", name="Add lesion").click()
    page.mouse.move(*on_screen(page, SHAPE, 60, 300))
    page.mouse.down()
    for corner in ((110, 300), (110, 340), (60, 340), (60, 302)):
        page.mouse.move(*on_screen(page, SHAPE, *corner), steps=4)
    page.mouse.up()
    expect(page.get_by_text("Corrected by you").first).to_be_visible()
    expect(page.get_by_text("by you", exact=True)).to_have_count(1)
    removing = page.get_by_role("button", name=re.compile("^Remove (the box|box [0-9]+)$"))
    expect(removing).to_have_count(count + 1)  # the model's own stay as they were


def test_boxes_that_are_not_fit_for_use_say_so_beside_the_answer(open_page) -> None:  # type: ignore[no-untyped-def]
    page = diagnosed(open_page(), dicom_film(3, 0.4, age="040Y", view="PA"), SAID)
    expect(page.get_by_text("probability of pneumonia").first).to_be_visible()
    expect(page.get_by_text("Not fit for use on adults’ PA films; do not rely on these boxes.")).to_be_visible()
    expect(page.get_by_text("Drawn in grey; no evidence.")).to_be_visible()
