"""The files of a model folder beside its card: hashes, measured figures, networks checked against their hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medimg_core.errors import ModelUnavailable

if TYPE_CHECKING:
    from medimg_core.catalog.card import ModelCard


def hashes(card: ModelCard) -> Mapping[str, str]:
    """`hashes.json`: file name -> sha256 in hex."""
    return _read_json(card.folder / "hashes.json")


def evaluation(card: ModelCard) -> Mapping[str, Any]:
    """`evaluation.json` as written by `training.export`; `docs/evaluation.md` describes it."""
    return _read_json(card.folder / "evaluation.json")


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        return _json(path, path.stat().st_mtime_ns)
    except (OSError, json.JSONDecodeError) as error:
        raise ModelUnavailable(
            f"The file {path.name} of the model {path.parent.name!r} is missing or damaged.",
            "Restore the folder from the release, or export the model again.",
        ) from error


@lru_cache(maxsize=16)
def _json(path: Path, changed_ns: int) -> Mapping[str, Any]:
    del changed_ns
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def read_verified(card: ModelCard, file: str) -> bytes:
    """The bytes of one of the model's files, checked against `hashes.json`.

    Raises:
        ModelUnavailable: the file is missing or is not the one that was exported.
    """
    try:
        content = (card.folder / file).read_bytes()
    except OSError as error:
        raise ModelUnavailable(
            f"The model {card.name!r} lacks its file {file}.", "Restore the folder from the release."
        ) from error
    if hashlib.sha256(content).hexdigest() != hashes(card).get(file):
        raise ModelUnavailable(
            f"The file {file} of the model {card.name!r} is not the one that was released.",
            "Restore the folder from the release; do not use a changed network on patients.",
        )
    return content


def write_hashes(folder: Path) -> None:
    """Write `hashes.json` for every file of a model folder; the last step of an export."""
    table = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "hashes.json"
    }
    (folder / "hashes.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
