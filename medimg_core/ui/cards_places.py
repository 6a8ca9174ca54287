"""What a model card says about outlines, boxes and measurements: one by one, with n and interval."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from medimg_core.catalog import ModelCard, evaluation
from medimg_core.types import Interval
from medimg_core.ui import quantities
from medimg_core.ui.figures import count
from medimg_core.workflows.find import ErrorFigures, PlaceFigures, place_figures

DICE_FLOOR = 0.70
"""Dice of its first structure below which a model that outlines is not fit for use."""

_METRICS: Mapping[str, str] = {
    "dice": "Dice",
    "ap50": "AP at half overlap",
    "ap_centre": "AP, centre inside",
}
_USE = {True: "fit for use", False: "<b class='warm'>not fit for use</b>"}
_MM2_IN_CM2 = 100.0


def facts(card: ModelCard) -> str:
    """All sections; empty for a model that outlines nothing."""
    if card.places is None:
        return ""
    sets: Mapping[str, Any] = (evaluation(card).get("places") or {}).get("test_sets") or {}
    measured = {key: figures for key in sets if (figures := place_figures(card, key)) is not None}
    boxes = "".join(_metrics(str(raw["title"]), raw) for raw in sets.values()) if card.places.kind == "boxes" else ""
    return _structures(card, measured) + boxes + _errors(measured)


def _structures(card: ModelCard, sets: Mapping[str, PlaceFigures]) -> str:
    """Dice of every structure on every test set, and whether it is enough."""
    assert card.places is not None
    fit = {population.test_set: population.fit_for_use for population in card.populations}
    titles = {structure.id: structure.title for structure in card.places.structures}
    rows = ""
    for key, figures in sets.items():
        for index, (name, dice) in enumerate(figures.structures.items()):
            mark = "" if index or key not in fit else _USE[fit[key]]
            low = " class='n warm'" if dice.value < DICE_FLOOR else " class='n'"
            where = f"{escape(figures.title)}, {count(dice.n or figures.n)}"
            rows += f"<tr><td>{escape(titles.get(name, name))}<br><span class='q'>{where}</span></td>"
            rows += f"<td{low}>{_spread(dice, 3)}</td><td class='n'>{mark}</td></tr>"
    if not rows:
        return ""
    head = "<tr><th>Structure</th><th class='n'>Dice (95 %)</th><th class='n'>Use</th></tr>"
    said = f"<p>Dice is 1 where two outlines are the same; below {DICE_FLOOR:.2f} a model is not fit for use.</p>"
    return f"<h2>Outlines, per structure</h2><table>{head}{rows}</table>{said}"


def _metrics(title: str, raw: Mapping[str, Any]) -> str:
    """Figures of boxes, as they were measured."""
    rows = "".join(
        f"<tr><td>{escape(_METRICS.get(name, name.replace('_', ' ')))}: {escape(title)}, {count(int(raw['n']))}</td>"
        f"<td class='n'>{_spread(Interval(figure['value'], figure['low'], figure['high']), 2)}</td></tr>"
        for name, figure in (raw.get("metrics") or {}).items()
        if isinstance(figure, Mapping) and {"value", "low", "high"} <= set(figure)
    )
    head = "<tr><th>Boxes</th><th class='n'>Figure (95 %)</th></tr>"
    return f"<h2>Boxes</h2><table>{head}{rows}</table>" if rows else ""


def _errors(sets: Mapping[str, PlaceFigures]) -> str:
    """How far measurements were from the truth (Bland and Altman)."""
    rows = "".join(
        f"<tr><td>{escape(quantities.title(name))}<br><span class='q'>{escape(figures.title)}, {count(error.n)}</span>"
        f"</td>{_error(error)}</tr>"
        for figures in sets.values()
        for name, error in figures.errors.items()
    )
    if not rows:
        return ""
    head = "<tr><th>Measured less true</th><th class='n'>Mean error (95 %)</th><th class='n'>95 % of errors</th>"
    head += "<th class='n'>Off by, mean</th></tr>"
    said = "<p>95 % of errors: limits of agreement (Bland and Altman). Off by: mean without the sign.</p>"
    return f"<h2>Measurements</h2><table>{head}{rows}</table>{said}"


def _error(error: ErrorFigures) -> str:
    shrink, unit, digits = _unit(error)
    bias, lower, upper, mae = (_scaled(one, shrink) for one in (error.bias, error.lower, error.upper, error.mae))
    between = f"{_number(lower.value, digits)} to {_number(upper.value, digits)}"
    return (
        f"<td class='n'>{_spread(bias, digits)}</td><td class='n'>{between}</td>"
        f"<td class='n'>{_number(mae.value, digits)}{unit}</td>"
    )


def _unit(error: ErrorFigures) -> tuple[float, str, int]:
    """Factor, unit and decimals that a reader would use."""
    if error.unit == "mm2" and error.mae.value >= _MM2_IN_CM2:
        return 1 / _MM2_IN_CM2, " cm²", 1
    spelled = {"mm2": " mm²", "%": " points", "": ""}.get(error.unit, f" {error.unit}")
    return 1.0, spelled, 2 if error.mae.value < 1 else 1


def _scaled(one: Interval, factor: float) -> Interval:
    return Interval(one.value * factor, one.low * factor, one.high * factor, one.n)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def _spread(one: Interval, digits: int) -> str:
    value, low, high = (_number(end, digits) for end in (one.value, one.low, one.high))
    between = f"{low}–{high}" if one.low >= 0 else f"{low} to {high}"
    return f"{value}<small>{between}</small>"
