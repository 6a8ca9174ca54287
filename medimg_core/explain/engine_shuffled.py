"""The same network with a head that knows nothing, for the sanity check of maps.

A map that stays the same when the last dense layer's weights are shuffled does not show what the answer rests on
(Adebayo et al., NeurIPS 2018, arXiv 1810.03292). TensorFlow is imported on construction: the gradient signatures of
the LiteRT file hold the head as constants.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard
from medimg_core.explain.engine_tf_keras_vis import keras_model
from medimg_core.inference.runtime import Forward
from medimg_core.types import FloatArray


class ShuffledHead:
    """A `Runtime` whose last dense kernel `[C, K]` has its rows permuted, each column by the same permutation.

    Everything else is the card's network. Not for several threads.
    """

    engine = "keras"

    def __init__(self, card: ModelCard, seed: int = 0) -> None:
        import keras

        self.card = card
        model = keras.models.clone_model(keras_model(card))
        model.set_weights(keras_model(card).get_weights())
        dense = model.layers[-1]
        kernel, bias = (np.asarray(w, np.float32) for w in dense.get_weights())
        self._kernel, self._bias = kernel[np.random.default_rng(seed).permutation(len(kernel))], bias
        dense.set_weights([self._kernel, self._bias])
        features = model.get_layer(card.cam_layer).output
        self._two = keras.Model(model.inputs, [model.output, features])
        self._functions: dict[str, Any] = {}

    @property
    def head(self) -> tuple[FloatArray, FloatArray] | None:
        """The shuffled kernel `[C, K]` and the bias `[K]` of a pooled head; None for any other."""
        return (self._kernel, self._bias) if self.card.head == "pooled" else None

    @property
    def nbytes(self) -> int:
        """Bytes of the weights."""
        return int(sum(w.nbytes for w in self._two.get_weights()))

    def predict(self, x: FloatArray) -> Forward:
        """Logits and feature maps."""
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

    def _call(self, name: str, x: FloatArray, weights: FloatArray) -> list[FloatArray]:
        import tensorflow as tf

        if name not in self._functions:
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
