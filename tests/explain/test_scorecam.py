"""Score-CAM against its definition written out, and its masks against scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import zoom

from fake_runtime import PooledRuntime, card
from medimg_core import explain
from medimg_core.errors import Cancelled
from medimg_core.explain.registry import Query
from medimg_core.explain.scorecam import confidence, stretch


@pytest.mark.parametrize(("size", "cells"), [(64, 8), (160, 10), (7, 3), (5, 1), (4, 4)])
def test_masks_are_stretched_as_scipy_zooms(size: int, cells: int) -> None:
    values = np.random.default_rng(size).random((cells, cells))
    expected = zoom(values, size / cells, order=1, mode="nearest")
    matrix = stretch(size, cells)
    np.testing.assert_allclose(matrix @ values @ matrix.T, expected, atol=1e-12)


def test_confidence_is_the_probability_of_the_target() -> None:
    one = np.array([np.log(3.0)], np.float32)
    assert confidence(one, np.array([1.0], np.float32), card()) == pytest.approx(0.75)
    assert confidence(one, np.array([-1.0], np.float32), card()) == pytest.approx(0.25)
    three = np.log(np.array([1.0, 2.0, 5.0], np.float32)) + 700  # no overflow
    assert confidence(three, np.array([0, 0, 1], np.float32), card(3)) == pytest.approx(0.625, rel=1e-4)


def test_statements_and_steps_compete_with_nothing() -> None:
    beside = np.log(np.array([3.0, 9.0], np.float32))  # a yes/no answer and a statement
    yes_no = replace(card(), outputs=2)
    assert confidence(beside, np.array([1, 0], np.float32), yes_no) == pytest.approx(0.75)
    assert confidence(beside, np.array([-1, 0], np.float32), yes_no) == pytest.approx(0.25)
    kinds = replace(card(3), outputs=4)
    logits = np.log(np.array([1.0, 2.0, 5.0, 900.0], np.float32))
    assert confidence(logits, np.array([0, 0, 1, 0], np.float32), kinds) == pytest.approx(0.625)
    steps = replace(card(3), task="grading", outputs=2)  # three grades: P(>= 1) = 0.9, P(>= 2) = 0.25
    logits = np.log(np.array([9.0, 1 / 3], np.float32))
    assert confidence(logits, np.array([0, 1], np.float32), steps) == pytest.approx(0.25)


def test_weights_are_the_confidence_in_what_each_map_lets_through() -> None:
    x = np.random.default_rng(1).normal(0.2, 1, (8, 8, 3)).astype(np.float32)
    network = PooledRuntime(np.array([[2.0], [-1.0], [0.5]]), np.array([0.1]))
    features = network.predict(x).features
    expected = np.zeros((4, 4))
    for channel in range(3):
        mask = zoom(features[..., channel].astype(np.float64), 2, order=1, mode="nearest")
        mask = (mask - mask.min()) / (mask.max() - mask.min())
        logit = float(network.predict((x * mask[..., None]).astype(np.float32)).logits[0])
        expected += features[..., channel] / (1 + np.exp(-logit))
    grid = explain.method("scorecam").function(Query(network, x, np.ones(1, np.float32)))
    np.testing.assert_allclose(grid, expected, rtol=1e-5)


def test_dead_channels_share_one_pass() -> None:
    x = np.full((8, 8, 3), -1.0, np.float32)  # all features are 0 after ReLU
    network = PooledRuntime(np.ones((3, 1)), np.zeros(1))
    grid = explain.method("scorecam").function(Query(network, x, np.ones(1, np.float32)))
    np.testing.assert_array_equal(grid, np.zeros((4, 4)))
    assert network.calls == 2  # the film, and one blank for three channels


def test_cancelling_stops_between_passes() -> None:
    network = PooledRuntime(np.ones((3, 1)), np.zeros(1))
    x = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)

    def stop(share: float) -> None:
        if share > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        explain.method("scorecam").function(Query(network, x, np.ones(1, np.float32), progress=stop))
    assert network.calls == 2  # the film and the first channel
