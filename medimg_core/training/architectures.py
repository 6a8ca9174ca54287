"""Networks by name, each a flat Keras graph that ends in global average pooling and the dense layer `logits`.

Flat means that no model is a layer of another: Grad-CAM tools and exports need to reach the inner layers.
"""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medimg_core.catalog import models_folder
from medimg_core.errors import BadRequest, ModelUnavailable
from medimg_core.training.recipe import Network
from medimg_core.types import InputSpec


@dataclass(frozen=True, slots=True)
class Built:
    """A built network: the Keras model `image -> logits` and the name of the layer whose maps make the CAM."""

    model: Any
    cam_layer: str
    head: str


@dataclass(frozen=True, slots=True)
class Body:
    """A body of `keras.applications`: its constructor's name, the ImageNet file (empty: none here), its arguments."""

    constructor: str
    file: str = ""
    arguments: tuple[tuple[str, Any], ...] = ()


BODIES: dict[str, Body] = {
    "mobilenet": Body("MobileNet", "mobilenet_v1_0.5_160_dequantized_notop.weights.h5", (("alpha", 0.5),)),
    "mobilenet_v2": Body("MobileNetV2", "mobilenet_v2_1.0_224_dequantized_notop.weights.h5"),
    "vgg16": Body("VGG16"),
    "resnet50": Body("ResNet50"),
    "inception_v3": Body("InceptionV3"),
    "densenet121": Body("DenseNet121"),
}


def build(network: Network, spec: InputSpec, outputs: int) -> Built:
    """Build a network for an input and a number of logits.

    Raises:
        BadRequest: unknown architecture or layer to cut at; the message lists the near names.
        ModelUnavailable: the weights asked for are not here.
    """
    if network.architecture in BODIES:
        return _transfer(network, spec, outputs)
    if network.architecture in _PLAIN:
        if network.weights != "none":
            raise ModelUnavailable(
                f"There are no {network.weights} weights for {network.architecture!r}.",
                'Set weights = "none" in the recipe, or choose mobilenet or mobilenet_v2.',
            )
        return _PLAIN[network.architecture](network, spec, outputs)
    names = [*BODIES, *_PLAIN]
    near = difflib.get_close_matches(network.architecture, names, n=3, cutoff=0.4) or names
    raise BadRequest(f"There is no architecture named {network.architecture!r}.", f"Near names: {', '.join(near)}.")


def weights_folder() -> Path:
    """Where ImageNet bodies lie: `MEDIMG_WEIGHTS`, else `shared/weights` beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "weights"
    return Path(os.environ.get("MEDIMG_WEIGHTS", beside))


def _weights_file(network: Network) -> Path | None:
    if network.weights == "none":
        return None
    if network.weights.startswith("models/"):
        path = models_folder() / network.weights.removeprefix("models/") / "model.keras"
        if not path.is_file():
            raise ModelUnavailable(
                f"The model {path.parent.name!r}, from whose body the recipe starts, is not installed.",
                "Train it first, or name other weights in the recipe.",
            )
        return path
    if network.weights != "imagenet":
        path = Path(network.weights)
        if not path.is_file():
            raise ModelUnavailable(
                "The weights file that the recipe names is not here.", "Correct the path after `weights`."
            )
        return path
    file = BODIES[network.architecture].file
    if not file:
        raise ModelUnavailable(
            f"No ImageNet weights of {network.architecture!r} come with this project.",
            'Give the path of a .weights.h5 file as `weights`, or set weights = "none".',
        )
    path = weights_folder() / file
    if not path.is_file():
        raise ModelUnavailable(
            f"The ImageNet weights of {network.architecture!r} are not on this machine.",
            f'Put {file} into a folder, set MEDIMG_WEIGHTS to it, and start again; or set weights = "none".',
        )
    return path


def _transfer(network: Network, spec: InputSpec, outputs: int) -> Built:
    base = body(network, spec.height, spec.width, spec.channels)
    cut = network.cut or base.layers[-1].name
    features = base.get_layer(cut).output
    if network.fine:
        features, cut = _joined(features, base.get_layer(network.fine).output, network.fine_width), "fine"
    return _pooled(base.input, features, cut, network.dropout, outputs)


def body(network: Network, height: int, width: int, channels: int) -> Any:
    """The body of a network with its weights, on an input `[height, width, channels]`, early layers frozen.

    More than three channels are slices side by side, three a slice: the filters of ImageNet look at the middle one,
    those of its neighbours start from zero.

    Raises:
        BadRequest: a layer that the recipe names is not there.
        ModelUnavailable: the weights asked for are not here.
    """
    import keras

    kind = BODIES[network.architecture]
    build_base = getattr(keras.applications, kind.constructor)
    arguments = {"include_top": False, "weights": None, **dict(kind.arguments)}
    plain = min(channels, 3)
    base = build_base(input_shape=(height, width, plain), **arguments)
    file = _weights_file(network)
    if file is not None and file.suffix == ".keras":
        _take_over(base, file)
    elif file is not None:
        base.load_weights(file)
    if channels > plain:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Keras expects pictures; these are slices side by side
            base = _widened(base, build_base(input_shape=(height, width, channels), **arguments))
    names = [layer.name for layer in base.layers]
    last = names[-1]
    for wanted in (network.cut or last, network.frozen_until or last, network.fine or last):
        if wanted not in names:
            near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4) or names[-3:]
            raise BadRequest(
                f"{network.architecture} has no layer named {wanted!r}.", f"Near names: {', '.join(near)}."
            )
    if network.frozen_until:
        for layer in base.layers[: names.index(network.frozen_until) + 1]:
            layer.trainable = False
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # The statistics belong to the pictures that the weights come from; a batch of films would spoil them.
            # From scratch they are to be found within some hundred steps, which a memory of 0.999 outlasts.
            layer.trainable = file is None
            layer.momentum = 0.9
    return base


def _widened(base: Any, wide: Any) -> Any:
    """`wide` with the weights of `base`, whose first filters go to the middle three channels."""
    for layer, other in zip(wide.layers, base.layers, strict=True):
        weights = layer.get_weights()
        for mine, known in zip(weights, other.get_weights(), strict=True):
            if mine.shape == known.shape:
                mine[...] = known
            else:
                first = (mine.shape[2] - known.shape[2]) // 2
                mine[...] = 0
                mine[:, :, first : first + known.shape[2]] = known
        layer.set_weights(weights)
    return wide


def _take_over(base: Any, file: Path) -> None:
    """Copy the weights of the layers that both networks have; the layers beyond the other's cut stay as they are."""
    import keras

    other = {layer.name: layer for layer in keras.saving.load_model(file, compile=False).layers}
    for layer in base.layers:
        if layer.name in other:
            layer.set_weights(other[layer.name].get_weights())


def _joined(coarse: Any, fine: Any, width: int) -> Any:
    """Coarse features raised to the finer grid and added to it, then looked at together (Lin et al., CVPR 2017).

    The raising is a transposed convolution, whose gradient LiteRT has (a resize's it has not).
    """
    from keras import layers

    raised = layers.Conv2DTranspose(width, 2, strides=2, name="fine_raised")(coarse)
    aside = layers.Conv2D(width, 1, name="fine_aside")(fine)
    both = layers.ReLU(name="fine_both")(layers.Add(name="fine_sum")([raised, aside]))
    near = layers.DepthwiseConv2D(3, padding="same", name="fine_near")(both)
    return layers.ReLU(name="fine")(layers.Conv2D(width, 1, name="fine_mixed")(near))


def _pooled(inputs: Any, features: Any, cam_layer: str, dropout: float, outputs: int) -> Built:
    import keras
    from keras import layers

    pooled = layers.GlobalAveragePooling2D(name="pooled")(features)
    logits = layers.Dense(outputs, name="logits")(layers.Dropout(dropout, name="dropout")(pooled))
    return Built(keras.Model(inputs, logits), cam_layer, "pooled")


def _textbook_cnn(network: Network, spec: InputSpec, outputs: int) -> Built:
    """Three convolutions (32, 64, 128) with max pooling, dense 128, dropout: the first network of every textbook."""
    import keras
    from keras import layers

    inputs = keras.Input((spec.height, spec.width, spec.channels), name="image")
    x = inputs
    for number, filters in enumerate((32, 64, 128), start=1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = layers.Dense(128, activation="relu", name="dense")(layers.Flatten(name="flatten")(x))
    logits = layers.Dense(outputs, name="logits")(layers.Dropout(network.dropout, name="dropout")(x))
    return Built(keras.Model(inputs, logits), "conv3", "dense")


def _small_resnet(network: Network, spec: InputSpec, outputs: int) -> Built:
    """A plain residual net (He et al., CVPR 2016) of four stages, 32 to 256 filters, stride 16."""
    import keras
    from keras import layers

    def unit(x: Any, filters: int, stride: int, name: str) -> Any:
        y = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False, name=f"{name}_conv1")(x)
        y = layers.ReLU(name=f"{name}_relu1")(layers.BatchNormalization(momentum=0.9, name=f"{name}_bn1")(y))
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv2")(y)
        y = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn2")(y)
        if stride > 1 or x.shape[-1] != filters:
            x = layers.Conv2D(filters, 1, strides=stride, use_bias=False, name=f"{name}_project")(x)
        return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))

    inputs = keras.Input((spec.height, spec.width, spec.channels), name="image")
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="stem")(inputs)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(momentum=0.9, name="stem_bn")(x))
    for number, filters in enumerate((32, 64, 128, 256), start=1):
        x = unit(x, filters, 2 if number > 1 else 1, f"stage{number}")
    return _pooled(inputs, x, "stage4_out", network.dropout, outputs)


_PLAIN: dict[str, Callable[[Network, InputSpec, int], Built]] = {
    "textbook_cnn": _textbook_cnn,
    "small_resnet": _small_resnet,
}
