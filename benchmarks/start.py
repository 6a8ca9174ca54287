"""From the start of a process to the first answer, the operating system's cost of starting included."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.inputs import DEMO, shipped_model
from benchmarks.rows import Row, median_ms

TOPIC = "start of a process"


def rows() -> list[Row]:
    card = shipped_model()
    predict = ["-m", "medimg_core", "predict", "--model", card.name, "--json", str(DEMO)]
    keras = ["-c", f"import keras; keras.saving.load_model({str(card.folder / 'model.keras')!r})"]
    ours = median_ms(lambda: _run(predict), runs=5, warm=1)
    theirs = median_ms(lambda: _run(keras), runs=3, warm=1)
    bare = median_ms(lambda: _run(["-c", "pass"]), runs=5, warm=1)
    return [
        Row(TOPIC, "predict, from start to first answer", ours, "ms", "importing Keras, loading the network", theirs),
        Row(TOPIC, "an empty Python process", bare),
    ]


def _run(arguments: list[str]) -> None:
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
