"""A one-stage detector without anchors over an ImageNet body: heat, sides and expected overlap for every cell.

As CenterNet (Zhou et al., 2019) with the sides of FCOS (Tian et al., ICCV 2019), on one fine level: findings of 12 to
50 pixels need no pyramid of answers, only the fine layers' detail joined to the coarse layers' meaning. Flat graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from medimg_core.training.architectures import body
from medimg_core.training.boxes.recipe import BoxRecipe

FEATURES = "bottom"
"""Name of the layer before the way up, whose maps explain the boxes."""

_SIDE = 8.0
_RARE = 0.01
"""Pixels of one unit of a side before training, and the heat that every cell begins with (Lin et al., ICCV 2017)."""


@dataclass(frozen=True, slots=True)
class BuiltBoxes:
    """`model` maps `[B, H, W, C]` to `places` `[B, H / stride, W / stride, 6]`: heat (logit), distances to the left,
    top, right and bottom side in pixels of the input (above 0), expected overlap (logit).
    """

    model: Any
    stride: int


def build_boxes(recipe: BoxRecipe, size: tuple[int, int] | None = None) -> BuiltBoxes:
    """Build the network of a recipe.

    Args:
        size: rows and columns of the input; None takes the recipe's grid. The weights fit any size.
    """
    import keras
    from keras import initializers, layers

    height, width = size or (recipe.input.height, recipe.input.width)
    base = body(recipe.network, height, width, recipe.input.channels)
    decoder = recipe.decoder
    y = layers.Conv2D(decoder.bottom, 1, activation="relu", name=FEATURES)(base.get_layer(recipe.network.cut).output)
    if recipe.network.dropout:
        y = layers.SpatialDropout2D(recipe.network.dropout, name="dropout")(y)
    for level, (skip, filters, turns) in enumerate(
        zip(decoder.skips, decoder.widths, decoder.turns, strict=True), start=1
    ):
        y = layers.UpSampling2D(2, interpolation="bilinear", name=f"up{level}")(y)
        beside = layers.Conv2D(filters, 1, activation="relu", name=f"beside{level}")(base.get_layer(skip).output)
        y = layers.Concatenate(name=f"join{level}")([y, beside])
        for turn in range(1, turns + 1):
            y = layers.SeparableConv2D(filters, 3, padding="same", name=f"way{level}_{turn}")(y)
            # Half of the usual memory: with 0.99 the statistics are nonsense for the first hundreds of steps.
            y = layers.BatchNormalization(momentum=0.9, name=f"way{level}_{turn}_bn")(y)
            y = layers.ReLU(name=f"way{level}_{turn}_relu")(y)
    rare = initializers.Constant(math.log(_RARE / (1 - _RARE)))
    heat = layers.Conv2D(1, 3, padding="same", bias_initializer=rare, name="heat")(y)
    # Softplus of 1.1 times 8 is half the side of the median box at the start; it never turns negative or explodes.
    sides = layers.Conv2D(4, 3, padding="same", bias_initializer=initializers.Constant(1.1), name="sides_raw")(y)
    sides = layers.Rescaling(_SIDE, name="sides")(layers.Activation("softplus", name="sides_positive")(sides))
    overlap = layers.Conv2D(1, 3, padding="same", name="overlap")(y)
    places = layers.Concatenate(name="places")([heat, sides, overlap])
    return BuiltBoxes(keras.Model(base.input, places, name=recipe.name), height // int(places.shape[1]))
