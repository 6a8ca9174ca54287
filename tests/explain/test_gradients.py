"""Gradient maps on networks whose gradient is known."""

from __future__ import annotations

import numpy as np
import pytest

from fake_runtime import LinearRuntime
from medimg_core import explain
from medimg_core.explain import gradients
from medimg_core.explain.registry import Query
from medimg_core.types import InputSpec

RNG = np.random.default_rng(2)
SLOPE = RNG.normal(size=(6, 6, 3)).astype(np.float32)
X = RNG.uniform(-1, 1, (6, 6, 3)).astype(np.float32)


def query(network: LinearRuntime, side: float = 1.0, seed: int = 0) -> Query:
    return Query(network, X, np.array([side], np.float32), seed=seed)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_gradients_are_the_largest_slope_over_the_channels(side: float) -> None:
    grid = explain.method("gradients").function(query(LinearRuntime(SLOPE), side))
    np.testing.assert_array_equal(grid, np.abs(SLOPE).max(-1))


def test_smoothgrad_of_a_linear_network_is_its_gradient() -> None:
    grid = explain.method("smoothgrad").function(query(LinearRuntime(SLOPE)))
    np.testing.assert_allclose(grid, np.abs(SLOPE).max(-1), rtol=1e-6)


def test_smoothgrad_noise_has_the_stated_size_count_and_seed() -> None:
    first, second = LinearRuntime(SLOPE), LinearRuntime(SLOPE)
    explain.method("smoothgrad").function(query(first, seed=5))
    explain.method("smoothgrad").function(query(second, seed=5))
    noise = np.stack(first.seen[::2]) - X
    assert len(noise) == gradients.SAMPLES == 25
    assert noise.std() == pytest.approx(gradients.NOISE * (X.max() - X.min()), rel=0.05)
    assert abs(noise.mean()) < 0.03
    np.testing.assert_array_equal(np.stack(first.seen), np.stack(second.seen))
    assert not np.array_equal(gradients.noise_for(X, 5), gradients.noise_for(X, 6))


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_integrated_gradients_are_complete(squared: bool, side: float) -> None:
    network = LinearRuntime(SLOPE, 0.7, squared=squared)
    grid = explain.method("integrated_gradients").function(query(network, side))
    start = gradients.black(X, network.card.input)
    gain = side * float((network.predict(X).logits - network.predict(start).logits)[0])
    assert grid.sum() == pytest.approx(gain, rel=1e-4)
    # The midpoint rule is exact for straight lines, and this network's slope along the way is one.
    power = 2 if squared else 1
    np.testing.assert_allclose(grid, side * ((X**power - start**power) * SLOPE).sum(-1), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("normalisation", "value"), [("minus_one_to_one", -1.0), ("zero_to_one", 0.0), ("standardise", float(X.min()))]
)
def test_black_is_what_a_black_film_would_be(normalisation: str, value: float) -> None:
    baseline = gradients.black(X, InputSpec(6, 6, 3, normalisation=normalisation))
    assert baseline.shape == X.shape
    assert baseline.dtype == np.float32
    assert np.unique(baseline).tolist() == [value]
