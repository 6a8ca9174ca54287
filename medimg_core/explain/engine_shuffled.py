"""The same network with a head that knows nothing, for the sanity check of maps.

A map that stays the same when the last dense layer's weights are shuffled does not show what the answer rests on
(Adebayo et al., NeurIPS 2018, arXiv 1810.03292). Behind a pooled head shuffled logits follow from the card's own
runtime; for anything else TensorFlow is loaded, because the gradient signatures of the LiteRT file hold the head as
constants.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard
from medimg_core.explain.engine_tf_keras_vis import keras_model
from medimg_core.inference import runtime_for
from medimg_core.inference.runtime import Forward
from medimg_core.types import FloatArray


class ShuffledHead:
    """A `Runtime` whose last dense kernel `[C, K]` has its rows permuted, each column by the same permutation.

    Everything else is the card's network. Not for several threads.
    """

    engine = "shuffled"

    def __init__(self, card: ModelCard, seed: int = 0) -> None:
        self.card = card
        self._seed = seed
        self._functions: dict[str, Any] = {}
        self._whole = runtime_for(card)
        own = self._whole.head
        self._head = None if own is None else (self._shuffle(own[0]), own[1])

    @property
    def head(self) -> tuple[FloatArray, FloatArray] | None:
        """The shuffled kernel `[C, K]` and the bias `[K]` of a pooled head; None for any other."""
        return self._head

    @property
    def nbytes(self) -> int:
        """Bytes of the card's own runtime."""
        return self._whole.nbytes

    def predict(self, x: FloatArray) -> Forward:
        """Logits and feature maps."""
        if self._head is not None:
            features = self._whole.predict(x).features
            return Forward(features.mean(axis=(0, 1)) @ self._head[0] + self._head[1], features)
        logits, features = self._call("predict", x, np.zeros(self.card.outputs, np.float32))
        return Forward(logits, features)

    def cam_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        """The forward pass and the gradient with respect to the feature maps."""
        logits, features, gradient = self._call("cam_gradient", x, weights)
        return Forward(logits, features), gradient

    def input_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits and the gradient with respect to the input."""
        logits, gradient = self._call("input_gradient", x, weights)
        return logits, gradient

    def places_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        """As the card's network: an outline does not pass through the head."""
        return self._whole.places_gradient(x, weights)

    def _shuffle(self, kernel: FloatArray) -> FloatArray:
        return kernel[np.random.default_rng(self._seed).permutation(len(kernel))]

    @cached_property
    def _two(self) -> Any:
        """A copy of the Keras network with the shuffled head; outputs logits and features."""
        import keras

        model = keras.models.clone_model(keras_model(self.card))
        model.set_weights(keras_model(self.card).get_weights())
        kernel, bias = model.layers[-1].get_weights()
        model.layers[-1].set_weights([self._shuffle(kernel), bias])
        return keras.Model(model.inputs, [model.output, model.get_layer(self.card.cam_layer).output])

    def _call(self, name: str, x: FloatArray, weights: FloatArray) -> list[FloatArray]:
        import tensorflow as tf

        if name not in self._functions:
            _ = self._two  # weights cannot be copied while a function is traced
            self._functions[name] = tf.function(getattr(self, f"_{name}"))
        outputs = self._functions[name](tf.constant(x[None]), tf.constant(weights))
        return [np.asarray(output, np.float32)[0] for output in outputs]

    def _predict(self, x: Any, weights: Any) -> Any:
        del weights
        return tuple(self._two([x], training=False))

    def _cam_gradient(self, x: Any, weights: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            logits, features = self._two([x], training=False)
            score = tf.reduce_sum(logits * weights)
        return logits, features, tape.gradient(score, features)

    def _input_gradient(self, x: Any, weights: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            logits, _ = self._two([x], training=False)
            score = tf.reduce_sum(logits * weights)
        return logits, tape.gradient(score, x)
