"""A U-Net (Ronneberger et al., MICCAI 2015) over an ImageNet body: separable convolutions, flat, any Keras backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medimg_core.training.architectures import body
from medimg_core.training.outlines.recipe import OutlineRecipe

FEATURES = "bottom"
"""Name of the layer at the bottom, whose maps the answer and Seg-Grad-CAM come from."""

_MEMORY = 0.9
"""Momentum of the statistics: with the usual 0.99 they are nonsense for the first hundreds of steps."""


@dataclass(frozen=True, slots=True)
class BuiltOutline:
    """`model` maps an image `[B, H, W, C]` to `places` `[B, h, w, K]` (logits at stride 2), and `logits` `[B, n]`
    besides where the recipe asks for an answer.
    """

    model: Any
    answers: bool


def build_outline(recipe: OutlineRecipe, size: tuple[int, int] | None = None) -> BuiltOutline:
    """Build the network of a recipe.

    Args:
        size: rows and columns of the input; None takes the recipe's grid. The weights fit any size.
    """
    import keras
    from keras import layers

    height, width = size or (recipe.input.height, recipe.input.width)
    channels = recipe.input.channels * (1 + 2 * recipe.context)
    base = body(recipe.network, height, width, channels)
    y = layers.Conv2D(recipe.decoder.bottom, 1, name=f"{FEATURES}_conv")(base.get_layer(recipe.network.cut).output)
    # Without it the ReLU can die under the pull of two losses (docs/experiments.md, g1).
    y = layers.BatchNormalization(momentum=_MEMORY, name=f"{FEATURES}_bn")(y)
    y = bottom = layers.ReLU(name=FEATURES)(y)
    for level, (skip, filters) in enumerate(zip(recipe.decoder.skips, recipe.decoder.widths, strict=True), start=1):
        y = layers.UpSampling2D(2, interpolation="bilinear", name=f"up{level}")(y)
        beside = layers.Conv2D(filters, 1, activation="relu", name=f"beside{level}")(base.get_layer(skip).output)
        y = layers.Concatenate(name=f"join{level}")([y, beside])
        for turn in (1, 2):
            y = layers.SeparableConv2D(filters, 3, padding="same", name=f"way{level}_{turn}")(y)
            y = layers.BatchNormalization(momentum=_MEMORY, name=f"way{level}_{turn}_bn")(y)
            y = layers.ReLU(name=f"way{level}_{turn}_relu")(y)
    places = layers.Conv2D(len(recipe.structures), 3, padding="same", name="places")(y)
    if not recipe.outputs:
        return BuiltOutline(keras.Model(base.input, places, name=recipe.name), answers=False)
    pooled = layers.GlobalAveragePooling2D(name="pool")(bottom)
    pooled = layers.Dropout(recipe.network.dropout, name="dropout")(pooled)
    logits = layers.Dense(recipe.outputs, name="logits")(pooled)
    return BuiltOutline(keras.Model(base.input, [places, logits], name=recipe.name), answers=True)
