"""What a reader does, in words."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from playwright.sync_api import Page, expect

from bench import frames

T = TypeVar("T")
# "notRunning" alone holds before an action, too: wait first for something that only its answer shows.
_READY = """count => {
  const app = document.querySelector('[data-testid=stApp]');
  const views = [...document.querySelectorAll('*')].filter(e => e.shadowRoot)
    .flatMap(e => [...e.shadowRoot.querySelectorAll('.view')]);
  return app?.dataset.testScriptState === 'notRunning'
    && views.length >= count && views.every(v => v.dataset.ready === '1');
}"""


def idle(page: Page) -> None:
    """Wait until the page's script has ended: nothing of an earlier page or run is left."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def ready(page: Page, viewers: int = 1) -> None:
    """Wait until the page's script has ended and every viewer has fetched and drawn what it shows."""
    for _ in range(2):  # what the script sent last reaches a viewer with the next frame
        page.wait_for_function(_READY, arg=viewers, polling=50)
        frames(page)


def until(read: Callable[[], T], holds: Callable[[T], bool], seconds: float = 60) -> T:
    """What `read` gives, once it holds; for what `expect` cannot look at."""
    end = time.monotonic() + seconds
    while not holds(found := read()):
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return found


def upload(page: Page, content: bytes | Sequence[bytes], name: str = "film.bin") -> None:
    """Drop one file or several and wait until they were read."""
    panel = page.locator(".mi-answer").first
    before = panel.inner_text()
    contents = [content] if isinstance(content, bytes) else content
    page.set_input_files(
        "input[type=file]",
        [{"name": name, "mimeType": "application/octet-stream", "buffer": one} for one in contents],
    )
    expect(panel).not_to_have_text(before, use_inner_text=True)
    expect(panel.locator("h2")).to_be_visible()
    idle(page)


def studied(page: Page) -> None:
    """Wait until all images of the case have their answer on the page Upload."""
    expect(page.locator(".mi-study td").first).to_be_visible()
    expect(page.locator(".mi-study")).not_to_contain_text("waits")
    idle(page)


def go(page: Page, title: str) -> None:
    """Choose a page in the bar."""
    link = page.get_by_test_id("stTopNavLink").filter(has_text=title)
    link.click()
    expect(link).to_have_attribute("aria-current", "page")  # with it the page before is cleared away
    expect(page.locator(".mi-foot")).to_be_visible()
    idle(page)


def diagnosed(page: Page, content: bytes, said: str) -> Page:
    """Drop one film and open its diagnosis, until the panel says something."""
    upload(page, content)
    page.get_by_role("button", name="Open the diagnosis").click()
    expect(page.get_by_text(said).first).to_be_visible()
    ready(page)
    return page


def on_screen(page: Page, shape: tuple[int, int], x: float, y: float) -> tuple[float, float]:
    """Where a place of a film of this shape (rows, columns) stands, which is fitted into its frame."""
    box = page.locator(".st-key-image .frame").first.bounding_box()
    assert box
    rows, columns = shape
    k = min(box["width"] / columns, box["height"] / rows)
    return box["x"] + box["width"] / 2 + (x - columns / 2) * k, box["y"] + box["height"] / 2 + (y - rows / 2) * k


def diagnose(page: Page) -> None:
    """From Upload to the answer with its map."""
    page.get_by_role("button", name="Open the diagnosis").click()
    expect(page.get_by_text("Prediction set").first).to_be_visible()
    ready(page)


def light(page: Page) -> None:
    """Choose the light theme in the menu."""
    page.get_by_test_id("stMainMenuButton").click()
    page.get_by_test_id("stMainMenuItem-theme-Light").click()
    expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", "light")


def canvas(page: Page, selector: str = "canvas.draw") -> list[int]:
    """RGBA values of a canvas of a viewer that has drawn, thinned to every seventh pixel of every seventh row."""
    found: Any = until(
        lambda: page.locator(selector).first.evaluate(
            """c => { if (c.closest('.view').dataset.ready !== '1') return null;
              const d = c.getContext('2d').getImageData(0, 0, c.width, c.height), out = [];
              for (let y = 0; y < c.height; y += 7) for (let x = 0; x < c.width; x += 7)
                out.push(...d.data.slice(4 * (y * c.width + x), 4 * (y * c.width + x) + 4));
              return JSON.stringify(out); }"""
        ),
        bool,
    )
    return list(json.loads(found))


def maps(page: Page) -> None:
    """Open the page Explainability and wait until all six maps are there and nothing is computed any more."""
    go(page, "Explainability")
    settled(page)


def settled(page: Page) -> None:
    """Wait until the page is whole and no map is computed any more; after an action, wait for its answer first."""
    idle(page)  # from here on the line about what is computed is there, if anything is
    expect(page.locator(".st-key-work")).to_have_count(0)
    ready(page)
    expect(page.get_by_label("Save this map as PNG").filter(visible=True)).to_have_count(6)
