"""Is this installation whole? What the health route answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType

from medimg_core import catalog
from medimg_core.errors import MedImgError, ModelUnavailable
from medimg_core.inference.engine import choose_engine, gpu_visible, has_tensorflow
from medimg_core.inference.pool import POOL

_PACKAGES = ("ai-edge-litert", "numpy", "opencv-python", "pydicom", "tensorflow", "keras", "streamlit")


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """One model folder; `fault` is a sentence, empty where the folder is intact."""

    name: str
    version: str
    hash: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """State of the installation; holds nothing about any image.

    Attributes:
        ok: every model is intact and there is at least one.
        engine: what `auto` means here.
        gpu: whether a GPU is visible.
        tensorflow: whether TensorFlow is installed (not: loaded).
        versions: package -> version of what is installed.
        models: every folder of the models folder.
        loaded, loaded_bytes: networks in memory.
    """

    ok: bool
    engine: str
    gpu: bool
    tensorflow: bool
    versions: Mapping[str, str]
    models: tuple[ModelHealth, ...]
    loaded: tuple[str, ...]
    loaded_bytes: int


def health(folder: Path | None = None) -> Health:
    """Check versions, engine and every file of every model against its hash; files that did not change are not read."""
    base = folder or catalog.models_folder()
    models = tuple(_model(path.parent) for path in sorted(base.glob("*/card.toml")))
    return Health(
        ok=bool(models) and not any(model.fault for model in models),
        engine=choose_engine(),
        gpu=gpu_visible(),
        tensorflow=has_tensorflow(),
        versions=_versions(),
        models=models,
        loaded=POOL.names(),
        loaded_bytes=POOL.nbytes,
    )


def _model(folder: Path) -> ModelHealth:
    try:
        card = catalog.read_card(folder)
        stamps = tuple(sorted((p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in folder.iterdir()))
        fault = _fault(folder, stamps)
        return ModelHealth(card.name, card.version, card.ref.hash, fault)
    except (MedImgError, OSError, KeyError) as error:
        cause = error.cause if isinstance(error, MedImgError) else "The folder cannot be read."
        return ModelHealth(folder.name, "", "", cause)


@lru_cache(maxsize=64)
def _fault(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> str:
    del stamps  # part of the key only: a folder that changed is checked again
    card = catalog.read_card(folder)
    try:
        for file in catalog.hashes(card):
            catalog.read_verified(card, file)
    except ModelUnavailable as error:
        return error.cause
    return ""


@lru_cache(maxsize=1)
def _versions() -> Mapping[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return MappingProxyType(found)
