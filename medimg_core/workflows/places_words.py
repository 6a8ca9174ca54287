"""What was outlined, boxed and measured in words, for a reader at a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medimg_core.catalog import ModelCard

_UNITS = {"mm2": "mm²", "px2": "px²"}
_IN_PIXELS = "in pixels, because the file states no size of one that can be true (--spacing-mm R,C);"


def places_words(result: Mapping[str, Any], card: ModelCard) -> list[str]:
    """Parts of a sentence on the regions and measurements of one object of `predict`; empty where it has none."""
    if card.places is None:
        return []
    titles = {s.id: s.title for s in card.places.structures}
    boxes = card.places.kind == "boxes"
    verb, score = ("boxed", "chance") if boxes else ("outlined", "expected Dice")
    found = [f"{titles[r['label']].lower()} ({score} {r['score']:.2f})" for r in result["regions"]]
    nothing = "no " + ", no ".join(s.title.lower() for s in card.places.structures)
    said = f"{verb} {', '.join(found)};" if found else f"{verb}: {nothing};"
    measured = measurements_words(result["measurements"])
    pixels = any(m["unit"] in ("px", "px2") for m in result["measurements"])
    counted = pixels and card.places.measure != "fundus"  # on the retina no spacing says what a pixel is
    return [said, *([f"measured {measured};"] if measured else []), *([_IN_PIXELS] if counted else [])]


def measurements_words(measurements: Sequence[Mapping[str, Any]]) -> str:
    """`left ventricle area 3168 mm² (2851–3472)`, joined by commas; without an interval where none is known."""
    return ", ".join(_measurement(m) for m in measurements)


def _measurement(said: Mapping[str, Any]) -> str:
    value, low, high = said["value"], said["low"], said["high"]
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    unit = _UNITS.get(said["unit"], said["unit"])
    known = low is not None and low == low  # a measurement without a known error has no interval
    spread = f" ({low:.{digits}f}–{high:.{digits}f})" if known else ""
    return f"{said['name'].replace('_', ' ')} {value:.{digits}f}{' ' + unit if unit else ''}{spread}"
