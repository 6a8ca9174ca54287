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

Kind = Literal["attention", "evidence", "recurrent"]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a pooling network is made of.

    Attributes:
        kind: gated attention, which averages slices; gated evidence, which adds it up; or that behind a bidirectional
            GRU.
        members: networks that are averaged.
        gate: width of the attention's hidden layer (L in the paper).
        units: of the GRU, in each direction.
        dropout: share of the projected features that a step takes from a whole series.
    """

    kind: Kind
    members: int = 8
    gate: int = 4
    units: int = 4
    dropout: float = 0.2


def core(shape: Shape, width: int, start: tuple[float, float] = (1.0, 0.0)) -> Any:
    """The trainable part: projected slices `[B, S, P]` and mask `[B, S]` (1 a slice, 0 padding) to logits `[B, E]` and
    weights of the slices `[B, S, E]`, which sum to 1 over the slices.

    Args:
        start: slope and shift from the last projected value, the slice's logit, to the evidence that it begins with.
    """
    import keras

    slices, mask = keras.Input((None, width), name="slices"), keras.Input((None,), name="mask")
    model = keras.Model([slices, mask], list(_members(shape, slices, mask)), name=f"series_{shape.kind}")
    classify = model.get_layer("classify")
    kernel, bias = classify.get_weights()
    kernel[:, -1], bias[:] = start
    classify.set_weights([kernel, bias])
    return model


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
    """Logits `[B, E]` and weights `[B, S, E]` of projected slices `[B, S, P]`; all members in one pass.

    Behind a GRU the slice itself stands beside its state, so that either kind begins as a pooling of the logits.
    """
    from keras import layers, ops

    if shape.kind == "recurrent":
        states = []
        for e in range(shape.members):
            both = layers.Bidirectional(layers.GRU(shape.units, return_sequences=True), name=f"gru{e}")
            states.append(ops.concatenate([both(x, mask=ops.greater(mask, 0.5)), x], axis=-1))
        h = ops.stack(states, axis=2)
    else:
        h = ops.repeat(ops.expand_dims(x, 2), shape.members, axis=2)
    width = int(h.shape[-1])
    h = layers.Dropout(shape.dropout, noise_shape=(None, 1, shape.members, width), name="drop")(h)
    score = _gated(h, shape)
    padding = ops.expand_dims(mask, -1)
    return _averaged(h, score, padding, shape) if shape.kind == "attention" else _added(h, score, padding, shape)


def _gated(h: Any, shape: Shape) -> Any:
    """The gate w . (tanh(V h_k) * sigmoid(U h_k)), `[B, S, E]`: Ilse, Tomczak and Welling, ICML 2018, equation 9."""
    from keras import layers

    def dense(name: str, activation: str) -> Any:
        out = (None, shape.members, shape.gate)
        return layers.EinsumDense("bseh,ehl->bsel", out, activation=activation, bias_axes="el", name=name)

    told = dense("tanh", "tanh")(h) * dense("gate", "sigmoid")(h)
    return layers.EinsumDense("bsel,el->bse", (None, shape.members), name="score")(told)


def _averaged(h: Any, score: Any, mask: Any, shape: Shape) -> tuple[Any, Any]:
    """With a = softmax(score) over the slices, logit = c . sum_k a_k h_k + b (equation 8 and a linear classifier)."""
    from keras import layers, ops

    share = ops.softmax(score + (mask - 1.0) * 1e9, axis=1)
    classify = layers.EinsumDense("beh,eh->be", (shape.members,), bias_axes="e", name="classify")
    return classify(ops.einsum("bse,bseh->beh", share, h)), share


def _added(h: Any, score: Any, mask: Any, shape: Shape) -> tuple[Any, Any]:
    """The noisy-or of the slices' evidence e_k = c . h_k + b + score_k: a series is negative if every slice is.

    1 - p = prod_k (1 - sigmoid(e_k)) = exp(-sum_k softplus(e_k)); a slice weighs what it adds to that sum.
    """
    from keras import layers, ops

    classify = layers.EinsumDense("bseh,eh->bse", (None, shape.members), bias_axes="e", name="classify")
    added = ops.softplus(classify(h) + score) * mask + 1e-7 * mask
    total = ops.sum(added, axis=1)
    return total + ops.log(-ops.expm1(-total)), added / ops.expand_dims(total, 1)


def weights_of(model: Any, shape: Shape) -> dict[str, FloatArray]:
    """All weights of a whole network as arrays with the members in front; the content of `series.npz`."""
    found: dict[str, Any] = {"averages": np.float32(shape.kind == "attention")}
    for name in ("project", "tanh", "gate"):
        found[f"{name}_kernel"], found[f"{name}_bias"] = model.get_layer(name).get_weights()
    (found["score"],) = model.get_layer("score").get_weights()
    found["classify"], found["classify_bias"] = model.get_layer("classify").get_weights()
    if shape.kind == "recurrent":
        members = [model.get_layer(f"gru{e}").get_weights() for e in range(shape.members)]
        for index, name in enumerate(("kernel", "recurrent", "bias")):
            found[f"gru_{name}"] = np.stack([np.stack([own[index], own[index + 3]]) for own in members])
    return {name: np.asarray(values, np.float32) for name, values in found.items()}
