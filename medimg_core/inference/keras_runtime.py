"""The engine for GPUs: the Keras network itself, with TensorFlow's own gradients. Imported only when asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard, read_verified
from medimg_core.errors import ModelUnavailable
from medimg_core.inference.heads import Head, read_head
from medimg_core.inference.runtime import Forward
from medimg_core.types import FloatArray


class KerasRuntime:
    """A network on Keras and TensorFlow (see `Runtime`); thread-safe, because its graphs hold no state.

    Raises:
        ModelUnavailable: the network is missing or changed.
    """

    engine = "keras"

    def __init__(self, card: ModelCard) -> None:
        import keras
        import tensorflow as tf

        self.card = card
        self._head = read_head(card)
        read_verified(card, "model.keras")
        _grow_memory(tf)
        try:
            model = keras.saving.load_model(card.folder / "model.keras", compile=False)
            self._network = keras.Model(model.input, [model.output, model.get_layer(card.cam_layer).output])
        except (ValueError, TypeError) as error:
            raise ModelUnavailable(
                f"The network of the model {card.name!r} cannot be opened.", "Restore the folder from the release."
            ) from error
        image = tf.TensorSpec((1, *model.input.shape[1:]), tf.float32)
        weights = tf.TensorSpec((card.outputs,), tf.float32)
        self._bytes = 4 * int(model.count_params())
        self._predict = tf.function(self._forward, input_signature=[image])
        self._cam_gradient = tf.function(self._by_features, input_signature=[image, weights])
        self._input_gradient = tf.function(self._by_input, input_signature=[image, weights])

    @property
    def head(self) -> Head | None:
        """Kernel `[C, K]` and bias `[K]` of a pooled head; None for any other."""
        return self._head

    @property
    def nbytes(self) -> int:
        """Weights in float32."""
        return self._bytes

    def predict(self, x: FloatArray) -> Forward:
        """Logits and feature maps in one pass."""
        return _as_forward(*self._predict(x[None]))

    def cam_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        """The forward pass and the gradient of `sum(logits * weights)` by the feature maps."""
        logits, features, gradient = self._cam_gradient(x[None], weights)
        return _as_forward(logits, features), _first(gradient)

    def input_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits and the gradient of `sum(logits * weights)` by the input."""
        logits, gradient = self._input_gradient(x[None], weights)
        return _first(logits), _first(gradient)

    def _forward(self, x: Any) -> Any:
        return tuple(self._network(x, training=False))

    def _by_features(self, x: Any, weights: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            logits, features = self._network(x, training=False)
            score = tf.reduce_sum(logits * weights)
        return logits, features, tape.gradient(score, features)

    def _by_input(self, x: Any, weights: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            logits, _ = self._network(x, training=False)
            score = tf.reduce_sum(logits * weights)
        return logits, tape.gradient(score, x)


def _first(tensor: Any) -> FloatArray:
    return np.asarray(tensor.numpy()[0], np.float32)


def _as_forward(logits: Any, features: Any) -> Forward:
    return Forward(_first(logits), _first(features))


def _grow_memory(tf: Any) -> None:
    """Take GPU memory as it is needed, so that several processes can share the device."""
    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError:
            return  # the device is in use already, by a network loaded before, with growth set then
