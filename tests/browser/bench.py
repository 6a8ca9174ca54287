"""The viewer's browser side on a bare page: the real module, style and pixel bytes, no server and no Streamlit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page, Route

from medimg_core.types import Image, Spacing, Window
from medimg_core.ui import tokens, viewer
from medimg_core.ui.routes import SESSION
from medimg_core.ui.tokens import Tokens
from medimg_core.ui.viewer import LAYOUTS, Pane, Stack, Stage, stack_films
from medimg_core.ui.viewer_data import described

_UI = Path(viewer.__file__).parent
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_URL = "http://viewer.test/"
_PAGE = """<!doctype html><html lang="en" style="color-scheme: dark"><title>Viewer</title>
<style>
html { --st-font: sans-serif; --st-text-color: #D3D7DA; --st-primary-color: #7DB3DC; --st-border-color: #2B2F33; }
body { margin: 0; background: #0B0C0D } main { height: 100vh }</style><main></main>"""
_MOUNT = """async ([css, data]) => {
  const host = document.createElement('section');
  host.style.height = '100%';
  document.querySelector('main').replaceChildren(host);
  const root = host.attachShadow({ mode: 'open' });
  root.innerHTML = `<style>${css}</style><div class="view"></div>`;
  window.told ??= [];
  window.viewerModule ??= await import('/viewer.js');
  const tell = (name, value) => window.told.push([name, value]);
  window.unmount = window.viewerModule.default(
    { parentElement: root, data: [data], setStateValue: tell, setTriggerValue: tell });
}"""


@dataclass
class Bench:
    """A page with one viewer.

    What a reader does here is handled before the call that does it returns, and drawn with the next frame, for which
    `press`, `choose`, `drag` and `settle` wait: what changes without a request can be read at once then. What is
    fetched has come after `ready`.

    Attributes:
        down: cuts the connection: the first request of a url fails, the next one waits for `release`.
        late: tokens whose answers wait for `release`.
        spoiled: tokens that the server answers with an error.
        asked: paths of the requests for pixels, as they came.
    """

    page: Page
    down: bool = False
    late: set[str] = field(default_factory=set)
    spoiled: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    held: list[tuple[Route, str]] = field(default_factory=list)

    def open(self) -> None:
        """Load the bare page, once."""
        self.page.route(_URL + "**", self._answer)
        self.page.goto(_URL)

    def mount(self, data: dict[str, Any], wait: bool = True) -> None:
        """Mount a viewer in place of the one before."""
        css = (_UI / "viewer.css").read_text(encoding="utf-8")
        self.page.evaluate(_MOUNT, [css, data])
        if wait:
            self.ready()

    def ready(self, state: str = "1") -> None:
        """Wait until what the panes show was fetched and drawn."""
        self.page.wait_for_function(
            "s => document.querySelector('section').shadowRoot.querySelector('.view').dataset.ready === s", arg=state
        )
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked for is drawn."""
        frames(self.page)

    def release(self) -> None:
        """Answer what waits; the connection is there again."""
        self.down = False
        self.late.clear()
        waiting, self.held = self.held, []
        for route, token in waiting:
            self._pixels(route, token)

    def told(self, name: str) -> Any:
        """The last value that was told to Python; None where nothing was."""
        found = [value for key, value in self.page.evaluate("window.told") if key == name]
        return found[-1] if found else None

    def corner(self, index: int, pane: int = 0) -> Locator:
        """The words in a corner: 0 upper left, 1 upper right, 2 lower left, 3 lower right."""
        return self.page.locator(f".c{index}").nth(pane)

    def place(self, x: float, y: float, pane: int = 0) -> tuple[float, float]:
        """Where a point of an image of one pane lies on the screen, for an image that is fitted."""
        box = self.page.locator(".frame").nth(pane).bounding_box()
        assert box
        rows, columns, aspect = self.shape
        k = min(box["width"] / columns, box["height"] / (rows * aspect))
        left = box["x"] + (box["width"] - columns * k) / 2
        top = box["y"] + (box["height"] - rows * aspect * k) / 2
        return left + x * k, top + y * aspect * k

    shape: tuple[int, int, float] = (1, 1, 1.0)

    def drag(self, start: tuple[float, float], end: tuple[float, float], pane: int = 0) -> None:
        """Drag from one image point to another."""
        self.page.mouse.move(*self.place(*start, pane))
        self.page.mouse.down()
        self.page.mouse.move(*self.place(*end, pane), steps=4)
        self.page.mouse.up()
        self.settle()

    def grey(self, x: float, y: float, pane: int = 0) -> list[int]:
        """RGB of the stage over an image point."""
        u, v = self.place(x, y, pane)
        found: Any = (
            self.page.locator("canvas.draw")
            .nth(pane)
            .evaluate(
                """(c, [u, v]) => { const r = c.getBoundingClientRect();
              return [...c.getContext('2d').getImageData(Math.floor(u - r.x), Math.floor(v - r.y), 1, 1).data]; }""",
                [u, v],
            )
        )
        return list(found[:3])

    def _answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(_URL)
        if path == "":
            route.fulfill(body=_PAGE, content_type="text/html")
        elif path == "viewer.js":
            route.fulfill(body=viewer.module(), content_type="text/javascript")
        elif not path.startswith("pixels/"):
            route.fulfill(status=204)
        else:
            self.asked.append(path)
            self._pixels(route, path.removeprefix("pixels/"))

    def _pixels(self, route: Route, token: str) -> None:
        found = tokens.find(token)
        if token in self.late or (self.down and token in self.dropped):
            self.held.append((route, token))
        elif self.down:
            self.dropped.add(token)
            route.abort("connectionfailed")
        elif token in self.spoiled:
            status, said = self.spoiled[token]
            route.fulfill(status=status, body=said)
        elif found is None or not found.belongs(route.request.headers.get(SESSION.lower(), "")):
            route.fulfill(status=404)
        else:
            route.fulfill(body=found.make({}), content_type="application/octet-stream")


def frames(page: Page, ms: float = 0) -> None:
    """Let at least two animation frames pass that lie at least `ms` apart.

    A cine turns with the frames: one that plays turns at least once in 200 ms of them, however slow the machine is.
    """
    page.evaluate(
        """ms => new Promise(go => requestAnimationFrame(start => {
          const next = now => (now - start >= ms ? go() : requestAnimationFrame(next));
          requestAnimationFrame(next);
        }))""",
        ms,
    )


def arithmetic(page: Page, expression: str, *given: Any) -> Any:
    """Value of an expression over the viewer's pure functions; `given` are its arguments `a`, `b`, ..."""
    names = ", ".join("abcdefgh"[: len(given)])
    code = (_UI / "viewer_math.js").read_text(encoding="utf-8")
    found = page.evaluate(f"([{names}]) => {{ {code}\n return JSON.stringify({expression}); }}", list(given))
    return json.loads(found)


def ct(index: int, seed: int = 0, shape: tuple[int, int] = (64, 64), step: float = 4.0) -> Image:
    """A made slice in HU: a ramp from -1000 to 1000 along the columns, with noise, and `index` in its first pixel."""
    rows, columns = shape
    noise = np.random.default_rng(seed + index).integers(-40, 40, shape)
    values = np.linspace(-1000, 1000, columns)[None].round() + noise
    values[0, 0] = index
    return Image(
        values.astype(np.float32),
        "MONOCHROME2",
        f"ct-{seed}-{index}-{rows}-{columns}",
        bits=12,
        spacing=Spacing(0.8, 0.5, "PixelSpacing"),
        windows=(Window(40, 400),),
        modality="CT",
        position=(0.0, 0.0, index * step),
        orientation=AXIAL,
        modality_units="HU",
    )


def show(
    bench: Bench,
    tokens: Tokens,
    *series: Sequence[Image],
    key: str = "stage",
    case: int = 1,
    wait: bool = True,
    **stage: Any,
) -> list[Image]:
    """Mount series; returns their images in one list."""
    images = [image for one in series for image in one]
    films = [film for one in series for film in stack_films(one, tokens)]
    stacks, first = [], 0
    for number, one in enumerate(series, start=1):
        stacks.append(Stack(f"Series {number}", first, len(one)))
        first += len(one)
    layers = stage.pop("layers", {})
    stage.setdefault("layouts", LAYOUTS if len(images) > 1 else ("1x1",))
    panes = [Pane(0, "The image", series=0)]
    told = described(key, case, films, panes, Stage(stacks=stacks, **stage), layers)
    bench.mount({**told, "session": tokens.session}, wait)
    rows, columns = images[0].shape
    known = images[0].spacing
    bench.shape = (rows, columns, known.row_mm / known.column_mm if known and known.row_mm else 1.0)
    return images


def press(bench: Bench, *keys: str) -> None:
    bench.page.locator(".frame").first.focus()
    for key in keys:
        bench.page.keyboard.press(key)
    bench.settle()


def choose(bench: Bench, name: str) -> None:
    bench.page.get_by_role("button", name=name, exact=True).click()
    bench.settle()
