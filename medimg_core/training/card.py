"""What a training leaves beside the network: `card.toml`, `evaluation.json` and their provenance."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from medimg_core.catalog import Calibration, Population, StatementFit
from medimg_core.training.architectures import Built
from medimg_core.training.calibrate import Fitted
from medimg_core.training.data import Record, data_hash
from medimg_core.training.recipe import Recipe
from medimg_core.types import OperatingPoint

_PACKAGES = ("keras", "tensorflow", "numpy", "opencv-python", "ai-edge-litert")

UNFITTED = Fitted(
    Calibration(), tuple(OperatingPoint(name, 0.5) for name in ("rule_out", "balanced", "rule_in")), {}, 0.5, 0
)
"""Stands on the card between the export and the calibration, while the exported network is asked about val."""


def population(
    rule: Mapping[str, Any],
    fitted: Fitted,
    fit_for_use: bool,
    statements: Mapping[str, StatementFit] | None = None,
) -> Population:
    """A population of the card from its rule in the recipe (`[[card.populations]]`) and what val says."""
    return Population(
        id=rule["id"],
        title=rule["title"],
        test_set=rule["id"],
        calibration=fitted.calibration,
        operating_points=fitted.operating_points,
        conformal=fitted.conformal,
        prevalence=round(fitted.prevalence, 4),
        fit_for_use=fit_for_use,
        age_min=rule.get("age_min"),
        age_max=rule.get("age_max"),
        views=tuple(rule.get("views", ())),
        steps=fitted.steps,
        statements=dict(statements or {}),
    )


def write_card(
    folder: Path, recipe: Recipe, built: Built, populations: Sequence[Population], places: Mapping[str, Any]
) -> None:
    """Write `card.toml`: the recipe's words, the network's input, and what was fitted on val.

    Args:
        places: what a second network of the folder says of itself (`training.places.beside`).
    """
    words = dict(recipe.card)
    text = words.pop("text")
    for rule in ("populations", "pooled", "tests", "subgroups", "shortcuts"):
        words.pop(rule, None)
    card = {
        "positive": 1,
        **words,
        "outputs": max([recipe.outputs, *(1 + s["output"] for s in words.get("statements", ()))]),
        "cam_layer": built.cam_layer,
        "head": built.head,
        "input": asdict(recipe.input),
        "populations": [population_table(p) for p in populations],
        "text": text,
        **places,
    }
    (folder / "card.toml").write_text(to_toml(card), encoding="utf-8")


def population_table(p: Population) -> dict[str, Any]:
    """A population as `card.toml` holds it."""
    table = {name: getattr(p, name) for name in ("id", "title", "test_set", "prevalence", "fit_for_use")}
    table |= {name: value for name in ("age_min", "age_max") if (value := getattr(p, name)) is not None}
    return table | {
        "views": list(p.views),
        "conformal": {k: round(v, 6) for k, v in p.conformal.items()},
        "operating_points": {point.name: point.threshold for point in p.operating_points},
        "calibration": _calibration_table(p.calibration),
        "steps": [_calibration_table(step) for step in p.steps],
        "statements": {
            name: {
                "threshold": fit.threshold,
                "prevalence": round(fit.prevalence, 4),
                "n": fit.n,
                "calibration": _calibration_table(fit.calibration),
            }
            for name, fit in p.statements.items()
        },
    }


def _calibration_table(calibration: Calibration) -> dict[str, Any]:
    return {
        "temperature": calibration.temperature,
        "shift": calibration.shift,
        "draws": [list(draw) for draw in calibration.draws],
    }


def to_toml(table: Mapping[str, Any]) -> str:
    """A table of strings, numbers, booleans, lists and tables as TOML; None is left out."""
    return "\n".join(_lines(table, "")) + "\n"


def _lines(table: Mapping[str, Any], prefix: str) -> Iterator[str]:
    inner: list[tuple[str, str, Mapping[str, Any]]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            inner.append((f"[{prefix}{key}]", f"{prefix}{key}.", value))
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            inner += [(f"[[{prefix}{key}]]", f"{prefix}{key}.", item) for item in value]
        elif value is not None:
            yield f"{key} = {_scalar(value)}"
    for header, deeper, content in inner:
        yield ""
        yield header
        yield from _lines(content, deeper)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_scalar(item) for item in value)}]"
    # A JSON string is a TOML basic string, and a JSON number a TOML number.
    return json.dumps(value, ensure_ascii=False)


class Named(Protocol):
    """Any recipe: its name, and the words of its card."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def card(self) -> Mapping[str, Any]:
        """The table `card`."""
        ...


def provenance(recipe: Named, groups: Mapping[str, Sequence[Record]], seconds: float) -> dict[str, Any]:
    """Where a model comes from: `docs/evaluation.md`, first rows.

    Args:
        groups: split -> the films that trained, chose or tested.
        seconds: duration of the training.
    """
    return {
        "schema": 1,
        "model": recipe.name,
        "version": recipe.card["version"],
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": f"python -m medimg_core train recipes/{recipe.name}.toml --data DATA --out models/{recipe.name}",
        "commit": _commit(),
        "code_hash": _code_hash(),
        "versions": {"python": platform.python_version()} | {name: v for name in _PACKAGES if (v := _version(name))},
        "training_seconds": round(seconds),
        "data": [_data_row(group, split) for split, records in groups.items() for group in _by_set(records)],
    }


def _by_set(records: Sequence[Record]) -> list[list[Record]]:
    return [[r for r in records if r.set == name] for name in sorted({r.set for r in records})]


def _data_row(records: Sequence[Record], split: str) -> dict[str, Any]:
    return {
        "set": records[0].set,
        "split": split,
        "n": len(records),
        "patients": len({r.patient for r in records}),
        "hash": data_hash(records),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _commit() -> str:
    """The commit of the checkout; empty outside one."""
    here = Path(__file__).resolve().parent
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def _code_hash() -> str:
    """sha256 of the code that decides what a network sees and learns."""
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted([*package.glob("imaging/*.py"), *package.glob("training/*.py")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def write_evaluation(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `evaluation.json`."""
    (folder / "evaluation.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
