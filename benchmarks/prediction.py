"""One warm prediction, and prediction with its class activation map, for each engine on the same input."""

from __future__ import annotations

import numpy as np

from benchmarks.inputs import film, shipped_model
from benchmarks.rows import Row, median_ms
from medimg_core.explain import method, target_weights
from medimg_core.explain.registry import Query
from medimg_core.imaging import prepare
from medimg_core.inference import predict, runtime_for

TOPIC = "prediction, warm, one film"


def rows() -> list[Row]:
    card = shipped_model()
    image = film()
    x, geometry = prepare(image, card.input)
    lite, keras = runtime_for(card, "litert"), runtime_for(card, "keras")
    cam = method("cam").function
    weights = target_weights(card, card.class_ids[card.positive])

    def with_map() -> np.ndarray:
        return cam(Query(lite, x, weights, forward=lite.predict(x)))

    alone = median_ms(lambda: lite.predict(x), runs=60)
    mapped = median_ms(with_map, runs=60)
    grid = with_map()
    return [
        Row(TOPIC, "LiteRT", alone, "ms", "tf.function", median_ms(lambda: keras.predict(x))),
        Row(TOPIC, "LiteRT", alone, "ms", "model.predict", median_ms(_model_predict(card.folder, x))),
        Row(TOPIC, "LiteRT with class activation map", mapped, "ms", "LiteRT alone", alone),
        Row(TOPIC, "raising the map to 1024 x 1024", median_ms(lambda: geometry.raise_map(grid))),
        Row(TOPIC, "preparation of 1024 x 1024", median_ms(lambda: prepare(image, card.input))),
        Row(TOPIC, "gate, preparation, network, calibration", median_ms(lambda: predict(image, card))),
    ]


def _model_predict(folder, x):  # type: ignore[no-untyped-def]
    import keras

    model = keras.saving.load_model(folder / "model.keras")
    return lambda: model.predict(x[None], verbose=0)
