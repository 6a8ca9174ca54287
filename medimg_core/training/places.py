"""What trainings of outlines and of boxes share: the folder they write, the mark, the cost, what a new answer keeps.

A network that only places may stand beside one that answers (`beside`). Each is trained by itself and leaves the files,
the table of the card and the figures of the other as they are.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medimg_core.catalog import PLACES_FLOORS, read_card
from medimg_core.errors import ModelUnavailable
from medimg_core.types import FloatArray

_CALLS = 20


def staged(out: Path, beside: bool) -> Path:
    """A new folder to write into, beside the router, which the input check asks; with `beside` a copy of `out`."""
    folder = out.parent / f".{out.name}.new"
    shutil.rmtree(folder, ignore_errors=True)
    if beside:
        shutil.copytree(out, folder)
    return folder


def check_beside(out: Path) -> None:
    """Refuse a folder that holds no model to stand beside, before hours of work.

    Raises:
        ModelUnavailable: there is none that answers.
    """
    if not (out / "card.toml").is_file() or not read_card(out).answers:
        raise ModelUnavailable(
            f"There is no model {out.name!r} that answers, and the recipe trains what stands beside one.",
            "Train the model that answers first, or correct --out.",
        )


def installed(folder: Path, out: Path) -> None:
    """Put a staged folder in the place of `out`."""
    shutil.rmtree(out, ignore_errors=True)
    folder.rename(out)


def reaches_floor(kind: str, test_set: Mapping[str, Any] | None) -> bool:
    """Whether places of a kind are fit for use, by the figures of a population's test set; None was not measured."""
    figure, floor = PLACES_FLOORS[kind]
    told = (test_set or {}).get("metrics", {}).get(figure)
    return told is not None and told["value"] >= floor


def cost(parameters: int, folder: Path, network: str, x: FloatArray) -> dict[str, float]:
    """Sizes of a network's files, and the median of 20 timed calls on this machine."""
    from medimg_core.inference.litert import LiteRTRuntime

    runtime = LiteRTRuntime(read_card(folder), network)
    times = []
    for _ in range(_CALLS):
        start = time.perf_counter()
        runtime.predict(x)
        times.append(time.perf_counter() - start)
    return {
        "parameters": parameters,
        "tflite_bytes": (folder / f"{network}.tflite").stat().st_size,
        "keras_bytes": (folder / f"{network}.keras").stat().st_size,
        "predict_ms": round(statistics.median(times) * 1000, 3),
    }


def beside(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The table `places` of a folder's card and the key `places` of its figures, where a network of its own places.

    Empty where there is none, and where the network that answers does both: a new one then places by itself. Boxes
    whose score leans on the answer (`answer_weight`) were measured with the answer that is about to go: they are not
    fit for use until they are trained anew.
    """
    try:
        card = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
        figures = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}, {}
    table = card.get("places", {})
    if table.get("network", "model") == "model":
        return {}, {}
    if table.get("answer_weight"):
        table = {**table, "fit_for_use": {}}
    return {"places": table}, {"places": figures["places"]} if "places" in figures else {}
