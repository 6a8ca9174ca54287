"""From a trained Keras network to the files of a model folder: `model.keras`, `model.tflite`, `head.npz`, `golden.npz`.

The `.tflite` holds three signatures for one image. They share their weights, but for the kernels of full convolutions
and dense layers, which the gradients need transposed and store a second time:

| signature | inputs | outputs |
|---|---|---|
| `predict` | `x [1, H, W, C]` | `logits [1, K]`, `features [1, h, w, C']` |
| `cam_gradient` | `x`, `weights [K]` | `logits`, `features`, `gradient` of `sum(logits * weights)` by `features` |
| `input_gradient` | `x`, `weights` | `logits`, `gradient` of `sum(logits * weights)` by `x` |

The converter can lose the weights without an error; the file then answers NaN. So every export is measured against
Keras on the golden inputs before it is called done.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.types import FloatArray, InputSpec

_log = logging.getLogger(__name__)

FLOAT32_TOLERANCE = 5e-5
"""Largest difference of logits and features, relative to the largest value (at least 1)."""

FLOAT16_TOLERANCE = 2e-3
"""Largest difference of a probability when the weights are stored in 16 bits."""

GRADIENT_CORRELATION = {"float32": 0.999, "float16": 0.9}
"""Least median correlation of gradients with Keras. A ReLU that rounding puts on the other side of its kink moves
single places by some per cent, in TensorFlow as well, and more of them the coarser the weights are rounded: 16 bits
halve the file, move no probability, and leave a gradient that points where it did."""


class ExportError(RuntimeError):
    """The exported file does not do what the network does."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a network says to N inputs; gradients are those of the sum of its logits.

    Attributes:
        logits: float32 `[N, K]`.
        features: float32 `[N, h, w, C]` at the CAM layer.
        cam_gradient: float32 `[N, h, w, C]`.
        input_gradient: float32 `[N, H, W, C]`.
    """

    logits: FloatArray
    features: FloatArray
    cam_gradient: FloatArray
    input_gradient: FloatArray


def export_network(
    model: Any,
    cam_layer: str,
    spec: InputSpec,
    folder: Path,
    *,
    golden_inputs: FloatArray,
    float16: bool = True,
) -> None:
    """Write the network files of a model folder and prove that they agree.

    Args:
        model: flat functional `keras.Model` with one input and a linear output (logits `[N, K]`).
        cam_layer: name of the layer whose output are the feature maps; its stride should be 8 or 16.
        spec: the input that the network was trained on.
        folder: created when it does not exist; `card.toml`, `evaluation.json` and `hashes.json` are not written here.
        golden_inputs: float32 `[N, H, W, C]`, made from synthetic pictures, as `imaging.prepare` returns them.
        float16: store weights in 16 bits, unless that moves a probability by more than `FLOAT16_TOLERANCE`.

    Raises:
        ValueError: the network does not take `spec`, or its output is not linear.
        ExportError: the converted file differs from the network.
    """
    shape = (spec.height, spec.width, spec.channels)
    if tuple(model.input.shape[1:]) != shape or golden_inputs.shape[1:] != shape:
        raise ValueError(f"network {model.input.shape[1:]}, golden inputs {golden_inputs.shape[1:]}, card {shape}")
    if not _linear(model.layers[-1]):
        raise ValueError("the network must end in logits: a last layer without an activation function")
    folder.mkdir(parents=True, exist_ok=True)
    _without_optimizer(model).save(folder / "model.keras")
    expected = keras_answers(model, cam_layer, golden_inputs)
    (folder / "model.tflite").write_bytes(_convert_checked(model, cam_layer, golden_inputs, expected, float16))
    head = pooled_head(model, expected)
    if head is not None:
        np.savez(folder / "head.npz", kernel=head[0], bias=head[1])
    np.savez_compressed(
        folder / "golden.npz",
        inputs=golden_inputs,
        logits=expected.logits,
        features=expected.features,
        cam_gradient=expected.cam_gradient,
        input_gradient=expected.input_gradient,
    )


def keras_answers(model: Any, cam_layer: str, inputs: FloatArray) -> Answers:
    """The network's own answers, one input at a time, with TensorFlow's gradients."""
    import tensorflow as tf

    two = _with_features(model, cam_layer)

    def respond(x: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            logits, features = two(x, training=False)
            score = tf.reduce_sum(logits)
        return logits, features, *tape.gradient(score, (features, x))

    # A graph and not eager: it leaves out the gradients of the kernels, whose routine for strided 1 x 1 convolutions
    # and a batch of one corrupts the heap (TensorFlow 2.21 on a CPU).
    answer = tf.function(respond, input_signature=[tf.TensorSpec((1, *inputs.shape[1:]), tf.float32)])
    rows = [[np.asarray(part, np.float32) for part in answer(x[None])] for x in inputs]
    return Answers(*(np.concatenate([row[i] for row in rows]) for i in range(4)))


def litert_answers(content: bytes, inputs: FloatArray) -> Answers:
    """The answers of a converted file, read with its three signatures."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    run = {name: interpreter.get_signature_runner(name) for name in ("predict", "cam_gradient", "input_gradient")}
    rows = []
    for x in inputs:
        predicted = run["predict"](x=x[None])
        weights = np.ones(predicted["logits"].shape[1], np.float32)
        by_features = run["cam_gradient"](x=x[None], weights=weights)
        by_input = run["input_gradient"](x=x[None], weights=weights)
        rows.append((predicted["logits"], predicted["features"], by_features["gradient"], by_input["gradient"]))
    return Answers(*(np.concatenate([row[i] for row in rows]) for i in range(4)))


def pooled_head(model: Any, expected: Answers) -> tuple[FloatArray, FloatArray] | None:
    """Kernel `[C, K]` and bias `[K]` when the logits are a dense layer of the averaged CAM features, else None.

    Found by its result and not by the names of layers: dropout and the like between the two change nothing.
    """
    weights = [np.asarray(w, np.float32) for w in model.layers[-1].get_weights()]
    pooled = expected.features.mean(axis=(1, 2))
    if len(weights) != 2 or weights[0].ndim != 2 or weights[0].shape[0] != pooled.shape[1]:
        return None
    logits = pooled @ weights[0] + weights[1]
    return (weights[0], weights[1]) if np.allclose(logits, expected.logits, rtol=1e-3, atol=1e-3) else None


def check_answers(actual: Answers, expected: Answers, *, float16: bool) -> None:
    """Compare a converted file's answers with the network's.

    Raises:
        ExportError: a value is not finite, or a difference is above this module's tolerances.
    """
    for name in ("logits", "features", "cam_gradient", "input_gradient"):
        got, want = getattr(actual, name), getattr(expected, name)
        if got.shape != want.shape or not np.isfinite(got).all():
            raise ExportError(f"{name}: shape {got.shape} instead of {want.shape}, or values that are not finite")
    if float16:
        moved = max(float(np.abs(p(actual.logits) - p(expected.logits)).max()) for p in (_softmax, _sigmoid))
        if moved > FLOAT16_TOLERANCE:
            raise ExportError(f"16-bit weights move a probability by {moved:.1e}, allowed are {FLOAT16_TOLERANCE}")
    else:
        for name in ("logits", "features"):
            got, want = getattr(actual, name), getattr(expected, name)
            off = float(np.abs(got - want).max()) / max(1.0, float(np.abs(want).max()))
            if off > FLOAT32_TOLERANCE:
                raise ExportError(f"{name} differ by {off:.1e} of the largest value, allowed are {FLOAT32_TOLERANCE}")
    asked = GRADIENT_CORRELATION["float16" if float16 else "float32"]
    for name in ("cam_gradient", "input_gradient"):
        agreement = _median_correlation(getattr(actual, name), getattr(expected, name))
        if agreement < asked:
            raise ExportError(f"{name} correlates with Keras at {agreement:.5f}, asked are {asked}")


def _convert_checked(model: Any, cam_layer: str, inputs: FloatArray, expected: Answers, float16: bool) -> bytes:
    """The converted network, in 16 bits where that is asked for and holds."""
    weights = model.count_params()
    for half in (True, False) if float16 else (False,):
        content = convert(model, cam_layer, float16=half)
        if len(content) < weights * (2 if half else 4):
            raise ExportError(f"the file of {len(content)} bytes cannot hold the {weights} weights of the network")
        try:
            check_answers(litert_answers(content, inputs), expected, float16=half)
        except ExportError as error:
            if not half:
                raise
            _log.warning("Weights are stored in 32 bits: %s.", error)
        else:
            return content
    raise AssertionError("unreachable: the last conversion returns or raises")


def convert(model: Any, cam_layer: str, *, float16: bool) -> bytes:
    """Convert a network to LiteRT with the three signatures; see `convert_graphs`."""
    return convert_graphs(graphs(model, cam_layer), float16=float16)


Graphs = Mapping[str, tuple[Callable[..., Mapping[str, Any]], list[Any]]]
"""Signature -> function of symbolic tensors and the specification of its inputs."""


def convert_graphs(wanted: Graphs, *, float16: bool) -> bytes:
    """Convert signatures to one LiteRT file, built-in operations only.

    Variables are frozen and custom gradients left out of the SavedModel: with either in place the converter
    writes a file without weights and reports success.
    """
    import tensorflow as tf

    module = tf.Module()
    signatures = {}
    for name, (function, specs) in wanted.items():
        signature = _frozen(function, specs)
        setattr(module, name, signature)
        signatures[name] = signature.get_concrete_function()
    with tempfile.TemporaryDirectory() as folder:
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(module, folder, signatures=signatures, options=options)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
        if float16:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return bytes(converter.convert())


def graphs(model: Any, cam_layer: str) -> Graphs:
    """The three signatures of a network that answers."""
    import tensorflow as tf

    from medimg_core.training.gradients import convertible

    two = _with_features(model, cam_layer)

    def predict(x: Any) -> Mapping[str, Any]:
        logits, features = two(x, training=False)
        return {"logits": logits, "features": features}

    def cam_gradient(x: Any, weights: Any) -> Mapping[str, Any]:
        with convertible():
            logits, features = two(x, training=False)
            (gradient,) = tf.gradients(tf.reduce_sum(logits * weights), features)
        return {"logits": logits, "features": features, "gradient": gradient}

    def input_gradient(x: Any, weights: Any) -> Mapping[str, Any]:
        with convertible():
            logits = model(x, training=False)
            (gradient,) = tf.gradients(tf.reduce_sum(logits * weights), x)
        return {"logits": logits, "gradient": gradient}

    image = tf.TensorSpec((1, *model.input.shape[1:]), tf.float32, name="x")
    weights = tf.TensorSpec((model.output.shape[-1],), tf.float32, name="weights")
    return {
        "predict": (predict, [image]),
        "cam_gradient": (cam_gradient, [image, weights]),
        "input_gradient": (input_gradient, [image, weights]),
    }


def _frozen(function: Callable[..., Mapping[str, Any]], specs: list[Any]) -> Any:
    """The same function with its variables turned into constants, named outputs kept."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    concrete = tf.function(function).get_concrete_function(*specs)
    constant = convert_variables_to_constants_v2(concrete)
    names = sorted(concrete.structured_outputs)  # a frozen function returns a flat list, in the order of the keys

    def call(*inputs: Any) -> Mapping[str, Any]:
        return dict(zip(names, constant(*inputs), strict=True))

    return tf.function(call, input_signature=specs)


def _with_features(model: Any, cam_layer: str) -> Any:
    """The same network with two outputs: logits and the feature maps at the CAM layer."""
    import keras

    return keras.Model(model.input, [model.output, model.get_layer(cam_layer).output])


def _without_optimizer(model: Any) -> Any:
    """The same layers in a model that was never compiled, so that no optimizer state is saved."""
    import keras

    return keras.Model(model.input, model.output, name=model.name)


def _linear(layer: Any) -> bool:
    activation = getattr(layer, "activation", None)
    return activation is None or getattr(activation, "__name__", "") == "linear"


def _softmax(logits: FloatArray) -> FloatArray:
    """Probabilities of kinds that exclude each other; of a single logit those of its two sides."""
    both = np.concatenate([np.zeros_like(logits), logits], axis=1) if logits.shape[1] == 1 else logits
    power = np.exp(both - both.max(axis=1, keepdims=True))
    return np.asarray(power / power.sum(axis=1, keepdims=True), np.float32)


def _sigmoid(logits: FloatArray) -> FloatArray:
    """Probabilities of steps of a scale and of statements."""
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def _median_correlation(actual: FloatArray, expected: FloatArray) -> float:
    """Median over inputs of the cosine between two gradients; two empty gradients agree."""
    agreement = []
    for a, b in zip(actual.reshape(len(actual), -1), expected.reshape(len(expected), -1), strict=True):
        lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
        agreement.append(float(a @ b) / lengths if lengths else float(not a.any() and not b.any()))
    return float(np.median(agreement))
