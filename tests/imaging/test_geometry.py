"""The map between source and model grid: closed forms, and resampling against matrices of overlaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medimg_core.imaging import Geometry
from medimg_core.types import Fit

SIDES = st.integers(1, 400)
FITS = st.sampled_from(("squash", "letterbox", "crop"))


def hat(cells: int, positions: np.ndarray) -> np.ndarray:
    """Matrix of linear interpolation between cell centres, the ends held: `[len(positions), cells]`."""
    held = np.clip(positions, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(held[:, None] - np.arange(cells)))


@pytest.mark.parametrize(
    ("fit", "scale", "offset"),
    [
        ("squash", (0.5, 0.25), (0.0, 0.0)),
        ("letterbox", (0.25, 0.25), (25.0, 0.0)),
        ("crop", (0.5, 0.5), (0.0, -50.0)),
    ],
)
def test_fit_of_a_wide_picture(fit: Fit, scale: tuple[float, float], offset: tuple[float, float]) -> None:
    geometry = Geometry.fit((200, 400), (100, 100), fit)
    assert geometry.scale == scale
    assert geometry.offset == offset


def test_outer_edges_and_centres_of_a_squash_meet() -> None:
    geometry = Geometry.fit((200, 400), (100, 100), "squash")
    corners = np.array([[-0.5, -0.5], [199.5, 399.5], [99.5, 199.5], [0, 0]])
    expected = [[-0.5, -0.5], [99.5, 99.5], [49.5, 49.5], [-0.25, -0.375]]
    np.testing.assert_array_equal(geometry.to_model(corners), expected)


@given(SIDES, SIDES, SIDES, SIDES, FITS)
def test_there_and_back(rows: int, columns: int, height: int, width: int, fit: Fit) -> None:
    geometry = Geometry.fit((rows, columns), (height, width), fit)
    points = np.array([[0.0, 0.0], [rows - 1, columns - 1], [rows / 3, columns / 7]])
    np.testing.assert_allclose(geometry.to_source(geometry.to_model(points)), points, atol=1e-9)


@settings(deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, FITS)
def test_lower_always_fills_the_model_grid(rows: int, columns: int, height: int, width: int, fit: Fit) -> None:
    geometry = Geometry.fit((rows, columns), (height, width), fit)
    lowered = geometry.lower(np.ones((rows, columns), np.float32))
    assert lowered.shape == (height, width)
    assert lowered.dtype == np.float32
    # Ones stay ones; only a letterbox adds zeros, and at least one row or column of the source is always there.
    assert set(np.unique(lowered.round(3))) <= ({0.0, 1.0} if fit == "letterbox" else {1.0})
    assert lowered.max() == pytest.approx(1.0, abs=1e-4)


def axis(source: int, target: int) -> np.ndarray:
    """Matrix `[target, source]` of one axis: overlaps of areas where it shrinks, linear where it grows."""
    if target > source:
        return hat(source, (np.arange(target) + 0.5) * source / target - 0.5)
    edges, pixel = np.arange(target + 1) * source / target, np.arange(source)
    shared = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.clip(shared, 0, None) * target / source


@pytest.mark.parametrize("source", [(300, 500), (128, 517), (90, 70), (96, 400), (1000, 96), (1, 129)])
def test_lower_treats_each_axis_by_its_own_rule(source: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).random(source, np.float32)
    expected = axis(source[0], 128) @ pixels @ axis(source[1], 128).T
    np.testing.assert_allclose(Geometry.fit(source, (128, 128), "squash").lower(pixels), expected, atol=1e-5)


def test_lower_averages_exactly_over_whole_blocks() -> None:
    pixels = np.arange(6 * 8, dtype=np.float32).reshape(6, 8)
    lowered = Geometry.fit((6, 8), (3, 2), "squash").lower(pixels)
    np.testing.assert_allclose(lowered, pixels.reshape(3, 2, 2, 4).mean(axis=(1, 3)))


def test_lower_averages_over_parts_of_pixels() -> None:
    # 3 pixels onto 2: the first cell holds the first pixel and half of the second.
    lowered = Geometry.fit((1, 3), (1, 2), "squash").lower(np.array([[0.0, 3.0, 9.0]], np.float32))
    np.testing.assert_allclose(lowered, [[1.0, 7.0]], rtol=1e-6)


def test_a_stripe_pattern_does_not_alias_when_only_one_axis_shrinks() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), (64, 250))  # 64 rows, 500 columns
    lowered = Geometry.fit((64, 500), (128, 125), "squash").lower(stripes)
    np.testing.assert_allclose(lowered, 0.5, atol=1e-6)


def test_letterbox_and_crop_place_the_picture_in_the_middle() -> None:
    pixels = np.full((50, 100), 1, np.float32)
    pixels[:, :25] = 2
    boxed = Geometry.fit((50, 100), (100, 100), "letterbox").lower(pixels)
    np.testing.assert_array_equal(boxed[:25], 0)
    np.testing.assert_array_equal(boxed[75:], 0)
    np.testing.assert_array_equal(boxed[25:75, :25], 2)
    cut = Geometry.fit((50, 100), (50, 50), "crop").lower(pixels)
    np.testing.assert_array_equal(cut, 1)


@pytest.mark.parametrize("fit", ["squash", "letterbox", "crop"])
@pytest.mark.parametrize("source", [(301, 173), (5, 700), (64, 64)])
def test_raise_map_is_linear_between_cell_centres(fit: Fit, source: tuple[int, int]) -> None:
    values = np.random.default_rng(2).normal(size=(8, 6)).astype(np.float32)
    geometry = Geometry.fit(source, (128, 96), fit)
    rows = geometry.to_model(np.column_stack([np.arange(source[0])] * 2))[:, 0]
    columns = geometry.to_model(np.column_stack([np.arange(source[1])] * 2))[:, 1]
    expected = hat(8, (rows + 0.5) * 8 / 128 - 0.5) @ values @ hat(6, (columns + 0.5) * 6 / 96 - 0.5).T
    np.testing.assert_allclose(geometry.raise_map(values), expected, atol=5e-6)


def test_raise_map_is_where_to_source_says() -> None:
    """One hot cell on the grid: the peak on the source lies at the cell's centre."""
    geometry = Geometry.fit((640, 320), (160, 160), "squash")
    values = np.zeros((10, 10), np.float32)
    values[7, 2] = 1
    raised = geometry.raise_map(values)
    expected = geometry.to_source(np.array([[7.5 * 16 - 0.5, 2.5 * 16 - 0.5]]))[0]
    peak = np.argwhere(raised == raised.max()).mean(axis=0)
    np.testing.assert_allclose(peak, expected, atol=0.51)
    assert raised.sum() == pytest.approx(64 * 32, rel=1e-4)
