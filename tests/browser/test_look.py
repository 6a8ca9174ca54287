"""The look that rests on Streamlit's test ids and on sizes: pages fit their window, in both themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from drawn_films import dicom_film
from steps import diagnose, maps, ready, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCHEME = "name => getComputedStyle(document.querySelector('[data-testid=stApp]')).colorScheme === name"
SIZES = [(1280, 800), (1280, 680), (1920, 1080)]


def fits(page: Page) -> None:
    """Nothing scrolls, and nothing of the panel is cut off."""
    over = page.evaluate(
        """() => { const main = document.querySelector('[data-testid=stMain]');
          const boxes = [...document.querySelectorAll('.st-key-answer, .mi-foot')];
          return [main.scrollHeight - main.clientHeight, document.documentElement.scrollWidth - innerWidth,
                  ...boxes.map(b => b.scrollHeight - b.clientHeight)]; }"""
    )
    assert max(over) <= 1, over
    foot = page.locator(".mi-foot").bounding_box()
    assert foot
    assert foot["y"] + foot["height"] <= page.viewport_size["height"] + 1  # type: ignore[index]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_pages_with_an_image_do_not_scroll(open_page, theme: str, width: int, height: int) -> None:
    page = open_page(f"/?embed_options={theme}_theme", width, height)
    ready(page, 2)
    fits(page)
    background = {"dark": "rgb(11, 12, 13)", "light": "rgb(241, 242, 242)"}[theme]
    assert page.locator("[data-testid=stApp]").evaluate("e => getComputedStyle(e).backgroundColor") == background
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


def test_dark_is_the_first_theme_whatever_the_desktop_says(server, chromium) -> None:
    context = chromium.new_context(color_scheme="light")
    page = context.new_page()
    page.goto(server.url)
    page.wait_for_selector("text=No image is open.")
    page.wait_for_function(
        "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).colorScheme === 'dark'"
    )
    context.close()


def test_selectors_that_streamlit_may_change(open_page) -> None:
    page = open_page()
    page.wait_for_selector("text=No image is open.")
    heights = {"stHeader": 44, "stToolbar": 44}
    for name, height in heights.items():
        box = page.locator(f"[data-testid={name}]").bounding_box()
        assert box
        assert abs(box["height"] - height) <= 1
    links = page.locator("[data-testid=stTopNavLink]").all_inner_texts()
    assert links == ["Upload", "Diagnosis", "Explainability", "Model comparison", "Model cards"]
    said = page.locator("[data-testid=stMainMenuButton]").evaluate("e => getComputedStyle(e, '::after').content")
    assert said == '"Theme"'
    zone = page.locator("[data-testid=stFileUploaderDropzone]")
    assert "Drop images" in zone.evaluate("e => getComputedStyle(e, '::before').content")
    box = zone.bounding_box()
    assert box
    assert box["height"] > 300
    assert page.locator(".st-key-once").count() == 1
    assert not page.locator(".st-key-once").is_visible()


def test_the_theme_changes_without_losing_the_case(open_page) -> None:
    page = open_page()
    upload(page, dicom_film(3, 0.4))
    page.locator("[data-testid=stMainMenuButton]").click()
    page.locator("[data-testid=stMainMenuItem-theme-Light]").click()
    page.wait_for_function(
        "() => getComputedStyle(document.querySelector('[data-testid=stApp]')).colorScheme === 'light'"
    )
    assert page.locator(".mi-strip").inner_text().startswith("Doe, Jane")
