"""The rules against TensorFlow's own gradients, in one graph, before any conversion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def both(function: Callable[[Any], Any], shape: tuple[int, ...], x: np.ndarray | None = None) -> list[np.ndarray]:
    """Gradient of a random projection of `function(x)`: with our rules, and with TensorFlow's."""
    import tensorflow as tf

    from medimg_core.training.gradients import convertible

    draw = np.random.default_rng(1)
    values = draw.normal(0, 3, shape).astype(np.float32) if x is None else x
    found = []
    for ours in (True, False):

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])
        def gradient(t: Any, ours: bool = ours) -> Any:
            def score() -> Any:
                y = function(t)
                weights = np.random.default_rng(2).normal(size=y.shape).astype(np.float32)
                return tf.gradients(tf.reduce_sum(y * weights), t)[0]

            if ours:
                with convertible():
                    return score()
            return score()

        found.append(gradient(values).numpy())
    return found


def test_relu_and_relu6() -> None:
    import tensorflow as tf

    for function in (tf.nn.relu, tf.nn.relu6):
        ours, theirs = both(function, (1, 5, 7, 3))
        np.testing.assert_array_equal(ours, theirs)
        assert 0 < np.count_nonzero(ours) < ours.size


@pytest.mark.parametrize("function", ["relu", "relu6"])
def test_on_the_kink_nothing_passes(function: str) -> None:
    import tensorflow as tf

    edges = np.array([0.0, 6.0, -1.0, 7.0], np.float32).reshape(1, 2, 2, 1)
    ours, theirs = both(getattr(tf.nn, function), (1, 2, 2, 1), edges)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("size", [(8, 8), (9, 11), (2, 2), (10, 7)])
@pytest.mark.parametrize("window", [2, 3, (2, 3)])
def test_max_pooling_passes_to_the_first_largest(size: tuple[int, int], window: Any) -> None:
    import tensorflow as tf

    high, wide = (window, window) if isinstance(window, int) else window
    if size[0] < high or size[1] < wide:
        size = (size[0] + 3, size[1] + 3)
    # Values from a few whole numbers, so that many windows hold ties.
    x = np.random.default_rng(3).integers(-1, 2, (1, *size, 4)).astype(np.float32)
    ours, theirs = both(lambda t: tf.nn.max_pool2d(t, window, window, "VALID"), x.shape, x)
    np.testing.assert_array_equal(ours, theirs)


def test_overlapping_pooling_says_that_it_cannot() -> None:
    import tensorflow as tf

    with pytest.raises(NotImplementedError, match="3 x 3 with stride"):
        both(lambda t: tf.nn.max_pool2d(t, 3, 2, "VALID"), (1, 9, 9, 2))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (3, 5), (1, 1), (2, 4)])
@pytest.mark.parametrize("size", [(12, 12), (11, 14)])
def test_depthwise_convolution(size: tuple[int, int], kernel: tuple[int, int], stride: int, padding: str) -> None:
    import tensorflow as tf

    k = np.random.default_rng(4).normal(size=(*kernel, 6, 1)).astype(np.float32)
    ours, theirs = both(lambda t: tf.nn.depthwise_conv2d(t, k, [1, stride, stride, 1], padding), (1, *size, 6))
    np.testing.assert_allclose(ours, theirs, atol=5e-6)


def test_dilated_depthwise_convolution() -> None:
    import keras
    import tensorflow as tf

    layer = keras.layers.DepthwiseConv2D(3, dilation_rate=2, padding="same")
    layer(tf.zeros((1, 12, 12, 4)))
    ours, theirs = both(layer, (1, 12, 12, 4))
    np.testing.assert_allclose(ours, theirs, atol=5e-6)


def test_a_depth_multiplier_says_that_it_cannot() -> None:
    import tensorflow as tf

    k = np.ones((3, 3, 4, 2), np.float32)
    with pytest.raises(NotImplementedError, match="multiplier"):
        both(lambda t: tf.nn.depthwise_conv2d(t, k, [1, 1, 1, 1], "SAME"), (1, 8, 8, 4))


@pytest.mark.parametrize("size", [(6, 6), (1, 1), (2, 5), (14, 11)])
def test_bilinear_enlarging_is_the_adjoint(size: tuple[int, int]) -> None:
    import keras

    ours, theirs = both(keras.layers.UpSampling2D(2, interpolation="bilinear"), (1, *size, 3))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_another_enlarging_says_that_it_cannot() -> None:
    import tensorflow as tf

    for size in ((9, 9), (4, 6)):
        with pytest.raises(NotImplementedError, match="enlarging 3 x 3"):
            both(lambda t, size=size: tf.image.resize(t, size), (1, 3, 3, 2))
    with pytest.raises(NotImplementedError, match="enlarging 3 x 3"):
        both(lambda t: tf.compat.v1.image.resize_bilinear(t, (6, 6)), (1, 3, 3, 2))
