"""The real server and a real browser. Any console error or page error fails the test that saw it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from serving import Server, serving

from bench import Bench
from drawn_films import write_demos
from medimg_core.ui.tokens import Tokens
from model_folder import MODELS

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000
"""ms that an action, a wait or an expectation may take: long, because a busy machine is slow."""
expect.set_options(timeout=PATIENCE)
# A deep link makes Streamlit ask for these two below the page's own path before it finds them at the root.
DEEP_LINK_404 = re.compile(r"/[a-z_]+/_stcore/(health|host-config)$")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with the small models and two demo cases, on a free port."""
    models = tmp_path_factory.mktemp("models") / "models"
    shutil.copytree(MODELS, models)
    write_demos(models / "demo_cases")
    with serving(models, tmp_path_factory.mktemp("server") / "log.txt") as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Headless Chromium, as Debian packages it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


OpenPage = Callable[..., Page]
ColorScheme = Literal["dark", "light"]


@pytest.fixture
def open_page(server: Server, chromium: Browser) -> Iterator[OpenPage]:
    """Opens pages of the app, each in a browser session of its own; fails the test on console errors."""
    faults: list[str] = []
    contexts = []

    def watch(message: ConsoleMessage) -> None:
        where = message.location.get("url", "")
        if message.type == "error" and not ("404" in message.text and DEEP_LINK_404.search(where)):
            faults.append(f"{message.text} ({where})")

    def opened(path: str = "/", width: int = 1280, height: int = 800, scheme: ColorScheme = "dark") -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", watch)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(server.url + path)
        page.wait_for_selector(".st-key-page")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    owner = Tokens()
    yield owner
    owner.release()


@pytest.fixture
def bench(chromium: Browser) -> Iterator[Bench]:
    """A bare page of 1000 x 700; an error in the console that no test asked for fails it."""
    context = chromium.new_context(viewport={"width": 1000, "height": 700})
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    faults: list[str] = []

    def watch(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            faults.append(message.text)

    page.on("console", watch)
    page.on("pageerror", lambda error: faults.append(str(error)))
    opened = Bench(page)
    opened.open()
    yield opened
    context.close()
    assert not faults
