"""What a model card says about outlines, boxes and measurements: one by one, with n and interval."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from medimg_core.catalog import PLACES_FLOORS, ModelCard, evaluation
from medimg_core.types import Interval
from medimg_core.ui import quantities
from medimg_core.ui.figures import count
from medimg_core.workflows.find import ErrorFigures, PlaceFigures, place_figures

_METRICS: Mapping[str, str] = {
    "dice": "Dice",
    "ap50": "AP at half overlap",
    "ap_centre": "AP, centre inside",
}
_SENSITIVITY = "sensitivity_at_"
_USE = {True: "fit for use", False: "<b class='warm'>not fit for use</b>"}
_MM2_IN_CM2 = 100.0


def facts(card: ModelCard) -> str:
    """All sections; empty for a model that outlines nothing."""
    if card.places is None:
        return ""
    sets: Mapping[str, Any] = (evaluation(card).get("places") or {}).get("test_sets") or {}
    measured = {key: figures for key in sets if (figures := place_figures(card, key)) is not None}
    boxes = _boxes(card, sets) if card.places.kind == "boxes" else ""
    return _structures(card, measured) + boxes + _errors(measured)


def _use(card: ModelCard) -> Mapping[str, str]:
    """Test set -> whether the outlines or boxes are fit for use there, in words; those of no population are missing."""
    assert card.places is not None
    return {p.test_set: _USE[card.places.fit_in(p.id)] for p in card.populations}


def _structures(card: ModelCard, sets: Mapping[str, PlaceFigures]) -> str:
    """Dice of every structure on every test set, and whether it is enough."""
    assert card.places is not None
    use, floor = _use(card), PLACES_FLOORS["outline"][1]
    titles = {structure.id: structure.title for structure in card.places.structures}
    rows = ""
    for key, figures in sets.items():
        for index, (name, dice) in enumerate(figures.structures.items()):
            mark = "" if index else use.get(key, "")
            low = " class='n warm'" if dice.value < floor else " class='n'"
            where = f"{escape(figures.title)}, {count(dice.n or figures.n)}"
            rows += f"<tr><td>{escape(titles.get(name, name))}<br><span class='q'>{where}</span></td>"
            rows += f"<td{low}>{_spread(dice, 3)}</td><td class='n'>{mark}</td></tr>"
    if not rows:
        return ""
    head = "<tr><th>Structure</th><th class='n'>Dice (95 %)</th><th class='n'>Use</th></tr>"
    said = f"<p>Dice is 1 where two outlines are the same; below {floor:.2f} in the first they are not fit for use.</p>"
    return f"<h2>Outlines, per structure</h2><table>{head}{rows}</table>{said}"


def _boxes(card: ModelCard, sets: Mapping[str, Any]) -> str:
    """Figures of boxes on every test set, whether they are enough, what is shown, and whether the chances are true."""
    use, (headline, floor) = _use(card), PLACES_FLOORS["boxes"]
    rows = ""
    for key, raw in sets.items():
        where = f"<span class='q'>{escape(str(raw['title']))}, {count(int(raw['n']))}</span>"
        for name, figure in (raw.get("metrics") or {}).items():
            low = " class='n warm'" if name == headline and figure["value"] < floor else " class='n'"
            rows += f"<tr><td>{_figure_title(name)}<br>{where}</td><td{low}>{_spread(_read(figure), 2)}</td>"
            rows += f"<td class='n'>{use.get(key, '') if name == headline else ''}</td></tr>"
    if not rows:
        return ""
    head = "<tr><th>Boxes</th><th class='n'>Figure (95 %)</th><th class='n'>Use</th></tr>"
    said = f"<p>AP: average precision over all chances; below {floor:.2f} at half overlap boxes are not fit for use. "
    said += "Sensitivity: findings with a box’s centre inside, at so many false boxes an image.</p>"
    shown = "".join(_shown(raw) for raw in sets.values())
    return f"<h2>Boxes</h2><table>{head}{rows}</table>{said}{shown}{_among(sets)}"


def _figure_title(name: str) -> str:
    if name.startswith(_SENSITIVITY):
        return f"Sensitivity at {float(name.removeprefix(_SENSITIVITY)):g} false boxes an image"
    return escape(_METRICS.get(name, name.replace("_", " ")))


def _shown(raw: Mapping[str, Any]) -> str:
    """What a reader sees by default, and the calibration of the chances."""
    title, shown, chances = escape(str(raw["title"])), raw.get("shown") or {}, raw.get("calibration") or {}
    parts = [
        f"{words} {_of_100(shown[name])}"
        for name, words in (
            ("found", "of 100 findings a box is shown on"),
            ("shown_boxes_true", "of 100 boxes shown are true"),
            ("films_without_finding_marked", "of 100 images without a finding a box is shown on"),
        )
        if shown.get(name)
    ]
    said = f"<p>{title}: {'; '.join(parts)}.</p>" if parts else ""
    if chances.get("ece"):
        said += f"<p>{title}: chances are off by {_spread(_read(chances['ece']), 3)} on average; by luck alone up to "
        said += f"{float(chances['ece_null_95']):.3f}.</p>"
    return said


def _among(sets: Mapping[str, Any]) -> str:
    """Average precision among some of the images."""
    rows = "".join(
        f"<tr><td>{escape(str(raw['title']))}: {escape(str(group['name']))}, {count(int(group['n']))}</td>"
        f"<td class='n'>{_spread(_read(group['ap50']), 2)}</td></tr>"
        for raw in sets.values()
        for group in raw.get("subgroups") or ()
        if group.get("ap50")
    )
    head = "<tr><th>Boxes among</th><th class='n'>AP at half overlap (95 %)</th></tr>"
    return f"<table>{head}{rows}</table>" if rows else ""


def _read(raw: Mapping[str, Any]) -> Interval:
    return Interval(float(raw["value"]), float(raw["low"]), float(raw["high"]))


def _of_100(raw: Mapping[str, Any]) -> str:
    share = _read(raw)
    return f"{share.value * 100:.0f} ({share.low * 100:.0f}–{share.high * 100:.0f})"


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
