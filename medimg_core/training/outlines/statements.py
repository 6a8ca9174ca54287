"""Statements beside the answer of a network that outlines, read from the grey levels inside an outline.

The contrast of what is outlined is one more feature, a logistic regression on it one more logit. The network's own
answer and outline keep their weights to the last bit. The weight of a cell of the grid is the least probability of it
and its neighbours to lie inside the outline, so that the rim, where the surroundings blur in, hardly counts. No
gradient goes back from such a logit: its evidence is the outline, and it has no map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medimg_core.training.linear import Floats, ridge_logistic
from medimg_core.training.outlines.data import OutlineFilms
from medimg_core.training.outlines.loop import inputs_of
from medimg_core.training.outlines.recipe import OutlineRecipe
from medimg_core.training.outlines.unet import BuiltOutline
from medimg_core.training.recipe import StatementRule

_DARK = 20.0
"""How sharply `contrast` looks for the darkest cells: their weights are `exp(-20 grey)`."""


def with_statements(built: BuiltOutline, recipe: OutlineRecipe, train: OutlineFilms) -> BuiltOutline:
    """The same network with one more logit for every statement of the recipe, in their order.

    Args:
        built: a trained network that answers, on the recipe's whole grid.
        train: the films to fit on, as they are; those without a known truth are left out.
    """
    if not recipe.statements:
        return built
    import keras
    from keras import layers, ops

    places, logits = built.model.outputs
    seen = contrast(built.model.input, places)
    measured = _measured(keras.Model(built.model.input, seen), recipe, train)
    fits = [_fit(rule, measured[:, _structure(recipe, rule)], train) for rule in recipe.statements]
    dense = layers.Dense(len(fits), name="statements")
    told = layers.Concatenate(name="answers")([logits, dense(ops.stop_gradient(seen))])
    kernel = np.zeros((len(recipe.structures), len(fits)), np.float32)
    for column, (rule, (slope, _)) in enumerate(zip(recipe.statements, fits, strict=True)):
        kernel[_structure(recipe, rule), column] = slope
    dense.set_weights([kernel, np.array([intercept for _, intercept in fits], np.float32)])
    return BuiltOutline(keras.Model(built.model.input, [places, told], name=recipe.name), answers=True)


def contrast(x: Any, places: Any) -> Any:
    """Symbolic mean of the input inside each outline, less that of the darkest cells of the picture, `[B, K]`.

    On CT of the lung these are air-holding lung, whose attenuation varies far less than that of what lies in it. The
    difference stays where a window was burned into a picture, as long as it is as wide; the grey level itself does not.

    Args:
        x: input `[B, H, W, C]`, its channels alike or slices beside each other.
        places: logits `[B, H / 2, W / 2, K]`.
    """
    from keras import layers

    _, height, width, structures = places.shape
    cells = layers.Reshape((height * width, x.shape[-1]))(layers.AveragePooling2D(2)(x))
    grey = layers.Reshape((height * width, 1))(layers.GlobalAveragePooling1D(data_format="channels_first")(cells))
    # The least logit of 3 x 3 cells; then sigmoid(z) / sum(sigmoid(z)) as the softmax of log(sigmoid(z)), which is
    # never 0 / 0 where nothing is outlined.
    eroded = layers.Rescaling(-1.0)(layers.MaxPooling2D(3, strides=1, padding="same")(layers.Rescaling(-1.0)(places)))
    core = layers.Reshape((height * width, structures))(layers.Activation("log_sigmoid")(eroded))
    core = layers.Dot(axes=1)([layers.Softmax(axis=1)(core), grey])
    dark = layers.Dot(axes=1)([layers.Softmax(axis=1)(layers.Rescaling(-_DARK)(grey)), grey])
    return layers.Flatten()(layers.Subtract()([core, dark]))


def _measured(model: Any, recipe: OutlineRecipe, films: OutlineFilms, batch: int = 32) -> Floats:
    starts = range(0, len(films), batch)
    rows = [model.predict_on_batch(inputs_of(films, slice(s, s + batch), recipe)) for s in starts]
    return np.concatenate(rows).astype(np.float64)


def _structure(recipe: OutlineRecipe, rule: StatementRule) -> int:
    """Number of the structure that a statement is read in, as `[[card.statements]]` names it."""
    card: Mapping[str, Any] = next(row for row in recipe.card["statements"] if row["id"] == rule.id)
    return [structure.id for structure in recipe.structures].index(card["structure"])


def _fit(rule: StatementRule, values: Floats, train: OutlineFilms) -> tuple[float, float]:
    """Slope and intercept; one column of a thousand rows needs no choice of a ridge."""
    told = [record.columns.get(rule.column, "") for record in train.records]
    known = np.array([value in rule.targets for value in told])
    y = np.array([rule.targets.get(value, 0.0) > 0.5 for value in told])
    slope, intercept = ridge_logistic(values[known, None], y[known])
    return float(slope[0]), intercept
