"""From `card.toml` to a `ModelCard`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from medimg_core.catalog.card import (
    Calibration,
    ModelCard,
    ModelClass,
    PlacesCard,
    Population,
    SeriesCard,
    StatementCard,
    StatementFit,
    Structure,
    TruthRule,
)
from medimg_core.errors import ModelUnavailable
from medimg_core.types import InputSpec, OperatingPoint, Window


@lru_cache(maxsize=64)
def _read_toml(path: Path, changed_ns: int) -> dict[str, Any]:
    del changed_ns  # part of the key only: a card that changed on disk is read again
    return tomllib.loads(path.read_text(encoding="utf-8"))


def read_card(folder: Path) -> ModelCard:
    """Read `card.toml`.

    Raises:
        ModelUnavailable: the card is missing, is no TOML, or lacks a field.
    """
    path = folder / "card.toml"
    try:
        raw = _read_toml(path, path.stat().st_mtime_ns)
        return _card(folder, raw)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(
            f"The card of the model {folder.name!r} cannot be used ({type(error).__name__}: {error}).",
            "Restore the folder from the release, or export the model again.",
        ) from error


def _card(folder: Path, raw: dict[str, Any]) -> ModelCard:
    spec = _input(raw["input"])
    return ModelCard(
        name=folder.name,
        folder=folder,
        version=raw["version"],
        title=raw["title"],
        task=raw["task"],
        modality=raw["modality"],
        baseline=raw.get("baseline", False),
        second_opinion=raw.get("second_opinion"),
        classes=tuple(ModelClass(**c) for c in (raw["classes"] if "places" not in raw else raw.get("classes", ()))),
        positive=raw["positive"] if raw.get("classes") else 0,
        outputs=raw["outputs"] if raw.get("classes") else 0,
        input=spec,
        cam_layer=raw["cam_layer"],
        head=raw["head"],
        gate=raw.get("gate"),
        licence=raw["licence"],
        populations=tuple(_population(p, bool(raw.get("classes"))) for p in raw["populations"]),
        default_population=raw["default_population"],
        label_map=raw.get("label_map", {}),
        text=raw["text"],
        takes=tuple(raw.get("takes", ())),
        statements=tuple(StatementCard(**{**s, "of": tuple(s.get("of", ()))}) for s in raw.get("statements", ())),
        places=_places(raw["places"], spec) if "places" in raw else None,
        series=_series(raw["series"]) if "series" in raw else None,
    )


def _input(raw: Mapping[str, Any]) -> InputSpec:
    window = {"window": Window(**raw["window"])} if "window" in raw else {}
    return InputSpec(**{**raw, **window})


def _places(raw: Mapping[str, Any], own: InputSpec) -> PlacesCard:
    """The table `places`; without an input of its own it takes the card's."""
    structures = tuple(_structure(s) for s in raw["structures"])
    spec = _input(raw["input"]) if "input" in raw else own
    return PlacesCard(**{**raw, "structures": structures, "input": spec})


def _structure(raw: Mapping[str, Any]) -> Structure:
    quality = tuple(raw.get("quality", (0.0, 1.0)))
    return Structure(**{**raw, "of": tuple(raw.get("of", ())), "quality": quality, "truth": _truth(raw)})


def _truth(raw: Mapping[str, Any]) -> TruthRule:
    table = raw.get("truth", {})
    where = {column: tuple(values) for column, values in table.get("where", {}).items()}
    lists = {name: tuple(table[name]) for name in ("values", "sideless") if name in table}
    return TruthRule(**{**table, **lists, "where": where})


_POINTS: tuple[Literal["rule_out", "balanced", "rule_in"], ...] = ("rule_out", "balanced", "rule_in")
_NO_ANSWER: Mapping[str, Any] = {
    "operating_points": {},
    "calibration": {"temperature": 1.0, "shift": 0.0, "draws": ()},
    "conformal": {},
    "prevalence": 0.0,
}


def _population(raw: dict[str, Any], answers: bool) -> Population:
    """A population; a model that says nothing of the image as a whole needs no calibration and no operating points."""
    fields = dict(raw) if answers else {**_NO_ANSWER, **raw}
    points = fields.pop("operating_points")
    statements = {
        name: StatementFit(**{**fit, "calibration": _calibration(fit["calibration"])})
        for name, fit in fields.pop("statements", {}).items()
    }
    return Population(
        calibration=_calibration(fields.pop("calibration")),
        steps=tuple(_calibration(step) for step in fields.pop("steps", ())),
        statements=statements,
        operating_points=tuple(OperatingPoint(n, points[n]) for n in _POINTS if answers or n in points),
        views=tuple(fields.pop("views", ())),
        **fields,
    )


def _series(raw: Mapping[str, Any]) -> SeriesCard:
    fewest, most = raw["slices"]
    return SeriesCard(**{**raw, "calibration": _calibration(raw["calibration"]), "slices": (fewest, most)})


def _calibration(raw: Mapping[str, Any]) -> Calibration:
    return Calibration(raw["temperature"], raw["shift"], tuple((t, s) for t, s in raw["draws"]))
