"""The look that rests on Streamlit's test ids and on sizes: pages fit their window, in both themes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from drawn_films import dicom_film
from steps import diagnose, light, maps, ready, until, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SIZES = [(1280, 800), (1280, 680), (1920, 1080)]


def fits(page: Page) -> None:
    """Nothing scrolls, and nothing of the panel is cut off."""

    def over() -> list[float]:
        found: list[float] = page.evaluate(
            """() => { const main = document.querySelector('[data-testid=stMain]');
              const boxes = [...document.querySelectorAll('.st-key-answer, .mi-foot')];
              return [main.scrollHeight - main.clientHeight, document.documentElement.scrollWidth - innerWidth,
                      document.querySelector('.mi-foot').getBoundingClientRect().bottom - innerHeight,
                      ...boxes.map(b => b.scrollHeight - b.clientHeight)]; }"""
        )
        return found

    until(over, lambda px: max(px) <= 1)


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_pages_with_an_image_do_not_scroll(open_page, theme: str, width: int, height: int) -> None:
    page = open_page(f"/?embed_options={theme}_theme", width, height)
    ready(page, 2)
    fits(page)
    background = {"dark": "rgb(11, 12, 13)", "light": "rgb(241, 242, 242)"}[theme]
    expect(page.get_by_test_id("stApp")).to_have_css("background-color", background)
    upload(page, dicom_film(3, 0.4))
    ready(page, 2)
    fits(page)
    diagnose(page)
    fits(page)
    image, answer = (page.locator(f".st-key-{key}").bounding_box() for key in ("image", "answer"))
    assert image
    assert answer
    assert image["width"] > 0.6 * width
    assert answer["x"] >= image["x"] + image["width"]
    maps(page)
    fits(page)


def test_dark_is_the_first_theme_whatever_the_desktop_says(open_page) -> None:
    page = open_page(scheme="light")
    expect(page.get_by_text("No image is open.")).to_be_visible()
    expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", "dark")


def test_selectors_that_streamlit_may_change(open_page) -> None:
    page = open_page()
    ready(page, 2)
    expect(page.get_by_text("No image is open.")).to_be_visible()

    def height(name: str) -> float:
        box = page.get_by_test_id(name).bounding_box()
        return box["height"] if box else 0

    until(lambda: (height("stHeader"), height("stToolbar")), lambda px: all(abs(one - 44) <= 1 for one in px))
    titles = ["Upload", "Diagnosis", "Explainability", "Model comparison", "Model cards"]
    expect(page.get_by_test_id("stTopNavLink")).to_have_text(titles, use_inner_text=True)
    expect(page.get_by_test_id("stMainMenuButton")).to_have_css("content", '"Theme"', pseudo="after")
    zone = page.get_by_test_id("stFileUploaderDropzone")
    expect(zone).to_have_css("content", re.compile("Drop images"), pseudo="before")
    until(lambda: height("stFileUploaderDropzone"), lambda px: px > 300)
    expect(page.locator(".st-key-once")).to_have_count(1)
    expect(page.locator(".st-key-once")).to_be_hidden()


def test_the_theme_changes_without_losing_the_case(open_page) -> None:
    page = open_page()
    upload(page, dicom_film(3, 0.4))
    strip = page.locator(".mi-strip")
    expect(strip).to_have_text(re.compile("^Doe, Jane"))
    light(page)
    ready(page, 2)
    expect(strip).to_have_text(re.compile("^Doe, Jane"))
