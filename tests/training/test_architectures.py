from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medimg_core.errors import BadRequest, ModelUnavailable
from medimg_core.training.architectures import BODIES, build
from medimg_core.training.recipe import Network
from medimg_core.types import InputSpec

SPEC = InputSpec(96, 96)


@pytest.mark.slow
def test_the_textbook_cnn_is_the_one_of_the_documents() -> None:
    built = build(Network("textbook_cnn", dropout=0.5), InputSpec(128, 128), 1)
    kinds = [type(layer).__name__ for layer in built.model.layers]
    assert kinds[1:] == ["Conv2D", "MaxPooling2D"] * 3 + ["Flatten", "Dense", "Dropout", "Dense"]
    # 3x3 convolutions 3-32-64-128, dense 16 * 16 * 128 -> 128 -> 1, biases included.
    expected = (27 * 32 + 32) + (9 * 32 * 64 + 64) + (9 * 64 * 128 + 128) + (16 * 16 * 128 * 128 + 128) + (128 + 1)
    assert built.model.count_params() == expected
    assert built.head == "dense"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "grid"),
    [
        (Network("small_resnet"), 6),
        (Network("mobilenet_v2", cut="block_13_expand_relu"), 6),
        (Network("mobilenet"), 3),
    ],
)
def test_flat_graphs_end_in_the_mean_of_the_class_map(network: Network, grid: int) -> None:
    import keras

    built = build(network, SPEC, 1)
    assert not any(isinstance(layer, keras.Model) for layer in built.model.layers)
    assert built.model.layers[-1].name == "logits"
    features = built.model.get_layer(built.cam_layer).output
    assert features.shape[1:3] == (grid, grid)
    two = keras.Model(built.model.input, [features, built.model.output])
    maps, logits = two.predict_on_batch(np.random.default_rng(0).normal(0, 1, (2, 96, 96, 3)).astype(np.float32))
    kernel, bias = built.model.get_layer("logits").get_weights()
    np.testing.assert_allclose((maps @ kernel).mean(axis=(1, 2)) + bias, logits, atol=1e-4)


@pytest.mark.slow
@pytest.mark.shared
def test_imagenet_weights_are_read_and_batch_norm_stays_still(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setenv("MEDIMG_WEIGHTS", str(shared / "weights"))
    built = build(Network("mobilenet_v2", "imagenet", "block_13_expand_relu"), SPEC, 1)
    body = keras.applications.MobileNetV2(
        input_shape=(96, 96, 3),
        include_top=False,
        weights=str(shared / "weights" / BODIES["mobilenet_v2"].file),
    )
    np.testing.assert_array_equal(
        built.model.get_layer("block_3_expand").get_weights()[0], body.get_layer("block_3_expand").get_weights()[0]
    )
    still = [layer for layer in built.model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert still
    assert not any(layer.trainable for layer in still)


def test_weights_that_are_not_here_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medimg_core.training.architectures import _weights_file

    monkeypatch.setenv("MEDIMG_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="MEDIMG_WEIGHTS"):
        _weights_file(Network("mobilenet_v2", "imagenet"))
    with pytest.raises(ModelUnavailable, match="No ImageNet weights of 'vgg16'"):
        _weights_file(Network("vgg16", "imagenet"))
    with pytest.raises(ModelUnavailable, match="path"):
        _weights_file(Network("vgg16", str(tmp_path / "none.h5")))
    assert _weights_file(Network("vgg16")) is None


def test_unknown_names_list_the_near_ones() -> None:
    with pytest.raises(BadRequest, match="mobilenet_v2"):
        build(Network("mobilenet2"), SPEC, 1)
    with pytest.raises(ModelUnavailable, match="textbook_cnn"):
        build(Network("textbook_cnn", "imagenet"), SPEC, 1)
