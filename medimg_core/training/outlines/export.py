"""From a trained U-Net to the files of a model folder, proved against Keras.

`predict` takes `x [1, H, W, C]` and gives `places [1, h, w, K]` (logits at stride 2), `features` at the bottom and,
where the network answers, `logits [1, n]`; then `cam_gradient` and `input_gradient` of its logits are there as well.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.inference.places import sigmoid
from medimg_core.training.export import ExportError, Graphs, convert_graphs, graphs
from medimg_core.training.outlines.unet import FEATURES, BuiltOutline
from medimg_core.types import FloatArray

_log = logging.getLogger(__name__)

FLOAT32_TOLERANCE = 1e-3
"""Largest difference of a logit, relative to the largest (at least 1)."""

FLOAT16_DICE, FLOAT16_MEAN = 0.98, 2e-3
"""With 16-bit weights: least Dice between the two outlines, largest mean difference of a pixel's probability. The
golden inputs are drawn blobs, which leave most pixels near the threshold; on films the two outlines agree at 0.999."""


def export_outline(
    built: BuiltOutline, folder: Path, stem: str, golden_inputs: FloatArray, *, float16: bool = True
) -> None:
    """Write `<stem>.keras`, `<stem>.tflite`, `golden.npz` (`golden_<stem>.npz` of a second network) and `head.npz`.

    Args:
        golden_inputs: float32 `[N, H, W, C]`, made from synthetic pictures.

    Raises:
        ExportError: the converted file differs from the network.
    """
    import keras

    folder.mkdir(parents=True, exist_ok=True)
    plain = keras.Model(built.model.input, built.model.output, name=stem)
    plain.save(folder / f"{stem}.keras")
    expected = _keras_answers(plain, built.answers, golden_inputs)
    (folder / f"{stem}.tflite").write_bytes(_checked(plain, built.answers, golden_inputs, expected, float16))
    name = "golden.npz" if stem == "model" else f"golden_{stem}.npz"
    arrays: dict[str, Any] = {"inputs": golden_inputs, **expected}
    np.savez_compressed(folder / name, **arrays)
    if built.answers:
        kernel, bias = plain.get_layer("logits").get_weights()
        np.savez(folder / "head.npz", kernel=kernel, bias=bias)


def _wide(model: Any, answers: bool) -> Any:
    """The network with its outputs by name, features besides."""
    import keras

    wanted = {"places": model.outputs[0], "features": model.get_layer(FEATURES).output}
    if answers:
        wanted["logits"] = model.outputs[1]
    return keras.Model(model.input, wanted)


def _signatures(model: Any, answers: bool) -> Graphs:
    import keras
    import tensorflow as tf

    wide = _wide(model, answers)

    def predict(x: Any) -> Mapping[str, Any]:
        return dict(wide(x, training=False))

    image = tf.TensorSpec((1, *model.input.shape[1:]), tf.float32, name="x")
    own = graphs(keras.Model(model.input, model.outputs[1]), FEATURES) if answers else {}
    return {**own, "predict": (predict, [image])}


def _keras_answers(model: Any, answers: bool, inputs: FloatArray) -> dict[str, FloatArray]:
    wide = _wide(model, answers)
    rows = [wide(x[None], training=False) for x in inputs]
    return {name: np.concatenate([np.asarray(row[name], np.float32) for row in rows]) for name in rows[0]}


def litert_places(content: bytes, inputs: FloatArray) -> dict[str, FloatArray]:
    """What a converted file's signature `predict` says to N inputs, by output."""
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_content=content, num_threads=1).get_signature_runner("predict")
    rows = [run(x=x[None]) for x in inputs]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _checked(model: Any, answers: bool, inputs: FloatArray, expected: Mapping[str, FloatArray], float16: bool) -> bytes:
    for half in (True, False) if float16 else (False,):
        content = convert_graphs(_signatures(model, answers), float16=half)
        try:
            check_places(litert_places(content, inputs), expected, float16=half)
        except ExportError as error:
            if not half:
                raise
            _log.warning("Weights are stored in 32 bits: %s.", error)
        else:
            return content
    raise AssertionError("unreachable: the last conversion returns or raises")


def check_places(actual: Mapping[str, FloatArray], expected: Mapping[str, FloatArray], *, float16: bool) -> None:
    """Compare what a converted file says with what the network says.

    Raises:
        ExportError: a value is not finite, or a difference is above this module's tolerances.
    """
    for name, want in expected.items():
        got = actual[name]
        if got.shape != want.shape or not np.isfinite(got).all():
            raise ExportError(f"{name}: shape {got.shape} instead of {want.shape}, or values that are not finite")
        off = float(np.abs(got - want).max()) / max(1.0, float(np.abs(want).max()))
        if not float16 and off > FLOAT32_TOLERANCE:
            raise ExportError(f"{name} differ by {off:.1e} of the largest value, allowed are {FLOAT32_TOLERANCE}")
    moved = float(np.abs(sigmoid(actual["places"]) - sigmoid(expected["places"])).mean())
    one, two = actual["places"] > 0, expected["places"] > 0
    dice = 2 * float((one & two).sum()) / max(1.0, float(one.sum() + two.sum())) if two.any() or one.any() else 1.0
    if dice < FLOAT16_DICE or moved > FLOAT16_MEAN:
        raise ExportError(f"outlines agree at Dice {dice:.4f}, probabilities differ by {moved:.1e} on average")
    if "logits" in expected:
        said = float(np.abs(sigmoid(actual["logits"]) - sigmoid(expected["logits"])).max())
        if said > FLOAT16_MEAN:
            raise ExportError(f"a probability of the answer moves by {said:.1e}, allowed are {FLOAT16_MEAN}")
