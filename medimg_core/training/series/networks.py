"""The networks that make one answer of a series, in Keras 3 on any backend; `inference.series_network` repeats them in
numpy.

Slices are projected first: principal components of the features and the slice's own logit, frozen. Behind that stand
several small members that differ in their start; their logits are averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from medimg_core.types import FloatArray

Kind = Literal["attention", "recurrent"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a pooling network is made of.

    Attributes:
        kind: gated attention over the slices, or that behind a bidirectional GRU.
        members: networks that are averaged.
        gate: width of the attention's hidden layer (L in the paper).
        units: of the GRU, in each direction.
        dropout: share of the projected features left out in training.
    """

    kind: Kind
    members: int = 8
    gate: int = 8
    units: int = 8
    dropout: float = 0.3


def core(shape: Shape, width: int) -> Any:
    """The trainable part: projected slices `[B, S, P]` and mask `[B, S]` (1 a slice, 0 padding) to logits `[B, E]` and
    weights of the slices `[B, S, E]`, which sum to 1 over the slices.
    """
    import keras

    slices, mask = keras.Input((None, width), name="slices"), keras.Input((None,), name="mask")
    return keras.Model([slices, mask], list(_members(shape, slices, mask)), name=f"series_{shape.kind}")


def whole(shape: Shape, kernel: FloatArray, bias: FloatArray, trained: Any) -> Any:
    """The network that is stored: features and logit of the slices `[B, S, F + 1]` and mask to the same outputs.

    Args:
        kernel, bias: of the projection, `[F + 1, P]` and `[P]`.
        trained: what `core` made, trained.
    """
    import keras

    slices, mask = keras.Input((None, kernel.shape[0]), name="slices"), keras.Input((None,), name="mask")
    project = keras.layers.Dense(kernel.shape[1], trainable=False, name="project")
    outputs = _members(shape, project(slices), mask)
    model = keras.Model([slices, mask], list(outputs), name=f"series_{shape.kind}")
    project.set_weights([kernel, bias])
    for layer in trained.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    return model


def _members(shape: Shape, x: Any, mask: Any) -> tuple[Any, Any]:
    from keras import layers, ops

    logits, weights = [], []
    for e in range(shape.members):
        h = layers.Dropout(shape.dropout, name=f"drop{e}")(x)
        if shape.kind == "recurrent":
            both = layers.Bidirectional(layers.GRU(shape.units, return_sequences=True), name=f"gru{e}")
            h = both(h, mask=ops.greater(mask, 0.5))
        logit, share = _gated_attention(h, mask, shape.gate, str(e))
        logits.append(logit)
        weights.append(share)
    return layers.Concatenate(name="logits")(logits), layers.Concatenate(name="weights")(weights)


def _gated_attention(h: Any, mask: Any, width: int, name: str) -> tuple[Any, Any]:
    """Ilse, Tomczak and Welling, ICML 2018, equations 8 and 9, and a linear classifier on the pooled slices.

    a_k = softmax_k(w . (tanh(V h_k) * sigmoid(U h_k))), logit = c . sum_k a_k h_k + b.
    """
    from keras import layers, ops

    told = layers.Dense(width, activation="tanh", name=f"tanh{name}")(h)
    gate = layers.Dense(width, activation="sigmoid", name=f"gate{name}")(h)
    score = layers.Dense(1, use_bias=False, name=f"score{name}")(told * gate)
    share = ops.softmax(score + (ops.expand_dims(mask, -1) - 1.0) * 1e9, axis=1)
    pooled = ops.sum(share * h, axis=1)
    return layers.Dense(1, name=f"classify{name}")(pooled), share


def weights_of(model: Any, shape: Shape) -> dict[str, FloatArray]:
    """All weights of a whole network as arrays with the members in front; the content of `series.npz`."""

    def stack(name: str, index: int) -> FloatArray:
        return np.stack([model.get_layer(f"{name}{e}").get_weights()[index] for e in range(shape.members)])

    kernel, bias = model.get_layer("project").get_weights()
    found = {
        "project_kernel": kernel,
        "project_bias": bias,
        "tanh_kernel": stack("tanh", 0),
        "tanh_bias": stack("tanh", 1),
        "gate_kernel": stack("gate", 0),
        "gate_bias": stack("gate", 1),
        "score": stack("score", 0)[..., 0],
        "classify": stack("classify", 0)[..., 0],
        "classify_bias": stack("classify", 1)[:, 0],
    }
    if shape.kind == "recurrent":
        for index, name in enumerate(("kernel", "recurrent", "bias")):
            found[f"gru_{name}"] = np.stack([stack("gru", index), stack("gru", index + 3)], axis=1)
    return {name: np.asarray(values, np.float32) for name, values in found.items()}
