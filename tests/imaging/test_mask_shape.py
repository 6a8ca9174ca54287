from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_masks import box, ellipse
from scipy.spatial.distance import pdist
from scipy.special import ellipe

from medimg_core.imaging.outline import polygons
from medimg_core.imaging.shape import (
    Ellipse,
    area,
    chords,
    ellipse_circumference,
    fit_ellipse,
    longest_diameter,
    perpendicular_diameter,
)
from medimg_core.types import Spacing


def blob(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:80, :90] + 0.5
    turn = np.arctan2(y - 40, x - 45)
    radius = 20 + sum(rng.normal(scale=3) * np.cos(k * turn + rng.uniform(0, 6)) for k in range(1, 5))
    return np.hypot(x - 45, y - 40) < radius


def longest_run(mask: np.ndarray, degrees: float, row_mm: float, column_mm: float) -> float:
    """The longest unbroken chord in a direction of mm space by looking at points 0.1 mm apart."""
    turn, reach = np.radians(degrees), np.hypot(mask.shape[0] * row_mm, mask.shape[1] * column_mm)
    s, t = np.meshgrid(np.arange(-reach, reach, 0.1), np.arange(-reach, reach, 0.1))
    x = np.floor((s * np.cos(turn) - t * np.sin(turn)) / column_mm).astype(int)
    y = np.floor((s * np.sin(turn) + t * np.cos(turn)) / row_mm).astype(int)
    seen = (x >= 0) & (x < mask.shape[1]) & (y >= 0) & (y < mask.shape[0])
    hit = seen & mask[y.clip(0, mask.shape[0] - 1), x.clip(0, mask.shape[1] - 1)]
    best, run = np.zeros(len(hit)), np.zeros(len(hit))
    for column in hit.T:
        run = np.where(column, run + 0.1, 0)
        best = np.maximum(best, run)
    return float(best.max())


def test_area_is_pixels_times_their_size() -> None:
    mask = box((9, 9), 1, 2, 5, 8)
    assert area(mask, None) == 24
    assert area(mask, Spacing(0.5, 0.25, "PixelSpacing")) == pytest.approx(3.0)
    assert area(np.zeros((3, 3), bool), None) == 0


@pytest.mark.parametrize(("row_mm", "column_mm"), [(1, 1), (0.4, 0.4), (0.7, 0.35)])
@pytest.mark.parametrize("degrees", [0, 33, 90, 140])
def test_ellipses_have_their_axes_as_diameters(row_mm: float, column_mm: float, degrees: float) -> None:
    mask = ellipse((260, 260), (128.4, 131.7), (40, 22), degrees, row_mm, column_mm)
    pixel = max(row_mm, column_mm)
    long, short = longest_diameter(mask, row_mm, column_mm), perpendicular_diameter(mask, row_mm, column_mm)
    assert long.length == pytest.approx(80, abs=pixel)
    assert short.length == pytest.approx(44, abs=pixel)
    along, across = (np.diff(d.ends, axis=0)[0] * (column_mm, row_mm) for d in (long, short))
    assert np.hypot(*along) == pytest.approx(long.length)
    assert np.hypot(*across) == pytest.approx(short.length)
    assert abs(along @ across) / long.length / short.length < np.sin(np.radians(3.01))
    turn = np.degrees(np.arctan2(along[1], along[0])) - degrees
    assert abs((turn + 90) % 180 - 90) < 5


@pytest.mark.parametrize("radius", [4, 8, 15, 50])
def test_diameters_of_circles_are_right_to_a_pixel(radius: float) -> None:
    rng = np.random.default_rng(1)
    masks = [ellipse((120, 120), tuple(59 + rng.random(2)), (radius, radius)) for _ in range(12)]
    long = np.mean([longest_diameter(mask).length for mask in masks])
    short = np.mean([perpendicular_diameter(mask).length for mask in masks])
    assert 0 < long - 2 * radius < 1  # the longest of all directions: some pixel always sticks out
    assert abs(short - 2 * radius) < 0.8


def test_rectangles_have_their_diagonal_less_the_cut_corners() -> None:
    mask = box((40, 60), 10, 5, 50, 35)
    long = longest_diameter(mask, 0.5, 0.5)
    assert long.length == pytest.approx(25, abs=0.5)
    # Perpendicular to the diagonal (3-4-5), within 3 degrees: from side to side.
    assert perpendicular_diameter(mask, 0.5, 0.5).length == pytest.approx(
        15 / np.cos(np.arctan(3 / 4) + np.radians(3)), abs=0.5
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_longest_diameter_agrees_with_all_pairs(seed: int) -> None:
    mask = blob(seed)
    every = polygons(mask, 0.0)[0] * (0.6, 0.9)
    assert longest_diameter(mask, 0.9, 0.6).length == pytest.approx(pdist(every).max(), abs=0.3)


@pytest.mark.parametrize("seed", range(3))
def test_the_perpendicular_diameter_agrees_with_a_search(seed: int) -> None:
    mask, row, column = blob(seed), 0.9, 0.6
    along = np.diff(longest_diameter(mask, row, column).ends, axis=0)[0] * (column, row)
    base = np.degrees(np.arctan2(along[1], along[0])) + 90
    sought = max(longest_run(mask, base + turn, row, column) for turn in (-3, -1.5, 0, 1.5, 3))
    assert perpendicular_diameter(mask, row, column).length == pytest.approx(sought, abs=0.9)


def test_a_chord_does_not_jump_a_gap() -> None:
    mask = box((60, 60), 5, 10, 55, 20) | box((60, 60), 5, 25, 55, 35) | box((60, 60), 5, 20, 8, 25)
    across = perpendicular_diameter(mask)
    assert across.length < 30
    cut = chords(polygons(mask), np.array([0.0, 1.0]), np.array([-30.0]))
    assert cut.lengths[0] == pytest.approx(20)
    np.testing.assert_allclose(cut.positions[0], (10, 20, 25, 35))


def test_tiny_masks_have_sizes() -> None:
    one = box((5, 5), 2, 2, 3, 3)
    assert longest_diameter(one).length == pytest.approx(1)
    assert 0.4 < perpendicular_diameter(one).length <= 1
    for mask in (one, box((5, 5), 1, 2, 3, 3), box((9, 9), 0, 4, 9, 5), box((5, 5), 1, 1, 3, 3)):
        found = fit_ellipse(mask)
        assert 0.3 < found.semi_minor <= found.semi_major < 6
        assert np.isfinite([*found.centre, found.angle]).all()


@pytest.mark.parametrize("function", [longest_diameter, perpendicular_diameter, fit_ellipse])
def test_an_empty_mask_is_refused(function) -> None:
    with pytest.raises(ValueError, match="empty"):
        function(np.zeros((4, 4), bool))


@pytest.mark.parametrize(("row_mm", "column_mm"), [(1, 1), (0.13, 0.13), (0.6, 0.3)])
@pytest.mark.parametrize(("axes", "degrees"), [((70, 52), 17), ((60, 59.5), 0), ((64, 12), 118), ((50, 50), 0)])
def test_ellipses_are_found_again(axes, degrees: float, row_mm: float, column_mm: float) -> None:
    scaled = (axes[0] * row_mm, axes[1] * row_mm)
    mask = ellipse((200, 360), (160.2, 97.7), scaled, degrees, row_mm, column_mm)
    found = fit_ellipse(mask, row_mm, column_mm)
    np.testing.assert_allclose(found.centre, (160.2, 97.7), atol=0.15)
    assert found.semi_major == pytest.approx(scaled[0], abs=0.2 * row_mm)
    assert found.semi_minor == pytest.approx(scaled[1], abs=0.2 * row_mm)
    if axes[0] > 1.1 * axes[1]:
        assert abs((found.angle - degrees + 90) % 180 - 90) < 1


def test_the_fit_agrees_with_opencv_on_the_same_points() -> None:
    ring = polygons(blob(4), 0.0)[0]
    found = fit_ellipse(blob(4))
    (x, y), sides, _ = cv2.fitEllipseDirect(ring.astype(np.float32))
    np.testing.assert_allclose(found.centre, (x, y), atol=0.5)
    np.testing.assert_allclose((2 * found.semi_minor, 2 * found.semi_major), sorted(sides), rtol=0.03)


def test_specks_beside_a_head_do_not_move_its_ellipse() -> None:
    mask = ellipse((200, 200), (90, 100), (60, 45), 20)
    assert fit_ellipse(mask | box((200, 200), 180, 5, 190, 15)) == fit_ellipse(mask)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (60, 45), (45, 60), (10, 2), (5, 0)])
def test_the_circumference_agrees_with_the_elliptic_integral(a: float, b: float) -> None:
    long, short = max(a, b), min(a, b)
    exact = 4 * long * ellipe(1 - (short / long) ** 2)
    assert ellipse_circumference(a, b) == pytest.approx(exact, rel=1e-9 if short / long > 0.7 else 5e-4)


def test_a_point_has_no_circumference() -> None:
    assert ellipse_circumference(0, 0) == 0


def test_an_ellipse_is_drawn_as_it_was_fitted() -> None:
    y, x = np.mgrid[:120, :160] + 0.5
    turn = np.deg2rad(30)
    along = ((x - 80) * np.cos(turn) + (y - 55) * np.sin(turn)) / 50
    across = ((y - 55) * np.cos(turn) - (x - 80) * np.sin(turn)) / 30
    drawn = along**2 + across**2 <= 1
    assert (Ellipse((80, 55), 50, 30, 30).mask(drawn.shape) == drawn).all()
    again = fit_ellipse(drawn, 2.0, 1.0).mask(drawn.shape, 2.0, 1.0)
    assert 2 * (again & drawn).sum() / (again.sum() + drawn.sum()) > 0.995
