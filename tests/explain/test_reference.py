"""Our maps against tf-keras-vis, on a network with a pooled head and one with a flattened one."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from medimg_core import explain
from medimg_core.catalog import ModelCard, open_model, read_card
from medimg_core.errors import BadRequest
from medimg_core.explain import engine_tf_keras_vis as reference
from medimg_core.explain.gradients import STEPS, black, noise_for
from medimg_core.explain.registry import Query
from medimg_core.imaging import prepare
from medimg_core.inference import runtime_for
from model_folder import TINY_BASELINE, TINY_MODEL, synthetic_film

CARDS = [read_card(TINY_MODEL), read_card(TINY_BASELINE)]
SEEDS = range(5)


def queries(card: ModelCard, side: float) -> list[Query]:
    films = (prepare(synthetic_film(seed, 0.1 * seed), card.input)[0] for seed in SEEDS)
    # Of a network with statements the main logit alone.
    weights = np.array([side] + [0.0] * (card.outputs - 1), np.float32)
    return [Query(runtime_for(card), x, weights, seed=seed) for seed, x in zip(SEEDS, films, strict=True)]


def agree(own: list[np.ndarray], other: list[np.ndarray], tolerance: float = 2e-5, least: float = 0.9999) -> None:
    """Median over films of the largest difference, relative to the largest value; and correlation."""
    off = []
    for a, b in zip(own, other, strict=True):
        assert a.shape == b.shape
        peak = float(np.abs(b).max())
        off.append(float(np.abs(a - b).max()) / peak if peak else float(np.abs(a).max()))
        if b.std() > 0:
            assert np.corrcoef(a.ravel(), b.ravel())[0, 1] >= least
    assert np.median(off) < tolerance


@pytest.mark.slow
@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.name)
@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("name", reference.METHODS)
def test_own_maps_equal_tf_keras_vis(card: ModelCard, side: float, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = [], []
    for query in queries(card, side):
        own.append(explain.method(name).function(query))
        if name == "smoothgrad":  # it draws from numpy's global generator: give it our noise
            monkeypatch.setattr(np.random, "normal", lambda *a, q=query: noise_for(q.x, q.seed)[:, None])
        other.append(reference.grid(name, query))
    assert any(b.any() for b in other)
    agree(own, other)


# The shipped .tflite files hold their weights in 16 bits: the maps are those of slightly other weights, and in a deep
# network rounding puts a ReLU here and there on the other side, so that single places of a gradient differ.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "cam", "gradient"),
    [
        ("chest_xray_pneumonia", (0.05, 0.999), (0.25, 0.985)),
        ("chest_xray_pneumonia_baseline", (2e-3, 0.999), (0.05, 0.999)),
    ],
)
@pytest.mark.parametrize("name", ["gradcam", "layercam", "gradients"])
def test_maps_of_the_shipped_networks_equal_tf_keras_vis(
    model: str, cam: tuple[float, float], gradient: tuple[float, float], name: str
) -> None:
    asked = queries(open_model(model), 1.0)[:3]
    own, other = [explain.method(name).function(q) for q in asked], [reference.grid(name, q) for q in asked]
    agree(own, other, *(gradient if name == "gradients" else cam))


@pytest.mark.slow
@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.name)
def test_integrated_gradients_equal_keras(card: ModelCard) -> None:
    import tensorflow as tf

    model = reference.keras_model(card)
    own, other = [], []
    for query in queries(card, 1.0):
        start = black(query.x, card.input)
        shares = ((np.arange(STEPS) + 0.5) / STEPS).astype(np.float32)[:, None, None, None]
        points = tf.constant(start + shares * (query.x - start))
        with tf.GradientTape() as tape:
            tape.watch(points)
            score = tf.reduce_sum(model([points]))
        gradient = np.asarray(tape.gradient(score, points)).mean(axis=0)
        other.append(((query.x - start) * gradient).sum(axis=-1))
        own.append(explain.method("integrated_gradients").function(query))
    # In one of 32 passes rounding may put a ReLU or a maximum on the other side: a hundredth at single places.
    agree(own, other, tolerance=5e-3)


@pytest.mark.slow
def test_the_engine_can_be_chosen() -> None:
    card = CARDS[0]
    x, geometry = prepare(synthetic_film(1), card.input)
    query = Query(runtime_for(card), x, np.ones(1, np.float32))
    own, other = (
        explain.compute("gradcam", query, geometry, target="pneumonia", card=card, engine=engine)
        for engine in explain.ENGINES
    )
    np.testing.assert_allclose(own.values, other.values, atol=1e-5 * float(own.values.max()))
    with pytest.raises(BadRequest, match="the own engine has all"):
        explain.compute("occlusion", query, geometry, target="pneumonia", card=card, engine="tf-keras-vis")


@pytest.mark.slow
@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.name)
def test_a_shuffled_head_is_the_same_network_with_other_weights(card: ModelCard) -> None:
    from medimg_core.explain.engine_shuffled import ShuffledHead

    x = prepare(synthetic_film(1), card.input)[0]
    weights = np.ones(1, np.float32)
    whole, shuffled = runtime_for(card), ShuffledHead(card, seed=3)
    one, other = whole.predict(x), shuffled.predict(x)
    np.testing.assert_allclose(one.features, other.features, atol=1e-4)
    assert abs(float(one.logits[0] - other.logits[0])) > 1e-3
    forward, gradient = shuffled.cam_gradient(x, weights)
    np.testing.assert_allclose(forward.logits, other.logits, rtol=1e-4)
    assert gradient.shape == one.features.shape
    logits, by_input = shuffled.input_gradient(x, weights)
    np.testing.assert_allclose(logits, other.logits, rtol=1e-4)
    assert by_input.shape == x.shape
    if shuffled.head is not None:
        kernel, bias = shuffled.head
        assert sorted(kernel[:, 0]) == sorted(whole.head[0][:, 0])
        np.testing.assert_allclose(other.features.mean((0, 1)) @ kernel + bias, other.logits, rtol=1e-4)
        np.testing.assert_allclose(gradient, np.broadcast_to(kernel[:, 0] / 64, gradient.shape), rtol=1e-4, atol=1e-7)
    # The network that answers patients is not touched.
    np.testing.assert_array_equal(runtime_for(card).predict(x).logits, one.logits)


def test_without_tensorflow_the_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf_keras_vis", None)
    monkeypatch.setitem(sys.modules, "keras", None)
    reference._load.cache_clear()
    with pytest.raises(BadRequest, match="not installed"):
        reference.keras_model(CARDS[0])
