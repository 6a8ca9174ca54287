"""The viewer through what happens around it: mounts, cases, hidden tabs, full screen, fingers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from playwright.sync_api import CDPSession, expect

from bench import Bench, ct, frames, press, show
from medimg_core.ui.routes import SESSION
from medimg_core.ui.tokens import Tokens
from steps import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def held(session: CDPSession) -> dict[str, float]:
    """What the page keeps after two rounds of collecting: DOM nodes, listeners, bytes of the heap and beside it."""
    session.send("HeapProfiler.collectGarbage")
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")
    return {
        **session.send("Memory.getDOMCounters"),
        "heap": heap["usedSize"],
        "buffers": heap.get("backingStorageSize", 0),
    }


def test_twenty_mounts_leave_nothing_behind(bench: Bench, tokens: Tokens) -> None:
    images = [ct(i, shape=(128, 128)) for i in range(3)]
    session = bench.page.context.new_cdp_session(bench.page)

    def cycle(times: int) -> dict[str, float]:
        for _ in range(times):
            show(bench, tokens, images)
            bench.page.evaluate("() => window.unmount()")
        bench.page.evaluate("() => document.querySelector('main').replaceChildren()")
        return held(session)

    show(bench, tokens, images)
    for _ in images[1:]:  # so that the figures before hold all slices: they are fetched once
        press(bench, "PageDown")
        bench.ready()
    before = cycle(5)
    after = cycle(20)
    assert after["nodes"] <= before["nodes"] + 20
    assert after["jsEventListeners"] <= before["jsEventListeners"] + 5
    assert after["heap"] <= before["heap"] + 200_000  # one viewer holds more than that
    assert after["buffers"] <= before["buffers"] + 30_000  # a slice of this stack is 32,768 bytes


def test_pixels_are_forgotten_with_their_case(bench: Bench, tokens: Tokens) -> None:
    images = [ct(0)]
    show(bench, tokens, images, key="one", case=1)
    show(bench, tokens, images, key="one", case=1)  # ready, and nothing was asked for again
    assert len(bench.asked) == 1
    show(bench, tokens, images, key="other", case=2)
    assert len(bench.asked) == 2


# ---- tab and screen -----------------------------------------------------------------------------------------------
# Headless Chromium calls every tab visible, whatever lies before it: the page is told what a browser would tell it.
HIDE = """hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange')); }"""


def test_a_hidden_tab_stops_the_play_and_shows_the_same_afterwards(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(i) for i in range(6)])
    place, stop = bench.corner(2), bench.page.get_by_role("button", name="Stop")
    press(bench, " ")
    expect(stop).to_be_visible()
    expect(place).not_to_contain_text("image 1 of 6")  # it plays
    bench.page.evaluate(HIDE, True)
    frames(bench.page, 400)
    bench.page.evaluate(HIDE, False)
    before = place.inner_text()
    frames(bench.page, 400)
    press(bench, "+")
    expect(bench.page.get_by_role("button", name="Play")).to_be_visible()
    expect(place).to_have_text(before)
    press(bench, " ")
    expect(stop).to_be_visible()


def test_full_screen_and_back(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(0)])
    page = bench.page
    small = page.locator("canvas.draw").bounding_box()
    whole = "() => document.querySelector('section').shadowRoot.fullscreenElement?.className ?? ''"
    press(bench, "f")
    page.wait_for_function(f"() => ({whole})() === 'view'")
    expect(page.locator(".note")).to_have_count(1)
    until(page.locator("canvas.draw").bounding_box, lambda box: box != small)
    press(bench, "2")
    expect(bench.corner(1)).to_have_text("window −600 / 1500")
    press(bench, "f")
    page.wait_for_function(f"() => ({whole})() === ''")
    until(page.locator("canvas.draw").bounding_box, lambda box: box == small)
    expect(bench.corner(1)).to_have_text("window −600 / 1500")


# ---- fingers, as the browser itself gets them ----------------------------------------------------------------------
def touch(bench: Bench, *steps: Sequence[tuple[float, float]]) -> None:
    """Put down as many fingers as the first step has places (from the middle of the frame), move them, lift them."""
    session = bench.page.context.new_cdp_session(bench.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    box = bench.page.locator(".frame").first.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for number, fingers in enumerate(steps):
        points = [{"x": x + dx, "y": y + dy, "id": i} for i, (dx, dy) in enumerate(fingers)]
        kind = "touchMove" if number else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    bench.settle()


def test_one_finger_changes_the_window(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(0)])
    touch(bench, [(0, 0)], [(50, 0)], [(100, 0)])
    expect(bench.corner(1)).to_have_text(re.compile("^window 40 / 4[78]"))
    width = bench.corner(1).inner_text().split(" / ")[1]
    assert float(width) == pytest.approx(400 * 1.2, rel=0.02)  # each move from the width before it


def test_one_finger_scrolls_the_series(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(i) for i in range(12)])
    press(bench, "s")
    height = bench.page.locator(".frame").bounding_box()["height"]  # type: ignore[index]
    touch(bench, [(0, -100)], [(0, -100 + height / 8)], [(0, -100 + height / 4 + 4)])
    expect(bench.corner(2)).to_contain_text("image 4 of 12")


def test_two_fingers_zoom_about_the_place_between_them(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(0)])
    touch(bench, [(-50, 0), (50, 0)], [(-75, 0), (75, 0)], [(-100, 0), (100, 0)])
    expect(bench.corner(1)).to_have_text("window 40 / 400\nzoom 2.0")  # the first finger alone would change the window


def test_a_lifted_finger_ends_the_pinch(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(0)])
    touch(bench, [(-50, 0), (50, 0)], [(-75, 0), (75, 0)], [(-75, 0)], [(-20, 60)], [(40, 120)])
    # The finger that stayed changes nothing: no window, and a distance to no other finger is no zoom.
    expect(bench.corner(1)).to_have_text(re.compile(r"^window 40 / 400\nzoom 1\.[2-5]$"))


def test_a_finger_measures(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(0)])
    press(bench, "l")
    touch(bench, [(-100, 0)], [(0, 0)], [(100, 0)])
    (mark,) = bench.told("drawn")["marks"]
    (x0, y0), (x1, y1) = mark["points"]
    assert y0 == y1
    assert x1 - x0 == pytest.approx(200 / (bench.place(1, 0)[0] - bench.place(0, 0)[0]), rel=1e-3)


# ---- whose pixels -------------------------------------------------------------------------------------------------
def test_pixels_and_links_answer_only_to_their_session(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(0)])
    (path,) = bench.asked
    status = "async ([url, headers]) => (await fetch(url, { headers })).status"
    assert bench.page.evaluate(status, ["/" + path, {}]) == 404
    assert bench.page.evaluate(status, ["/" + path, {SESSION: tokens.session}]) == 200
    link = "/pixels/" + tokens.give("csv", lambda _: b"a,b", "text/csv", "found.csv")
    bench.page.evaluate(
        """href => { const a = document.createElement('a');
          document.body.append(Object.assign(a, { href, download: 'found.csv', textContent: 'CSV' })); }""",
        link,
    )
    with bench.page.expect_download() as saved:
        bench.page.evaluate("() => document.querySelector('a').click()")
    assert saved.value.suggested_filename == "found.csv"
    assert saved.value.path().read_bytes() == b"a,b"
    tokens.release()
    bench.page.evaluate("() => document.querySelector('a').click()")
    expect(bench.page.locator("a")).to_have_text("CSV (not saved)")
