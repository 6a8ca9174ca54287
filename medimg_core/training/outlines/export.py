"""From a trained U-Net to the files of a model folder, proved against Keras.

`predict` takes `x [1, H, W, C]` and gives `places [1, h, w, K]` (logits at stride 2), `features` at the bottom and,
where the network answers, `logits [1, n]`; then `cam_gradient` and `input_gradient` of its logits are there as well.
`places_gradient` takes `x` and `weights [1, h, w, K]` and gives `places`, `features` and `gradient`, that of
`sum(places * weights)` by the features: with ones at the pixels of a structure what Seg-Grad-CAM asks for.

`python -m medimg_core.training.outlines.export models/lung_fields` converts a shipped network anew.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.catalog import read_card, write_hashes
from medimg_core.inference.places import sigmoid
from medimg_core.training.export import (
    GRADIENT_CORRELATION,
    ExportError,
    Graphs,
    _median_correlation,
    convert_graphs,
    graphs,
)
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
    _write_converted(plain, built.answers, folder, stem, golden_inputs, float16)
    if built.answers:
        kernel, bias = plain.get_layer("logits").get_weights()
        # Statements rest on no averaged features: their columns are zero.
        more = plain.outputs[1].shape[-1] - kernel.shape[1]
        np.savez(folder / "head.npz", kernel=np.pad(kernel, ((0, 0), (0, more))), bias=np.pad(bias, (0, more)))


def convert_again(folder: Path, *, float16: bool = True) -> None:
    """Convert the network that outlines in a model folder anew, from its Keras file and its own golden inputs.

    Writes the LiteRT file, the golden file, its size in `evaluation.json` and the hashes; weights, card and every
    measured figure stay.

    Raises:
        ValueError: the model outlines nothing.
        ExportError: the converted file differs from the network; nothing was written then.
    """
    import keras

    places = read_card(folder).places
    if places is None or places.kind != "outline":
        raise ValueError(f"{folder.name} outlines nothing")
    model = keras.saving.load_model(folder / f"{places.network}.keras", compile=False)
    with np.load(folder / _golden(places.network)) as golden:
        inputs = golden["inputs"]
    _write_converted(model, len(model.outputs) > 1, folder, places.network, inputs, float16)
    content = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    if "cost" in content["places"]:
        content["places"]["cost"]["tflite_bytes"] = (folder / f"{places.network}.tflite").stat().st_size
        (folder / "evaluation.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    write_hashes(folder)


def _write_converted(model: Any, answers: bool, folder: Path, stem: str, inputs: FloatArray, float16: bool) -> None:
    expected = _keras_answers(model, answers, inputs)
    (folder / f"{stem}.tflite").write_bytes(_checked(model, answers, inputs, expected, float16))
    arrays: dict[str, Any] = {"inputs": inputs, **expected}
    np.savez_compressed(folder / _golden(stem), **arrays)


def _golden(stem: str) -> str:
    return "golden.npz" if stem == "model" else f"golden_{stem}.npz"


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

    from medimg_core.training.gradients import convertible

    wide = _wide(model, answers)

    def predict(x: Any) -> Mapping[str, Any]:
        return dict(wide(x, training=False))

    def places_gradient(x: Any, weights: Any) -> Mapping[str, Any]:
        with convertible():
            answer = wide(x, training=False)
            (gradient,) = tf.gradients(tf.reduce_sum(answer["places"] * weights), answer["features"])
        return {"places": answer["places"], "features": answer["features"], "gradient": gradient}

    image = tf.TensorSpec((1, *model.input.shape[1:]), tf.float32, name="x")
    weights = tf.TensorSpec((1, *wide.output["places"].shape[1:]), tf.float32, name="weights")
    own = graphs(keras.Model(model.input, model.outputs[1]), FEATURES) if answers else {}
    return {**own, "predict": (predict, [image]), "places_gradient": (places_gradient, [image, weights])}


def _keras_answers(model: Any, answers: bool, inputs: FloatArray) -> dict[str, FloatArray]:
    """What the network says, by output, with TensorFlow's own gradient (`places_gradient`, see `golden_weights`)."""
    import tensorflow as tf

    wide = _wide(model, answers)

    def slope(x: Any, weights: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            answer = wide(x, training=False)
            score = tf.reduce_sum(answer["places"] * weights)
        return tape.gradient(score, answer["features"])

    gradient = tf.function(slope)  # a graph and not eager: see `training.export.keras_answers`
    rows = []
    for x in inputs:
        row = {name: np.asarray(value, np.float32) for name, value in wide(x[None], training=False).items()}
        row["places_gradient"] = np.asarray(gradient(x[None], golden_weights(row["places"])), np.float32)
        rows.append(row)
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def golden_weights(places: FloatArray) -> FloatArray:
    """The weights of a golden input's `places_gradient`: ones where a structure is seen, everywhere where none is.

    Args:
        places: logits float32 `[1, h, w, K]`.
    """
    seen = places > 0
    return np.asarray(seen if seen.any() else ~seen, np.float32)


def litert_places(content: bytes, inputs: FloatArray, places: FloatArray) -> dict[str, FloatArray]:
    """What a converted file says to N inputs, by output; `places` `[N, h, w, K]` decide what the gradient asks for."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    predict, gradient = (interpreter.get_signature_runner(name) for name in ("predict", "places_gradient"))
    rows = []
    for x, seen in zip(inputs, places, strict=True):
        row = dict(predict(x=x[None]))
        row["places_gradient"] = gradient(x=x[None], weights=golden_weights(seen[None]))["gradient"]
        rows.append(row)
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _checked(model: Any, answers: bool, inputs: FloatArray, expected: Mapping[str, FloatArray], float16: bool) -> bytes:
    for half in (True, False) if float16 else (False,):
        content = convert_graphs(_signatures(model, answers), float16=half)
        try:
            check_places(litert_places(content, inputs, expected["places"]), expected, float16=half)
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
        if name == "places_gradient":
            agreement, asked = _median_correlation(got, want), GRADIENT_CORRELATION["float16" if float16 else "float32"]
            if agreement < asked:
                raise ExportError(f"{name} correlates with Keras at {agreement:.5f}, asked are {asked}")
            continue
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert the networks that outline of some model folders anew; exit status 0."""
    parser = argparse.ArgumentParser(prog="python -m medimg_core.training.outlines.export", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="MODEL_FOLDER")
    for folder in parser.parse_args(arguments).folders:
        convert_again(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
