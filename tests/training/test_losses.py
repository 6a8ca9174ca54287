from __future__ import annotations

import numpy as np
import pytest

from medimg_core.training.losses import evidence_inside, soft_cross_entropy, softmax_inside

pytestmark = pytest.mark.slow  # imports Keras


def test_evidence_by_hand() -> None:
    maps = np.array([[[3.0, 1.0], [-9.0, 0.0]], [[3.0, 1.0], [-9.0, -3.0]], [[-1.0, -1.0], [0.0, 0.0]]], np.float32)
    mask = np.array([[[1.0, 0.0], [0.0, 0.0]]] * 3, np.float32)
    sign = np.array([1.0, -1.0, 1.0], np.float32)
    loss = np.asarray(evidence_inside(maps, mask, sign))
    assert loss[0] == pytest.approx(-np.log(0.75), abs=1e-3)  # 3 of 3 + 1 inside
    assert loss[1] == pytest.approx(-np.log(1e-4 / 12), rel=1e-3)  # all evidence against lies outside
    assert loss[2] == pytest.approx(0.0, abs=1e-6)  # no evidence: nothing lies outside


def test_softmax_mass_by_hand() -> None:
    maps = np.log(np.array([[[6.0, 1.0], [2.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]], np.float32))
    mask = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.5, 0.0], [0.0, 1.0]]], np.float32)
    # 6 of 10 lie inside; of four equal cells one and a half.
    np.testing.assert_allclose(softmax_inside(maps, mask), [-np.log(0.6), -np.log(0.375)], rtol=1e-3)


def test_cross_entropy_equals_keras() -> None:
    import keras

    rng = np.random.default_rng(0)
    logits, targets = rng.normal(0, 3, (5, 1)).astype(np.float32), rng.random((5, 1)).astype(np.float32)
    expected = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)(targets, logits)
    np.testing.assert_allclose(soft_cross_entropy(logits, targets), expected, rtol=1e-5)
    steps = rng.normal(0, 3, (5, 4)).astype(np.float32), rng.random((5, 4)).astype(np.float32)
    expected = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)(steps[1], steps[0])
    np.testing.assert_allclose(soft_cross_entropy(*steps), expected, rtol=1e-5)
    logits = rng.normal(0, 3, (5, 4)).astype(np.float32)
    targets = rng.dirichlet(np.ones(4), 5).astype(np.float32)
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, reduction=None)(targets, logits)
    np.testing.assert_allclose(soft_cross_entropy(logits, targets, exclusive=True), expected, rtol=1e-5)
