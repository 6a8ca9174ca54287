"""Every map against tf-keras-vis, in the same run and on the same input: `python -m benchmarks.saliency [MODEL]`.

Both sides are warm and compute the map on the model's grid; they take turns, so that a busy machine slows both. What
counts is the ratio. Integrated gradients, which tf-keras-vis lacks, stand against two plain ways to write them in
Keras: one pass a step, as the Keras guide does, and all steps in one batch.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.rows import Row, table
from medimg_core import catalog, explain
from medimg_core.catalog import ModelCard
from medimg_core.explain import engine_tf_keras_vis as reference
from medimg_core.explain.gradients import STEPS, black
from medimg_core.explain.registry import Query
from medimg_core.imaging import Geometry, prepare
from medimg_core.inference import Runtime, runtime_for
from medimg_core.types import FloatArray, Image

TOPIC = "maps against tf-keras-vis"
ASKED = {"gradcam": 15, "smoothgrad": 5, "integrated_gradients": 5}
"""Ratios that are asked for."""
REPEATS = {"scorecam": 1, "smoothgrad": 3}


def drawn_film(side: int = 1000) -> Image:
    """A smooth drawn film; its content does not matter for the time."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    lungs = sum(np.exp(-(((columns - c) / 0.15) ** 2 + ((rows - 0.5) / 0.3) ** 2)) for c in (0.3, 0.7))
    grain = np.random.default_rng(0).normal(0, 6, (side, side))
    return Image(np.clip(190 - 130 * lungs + grain, 0, 255).astype(np.float32), "MONOCHROME2", digest="drawn")


def take_turns(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each call; one call of each before the clock starts."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - started) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def keras_integrated_gradients(card: ModelCard, query: Query, batched: bool) -> np.ndarray:
    """Integrated gradients in plain Keras with TensorFlow."""
    import tensorflow as tf

    model = reference.keras_model(card)
    start = black(query.x, card.input)
    shares = ((np.arange(STEPS) + 0.5) / STEPS).astype(np.float32)[:, None, None, None]
    points = start + shares * (query.x - start)
    total = np.zeros_like(query.x)
    for part in [points] if batched else points[:, None]:
        inputs = tf.constant(part)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            score = tf.reduce_sum(model([inputs], training=False) * query.weights)
        total += np.asarray(tape.gradient(score, inputs)).sum(axis=0)
    return ((query.x - start) * total / STEPS).sum(axis=-1)


def rows(model: str | None = None) -> list[Row]:
    """One row a method and comparison; a ratio above 1 means that ours is faster."""
    card = catalog.open_model(model) if model else _first_model()
    x, geometry = prepare(drawn_film(), card.input)
    runtime = runtime_for(card)
    weights = explain.target_weights(card, card.class_ids[card.positive])
    query = Query(runtime, x, weights)
    own = {m.name: lambda m=m: m.function(query) for m in explain.available(card)}
    found = []
    for name in reference.METHODS:
        call = reference.visualiser(name, card)
        pair = {"ours": own[name], "theirs": lambda call=call: call(weights, x[None])}
        found.append(_row(name, take_turns(pair, REPEATS.get(name, 15)), "tf-keras-vis"))
    for other, batched in (("Keras, one pass a step", False), ("Keras, one batch", True)):
        pair = {
            "ours": own["integrated_gradients"],
            "theirs": lambda batched=batched: keras_integrated_gradients(card, query, batched),
        }
        found.append(_row("integrated_gradients", take_turns(pair, 3), other))
    found.append(Row(TOPIC, "occlusion", take_turns({"ours": own["occlusion"]}, 3)["ours"]))
    return [*found, *_beside_the_prediction(runtime, x, weights, geometry)]


def _first_model() -> ModelCard:
    """The first model that is no baseline."""
    return next(card for card in catalog.list_models() if not card.baseline and card.task != "gate")


def _beside_the_prediction(runtime: Runtime, x: FloatArray, weights: FloatArray, geometry: Geometry) -> list[Row]:
    """What Grad-CAM adds to a prediction: the map itself, and raising it to the film's grid."""

    def both() -> FloatArray:
        return explain.method("gradcam").function(Query(runtime, x, weights, forward=runtime.predict(x)))

    grid = both()
    calls = {"predict": lambda: runtime.predict(x), "both": both, "raise": lambda: geometry.raise_map(grid)}
    found = take_turns(calls, 200)
    size = " x ".join(str(n) for n in geometry.source)
    return [
        Row(TOPIC, "prediction and gradcam (asked: 0.83 x)", found["both"], "ms", "prediction", found["predict"]),
        Row(TOPIC, f"raise a map to {size}", found["raise"]),
    ]


def _row(name: str, times: dict[str, float], reference: str) -> Row:
    asked = f" (asked: {ASKED[name]} x)" if name in ASKED else ""
    return Row(TOPIC, name + asked, times["ours"], "ms", reference, times["theirs"])


if __name__ == "__main__":
    print(table(rows(*sys.argv[1:2])))
