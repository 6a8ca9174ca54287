"""Resident memory of a fresh process after a diagnosis with its map, against one that has loaded Keras."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.inputs import shipped_model
from benchmarks.rows import Row

TOPIC = "resident memory of a process"

DIAGNOSIS = """
import psutil, streamlit
from benchmarks.inputs import film
from medimg_core.workflows.diagnose import diagnose
assert diagnose(film()).map is not None
assert 'tensorflow' not in __import__('sys').modules
print(psutil.Process().memory_info().rss / 2**20)
"""
KERAS = """
import psutil, keras
model = keras.saving.load_model(FOLDER)
model.predict(__import__('numpy').zeros((1, *model.input_shape[1:]), 'float32'), verbose=0)
print(psutil.Process().memory_info().rss / 2**20)
"""


def rows() -> list[Row]:
    folder = repr(str(shipped_model().folder / "model.keras"))
    ours, theirs = _megabytes(DIAGNOSIS), _megabytes(KERAS.replace("FOLDER", folder))
    return [Row(TOPIC, "Streamlit imported, diagnosis with map", ours, "MiB", "Keras, one prediction", theirs)]


def _megabytes(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.strip().splitlines()[-1])
