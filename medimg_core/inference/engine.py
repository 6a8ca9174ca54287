"""Which engine runs a network: LiteRT on a CPU, Keras where there is a GPU. Decided without importing either."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from medimg_core.errors import BadRequest

Engine = Literal["litert", "keras"]
ENGINES: tuple[Engine, ...] = ("litert", "keras")

_NVIDIA = Path("/proc/driver/nvidia/gpus")


def gpu_visible(environment: Mapping[str, str] = os.environ, driver: Path = _NVIDIA) -> bool:
    """Whether the NVIDIA driver lists a device that `CUDA_VISIBLE_DEVICES` does not hide."""
    hidden = environment.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1")
    return not hidden and driver.is_dir() and any(driver.iterdir())


def choose_engine(wanted: str = "auto") -> Engine:
    """The engine for a request.

    Args:
        wanted: `litert`, `keras`, or `auto`, which follows the variable `MEDIMG_ENGINE` and then the machine: Keras
            where a GPU is visible and TensorFlow is installed, otherwise LiteRT.

    Raises:
        BadRequest: an unknown engine, or Keras without TensorFlow.
    """
    asked = os.environ.get("MEDIMG_ENGINE", "auto") if wanted == "auto" else wanted
    if asked == "auto":
        return "keras" if gpu_visible() and has_tensorflow() else "litert"
    for engine in ENGINES:
        if asked == engine:
            if engine == "keras" and not has_tensorflow():
                raise BadRequest(
                    "The engine keras needs TensorFlow, which is not installed.",
                    "Install it with `make setup`, or use the engine litert.",
                )
            return engine
    raise BadRequest(f"There is no engine named {asked!r}.", f"Engines: auto, {', '.join(ENGINES)}.")


def has_tensorflow() -> bool:
    """Whether TensorFlow is installed; looks for it without loading it."""
    return find_spec("tensorflow") is not None
