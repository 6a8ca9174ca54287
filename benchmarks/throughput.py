"""`evaluate` on decoded films against bare preparation and interpreter in two threads: at least 0.8 is asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from benchmarks.inputs import film, shipped_model
from benchmarks.rows import Row, median_ms
from medimg_core.imaging import prepare
from medimg_core.inference import predict_batch, runtime_for
from medimg_core.inference.gate import check

TOPIC = "throughput, 64 decoded films of 512 x 512"


def rows() -> list[Row]:
    card = shipped_model()
    films = [film(512, seed) for seed in range(64)]
    runtime = runtime_for(card, "litert")

    def bare(gated: bool) -> None:
        def one(image):  # type: ignore[no-untyped-def]
            if gated:
                check(image, card)
            runtime.predict(prepare(image, card.input)[0])

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(one, films))

    assert not any(answer.prediction.refused for answer in predict_batch(films, card))
    batch = median_ms(lambda: list(predict_batch(films, card)), runs=5, warm=1)
    alone = median_ms(lambda: bare(False), runs=5, warm=1)
    gated = median_ms(lambda: bare(True), runs=5, warm=1)
    return [
        Row(TOPIC, "batch prediction", batch, "ms", "preparation and interpreter", alone),
        Row(TOPIC, "batch prediction", batch, "ms", "the same with the input check", gated),
    ]
