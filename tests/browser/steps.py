"""What a reader does, in words."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page


def ready(page: Page, viewers: int = 1) -> None:
    """Wait until every viewer has fetched and drawn what it shows."""
    page.wait_for_function(
        """count => {
          const views = [...document.querySelectorAll('*')].filter(e => e.shadowRoot)
            .flatMap(e => [...e.shadowRoot.querySelectorAll('.view')]);
          return views.length >= count && views.every(v => v.dataset.ready === '1');
        }""",
        arg=viewers,
    )


def upload(page: Page, content: bytes, name: str = "film.bin") -> None:
    """Drop a file and wait until it was read."""
    before = page.locator(".mi-answer").first.inner_text()
    page.set_input_files("input[type=file]", {"name": name, "mimeType": "application/octet-stream", "buffer": content})
    page.wait_for_function("before => document.querySelector('.mi-answer')?.innerText !== before", arg=before)
    page.wait_for_selector(".mi-answer h2")


def go(page: Page, title: str) -> None:
    """Choose a page in the bar."""
    page.locator("[data-testid=stTopNavLink]", has_text=title).click()
    page.wait_for_selector(f"[data-testid=stTopNavLink][aria-current=page]:has-text('{title}')")


def diagnose(page: Page) -> None:
    """From Upload to the answer with its map."""
    page.get_by_role("button", name="Open the diagnosis").click()
    page.wait_for_selector("text=Prediction set")
    ready(page)


def canvas(page: Page, selector: str = "canvas.draw") -> list[int]:
    """RGBA values of a canvas, thinned to every seventh pixel of every seventh row."""
    found: Any = page.locator(selector).first.evaluate(
        """c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height), out = [];
          for (let y = 0; y < c.height; y += 7) for (let x = 0; x < c.width; x += 7)
            out.push(...d.data.slice(4 * (y * c.width + x), 4 * (y * c.width + x) + 4));
          return JSON.stringify(out); }"""
    )
    return list(json.loads(found))


def maps(page: Page) -> None:
    """Open the page Explainability and wait until all six maps are there and nothing is computed any more."""
    go(page, "Explainability")
    settled(page)


def settled(page: Page) -> None:
    """Wait until no map is being computed and the page is whole."""
    page.wait_for_selector("figcaption >> nth=5")
    page.wait_for_function(
        "() => document.querySelector('.mi-foot') && !document.querySelector('.st-key-work') "
        "&& !document.querySelector('[data-testid=stStatusWidget]')"
    )
    ready(page)
