"""Every page under axe-core, in dark and light: nothing that it calls serious or critical."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from drawn_films import dicom_film
from steps import diagnose, go, idle, maps, ready, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]

GRAVE = ("serious", "critical")
AXE = Axe()


def grave(page: Page) -> list[str]:
    """What axe calls serious or critical on the page as it is now, shadow roots included, one line a node."""
    found = AXE.run(page).response
    return [
        f"{rule['id']} ({rule['impact']}): {node['target']} {node['html'][:160]}"
        for rule in found["violations"]
        for node in rule["nodes"]
        if node["impact"] in GRAVE
    ]


# The lowest window makes what can scroll do so, the narrow one puts the parts below each other.
@pytest.mark.parametrize(("theme", "width", "height"), [("dark", 1280, 640), ("light", 1280, 640), ("light", 800, 900)])
def test_nothing_serious_on_any_page(open_page, theme: str, width: int, height: int) -> None:
    page = open_page(f"/?embed_options={theme}_theme", width, height)
    ready(page, 2)
    faults = {"upload, empty": grave(page)}
    upload(page, dicom_film(3, 0.4))
    ready(page, 2)
    faults["upload, a case"] = grave(page)
    diagnose(page)
    faults["diagnosis"] = grave(page)
    page.locator(".frame").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    faults["help sheet"] = grave(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    maps(page)
    faults["explainability"] = grave(page)
    for title in ("Model comparison", "Model cards"):
        go(page, title)
        faults[title] = grave(page)
    page.locator(".st-key-card-list label").last.click()
    expect(page.locator(".mi-card").first).to_be_visible()
    idle(page)
    faults["one card"] = grave(page)
    assert not {name: found for name, found in faults.items() if found}


def test_axe_looks_inside_the_viewer(open_page) -> None:
    page = open_page()
    ready(page, 2)
    page.locator(".view").first.evaluate("view => view.append(document.createElement('select'))")
    assert [line for line in grave(page) if line.startswith("select-name (critical)")]
