"""The gradient of an outline at the bottom: what is converted against TensorFlow's own, for each kind of network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outline_set import write_set

from medimg_core.training.outlines.export import convert_again, export_outline
from medimg_core.training.outlines.recipe import StructureRule, read_outline_recipe
from medimg_core.training.outlines.unet import build_outline
from model_folder import TINY_MODEL


@pytest.mark.slow
@pytest.mark.parametrize(("neighbours", "structures", "classes"), [("slice", 1, 2), ("", 5, 0)])
def test_any_network_that_outlines_is_exported_with_its_gradient(
    neighbours: str, structures: int, classes: int, tmp_path: Path
) -> None:
    import keras
    import tensorflow as tf

    recipe = read_outline_recipe(write_set(tmp_path))
    rules = tuple(StructureRule(f"s{i}") for i in range(structures))
    recipe = replace(
        recipe, structures=rules, classes=classes, data=replace(recipe.data, neighbours=neighbours), card={}
    )
    built = build_outline(recipe)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(2, *built.model.input.shape[1:])).astype(np.float32)
    export_outline(built, tmp_path, "model", x, float16=False)
    with np.load(tmp_path / "golden.npz") as golden:
        expected = dict(golden)
    assert expected["places"].shape == (2, 32, 32, structures)
    assert ("logits" in expected) == bool(classes)

    # Another question than the golden one, against TensorFlow's gradient of the way up alone.
    weights = np.zeros((1, 32, 32, structures), np.float32)
    weights[0, 10:14, 20:25, structures - 1] = 1
    found = _runner(tmp_path)(x=x[:1], weights=weights)
    middle = [built.model.get_layer(name).output for name in ("bottom", "beside1", "beside2")]
    upper = keras.Model(middle, built.model.get_layer("places").output)
    features, *beside = keras.Model(built.model.input, middle)(x[:1], training=False)

    @tf.function
    def slope(at: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(at)
            score = tf.reduce_sum(upper([at, *beside], training=False) * weights)
        return tape.gradient(score, at)

    wanted = slope(features).numpy()
    assert wanted.any()
    np.testing.assert_allclose(found["features"], features, atol=1e-5 * np.abs(features).max())
    np.testing.assert_allclose(found["gradient"], wanted, atol=1e-4 * np.abs(wanted).max())


def _runner(folder: Path) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=(folder / "model.tflite").read_bytes()).get_signature_runner("places_gradient")


def test_a_model_that_outlines_nothing_is_not_converted() -> None:
    with pytest.raises(ValueError, match="outlines nothing"):
        convert_again(TINY_MODEL)
