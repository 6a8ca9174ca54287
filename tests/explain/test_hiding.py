"""Hiding what a map highlights outside an outline, on networks that rest on a known place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from medimg_core.explain.hiding import SHARE, blur, distance_to, hide_outside, outside_of, strongest
from medimg_core.types import FloatArray, MaskArray

SIDE = 64
BOX = np.zeros((SIDE, SIDE), np.bool_)
BOX[24:40, 8:24] = True
FAR = (slice(40, 56), slice(44, 60))
"""A place far from the outline."""


def picture() -> FloatArray:
    x = np.zeros((SIDE, SIDE, 3), np.float32)
    x[FAR][::2] = 1
    return x


def rests_on(place: tuple[slice, slice]) -> Callable[[FloatArray], MaskArray]:
    """Outlines the box as long as the stripes of a place are there; half of it once they are blurred."""

    def outline(x: FloatArray) -> MaskArray:
        mask = BOX.copy()
        if x[place].std() < 0.5 * picture()[place].std():
            mask[24:32] = False
        return mask

    return outline


def grid_at(row: int, column: int) -> FloatArray:
    grid = np.zeros((16, 16), np.float32)
    grid[row - 2 : row + 2, column - 2 : column + 2] = 1
    return grid


def test_what_is_left_out_is_the_outline_and_one_cell_of_the_map() -> None:
    outside = outside_of(BOX, (16, 16))
    assert not outside[20:44, 10:20].any()  # four pixels a cell
    assert outside[19, 10]
    assert not outside[BOX].any()
    assert outside_of(np.zeros_like(BOX), (16, 16)).all()
    assert distance_to(BOX)[32, 33] == pytest.approx(10.0)


def test_as_many_as_asked_for_and_only_outside() -> None:
    values = np.arange(16, dtype=np.float32).reshape(4, 4)
    outside = np.ones((4, 4), np.bool_)
    outside[3] = False
    assert np.flatnonzero(strongest(values, outside, 3)).tolist() == [9, 10, 11]
    assert np.flatnonzero(strongest(np.zeros((4, 4), np.float32), outside, 2)).tolist() == [0, 1]


def test_a_map_of_what_the_outline_rests_on_moves_it_and_others_do_not() -> None:
    x = picture()
    right = hide_outside(rests_on(FAR), x, BOX, grid_at(12, 13))
    assert right is not None
    assert right.map == pytest.approx(1 - 2 * 128 / (256 + 128))  # half of the box is lost
    assert right.beside == 0
    assert right.random < right.map
    wrong = hide_outside(rests_on(FAR), x, BOX, grid_at(3, 13))
    assert wrong is not None
    assert wrong.map == 0
    assert wrong.random == right.random  # the same places, drawn from the same seed


def test_what_lies_beside_the_outline_is_a_rival() -> None:
    near = (slice(24, 40), slice(29, 31))
    x = np.zeros((SIDE, SIDE, 3), np.float32)
    x[near][::2] = 1

    def outline(changed: FloatArray) -> MaskArray:
        return BOX if changed[near].std() > 0.5 * x[near].std() else np.zeros_like(BOX)

    found = hide_outside(outline, x, BOX, grid_at(12, 13))
    assert found is not None
    assert (found.map, found.beside) == (0.0, 1.0)


@pytest.mark.parametrize("highlighted", [1.0, 0.02])
def test_a_tenth_is_hidden_and_no_more_than_is_highlighted(highlighted: float) -> None:
    outside, hidden = outside_of(BOX, (SIDE, SIDE)), list[int]()
    x = np.random.default_rng(0).normal(0, 1, (SIDE, SIDE, 3)).astype(np.float32)

    def outline(changed: FloatArray) -> MaskArray:
        where = (changed != x).any(axis=-1)
        assert not where[~outside].any()
        hidden.append(int(where.sum()))
        return BOX

    count = int(highlighted * outside.sum())
    grid = np.zeros((SIDE, SIDE), np.float32)
    grid.ravel()[np.flatnonzero(outside)[:count]] = 1
    assert hide_outside(outline, x, BOX, grid) is not None
    assert set(hidden) == {min(count, int(SHARE * outside.sum()))}


@pytest.mark.parametrize("grid", [np.zeros((16, 16), np.float32), grid_at(8, 4)])
def test_a_map_that_is_empty_outside_says_nothing(grid: FloatArray) -> None:
    inside = np.zeros_like(BOX)
    inside[8:56, 0:40] = True
    mask = inside if grid.any() else BOX
    assert hide_outside(lambda x: mask, picture(), mask, grid) is None


def test_a_blur_keeps_the_mean_and_any_number_of_channels() -> None:
    x = np.random.default_rng(1).normal(0, 1, (SIDE, SIDE, 9)).astype(np.float32)
    soft = blur(x)
    assert soft.shape == x.shape
    assert soft.std() < 0.2 * x.std()
    assert blur(x[..., :1]).shape == (SIDE, SIDE, 1)
    np.testing.assert_allclose(blur(np.full((SIDE, SIDE, 3), 2.0, np.float32)), 2.0, rtol=1e-5)
