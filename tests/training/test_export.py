"""Exported files answer as the network does: small networks of every kind that the recipes name."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medimg_core.training import export
from medimg_core.training.export import Answers, ExportError, check_answers, export_network
from medimg_core.types import InputSpec

SIZE = 32
SPEC = InputSpec(SIZE, SIZE, 3)


def inputs(n: int = 3, size: int = SIZE) -> np.ndarray:
    """Smooth random pictures, as films are: few ReLUs lie on their kink."""
    draw = np.random.default_rng(7)
    coarse = draw.normal(0, 0.6, (n, 4, 4, 3))
    return np.repeat(np.repeat(coarse, size // 4, 1), size // 4, 2).astype(np.float32)


def textbook(layers: Any, x: Any) -> Any:
    for filters in (4, 6, 8):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv_{filters}")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(8, activation="relu")(layers.Flatten()(x))
    return layers.Dense(1)(layers.Dropout(0.5)(x))


def residual(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    for stride in (1, 2, 2):
        y = layers.ReLU()(layers.BatchNormalization()(x))
        short = layers.Conv2D(8, 1, strides=stride)(y) if stride > 1 else x
        y = layers.Conv2D(8, 3, strides=stride, padding="same", use_bias=False)(y)
        y = layers.Conv2D(8, 3, padding="same")(layers.ReLU()(layers.BatchNormalization()(y)))
        x = layers.Add()([short, y])
    x = layers.ReLU(name="last")(layers.BatchNormalization()(x))
    return layers.Dense(1)(layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x)))


def mobile(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    for stride in (1, 2, 2):
        y = layers.Conv2D(16, 1, use_bias=False)(x)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        if stride == 2:
            y = layers.ZeroPadding2D(((0, 1), (0, 1)))(y)
        y = layers.DepthwiseConv2D(3, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False)(y)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(8, 1, use_bias=False)(y))
        x = layers.Add()([x, y]) if stride == 1 else y
    x = layers.ReLU(6.0, name="last")(layers.BatchNormalization()(layers.Conv2D(24, 1)(x)))
    return layers.Dense(3)(layers.GlobalAveragePooling2D()(x))


def build(body: Callable[[Any, Any], Any], size: int = SIZE) -> Any:
    import keras

    keras.utils.set_random_seed(3)
    x = keras.Input((size, size, 3))
    model = keras.Model(x, body(keras.layers, x), name="small")
    draw = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # As after training: a fresh batch normalisation is the identity and would hide a lost one.
            n = layer.gamma.shape[0]
            layer.set_weights(
                [draw.uniform(0.7, 1.3, n), draw.normal(0, 0.2, n), draw.normal(0, 0.2, n), draw.uniform(0.5, 2, n)]
            )
    return model


@pytest.mark.slow
@pytest.mark.parametrize("float16", [True, False])
@pytest.mark.parametrize(
    ("body", "layer", "pooled"),
    [(textbook, "conv_8", False), (residual, "last", True), (mobile, "last", True)],
    ids=["textbook", "residual", "mobile"],
)
def test_three_signatures_answer_as_keras(
    body: Callable[[Any, Any], Any], layer: str, pooled: bool, float16: bool, tmp_path: Path
) -> None:
    model, golden = build(body), inputs()
    export_network(model, layer, SPEC, tmp_path, golden_inputs=golden, float16=float16)
    content = (tmp_path / "model.tflite").read_bytes()
    actual, expected = export.litert_answers(content, golden), export.keras_answers(model, layer, golden)
    check_answers(actual, expected, float16=float16)
    assert expected.input_gradient.any()
    assert expected.cam_gradient.any()
    if not float16:
        largest = np.abs(expected.input_gradient).max(axis=(1, 2, 3))
        off = np.abs(actual.input_gradient - expected.input_gradient).max(axis=(1, 2, 3)) / largest
        assert np.median(off) < 1e-4
    assert (tmp_path / "head.npz").exists() == pooled
    with np.load(tmp_path / "golden.npz") as stored:
        np.testing.assert_array_equal(stored["inputs"], golden)
        np.testing.assert_array_equal(stored["logits"], expected.logits)


@pytest.mark.slow
def test_sixteen_bit_weights_halve_the_file() -> None:
    import keras

    x = keras.Input((SIZE, SIZE, 3))
    y = keras.layers.Conv2D(128, 3, strides=2, activation="relu")(x)
    y = keras.layers.Conv2D(128, 3, strides=2, activation="relu", name="last")(y)
    model = keras.Model(x, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(y)))
    half, full = (len(export.convert(model, "last", float16=float16)) for float16 in (True, False))
    # The second kernel is stored twice, the second time transposed for its gradient.
    assert 8 * model.count_params() < full < 8.5 * model.count_params()
    assert 0.5 < half / full < 0.55


@pytest.mark.slow
def test_the_head_holds_the_weights_of_the_last_layer(tmp_path: Path) -> None:
    model = build(mobile)
    export_network(model, "last", SPEC, tmp_path, golden_inputs=inputs(), float16=False)
    kernel, bias = model.layers[-1].get_weights()
    with np.load(tmp_path / "head.npz") as head:
        np.testing.assert_array_equal(head["kernel"], kernel)
        np.testing.assert_array_equal(head["bias"], bias)


@pytest.mark.slow
def test_mobilenet_cut_at_stride_16_exports(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(1)
    body = keras.applications.MobileNet((64, 64, 3), alpha=0.25, include_top=False, weights=None)
    features = body.get_layer("conv_pw_11_relu").output
    model = keras.Model(body.input, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(features)))
    export_network(model, "conv_pw_11_relu", InputSpec(64, 64), tmp_path, golden_inputs=inputs(2, 64))
    actual = export.litert_answers((tmp_path / "model.tflite").read_bytes(), inputs(2, 64))
    assert actual.features.shape == (2, 4, 4, 128)
    assert (tmp_path / "head.npz").exists()


@pytest.mark.slow
def test_no_optimizer_state_is_saved(tmp_path: Path) -> None:
    import keras

    model = build(residual)
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(inputs(4), np.zeros((4, 1)), verbose=0)
    export_network(model, "last", SPEC, tmp_path, golden_inputs=inputs(), float16=False)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not getattr(loaded, "compiled", False)
    np.testing.assert_array_equal(loaded.predict(inputs(), verbose=0), model.predict(inputs(), verbose=0))
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert archive.getinfo("model.weights.h5").file_size < 4 * model.count_params() + 100_000


@pytest.mark.slow
def test_a_network_that_ends_in_probabilities_is_refused(tmp_path: Path) -> None:
    import keras

    x = keras.Input((SIZE, SIZE, 3))
    y = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="last")(x))
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(y))
    with pytest.raises(ValueError, match="logits"):
        export_network(model, "last", SPEC, tmp_path, golden_inputs=inputs())


@pytest.mark.slow
def test_a_network_of_another_size_than_the_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="card"):
        export_network(build(textbook), "conv_8", InputSpec(64, 64), tmp_path, golden_inputs=inputs())


@pytest.mark.slow
def test_weights_that_16_bits_cannot_hold_stay_in_32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "FLOAT16_TOLERANCE", 0.0)
    model = build(textbook)
    export_network(model, "conv_8", SPEC, tmp_path, golden_inputs=inputs(), float16=True)
    check_answers(
        export.litert_answers((tmp_path / "model.tflite").read_bytes(), inputs()),
        export.keras_answers(model, "conv_8", inputs()),
        float16=False,
    )


def answers(seed: int = 0) -> Answers:
    draw = np.random.default_rng(seed)
    shapes = ((3, 1), (3, 4, 4, 6), (3, 4, 4, 6), (3, 8, 8, 3))
    return Answers(*(draw.normal(size=shape).astype(np.float32) for shape in shapes))


def changed(name: str, value: np.ndarray) -> Answers:
    fields = {f: getattr(answers(), f) for f in ("logits", "features", "cam_gradient", "input_gradient")}
    return Answers(**(fields | {name: value}))


@pytest.mark.parametrize("name", ["logits", "features", "cam_gradient", "input_gradient"])
@pytest.mark.parametrize("float16", [True, False])
def test_lost_weights_are_noticed(name: str, float16: bool) -> None:
    # What the converter writes without weights answers NaN everywhere, and reports success.
    nan = np.full_like(getattr(answers(), name), np.nan)
    with pytest.raises(ExportError, match=f"{name}: .* not finite"):
        check_answers(changed(name, nan), answers(), float16=float16)


def test_equal_answers_pass() -> None:
    check_answers(answers(), answers(), float16=False)
    check_answers(answers(), answers(), float16=True)


@pytest.mark.parametrize(("shift", "float16"), [(1e-3, False), (2e-2, True)])
def test_a_moved_logit_is_noticed(shift: float, float16: bool) -> None:
    with pytest.raises(ExportError):
        check_answers(changed("logits", answers().logits + np.float32(shift)), answers(), float16=float16)


def test_sixteen_bits_may_move_a_logit_a_little() -> None:
    check_answers(changed("logits", answers().logits + np.float32(4e-4)), answers(), float16=True)


def test_a_gradient_of_something_else_is_noticed() -> None:
    with pytest.raises(ExportError, match="input_gradient correlates"):
        check_answers(changed("input_gradient", answers(1).input_gradient), answers(), float16=True)


def test_one_input_beside_a_kink_is_forgiven() -> None:
    gradient = answers().input_gradient.copy()
    gradient[0] = answers(1).input_gradient[0]
    check_answers(changed("input_gradient", gradient), answers(), float16=False)


def test_two_empty_gradients_agree_and_one_does_not() -> None:
    empty = np.zeros_like(answers().cam_gradient)
    check_answers(changed("cam_gradient", empty), changed("cam_gradient", empty), float16=False)
    with pytest.raises(ExportError, match="cam_gradient"):
        check_answers(changed("cam_gradient", empty), answers(), float16=False)
