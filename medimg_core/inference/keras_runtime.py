"""The engine for GPUs: the Keras network itself, with TensorFlow's own gradients. Imported only when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard, read_verified
from medimg_core.errors import ModelUnavailable
from medimg_core.inference.heads import Head, read_head
from medimg_core.inference.runtime import FEATURES, Forward
from medimg_core.types import FloatArray


class KerasRuntime:
    """A network on Keras and TensorFlow (see `Runtime`); thread-safe, because its graphs hold no state.

    Args:
        network: stem of its file: `model`, or that of the second network that `card.places` names.

    Raises:
        ModelUnavailable: the network is missing or changed.
    """

    engine = "keras"

    def __init__(self, card: ModelCard, network: str = "model") -> None:
        import keras
        import tensorflow as tf

        self.card = card
        own = network == "model"
        self._head = read_head(card) if own else None
        read_verified(card, f"{network}.keras")
        _grow_memory(tf)
        try:
            model = keras.saving.load_model(card.folder / f"{network}.keras", compile=False)
            features = model.get_layer(card.cam_layer if own else FEATURES).output
            logits, places = _outputs(model, card.places is not None and card.places.network == network)
            wanted = {"logits": logits, "features": features, "places": places}
            self._network = keras.Model(model.input, {k: v for k, v in wanted.items() if v is not None})
        except (ValueError, TypeError) as error:
            raise ModelUnavailable(
                f"The network of the model {card.name!r} cannot be opened.", "Restore the folder from the release."
            ) from error
        image = tf.TensorSpec((1, *model.input.shape[1:]), tf.float32)
        weights = tf.TensorSpec((card.outputs,), tf.float32)
        pixels = tf.TensorSpec((1, None, None, None), tf.float32)
        self._places_gradient = tf.function(self._by_places, input_signature=[image, pixels])
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
        return _as_forward(self._predict(x[None]))

    def cam_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        """The forward pass and the gradient of `sum(logits * weights)` by the feature maps."""
        answer, gradient = self._cam_gradient(x[None], weights)
        return _as_forward(answer), _first(gradient)

    def input_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits and the gradient of `sum(logits * weights)` by the input."""
        logits, gradient = self._input_gradient(x[None], weights)
        return _first(logits), _first(gradient)

    def places_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        """Places and features, and the gradient of `sum(places * weights)` by the features; weights `[h, w, K]`."""
        answer, gradient = self._places_gradient(x[None], weights[None])
        return _as_forward(answer), _first(gradient)

    def _forward(self, x: Any) -> Any:
        return dict(self._network(x, training=False))

    def _by_features(self, x: Any, weights: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            answer = self._forward(x)
            score = tf.reduce_sum(answer["logits"] * weights)
        return answer, tape.gradient(score, answer["features"])

    def _by_places(self, x: Any, weights: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            answer = self._forward(x)
            score = tf.reduce_sum(answer["places"] * weights)
        return answer, tape.gradient(score, answer["features"])

    def _by_input(self, x: Any, weights: Any) -> Any:
        import tensorflow as tf

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            logits = self._forward(x)["logits"]
            score = tf.reduce_sum(logits * weights)
        return logits, tape.gradient(score, x)


def _first(tensor: Any) -> FloatArray:
    return np.asarray(tensor.numpy()[0], np.float32)


def _outputs(model: Any, places: bool) -> tuple[Any, Any]:
    """The network's logits and places, None where it has no such output; places come first."""
    if not places:
        return model.output, None
    both = model.outputs
    return both[1] if len(both) > 1 else None, both[0]


def _as_forward(answer: Mapping[str, Any]) -> Forward:
    logits = _first(answer["logits"]) if "logits" in answer else np.zeros(0, np.float32)
    return Forward(logits, _first(answer["features"]), _first(answer["places"]) if "places" in answer else None)


def _grow_memory(tf: Any) -> None:
    """Take GPU memory as it is needed, so that several processes can share the device."""
    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError:
            return  # the device is in use already, by a network loaded before, with growth set then
