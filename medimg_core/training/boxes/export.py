"""From a trained detector to `boxes.keras` and `boxes.tflite`, and the proof that the two agree.

The `.tflite` has one signature, `predict`, for one image: input `x [1, H, W, C]`; outputs `places [1, h, w, 6]` and
`features [1, h', w', C']` at the layer before the way up.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.training.boxes.network import FEATURES, BuiltBoxes
from medimg_core.training.export import ExportError, _frozen, _without_optimizer
from medimg_core.types import FloatArray

_log = logging.getLogger(__name__)

FLOAT32_TOLERANCE = 5e-5
"""Largest difference of places and features, relative to the largest value (at least 1)."""

FLOAT16_TOLERANCE = 2e-3
"""Largest difference of a score (heat or expected overlap) when the weights are stored in 16 bits."""

_HALF_SIDES = 0.5
"""Largest difference of a side, in pixels of the input, in 16 bits."""


def export_boxes(built: BuiltBoxes, folder: Path, inputs: FloatArray, *, float16: bool = True) -> dict[str, FloatArray]:
    """Write `boxes.keras` and `boxes.tflite`.

    Args:
        inputs: float32 `[N, H, W, C]`, as `imaging.prepare` returns them; what both files are compared on.
        float16: store weights in 16 bits, unless that moves a score by more than `FLOAT16_TOLERANCE`.

    Returns:
        What the network says to `inputs`: `places` and `features`.

    Raises:
        ExportError: the converted file differs from the network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _without_optimizer(built.model).save(folder / "boxes.keras")
    two = _with_features(built.model)
    rows = [[np.asarray(part, np.float32) for part in two(x[None], training=False)] for x in inputs]
    expected = {
        name: np.concatenate([row[i] for row in rows]).astype(np.float32)
        for i, name in enumerate(("places", "features"))
    }
    (folder / "boxes.tflite").write_bytes(_convert_checked(built.model, inputs, expected, float16))
    return expected


def litert_places(content: bytes, inputs: FloatArray) -> dict[str, FloatArray]:
    """What a converted file says to inputs `[N, H, W, C]`."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=content, num_threads=2).get_signature_runner("predict")
    rows = [runner(x=x[None]) for x in inputs]
    return {name: np.concatenate([row[name] for row in rows]).astype(np.float32) for name in ("places", "features")}


def check_places(actual: Mapping[str, FloatArray], expected: Mapping[str, FloatArray], *, float16: bool) -> None:
    """Compare a converted file's answers with the network's.

    Raises:
        ExportError: a value is not finite, or a difference is above this module's tolerances.
    """
    for name in ("places", "features"):
        got, want = actual[name], expected[name]
        if got.shape != want.shape or not np.isfinite(got).all():
            raise ExportError(f"{name}: shape {got.shape} instead of {want.shape}, or values that are not finite")
        off = float(np.abs(got - want).max()) / max(1.0, float(np.abs(want).max()))
        if not float16 and off > FLOAT32_TOLERANCE:
            raise ExportError(f"{name} differ by {off:.1e} of the largest value, allowed are {FLOAT32_TOLERANCE}")
    if float16:
        scores = [1 / (1 + np.exp(-side["places"][..., [0, 5]])) for side in (actual, expected)]
        moved = float(np.abs(scores[0] - scores[1]).max())
        if moved > FLOAT16_TOLERANCE:
            raise ExportError(f"16-bit weights move a score by {moved:.1e}, allowed are {FLOAT16_TOLERANCE}")
        sides = float(np.abs(actual["places"][..., 1:5] - expected["places"][..., 1:5]).max())
        if sides > _HALF_SIDES:
            raise ExportError(f"16-bit weights move a side by {sides:.2f} pixels, allowed are {_HALF_SIDES}")


def _convert_checked(model: Any, inputs: FloatArray, expected: Mapping[str, FloatArray], float16: bool) -> bytes:
    """The converted network, in 16 bits where that is asked for and holds."""
    # The converter can lose the weights without an error. Batch normalisation is folded into the layer before it.
    weights = sum(layer.count_params() for layer in model.layers if type(layer).__name__ != "BatchNormalization")
    for half in (True, False) if float16 else (False,):
        content = convert_boxes(model, float16=half)
        if len(content) < weights * (2 if half else 4):
            raise ExportError(f"the file of {len(content)} bytes cannot hold the {weights} weights of the network")
        try:
            check_places(litert_places(content, inputs), expected, float16=half)
        except ExportError as error:
            if not half:
                raise
            _log.warning("Weights are stored in 32 bits: %s.", error)
        else:
            return content
    raise AssertionError("unreachable: the last conversion returns or raises")


def convert_boxes(model: Any, *, float16: bool) -> bytes:
    """Convert a detector to LiteRT: signature `predict`, batch one, built-in operations only."""
    import tensorflow as tf

    two = _with_features(model)

    def predict(x: Any) -> Mapping[str, Any]:
        places, features = two(x, training=False)
        return {"places": places, "features": features}

    module = tf.Module()
    module.predict = _frozen(predict, [tf.TensorSpec((1, *model.input.shape[1:]), tf.float32, name="x")])
    with tempfile.TemporaryDirectory() as folder:
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        signatures = {"predict": module.predict.get_concrete_function()}
        tf.saved_model.save(module, folder, signatures=signatures, options=options)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["predict"])
        if float16:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        return bytes(converter.convert())


def _with_features(model: Any) -> Any:
    import keras

    return keras.Model(model.input, [model.output, model.get_layer(FEATURES).output])
