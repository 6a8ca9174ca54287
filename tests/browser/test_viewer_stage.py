"""The viewer on a bare page: windows, stacks, measurements, layers and panes, as a reader uses them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from bench import Bench, choose, ct, frames, press, show
from medimg_core.imaging import to_display
from medimg_core.types import Image, Region, Spacing, Window
from medimg_core.ui import drawn
from medimg_core.ui.tokens import Tokens
from medimg_core.ui.viewer import Layer, Picker, layer, outlines, stack_films
from steps import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]


# ---- window, zoom, pose -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("title", "window"),
    [
        ("Default", Window(40, 400)),
        ("Lung", Window(-600, 1500)),
        ("Mediastinum", Window(40, 400)),
        ("Bone", Window(400, 1800)),
        ("Brain", Window(40, 80)),
    ],
)
def test_presets_show_the_greys_of_the_library(bench: Bench, tokens: Tokens, title: str, window: Window) -> None:
    # Wide flat stripes, so that enlarging does not mix neighbours where the stage is read.
    levels = np.repeat(np.array([-1000, -600, -100, 0, 40, 60, 100, 400, 1000]), 7)[None].repeat(40, 0)
    image = replace(ct(0), pixels=levels.astype(np.float32), digest="stripes", spacing=Spacing(1, 1, "PixelSpacing"))
    show(bench, tokens, [image])
    choose(bench, title)
    expected = np.rint(to_display(image, window)[0, 3::7] * 255)
    seen = [bench.grey(7 * i + 3.5, 20.5)[0] for i in range(9)]
    assert np.abs(np.array(seen) - expected).max() <= 1
    expect(bench.corner(1)).to_have_text(f"window {window.centre:g} / {window.width:g}".replace("-", "−"))


def test_the_windows_of_a_ct_and_the_one_from_its_pixels(bench: Bench, tokens: Tokens) -> None:
    (image,) = show(bench, tokens, [ct(0)])
    offered = bench.page.locator(".bar .group").first.locator("button")
    expect(offered).to_have_text(["Default", "Lung", "Mediastinum", "Bone", "Brain", "Auto"])
    choose(bench, "Auto")
    low, high = np.percentile(image.pixels, [0.5, 99.5], method="inverted_cdf")
    said = f"window {(low + high) / 2:.4g} / {high - low:.4g}".replace("-", "−")
    expect(bench.corner(1)).to_have_text(said)
    expect(bench.page.get_by_role("button", name="Auto")).to_have_attribute("aria-pressed", "true")


def test_dragging_widens_to_the_right_and_brightens_downwards(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(0)])
    bench.page.mouse.move(500, 300)
    bench.page.mouse.down()
    bench.page.mouse.move(600, 300)  # 100 px are a fifth of a window width
    bench.page.mouse.up()
    expect(bench.corner(1)).to_have_text("window 40 / 480")
    bench.page.mouse.move(500, 300)
    bench.page.mouse.down()
    bench.page.mouse.move(500, 350)
    bench.page.mouse.up()
    expect(bench.corner(1)).to_have_text("window −8 / 480")
    assert bench.told("drawn") is None


def test_keys_do_what_the_pointer_does(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(0)])
    press(bench, "2")
    expect(bench.corner(1)).to_have_text("window −600 / 1500")
    press(bench, "]", "+")
    expect(bench.corner(1)).to_have_text("window −600 / 1575\nzoom 1.3")
    press(bench, "0", "1", "i")
    expect(bench.corner(1)).to_have_text("window 40 / 400")
    expect(bench.page.get_by_role("button", name="Inverted")).to_have_attribute("aria-pressed", "true")
    press(bench, "?")
    expect(bench.page.get_by_role("dialog")).to_be_visible()
    bench.page.keyboard.press("Escape")
    expect(bench.page.get_by_role("dialog")).to_be_hidden()


def test_turning_and_mirroring_move_the_picture(bench: Bench, tokens: Tokens) -> None:
    pixels = np.zeros((40, 40), np.float32)
    pixels[:20, :20] = 255  # upper left is white
    image = Image(pixels, "MONOCHROME2", "corner")
    show(bench, tokens, [image])
    places = [(10, 10), (30, 10), (30, 30), (10, 30)]

    def white() -> int:
        return [bench.grey(x, y)[0] for x, y in places].index(255)

    assert white() == 0
    press(bench, "r")
    assert white() == 1
    press(bench, "h")
    assert white() == 0
    press(bench, "r", "r")
    assert white() == 2


def test_the_letters_of_a_film_follow_its_turns(bench: Bench, tokens: Tokens) -> None:
    dark = np.zeros((64, 64), np.float32)
    show(bench, tokens, [Image(dark, "MONOCHROME2", "without")])

    def ink() -> list[int]:
        """Light pixels at the left, right, upper and lower edge of the stage."""
        found: Any = bench.page.locator("canvas.draw").evaluate(
            """c => { const pen = c.getContext('2d'), [w, h] = [c.width / 2, c.height / 2];
              return [[18, h], [c.width - 18, h], [w, 14], [w, c.height - 34]].map(([x, y]) =>
                pen.getImageData(x - 9, y - 8, 18, 16).data.filter((v, i) => i % 4 === 0 && v > 150).length); }"""
        )
        return list(found)

    assert ink() == [0, 0, 0, 0]
    told = Image(dark, "MONOCHROME2", "told", modality="DX", patient_orientation=("L", "F"))
    show(bench, tokens, [told], key="told")
    right, left, head, foot = ink()
    assert min(right, left, head, foot) > 10
    assert len({right, left, head, foot}) == 4  # four different letters
    press(bench, "h")
    assert ink() == [left, right, head, foot]
    press(bench, "h", "r")
    assert ink() == [foot, head, right, left]


# ---- stacks -----------------------------------------------------------------------------------------------------
def test_wheel_keys_and_slider_turn_the_slices(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(i) for i in range(12)])
    bench.page.mouse.move(*bench.place(32, 32))
    for number in (2, 3, 4):  # one by one: a browser may join notches that it could not tell of yet
        bench.page.mouse.wheel(0, 100)
        expect(bench.corner(2)).to_contain_text(f"image {number} of 12, {4 * number - 4}.0 mm")
    press(bench, "ArrowDown", "PageDown", "ArrowUp")
    expect(bench.corner(2)).to_contain_text("image 5 of 12")
    press(bench, "End")
    expect(bench.corner(2)).to_contain_text("image 12 of 12")
    bench.page.get_by_label("Image of the series").fill("2")
    expect(bench.corner(2)).to_contain_text("image 2 of 12")
    bench.page.mouse.move(*bench.place(0.5, 0.5))
    expect(bench.corner(3)).to_contain_text("row 0, column 0: 1 HU")
    expect(bench.corner(3)).to_contain_text("0.3 mm right, 0.4 mm down")


def test_a_series_is_fetched_once_and_played(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(i) for i in range(6)])
    press(bench, "Home", " ")
    expect(bench.corner(2)).to_contain_text("image 5 of 6")
    press(bench, " ")
    expect(bench.page.get_by_role("button", name="Play")).to_be_visible()
    stopped = bench.corner(2).inner_text()
    frames(bench.page, 400)
    expect(bench.corner(2)).to_have_text(stopped)
    for key in ("End", "Home"):
        press(bench, key)
        bench.ready()
    assert len(bench.asked) == len(set(bench.asked)) == 6


def test_gaps_and_doubles_are_said(bench: Bench, tokens: Tokens) -> None:
    slices = [ct(i) for i in (0, 1, 2, 4, 5)]
    again = replace(ct(5), digest="again")
    show(bench, tokens, [*slices, again])
    expect(bench.corner(2)).to_contain_text("one gap in this series")
    expect(bench.corner(2)).to_contain_text("some positions occur twice")
    press(bench, "PageDown", "PageDown")
    expect(bench.corner(2)).to_contain_text("gap here; slices are 4 mm apart elsewhere")
    press(bench, "End")
    expect(bench.corner(2)).to_contain_text("two images at this position")


def test_a_slice_that_cannot_be_had_says_so_and_the_rest_stays(bench: Bench, tokens: Tokens) -> None:
    images = [ct(i) for i in range(4)]
    films = stack_films(images, tokens)
    bench.spoiled[films[2]["url"].rsplit("/", 1)[1]] = (422, "The pixel data of this image could not be decoded.")
    show(bench, tokens, images)
    press(bench, "PageDown", "PageDown")
    expect(bench.page.locator(".note")).to_have_text("The pixel data of this image could not be decoded.")
    bench.ready("lost")
    press(bench, "PageDown")
    expect(bench.page.locator(".note")).to_be_hidden()
    expect(bench.corner(2)).to_contain_text("image 4 of 4")
    bench.ready()


def test_a_connection_that_drops_while_scrolling_comes_back(bench: Bench, tokens: Tokens) -> None:
    images = [replace(ct(i, shape=(400, 400)), digest=f"wide-{i}") for i in range(30)]
    bench.down = True
    show(bench, tokens, images, wait=False)
    expect(bench.page.locator(".note")).to_have_text("Waiting for the connection")
    bench.release()
    bench.ready()
    press(bench, "End")
    bench.page.mouse.move(*bench.place(0.5, 0.5))
    expect(bench.corner(3)).to_contain_text(": 29 HU")


def test_an_image_on_its_way_says_so(bench: Bench, tokens: Tokens) -> None:
    images = [ct(i) for i in range(4)]
    bench.late.add(stack_films(images, tokens)[2]["url"].rsplit("/", 1)[1])
    show(bench, tokens, images)
    note = bench.page.locator(".note")
    expect(note).to_be_hidden()
    bench.page.locator(".frame").focus()
    bench.settle()
    bench.page.clock.install(time=0)
    bench.page.clock.pause_at(60)  # from here on the page's time, that of frames as well, goes on when it is told to
    bench.page.keyboard.press("PageDown")
    bench.page.keyboard.press("PageDown")
    bench.page.clock.run_for(250)
    expect(bench.corner(2)).to_contain_text("image 3 of 4")
    expect(note).to_be_hidden()
    bench.page.clock.run_for(350)  # the wait begins with a frame of the page, somewhere in the first 250
    expect(note).to_have_text("Loading image 3")
    bench.page.clock.resume()
    bench.release()
    expect(note).to_be_hidden()
    bench.page.mouse.move(*bench.place(0.5, 0.5))
    expect(bench.corner(3)).to_contain_text(": 2 HU")


def test_a_lost_connection_is_said_while_it_is_waited_for(bench: Bench, tokens: Tokens) -> None:
    bench.down = True
    show(bench, tokens, [ct(0)], wait=False)
    note = bench.page.locator(".note")
    expect(note).to_have_text("Waiting for the connection")
    bench.release()
    bench.ready()
    expect(note).to_be_hidden()


def test_the_cine_never_leaps(bench: Bench, tokens: Tokens) -> None:
    images = [ct(i) for i in range(12)]
    late = stack_films(images, tokens)[2]["url"].rsplit("/", 1)[1]
    bench.late.add(late)
    bench.spoiled[late] = (503, "Broken.")
    show(bench, tokens, images)
    bench.page.evaluate(
        """() => { window.seen = []; const corner = document.querySelector('section').shadowRoot.querySelector('.c2');
          const note = () => window.seen.push(+corner.textContent.match(/image (\\d+)/)[1]);
          new MutationObserver(note).observe(corner, { childList: true, characterData: true, subtree: true }); }"""
    )
    press(bench, " ")
    expect(bench.corner(2)).to_contain_text("image 2 of 12")

    def asked() -> int:
        bench.settle()  # meanwhile requests are answered
        return len(bench.asked)

    until(asked, lambda count: count == 12)
    frames(bench.page, 400)
    expect(bench.corner(2)).to_contain_text("image 2 of 12")  # it waits for the third, though all others are here
    bench.release()
    bench.page.wait_for_function("() => window.seen.length > 6")
    press(bench, " ")
    assert bench.page.evaluate("window.seen")[:7] == [2, 3, 4, 5, 6, 7, 8]


def test_the_cine_ends_with_its_pane(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(i) for i in range(6)], [ct(i, seed=50) for i in range(6)], layout="1x2")
    bench.page.locator(".frame").nth(1).focus()
    press_here(bench, " ")
    expect(bench.page.get_by_role("button", name="Stop")).to_be_visible()
    bench.page.get_by_label("Panes", exact=True).select_option("1x1")
    expect(bench.page.get_by_role("button", name="Play")).to_be_visible()


# ---- measurements -----------------------------------------------------------------------------------------------
def test_a_known_length_is_measured_to_half_a_percent(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(0, shape=(512, 512))])
    choose(bench, "Length")
    bench.drag((100, 100), (400, 350))
    mark = bench.told("drawn")["marks"][0]
    (x0, y0), (x1, y1) = mark["points"]
    expected = np.hypot(300 * 0.5, 250 * 0.8)
    assert np.hypot((x1 - x0) * 0.5, (y1 - y0) * 0.8) == pytest.approx(expected, rel=0.005)
    expect(bench.page.locator(".live")).to_have_text(re.compile(r"^Length: [\d.]+ mm$"))
    said = bench.page.locator(".live").inner_text()
    assert float(said.split()[1]) == pytest.approx(expected, rel=0.005)


def test_ellipse_statistics_are_those_of_numpy(bench: Bench, tokens: Tokens) -> None:
    (image,) = show(bench, tokens, [ct(0, shape=(128, 128))])
    choose(bench, "Ellipse")
    bench.drag((30, 30), (90, 100))
    (x0, y0), (x1, y1) = bench.told("drawn")["marks"][0]["points"]
    y, x = np.mgrid[:128, :128] + 0.5
    inside = ((x - (x0 + x1) / 2) / ((x1 - x0) / 2)) ** 2 + ((y - (y0 + y1) / 2) / ((y1 - y0) / 2)) ** 2 <= 1
    values = image.pixels[inside]
    expect(bench.page.locator(".live")).to_contain_text("SD")
    said = bench.page.locator(".live").inner_text().replace("−", "-")
    mean, sd = (float(v) for v in re.search(r"mean (\S+) HU, SD (\S+)", said).groups())  # type: ignore[union-attr]
    assert mean == pytest.approx(values.mean(), rel=0.005)
    assert sd == pytest.approx(values.std(), rel=0.005)
    assert f"{inside.sum()} px" in said


def test_without_a_spacing_lengths_are_in_pixels(bench: Bench, tokens: Tokens) -> None:
    for number, spacing in enumerate((None, Spacing(0.0, 0.0, "PixelSpacing"))):
        image = replace(ct(0), spacing=spacing, digest=f"none-{number}")
        show(bench, tokens, [image], key=f"none-{number}")
        bench.shape = (64, 64, 1.0)
        choose(bench, "Length")
        bench.drag((10, 10), (40, 50))
        expect(bench.page.locator(".live")).to_have_text(re.compile(r"^Length: (49\.\d|50|50\.\d) px$"))
        expect(bench.corner(2)).to_contain_text("no pixel spacing")


def test_an_angle_takes_three_points(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [replace(ct(0), spacing=Spacing(1, 1, "PixelSpacing"), digest="square")])
    choose(bench, "Angle")
    bench.drag((50, 32), (20, 32))
    assert bench.told("drawn") is None
    bench.page.mouse.click(*bench.place(40, 12))
    expect(bench.page.locator(".live")).to_have_text(re.compile(r"^Angle: (44\.9|45\.0|45\.1)°$"))


def test_measuring_with_the_keyboard_alone(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(0)])
    press(bench, "l", "Enter", "Enter", *["Shift+ArrowRight"] * 4, "Enter")
    (mark,) = bench.told("drawn")["marks"]
    (x0, y0), (x1, y1) = mark["points"]
    assert x1 - x0 == pytest.approx(80 / bench_scale(bench), rel=1e-3)
    assert y0 == y1
    press(bench, "Delete")
    assert bench.told("drawn")["marks"] == []


def bench_scale(bench: Bench) -> float:
    return bench.place(1, 0)[0] - bench.place(0, 0)[0]


def test_a_box_comes_back_and_can_be_moved_by_its_corner(bench: Bench, tokens: Tokens) -> None:
    images = show(bench, tokens, [ct(0)])
    choose(bench, "Box")
    bench.drag((10, 12), (30, 40))
    bench.drag((30, 40), (50, 44))
    viewed = drawn.read(bench.told("drawn"), images)
    (box,) = viewed.boxes
    assert np.allclose(box.box, (10, 12, 50, 44), atol=0.2)
    assert viewed.view is not None
    assert (viewed.view.centre, viewed.view.width, viewed.view.zoom) == (40, 400, 1)
    assert box.region("mine").box == box.box


# ---- layers -----------------------------------------------------------------------------------------------------
def evidence(tokens: Tokens) -> dict[str, Any]:
    values = np.zeros((8, 8), np.float32)
    values[:, :4], values[:, 4:] = 1.0, -0.5
    return {"cam": layer(Layer("cam", "x", values, 1.0, 1.0, True, (8, 8)), "map", tokens)}


def test_opacity_and_threshold_of_a_map(bench: Bench, tokens: Tokens) -> None:
    image = Image(np.full((64, 64), 100, np.float32), "MONOCHROME2", "flat")
    stage = {"bar": {"signed": True, "high": "for", "low": "against", "label": "Scale"}}
    picker = Picker("Method", [("cam", "CAM")], "cam")
    show(bench, tokens, [image], layers=evidence(tokens), picker=picker, **stage)
    bench.page.get_by_label("Show the map from this value on").fill("0")
    strongest = np.array([255, 201, 90])  # the end of the ramp for evidence for

    def mixed(opacity: float) -> np.ndarray:
        bench.page.get_by_label("Opacity of the map").fill(str(opacity))
        bench.settle()
        assert np.abs(np.array(bench.grey(16, 32)) - (strongest * opacity + 100 * (1 - opacity))).max() <= 2
        return np.array(bench.grey(48, 32))

    mixed(1)
    mixed(0.65)
    against = mixed(0.8)
    assert against[2] > against[0] + 20  # blue
    bench.page.get_by_label("Show the map from this value on").fill("0.6")
    bench.settle()
    assert bench.grey(48, 32) == [100, 100, 100]
    # Of the 64 columns those stay whose value, raised between the cell centres 28 (1.0) and 36 (-0.5), is 0.6 or more.
    columns = (np.interp(np.arange(64) + 0.5, [28, 36], [1.0, -0.5]) >= 0.6).sum()
    expect(bench.corner(1)).to_contain_text(f"map: {columns * 64} px²")
    bench.page.mouse.move(*bench.place(16, 32))
    expect(bench.corner(3)).to_contain_text("evidence 1.00")
    bench.page.get_by_role("button", name="Map", exact=True).click()
    bench.settle()
    assert bench.grey(16, 32) == [100, 100, 100]


def test_another_image_beside_the_answered_one_says_so(bench: Bench, tokens: Tokens) -> None:
    series = [ct(i) for i in range(3)]
    said = "Answer and map belong to image 2 of 3"
    picker, bar = Picker("Method", [("cam", "CAM")], "cam"), {"signed": True, "high": "", "low": "", "label": "Scale"}
    stage = {"layers": evidence(tokens), "picker": picker, "bar": bar, "answered": said}
    show(bench, tokens, [series[1]], series, mapped=(0, 2), **stage)
    note, scale = bench.page.locator(".note").first, bench.page.locator("canvas.scale")
    mapped = bench.page.get_by_role("button", name="Map", exact=True)
    expect(note).to_be_hidden()
    expect(scale).to_be_visible()
    bench.page.get_by_label("Series in this pane").select_option("1")
    expect(note).to_have_text(said)
    expect(scale).to_be_hidden()
    expect(mapped).to_be_disabled()
    press(bench, "PageDown")  # the same image, in its series
    expect(note).to_be_hidden()
    expect(scale).to_be_visible()
    expect(mapped).to_be_enabled()
    press(bench, "PageDown")
    expect(note).to_have_text(said)


def test_boxes_and_outlines_of_a_model(bench: Bench, tokens: Tokens) -> None:
    image = Image(np.zeros((64, 64), np.float32), "MONOCHROME2", "dark")
    mask = np.zeros((64, 64), bool)
    mask[40:50, 40:60] = True
    regions = [
        *outlines(Region("box", "opacity", 0.8, box=(10, 10, 30, 30)), 0),
        *outlines(Region("mask", "lung", 0.9, mask=mask), 0),
    ]
    show(bench, tokens, [image], regions=regions)
    assert max(max(bench.grey(10, y / 4)) for y in range(64, 80)) > 150
    bench.page.get_by_role("button", name="Outlines").click()
    bench.settle()
    assert max(max(bench.grey(10, y / 4)) for y in range(64, 80)) == 0


# ---- panes ------------------------------------------------------------------------------------------------------
def test_two_panes_scroll_zoom_and_window_together(bench: Bench, tokens: Tokens) -> None:
    current, prior = [ct(i) for i in range(8)], [ct(i, seed=90, step=2.0) for i in range(16)]
    show(bench, tokens, current, prior)
    bench.page.get_by_label("Panes", exact=True).select_option("1x2")
    bench.ready()
    press(bench, "PageDown", "PageDown", "2", "+")
    expect(bench.corner(2, 0)).to_contain_text("image 3 of 8, 8.0 mm")
    expect(bench.corner(2, 1)).to_contain_text("image 5 of 16, 8.0 mm")
    for pane in (0, 1):
        expect(bench.corner(1, pane)).to_have_text("window −600 / 1500\nzoom 1.3")
    bench.page.get_by_role("button", name="Linked").click()
    press(bench, "PageDown", "1")
    expect(bench.corner(2, 0)).to_contain_text("image 4 of 8")
    expect(bench.corner(2, 1)).to_contain_text("image 5 of 16")
    expect(bench.corner(1, 1)).to_have_text("window −600 / 1500\nzoom 1.3")


def test_a_pane_that_is_added_is_ready_once_its_image_is_there(bench: Bench, tokens: Tokens) -> None:
    current, prior = [ct(0)], [ct(1, seed=90)]
    bench.late.add(stack_films(prior, tokens)[0]["url"].rsplit("/", 1)[1])
    show(bench, tokens, current, prior)
    bench.page.get_by_label("Panes", exact=True).select_option("1x2")
    bench.settle()
    expect(bench.page.locator(".view")).to_have_attribute("data-ready", "0")
    bench.release()
    bench.ready()
    assert bench.grey(40, 32, pane=1)[0] > 0


def scale_bar(bench: Bench, pane: int) -> float:
    """Screen pixels for a millimetre, from the scale bar: a light line eight pixels above the lower edge."""
    box = bench.page.locator("canvas.draw").nth(pane)
    found: Any = box.evaluate(
        """c => { const row = [...c.getContext('2d').getImageData(0, c.height - 8, c.width, 1).data];
          return row.filter((v, i) => i % 4 === 0 && v === 211).length; }"""
    )
    return float(found)


def test_linked_panes_show_a_millimetre_alike(bench: Bench, tokens: Tokens) -> None:
    def dark(mm: float) -> Image:
        known = Spacing(mm, mm, "PixelSpacing") if mm else None
        return Image(np.zeros((256, 256), np.float32), "MONOCHROME2", f"dark-{mm}", spacing=known)

    show(bench, tokens, [dark(0.7)], [dark(1.1)], layout="1x2")
    assert scale_bar(bench, 0) == pytest.approx(scale_bar(bench, 1), abs=1)
    press(bench, "+", "+")
    assert scale_bar(bench, 0) == pytest.approx(scale_bar(bench, 1), abs=1)
    bench.page.get_by_role("button", name="Linked").click()
    press(bench, "0")
    bench.page.locator(".frame").nth(1).focus()
    press_here(bench, "0")
    assert abs(scale_bar(bench, 0) - scale_bar(bench, 1)) > 10  # each fills its own pane again
    show(bench, tokens, [dark(0.7)], [dark(0)], layout="1x2", key="without")
    fits = [bench.page.locator(".frame").nth(i).bounding_box() for i in (0, 1)]
    assert fits[0]["width"] == pytest.approx(fits[1]["width"], abs=1)  # type: ignore[index]
    assert scale_bar(bench, 0) > 0


def press_here(bench: Bench, key: str) -> None:
    bench.page.keyboard.press(key)
    bench.settle()


def test_a_linked_pane_begins_where_the_first_one_stands(bench: Bench, tokens: Tokens) -> None:
    current, prior = [ct(i) for i in range(8)], [ct(i, seed=90, step=2.0) for i in range(16)]
    show(bench, tokens, current, prior)
    press(bench, "PageDown", "PageDown", "PageDown", "r", "+")
    bench.page.get_by_label("Panes", exact=True).select_option("1x2")
    expect(bench.corner(2, 1)).to_contain_text("image 7 of 16, 12.0 mm")
    expect(bench.corner(1, 1)).to_contain_text("zoom 1.3")
    bench.page.get_by_label("Series in this pane").nth(1).select_option("0")
    expect(bench.corner(2, 1)).to_contain_text("image 4 of 8, 12.0 mm")
    bench.page.get_by_role("button", name="Linked").click()
    bench.page.get_by_label("Series in this pane").nth(1).select_option("1")
    expect(bench.corner(2, 1)).to_contain_text("image 1 of 16")


@pytest.mark.parametrize(("shape", "side_by_side"), [((64, 128), False), ((128, 64), True)])
def test_two_panes_stand_where_they_show_larger(
    bench: Bench, tokens: Tokens, shape: tuple[int, int], side_by_side: bool
) -> None:
    images = [Image(np.zeros(shape, np.float32), "MONOCHROME2", f"flat-{shape}-{i}") for i in range(2)]
    show(bench, tokens, images[:1], images[1:], layout="1x2")
    first, second = (bench.page.locator("canvas.draw").nth(i).bounding_box() for i in range(2))
    assert first
    assert second
    assert (first["y"] == second["y"]) is side_by_side
    assert (first["x"] == second["x"]) is not side_by_side


def test_four_panes_and_a_chosen_series(bench: Bench, tokens: Tokens) -> None:
    show(bench, tokens, [ct(i) for i in range(3)], [ct(i, seed=50) for i in range(4)])
    bench.page.get_by_label("Panes", exact=True).select_option("2x2")
    expect(bench.page.locator("canvas.draw")).to_have_count(4)
    bench.page.get_by_label("Series in this pane").nth(2).select_option("1")
    expect(bench.corner(2, 2)).to_contain_text("of 4")


def test_every_tool_is_in_reach_on_a_narrow_stage(bench: Bench, tokens: Tokens) -> None:
    bench.page.set_viewport_size({"width": 440, "height": 560})  # the stage of Upload at 1280 x 800
    show(bench, tokens, [ct(i) for i in range(3)], [ct(i, seed=50) for i in range(3)])
    strip = bench.page.get_by_role("toolbar", name="Tools")
    for tool in strip.get_by_role("button").all():
        box = tool.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 440
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        hit = "([x, y]) => document.querySelector('section').shadowRoot.elementFromPoint(x, y).textContent"
        assert bench.page.evaluate(hit, [x, y]) == tool.inner_text()
    frame = bench.page.locator(".frame").bounding_box()
    assert frame
    assert frame["height"] > 350


# ---- odd images -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(1, 1), (1, 20000), (20000, 1)])
def test_odd_shapes_are_shown(bench: Bench, tokens: Tokens, shape: tuple[int, int]) -> None:
    image = Image(np.full(shape, 200, np.float32), "MONOCHROME2", f"odd-{shape}")
    show(bench, tokens, [image])
    press(bench, *["+"] * 50)
    middle: Any = bench.page.locator("canvas.draw").evaluate(
        "c => [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data]"
    )
    assert middle[:3] == [200, 200, 200]


def test_levels_that_are_all_equal(bench: Bench, tokens: Tokens) -> None:
    image = Image(np.full((32, 32), 65535, np.float32), "MONOCHROME2", "flat16", bits=16, modality="DX")
    show(bench, tokens, [image])
    choose(bench, "Auto")
    bench.page.mouse.move(*bench.place(16.5, 16.5))
    expect(bench.corner(3)).to_contain_text("row 16, column 16: 65535")
