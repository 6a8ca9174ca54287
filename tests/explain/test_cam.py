"""CAM family: the closed form of a pooled head against hand-computed values and the gradient route."""

from __future__ import annotations

import numpy as np
import pytest

from fake_runtime import PooledRuntime
from medimg_core import explain
from medimg_core.errors import BadRequest
from medimg_core.explain.cam import gradcam_pp, hirescam, layercam, xgradcam
from medimg_core.explain.registry import Query

CAMS = ("gradcam", "gradcam_pp", "xgradcam", "layercam", "hirescam")
ONE = np.ones(1, np.float32)


def film(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1, (8, 8, 3)).astype(np.float32)


def runtime(**options: object) -> PooledRuntime:
    return PooledRuntime(np.array([[2.0], [-1.0], [0.5]]), np.array([0.25]), **options)


def test_cam_is_the_score_laid_out_over_the_film() -> None:
    network, x = PooledRuntime(np.array([[2.0], [1.0], [0.5]]), np.array([0.25])), film()
    grid = explain.method("cam").function(Query(network, x, ONE))
    assert grid.shape == (4, 4)
    # Nothing is negative here, so the ReLU changes nothing and mean + bias is the logit.
    assert grid.mean() + 0.25 == pytest.approx(float(network.predict(x).logits[0]), rel=1e-6)


def test_gradcam_of_a_pooled_head_is_cam_over_the_number_of_places() -> None:
    query = Query(runtime(), film(), ONE)
    cam, grad = (explain.method(name).function(query) for name in ("cam", "gradcam"))
    np.testing.assert_allclose(grad * 16, cam, rtol=1e-6, atol=1e-7)


def test_known_values_of_a_small_example() -> None:
    # One place 1 x 2, two channels; worked by hand from the papers' equations.
    features = np.array([[[1.0, 2.0], [3.0, 0.0]]], np.float32)
    gradient = np.array([[[0.5, -1.0], [1.5, 2.0]]], np.float32)
    # Layer-CAM: 1*0.5 + 0, 3*1.5 + 0*2; HiRes-CAM: 1*0.5 - 2, 4.5.
    np.testing.assert_allclose(layercam(features, gradient, 0.0), [[0.5, 4.5]])
    np.testing.assert_allclose(hirescam(features, gradient, 0.0), [[-1.5, 4.5]])
    # XGrad-CAM weights: (0.5 + 4.5) / 4 = 1.25 and (-2 + 0) / 2 = -1.
    np.testing.assert_allclose(xgradcam(features, gradient, 0.0), [[1.25 - 2.0, 3.75]])
    # Grad-CAM++: alpha = 1 / (2 + G sum A): channel 1: 1 / (2 + 0.5 * 4), 1 / (2 + 1.5 * 4) -> 2/3, 1/3.
    first = gradcam_pp(features[..., :1], gradient[..., :1], float(np.log(2.0)))
    weight = (2 / 3 * 0.5 + 1 / 3 * 1.5) * 2.0
    np.testing.assert_allclose(first, [[weight, 3 * weight]], rtol=1e-6)


def test_gradcam_pp_gives_no_alpha_where_the_gradient_is_zero() -> None:
    features = np.ones((1, 2, 1), np.float32)
    gradient = np.array([[[0.0], [1.0]]], np.float32)
    # All of the weight is on the second place: alpha = 0, 1 after normalisation; weight 1.
    np.testing.assert_allclose(gradcam_pp(features, gradient, 0.0), [[1.0, 1.0]])
    np.testing.assert_array_equal(gradcam_pp(features, np.zeros_like(gradient), 0.0), [[0.0, 0.0]])


def test_xgradcam_leaves_out_a_dead_channel() -> None:
    features = np.array([[[0.0, 1.0], [0.0, 3.0]]], np.float32)
    gradient = np.ones((1, 2, 2), np.float32)
    np.testing.assert_allclose(xgradcam(features, gradient, 0.0), [[1.0, 3.0]])


@pytest.mark.parametrize("name", CAMS)
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_closed_form_equals_the_gradient_route(name: str, side: float) -> None:
    weights = np.array([side], np.float32)
    function = explain.method(name).function
    closed = function(Query(runtime(), film(3), weights))
    gradient = function(Query(runtime(pooled=False), film(3), weights))
    np.testing.assert_allclose(closed, gradient, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["cam", *CAMS])
def test_a_pooled_head_costs_no_further_pass(name: str) -> None:
    network, x = runtime(), film()
    forward = network.predict(x)
    network.calls = 0
    explain.method(name).function(Query(network, x, ONE, forward=forward))
    assert network.calls == 0


@pytest.mark.parametrize("name", ["cam", *CAMS])
def test_without_positive_evidence_the_map_is_all_zero(name: str) -> None:
    network = PooledRuntime(np.array([[-1.0], [-2.0], [-0.5]]), np.array([0.0]))
    grid = explain.method(name).function(Query(network, film(), ONE))
    np.testing.assert_array_equal(grid, np.zeros((4, 4)))


def test_cam_needs_a_pooled_head() -> None:
    with pytest.raises(BadRequest, match="gradcam"):
        explain.method("cam").function(Query(runtime(pooled=False), film(), ONE))


def test_one_class_of_several() -> None:
    kernel = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    network, x = PooledRuntime(kernel, np.zeros(2)), film()
    grid = explain.method("cam").function(Query(network, x, np.array([0, 1], np.float32)))
    np.testing.assert_allclose(grid, network.predict(x).features[..., 1], rtol=1e-6)
