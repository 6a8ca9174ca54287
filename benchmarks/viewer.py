"""The viewer in headless Chromium against the real server: first image, all images, frames a second, memory.

Needs Chromium and playwright (requirements-dev). The series is one of ../shared where it lies there, else a made one.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Page, sync_playwright

from benchmarks.rows import Row
from benchmarks.slices import write_volume

TOPIC = "the viewer in a browser"
ROOT = Path(__file__).resolve().parents[1]
SERIES = ROOT.parent / "shared" / "data" / "lung_ct_dicom_series" / "ct_a"
VOLUME = (300, 512, 512)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]

# Notes when a viewer with a toolbar is on the page, when its pictures are drawn, and when its last pixels are there.
WATCH = """() => {
  performance.setResourceTimingBufferSize(2000);
  performance.clearResourceTimings();
  window.seen = { mounted: 0, drawn: 0 };
  const look = () => {
    const host = [...document.querySelectorAll('.st-key-image *')].find(e => e.shadowRoot?.querySelector('.bar'));
    const view = host?.shadowRoot.querySelector('.view');
    if (view && !seen.mounted) seen.mounted = performance.now();
    if (view?.dataset.ready === '1') { seen.drawn = performance.now(); return; }
    requestAnimationFrame(look);
  };
  look();
}"""
LAST = """() => { const all = performance.getEntriesByType('resource').filter(e => e.name.includes('/pixels/'));
  return [all.length, Math.max(0, ...all.map(e => e.responseEnd))]; }"""
# A notch of the wheel at every frame for three seconds, to and fro; counted are the frames on which a slice changed.
SCROLL = """async number => {
  const host = [...document.querySelectorAll('.st-key-image *')].find(e => e.shadowRoot?.querySelector('.bar'));
  const frame = host.shadowRoot.querySelectorAll('.frame')[number], corner = frame.querySelector('.c2');
  const next = () => new Promise(go => requestAnimationFrame(go));
  let way = 100, changed = 0, frames = 0, was = '';
  const start = await next();
  for (let now = start; now - start < 3000; now = await next(), frames++) {
    if (corner.textContent !== was) { changed++; was = corner.textContent; }
    const [, at, of] = corner.textContent.match(/image (\\d+) of (\\d+)/);
    if (at === of) way = -100;
    if (at === '1') way = 100;
    frame.dispatchEvent(new WheelEvent('wheel', { deltaY: way, bubbles: true, cancelable: true }));
  }
  return [changed / 3, frames / 3];
}"""


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder, app() as (url, process):
        volume = write_volume(Path(folder) / "volume", VOLUME)
        series = sorted(SERIES.iterdir()) if SERIES.exists() else write_volume(Path(folder) / "series", (24, 512, 512))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.set_default_timeout(180_000)
            page.goto(url)
            page.wait_for_selector(".mi-answer")
            found = [*_opened(page, series, "24 slices"), *_scrolled(page)]
            _close(page)
            before = _megabytes(process)
            found += _opened(page, volume, f"{VOLUME[0]} slices")
            held = _megabytes(process)
            _close(page)
            found += [
                Row(TOPIC, "server before the volume", before, "MB"),
                Row(TOPIC, "server with the volume", held, "MB"),
                Row(TOPIC, "server after the case was closed", _megabytes(process), "MB"),
            ]
            browser.close()
    return found


def _opened(page: Page, files: list[Path], name: str) -> list[Row]:
    """From the page with its viewer to the first picture, and to the last slice. The upload itself is not counted."""
    page.evaluate(WATCH)
    page.set_input_files("input[type=file]", [str(file) for file in files])
    page.wait_for_function("() => window.seen.drawn > 0")
    for _ in range(600):
        count, last = page.evaluate(LAST)
        if count >= len(files):
            page.wait_for_timeout(300)
            count, last = page.evaluate(LAST)
            break
        page.wait_for_timeout(100)
    seen = page.evaluate("() => window.seen")
    return [
        Row(TOPIC, f"{name}: page to first image", seen["drawn"] - seen["mounted"]),
        Row(TOPIC, f"{name}: page to all images", last - seen["mounted"]),
    ]


def _scrolled(page: Page) -> list[Row]:
    """Frames a second with two panes of 512 x 512: an image with its map beside the series that is scrolled."""
    page.wait_for_function("() => !document.querySelector('.st-key-follow')")
    page.get_by_role("button", name="Open the diagnosis").click()
    page.wait_for_selector("text=Prediction set")
    page.get_by_label("Panes", exact=True).select_option("1x2")
    page.wait_for_timeout(3000)
    drawn, possible = page.evaluate(SCROLL, 1)
    page.locator("[data-testid=stTopNavLink]", has_text="Upload").click()
    page.wait_for_selector(".st-key-drop")
    return [Row(TOPIC, "two panes and a map, scrolled", drawn, "fps", "the browser's own rate", possible)]


def _close(page: Page) -> None:
    page.get_by_role("button", name="Close this case").click()
    page.wait_for_selector("text=No image is open.")
    page.wait_for_timeout(2000)


def _megabytes(process: psutil.Process) -> float:
    """Resident memory of the server and its decoding processes."""
    family = [process, *process.children(recursive=True)]
    return float(sum(one.memory_info().rss for one in family)) / 2**20


@contextmanager
def app() -> Iterator[tuple[str, Any]]:
    """The app on a free port: its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(url + "/health", timeout=5):
                    break
            except urllib.error.HTTPError:  # it answers, whatever it says of the models
                break
            except OSError:
                time.sleep(0.2)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)
