"""A reader's way through the app in Chromium: film, answer, maps; and what must never happen on it."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, Request, WebSocket, expect

from drawn_films import cut_off_film, dicom_film, png, png_film
from medimg_core.ui.routes import SESSION
from steps import canvas, diagnose, go, maps, ready, settled, studied, until, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_film_to_diagnosis_to_maps(server, open_page) -> None:
    asked: list[str] = []
    page: Page = open_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.reload()
    ready(page, 2)
    upload(page, dicom_film(3, 0.4))
    expect(page.locator(".mi-strip")).to_have_text(re.compile("^Doe, Jane"))
    ready(page, 2)
    diagnose(page)
    expect(page.locator(".mi-answer h2")).to_have_text("Signs of pneumonia.")
    maps(page)
    expect(page.locator("figcaption")).to_have_count(6)
    for title in ("Model comparison", "Model cards", "Upload"):
        go(page, title)
        expect(page.locator(".mi-foot")).to_contain_text("Decision support, not a medical device.")
    own = urlsplit(server.url).netloc
    assert {urlsplit(url).netloc for url in asked if not url.startswith(("blob:", "data:"))} == {own}
    until(server.memory_mb, lambda mb: mb < 350)  # sessions of earlier tests end half a minute after their browser
    assert "tensorflow" not in server.libraries()


def test_one_click_opens_a_demo_case(open_page) -> None:
    page = open_page()
    ready(page, 2)
    page.locator(".pane.open", has_text="Opacity, right").click()
    expect(page.get_by_text("Prediction set").first).to_be_visible()
    expect(page).to_have_url(re.compile("/diagnosis$"))
    expect(page.locator(".mi-tag")).to_have_text("SYNTHETIC")


def test_two_sessions_never_see_each_others_case(server, open_page) -> None:
    first, second = open_page(), open_page()
    upload(first, dicom_film(3, 0.4, name="First^Anna"))
    upload(second, dicom_film(4, 0.0, name="Second^Bert"))
    pixels: dict[str, list[str]] = {}
    for page, name in ((first, "first"), (second, "second")):
        pixels[name] = []
        page.on("request", lambda r, name=name: pixels[name].append(r.url) if "/pixels/" in r.url else None)
        page.get_by_role("button", name="Open the diagnosis").click()
    for page in (first, second):
        expect(page.get_by_text("Prediction set").first).to_be_visible()
        ready(page)
    expect(first.locator(".mi-strip")).to_have_text(re.compile("^First, Anna"))
    expect(second.locator(".mi-strip")).to_have_text(re.compile("^Second, Bert"))
    expect(first.locator(".mi-answer h2")).to_have_text("Signs of pneumonia.")
    expect(second.locator(".mi-answer h2")).to_have_text(re.compile("^No sign of pneumonia"))
    assert "Bert" not in first.content()
    assert "Anna" not in second.content()
    assert pixels["first"]
    assert not set(pixels["first"]) & set(pixels["second"])
    third = open_page("/diagnosis")
    expect(third.get_by_text("No image is open.")).to_be_visible()


def test_pixels_are_gone_when_the_browser_is(server, open_page) -> None:
    page = open_page()
    ready(page, 2)  # the pictures of the demo cases have come
    urls: list[str] = []
    secret: list[dict[str, str]] = []

    def note(request: Request) -> None:
        if "/pixels/" in request.url:
            urls.append(request.url)
            secret.append({SESSION: request.headers[SESSION.lower()]})

    page.on("request", note)
    upload(page, dicom_film(5))
    ready(page, 2)
    token = urls[-1]
    request = urllib.request.Request(token, headers=secret[0])
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["Content-Encoding"] == "identity"
        assert len(answer.read()) == 360 * 440 * 2
    assert status(urllib.request.Request(token)) == 404  # the URL alone opens nothing
    assert status(urllib.request.Request(token, headers={SESSION: "A" * 32})) == 404
    page.context.close()
    until(lambda: status(request), lambda found: found == 404)


def status(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_next_film_replaces_the_one_before(open_page) -> None:
    """Same file name, same size: what is on the stage must be the new film."""
    page = open_page()
    upload(page, dicom_film(3, 0.4), "film.dcm")
    ready(page, 2)
    old = canvas(page)
    upload(page, dicom_film(4, 0.0, name="Roe^Richard"), "film.dcm")
    expect(page.locator(".mi-strip")).to_have_text(re.compile("^Roe, Richard"))
    ready(page, 2)
    assert np.abs(np.subtract(canvas(page), old)).max() > 50


def test_greys_on_the_stage_are_those_of_the_file(open_page) -> None:
    levels = np.repeat(np.repeat(np.arange(16, dtype=np.uint8).reshape(4, 4) * 17, 60, 0), 60, 1)
    page = open_page()
    upload(page, png(levels))
    ready(page, 2)
    seen = page.locator("canvas.draw").first.evaluate(
        """c => {
          const side = Math.min(c.width, c.height), left = (c.width - side) / 2, top = (c.height - side) / 2, out = [];
          const at = (q) => ((q + 0.5) * side) / 4, pen = c.getContext('2d');
          for (let r = 0; r < 4; r++)
            for (let q = 0; q < 4; q++) out.push(pen.getImageData(left + at(q), top + at(r), 1, 1).data[0]);
          return out; }"""
    )
    assert np.abs(np.array(seen) - np.arange(16) * 17).max() <= 1


def test_window_opacity_and_method_ask_nothing_of_the_server(open_page) -> None:
    page = open_page()
    sent: list[bytes | str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(frame))

    page.on("websocket", listen)
    page.reload()
    ready(page, 2)
    upload(page, dicom_film(3, 0.4))
    diagnose(page)
    # The last thing that comes by itself: until then its line asks the server whether it is there.
    expect(page.locator(".st-key-steadiness")).to_contain_text("Small changes")
    ready(page)
    asked, drawn = len(sent), [canvas(page)]

    def changed() -> None:
        ready(page)  # an action makes it wait for the next drawing
        drawn.append(canvas(page))
        assert drawn[-1] != drawn[-2]

    page.get_by_label("Opacity of the map").fill("1")
    changed()
    page.get_by_label("Show the map from this value on").fill("0.05")
    changed()
    page.get_by_label("Method").select_option("layercam")
    ready(page)
    page.get_by_role("button", name="Map").click()
    changed()
    page.get_by_role("button", name="Lung").click()
    changed()
    page.get_by_role("button", name="Inverted").click()
    changed()
    box = page.locator(".frame").bounding_box()
    assert box
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 150)
    page.mouse.up()
    changed()
    page.mouse.wheel(0, -400)
    expect(page.locator(".c1")).to_contain_text("zoom 2.7")
    changed()
    # A finished measurement is told to the server: no frame came before that one.
    page.get_by_role("button", name="Length", exact=True).click()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 150)
    page.mouse.up()
    expect(page.locator(".mi-rows dd", has_text="length")).to_be_visible()
    assert "length" in str(sent[asked])


def test_threshold_above_the_maximum_says_no_positive_evidence(open_page) -> None:
    page = open_page()
    upload(page, dicom_film(3, 0.4))
    diagnose(page)
    page.get_by_label("Show the map from this value on").fill("1")
    expect(page.get_by_text("No positive evidence (maximum")).to_be_visible()


def test_another_method_and_another_target_are_computed(open_page) -> None:
    page = open_page()
    upload(page, dicom_film(3, 0.4))
    maps(page)
    links = page.get_by_label("Save this map as PNG")
    page.locator("figcaption select").nth(5).select_option("gradients")
    expect(links.nth(5)).to_have_attribute("download", re.compile("^evidence-gradients-"))
    expect(links.nth(5)).to_be_visible()  # the map is there
    settled(page)
    before = [link.get_attribute("href") for link in links.all()]
    page.get_by_label("Target").select_option("normal")
    for link, old in zip(links.all(), before, strict=True):
        expect(link).not_to_have_attribute("href", str(old))  # maps of another target are other files
    settled(page)
    expect(page.get_by_label("Target")).to_have_value("normal")
    expect(page.locator("figcaption select").nth(5)).to_have_value("gradients")


def test_a_map_is_saved_as_png_with_its_provenance(open_page) -> None:
    page = open_page()
    upload(page, dicom_film(3, 0.4))
    maps(page)
    with page.expect_download() as saved:
        page.get_by_label("Save this map as PNG").first.click()
    name, content = saved.value.suggested_filename, saved.value.path().read_bytes()
    assert name.startswith("evidence-gradcam-")
    assert content.startswith(b"\x89PNG")
    assert b"tiny_model" in content
    assert b"Doe" not in content


def test_a_damaged_file_and_an_unanswered_question(open_page) -> None:
    page = open_page()
    upload(page, cut_off_film())
    go(page, "Diagnosis")
    expect(page.get_by_text("No picture: the pixel data could not be read")).to_be_visible()
    go(page, "Upload")
    upload(page, png_film(3))
    page.get_by_role("button", name="Open the diagnosis").click()
    page.get_by_role("button", name="Another age").click()
    expect(page.get_by_text("Not studied at this age; do not rely on this result.")).to_be_visible()
    ready(page)
    expect(page.locator(".note")).to_contain_text("Map off")


def test_two_views_stand_side_by_side_and_one_click_speaks_about_the_other(open_page) -> None:
    page = open_page()
    films = [dicom_film(3, 0.4, view="PA", age="040Y"), dicom_film(4, 0.0)]
    upload(page, films)
    expect(page.locator(".mi-study td", has_text="pneumonia").first).to_be_visible()
    studied(page)
    diagnose(page)
    ready(page, 2)
    expect(page.locator("canvas.draw")).to_have_count(2)
    first = page.locator(".mi-answer").first.inner_text()
    page.get_by_role("button", name="AP:").click()
    expect(page.locator(".mi-answer").first).not_to_have_text(first, use_inner_text=True)
    expect(page.locator(".st-key-answer").get_by_text("View AP")).to_be_visible()
    expect(page.locator("canvas.draw")).to_have_count(2)
