"""The viewer's drawing arithmetic, run in Chromium, against numpy and closed forms."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from bench import arithmetic
from medimg_core.imaging import apply_window
from medimg_core.types import Image, Window
from medimg_core.ui.viewer_data import sides

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIT = {"zoom": 1, "x": 0.5, "y": 0.5, "turn": 0, "flip": False}
FILM = {"kind": "u16", "slope": 0.5, "intercept": -1000, "mono1": False, "padding": None, "aspect": 1.0, "mm": None}


@pytest.fixture(scope="module")
def blank(chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page()
    yield page
    page.close()


@pytest.mark.parametrize("kind", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("centre", "width"), [(40, 400), (-600, 1500), (40, 1), (0.5, 0.25)])
def test_window_to_grey(blank: Page, kind: str, centre: float, width: float) -> None:
    levels = np.arange(65536, dtype=np.float64) * FILM["slope"] + FILM["intercept"]
    window = {"centre": centre, "width": width, "kind": kind}
    table = arithmetic(blank, "Array.from(greyTable(a, b, false, null), v => v & 255)", FILM, window)
    expected = np.rint(apply_window(levels, Window(centre, width, kind)).astype(np.float64) * 255)  # type: ignore[arg-type]
    assert np.abs(np.array(table) - expected).max() <= 1  # float32 there, float64 here: a tie may fall either way
    assert np.mean(np.array(table) != expected) < 1e-3


def test_polarity_and_padding(blank: Page) -> None:
    window = {"centre": 127.5, "width": 255, "kind": "LINEAR_EXACT"}
    film = {**FILM, "kind": "u8", "slope": 1, "intercept": 0, "mono1": True, "padding": 7}
    table = arithmetic(blank, "Array.from(greyTable(a, b, false, null), v => v & 255)", film, window)
    assert table == [0 if i == 7 else 255 - i for i in range(256)]
    assert arithmetic(blank, "Array.from(greyTable(a, b, true, null), v => v & 255)", film, window)[8] == 8


def test_automatic_window(blank: Page) -> None:
    stored = np.random.default_rng(0).gamma(4, 300, 4000).astype(np.uint16)
    stored[:500] = 9
    found = arithmetic(blank, "autoWindow(a, Uint16Array.from(b))", {**FILM, "padding": 9}, stored.tolist())
    values = stored[stored != 9] * 0.5 - 1000
    low, high = np.percentile(values, (0.5, 99.5), method="inverted_cdf")
    assert (found["centre"], found["width"]) == ((low + high) / 2, high - low)


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_placement_and_its_inverse(blank: Page, turn: int, flip: bool) -> None:
    film = {"w": 30, "h": 20, "aspect": 2.0}
    view = {**FIT, "turn": turn, "flip": flip}
    m = arithmetic(blank, "placement(a, b, 400, 300)", film, view)
    corners = np.array([arithmetic(blank, "toScreen(a, b)", m, p) for p in ([0, 0], [30, 0], [30, 20], [0, 20])])
    # 30 columns by 20 rows of double height are 30 x 40: 300 / 40 pixels a column upright, 300 / 30 lying.
    k = 10.0 if turn % 2 else 7.5
    wide, tall = (40 * k, 30 * k) if turn % 2 else (30 * k, 40 * k)
    assert np.allclose(corners.min(0), (200 - wide / 2, 150 - tall / 2))
    assert np.allclose(corners.max(0), (200 + wide / 2, 150 + tall / 2))
    area = np.cross(np.append(corners[1] - corners[0], 0), np.append(corners[3] - corners[0], 0))[2]
    assert (area < 0) == flip
    assert np.allclose(arithmetic(blank, "toImage(a, toScreen(a, [3.25, 17.5]))", m), (3.25, 17.5))


def test_a_quarter_turn_is_clockwise(blank: Page) -> None:
    film = {"w": 20, "h": 20, "aspect": 1.0}
    assert arithmetic(blank, "toScreen(placement(a, b, 200, 200), [0, 0])", film, {**FIT, "turn": 1}) == [200, 0]


@pytest.mark.parametrize("turn", [0, 1, 3])
def test_zoom_keeps_what_is_under_the_pointer(blank: Page, turn: int) -> None:
    film, view = {"w": 300, "h": 200, "aspect": 1.3}, {**FIT, "turn": turn, "flip": turn == 3, "zoom": 2}
    before, after, zoom = arithmetic(
        blank,
        "(() => { const v = zoomAt(a, b, 400, 300, 1.7, 230, 170);"
        " const at = (q) => toImage(placement(a, q, 400, 300), [230, 170]); return [at(b), at(v), v.zoom]; })()",
        film,
        view,
    )
    assert np.allclose(before, after)
    assert zoom == pytest.approx(3.4)


def test_one_column_of_20000_rows_can_be_zoomed_to_its_pixels(blank: Page) -> None:
    film = {"w": 1, "h": 20000, "aspect": 1.0}
    view = arithmetic(blank, "zoomAt(a, b, 400, 300, 1e9, 200, 150)", film, FIT)
    assert view["zoom"] * 300 / 20000 == pytest.approx(32)


def test_lengths_angles_and_areas_in_real_units(blank: Page) -> None:
    film = {**FILM, "mm": [0.5, 0.2]}
    assert arithmetic(blank, "lengthOf(a, [10, 10], [25, 18])", film) == pytest.approx(5.0)  # 3 mm by 4 mm
    assert arithmetic(blank, "angleOf(a, [10, 0], [0, 0], [0, 4])", film) == pytest.approx(90)
    assert arithmetic(blank, "angleOf(a, [10, 0], [0, 0], [10, 4])", film) == pytest.approx(45)  # 2 mm by 2 mm
    assert arithmetic(blank, "polygonArea(a, [[0, 0], [10, 0], [10, 10], [0, 10]])", film) == pytest.approx(10.0)
    assert arithmetic(blank, "metric(a)", {**FILM, "mm": [0, 0]}) == [1, 1, "px"]


@pytest.mark.parametrize(("p", "q"), [((3.2, 4.1), (25.7, 17.9)), ((20, 15), (4, 2)), ((-5, -5), (12, 9))])
@pytest.mark.parametrize("ellipse", [True, False])
def test_statistics_of_a_region(blank: Page, p: tuple[float, float], q: tuple[float, float], ellipse: bool) -> None:
    stored = np.random.default_rng(1).integers(0, 4096, (20, 30))
    film = {**FILM, "w": 30, "h": 20, "padding": int(stored[8, 9]), "mm": [0.5, 0.2]}
    found = arithmetic(
        blank, "regionStats(a, Uint16Array.from(b), c, d, e)", film, stored.ravel().tolist(), p, q, ellipse
    )
    y, x = np.mgrid[:20, :30] + 0.5
    rx, ry = abs(q[0] - p[0]) / 2, abs(q[1] - p[1]) / 2
    u, v = (x - (p[0] + q[0]) / 2) / rx, (y - (p[1] + q[1]) / 2) / ry
    inside = (u**2 + v**2 <= 1) if ellipse else (abs(u) <= 1) & (abs(v) <= 1)
    values = stored[inside & (stored != stored[8, 9])] * 0.5 - 1000
    assert found["n"] == values.size
    expected = [values.mean(), values.std(), values.min(), values.max()]
    assert np.allclose([found[name] for name in ("mean", "sd", "min", "max")], expected)
    assert found["area"] == pytest.approx((np.pi if ellipse else 4) * rx * 0.2 * ry * 0.5)


def test_letters_of_the_patients_directions(blank: Page) -> None:
    axial, feet = [1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, 1, 0]
    coronal = [1, 0, 0, 0, 0, -1]

    def sides(orientation: list[float], **view: object) -> str:
        found = arithmetic(blank, "letters(a, b)", orientation, {**FIT, **view})
        return " ".join(found[side] for side in ("left", "right", "top", "bottom"))

    assert sides(axial) == "R L A P"
    assert sides(coronal) == "R L H F"
    assert sides(feet) == "L R A P"
    assert sides(axial, flip=True) == "L R A P"
    assert sides(axial, turn=1) == "P A R L"
    oblique = [0.8, 0.6, 0, 0, 0, -1]
    assert sides(oblique) == "RA LP H F"
    assert arithmetic(blank, "letters(null, a)", FIT) is None


def test_letters_of_films_are_those_of_their_header(blank: Page) -> None:
    def shown(*directions: str, **view: object) -> str:
        film = Image(np.zeros((2, 2), np.float32), "MONOCHROME2", "", patient_orientation=directions)  # type: ignore[arg-type]
        found = arithmetic(blank, "letters(a, b)", sides(film), {**FIT, **view})
        return " ".join(found[side] for side in ("left", "right", "top", "bottom"))

    assert shown("L", "F") == "R L H F"
    assert shown("P", "F") == "A P H F"
    assert shown("A", "FR") == "P A HL FR"
    assert shown("PFL", "F") == "AHR PFL H F"
    assert shown("L", "F", turn=1) == "F H R L"
    assert shown("L", "F", flip=True) == "L R H F"
    assert sides(Image(np.zeros((2, 2), np.float32), "MONOCHROME2", "")) is None


def test_scale_bar_is_a_round_length(blank: Page) -> None:
    film = {**FILM, "mm": [0.5, 0.5]}
    found = arithmetic(blank, "scaleBar(a, 2, 140)", film)  # 0.25 mm a screen pixel: at most 35 mm
    assert found == {"mm": 20, "px": 80}
    assert arithmetic(blank, "scaleBar(a, 2, 140)", FILM) is None


def test_gaps_and_doubles_of_a_stack(blank: Page) -> None:
    found = arithmetic(blank, "stackSteps([0, 4, 8, 8, 12, 20, 24])")
    assert found == {"usual": 4, "gaps": [4], "doubles": [2]}
    assert arithmetic(blank, "stackSteps([0, null, 8])")["usual"] is None
    assert arithmetic(blank, "stackSteps([0, 0])")["usual"] is None
