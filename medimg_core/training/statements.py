"""Statements beside a yes/no answer: further logits on the averaged features of a network that is already trained.

The main answer keeps its weights to the last bit; each statement is a ridge logistic regression on the features, so
that it has a class activation map like the main answer and costs nothing at prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard, StatementFit
from medimg_core.metrics import auroc
from medimg_core.training.architectures import Built
from medimg_core.training.calibrate import fit_calibration, operating_points, probabilities
from medimg_core.training.data import Films
from medimg_core.training.linear import Floats, ridge_logistic
from medimg_core.training.loop import to_input
from medimg_core.training.measure import Answer
from medimg_core.training.recipe import Recipe, StatementRule

_RIDGES = (1.0, 10.0, 100.0, 1000.0)


def with_statements(built: Built, recipe: Recipe, films: Sequence[Films]) -> Built:
    """The same network with one more logit for every statement of the recipe.

    The strength of the ridge is the one of `_RIDGES` with the best AUROC on val.

    Args:
        films: one entry for each data rule, train and val.
    """
    if not recipe.statements:
        return built
    import keras

    pooled = keras.Model(built.model.input, built.model.get_layer("pooled").output)
    heads = [_fit(pooled, recipe, rule, films) for rule in recipe.statements]
    kernel, bias = built.model.get_layer("logits").get_weights()
    kernel = np.concatenate([kernel[:, :1], *[slope[:, None] for slope, _ in heads]], axis=1)
    bias = np.concatenate([bias[:1], [intercept for _, intercept in heads]])
    dense = keras.layers.Dense(kernel.shape[1], name="logits")
    model = keras.Model(built.model.input, dense(built.model.layers[-2].output))
    dense.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
    return replace(built, model=model)


def fit_statements(
    val: Sequence[Answer], rules: Sequence[StatementRule], card: ModelCard, seed: int
) -> dict[str, StatementFit]:
    """What val says about each statement: calibration and balanced point; without a known truth it is left out.

    Args:
        val: the exported network's answers, logits of the statements included.
    """
    fits = {}
    for rule in rules:
        told = [a for a in val if a.record.set == rule.set and a.record.value(rule.column) in rule.targets]
        if not told:
            continue
        output = next(question.output for question in card.statements if question.id == rule.id)
        z = np.array([a.logits[output] for a in told], np.float64)
        y = np.array([rule.targets[a.record.value(rule.column)] > 0.5 for a in told])
        patients = np.array([a.record.patient for a in told])
        calibration = fit_calibration(z, y, patients, seed=seed)
        balanced = operating_points(probabilities(z, calibration), y, patients, seed=seed)[1]
        fits[rule.id] = StatementFit(calibration, balanced.threshold, float(y.mean()), y.size)
    return fits


def _fit(pooled: Any, recipe: Recipe, rule: StatementRule, films: Sequence[Films]) -> tuple[Floats, float]:
    """Coefficients and intercept of one statement; training films count as they are and mirrored."""
    part = next(f for f in films if f.records and f.records[0].set == rule.set)
    known = part.take(lambda r: r.value(rule.column) in rule.targets)
    y = np.array([rule.targets[r.value(rule.column)] > 0.5 for r in known.records])
    train = np.array([r.split == "train" for r in known.records])
    x, mirrored = (_features(pooled, grids, recipe) for grids in (known.grids, known.grids[:, :, ::-1]))
    seen, labels = np.concatenate([x[train], mirrored[train]]), np.concatenate([y[train], y[train]])
    fits = [ridge_logistic(seen, labels, ridge) for ridge in _RIDGES]
    reached = [auroc(y[~train], x[~train] @ slope + intercept).value for slope, intercept in fits]
    return fits[int(np.argmax(reached))]


def _features(pooled: Any, grids: Any, recipe: Recipe, batch: int = 32) -> Floats:
    starts = range(0, len(grids), batch)
    rows = [np.asarray(pooled.predict_on_batch(to_input(grids[s : s + batch], recipe.input))) for s in starts]
    return np.asarray(np.concatenate(rows), np.float64)
