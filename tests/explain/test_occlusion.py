"""Occlusion on a linear network: the fall is the sum under the cover."""

from __future__ import annotations

import numpy as np
import pytest

from fake_runtime import LinearRuntime
from medimg_core import explain
from medimg_core.explain.registry import Query


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_fall_is_the_mean_over_the_covers_of_what_they_hide(side: float) -> None:
    rng = np.random.default_rng(4)
    slope, x = rng.normal(size=(20, 20, 3)).astype(np.float32), rng.normal(size=(20, 20, 3)).astype(np.float32)
    grid = explain.method("occlusion").function(Query(LinearRuntime(slope, 3.0), x, np.array([side], np.float32)))
    effect = side * ((x - x.mean((0, 1))) * slope).sum(-1).reshape(10, 2, 10, 2).sum(axis=(1, 3))
    ring = np.pad(effect, 1)
    cover = ring[:-1, :-1] + ring[1:, :-1] + ring[:-1, 1:] + ring[1:, 1:]  # 11 x 11 covers of two by two cells
    expected = (cover[:-1, :-1] + cover[1:, :-1] + cover[:-1, 1:] + cover[1:, 1:]) / 4
    np.testing.assert_allclose(grid, expected, atol=2e-5)


def test_one_bright_spot_is_found_and_signed() -> None:
    slope, x = np.zeros((40, 40, 1), np.float32), np.zeros((40, 40, 1), np.float32)
    slope[9, 29], slope[31, 5] = 1.0, -1.0
    x[9, 29], x[31, 5] = 5.0, 5.0
    network = LinearRuntime(slope)
    grid = explain.method("occlusion").function(Query(network, x, np.ones(1, np.float32)))
    assert np.unravel_index(grid.argmax(), grid.shape) == (2, 7)
    assert np.unravel_index(grid.argmin(), grid.shape) == (7, 1)
    assert grid.max() == pytest.approx(5.0, abs=0.02)
    assert len(network.seen) == 1 + 11 * 11


def test_a_side_that_the_cells_do_not_divide_is_covered_to_the_edge() -> None:
    slope, x = np.zeros((23, 27, 1), np.float32), np.zeros((23, 27, 1), np.float32)
    slope[22, 26] = x[22, 26] = 1.0
    grid = explain.method("occlusion").function(Query(LinearRuntime(slope), x, np.ones(1, np.float32)))
    assert np.unravel_index(grid.argmax(), grid.shape) == (9, 9)
