"""A model card as a doctor reads it: what it is for, on whom it was measured, how often it is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from medimg_core.catalog import ModelCard, evaluation, hashes
from medimg_core.types import Interval
from medimg_core.ui.figures import count, interval

_LICENCES = {
    "open": "open",
    "unverified": "unverified: check before any use beyond testing",
    "non-commercial": "non-commercial",
    "research-only": "research only",
}


def caption(card: ModelCard) -> str:
    """The line below a model's name in the list."""
    if card.task == "gate":
        return "input check, no answer of its own"
    if card.baseline:
        return "for comparison, not for clinical use"
    fit = sum(population.fit_for_use for population in card.populations)
    return f"fit for use in {fit} of {len(card.populations)} populations"


def words(card: ModelCard) -> str:
    """The middle column: the card's sentences."""
    text, file = card.text, evaluation(card)
    trained = f"measured {escape(str(file['date'])[:10])}" if file.get("date") else ""
    parts = [
        f"<h1>{escape(card.title)}</h1>",
        f"<p class='q'>{escape(card.name)} {escape(card.version)}, {trained}, "
        f"sha256 {escape(hashes(card)['model.tflite'][:8])}</p>",
        _paragraphs(text.get("intended_use")),
        _section("Meant for", text.get("population")),
        _section("Not meant for", text.get("not_for")),
        _section("What the truth was", text.get("truth")),
        _section("Limits", text.get("limits")),
        _section("How it was made", text.get("training")),
    ]
    return f"<div class='mi mi-card'>{''.join(parts)}</div>"


def facts(card: ModelCard) -> str:
    """The right column: what was measured, in a table and in plain numbers."""
    file = evaluation(card)
    sets: Mapping[str, Any] = file.get("test_sets", {})
    parts = [_measured(card, sets), _plain_numbers(card, sets), _trust(sets), _shortcuts(sets), _licence(card)]
    return f"<div class='mi mi-facts'>{''.join(parts)}</div>"


def _section(title: str, content: Any) -> str:
    return f"<h2>{title}</h2>{_paragraphs(content)}" if content else ""


def _paragraphs(content: Any) -> str:
    if not content:
        return ""
    if isinstance(content, str):
        return f"<p>{escape(content)}</p>"
    return "<ul>" + "".join(f"<li>{escape(str(item))}</li>" for item in content) + "</ul>"


def _read(raw: Mapping[str, float]) -> Interval:
    return Interval(raw["value"], raw["low"], raw["high"])


def _measured(card: ModelCard, sets: Mapping[str, Any]) -> str:
    fit = {population.test_set: population.fit_for_use for population in card.populations}
    rows = "".join(
        f"<tr><td>{escape(measured['title'])}, {count(measured['n'])}</td>"
        f"<td class='n'>{_auroc(measured)}</td><td class='n'>{_use(fit.get(key))}</td></tr>"
        for key, measured in sets.items()
    )
    head = "<tr><th>Test set</th><th class='n'>AUROC (95 %)</th><th class='n'>Use</th></tr>"
    return f"<h2>Measured, per population</h2><table>{head}{rows}</table>" if rows else ""


def _auroc(measured: Mapping[str, Any]) -> str:
    raw = measured["metrics"].get("auroc")
    if raw is None:
        return "not measured"
    return f"{raw['value']:.2f}<small>{raw['low']:.2f}–{raw['high']:.2f}</small>"


def _use(fit: bool | None) -> str:
    return {None: "", True: "fit for use", False: "<b class='warm'>not fit for use</b>"}[fit]


def _plain_numbers(card: ModelCard, sets: Mapping[str, Any]) -> str:
    lines = []
    finding = escape(card.classes[card.positive].title.lower())
    for population in card.populations:
        measured = sets.get(population.test_set)
        if measured is None or not {"sensitivity", "specificity"} <= set(measured["metrics"]):
            continue
        found, spared = (_read(measured["metrics"][name]) for name in ("sensitivity", "specificity"))
        wrong = Interval(1 - spared.value, 1 - spared.high, 1 - spared.low)
        lines.append(
            f"<p>{escape(population.title)}: of 100 with {finding} it finds {_of_100(found)}; "
            f"of 100 without it calls {_of_100(wrong)} wrongly.</p>"
        )
    return f"<h2>In plain numbers, at the balanced point</h2>{''.join(lines)}" if lines else ""


def _of_100(share: Interval) -> str:
    return f"{share.value * 100:.0f} ({share.low * 100:.0f}–{share.high * 100:.0f})"


def _trust(sets: Mapping[str, Any]) -> str:
    """What was measured about the class activation map, the one that the Diagnosis page shows."""
    lines = []
    for measured in sets.values():
        row = (measured.get("saliency") or {}).get("cam")
        if not row:
            continue
        if row.get("pointing_game"):
            lines.append(
                f"<p>{escape(measured['title'])}: the map’s peak lies in {escape(row['truth'])} in "
                f"{_of_100(_read(row['pointing_game']))} of 100 films ({count(row['n'])}); the centre of the film "
                f"would in {_share(row.get('centre'))}, a random place in {_share(row.get('random'))}.</p>"
            )
        if row.get("energy_inside"):
            lines.append(
                f"<p>{escape(measured['title'])}: {_of_100(_read(row['energy_inside']))} % of the evidence lies in "
                f"{escape(row['truth'])}, which covers {_share(row.get('area'))} % of the film.</p>"
            )
    return f"<h2>Does the map deserve trust?</h2>{''.join(lines)}" if lines else ""


def _share(raw: Any) -> str:
    value = raw["value"] if isinstance(raw, Mapping) else raw
    return "–" if value is None else f"{float(value) * 100:.0f}"


def _shortcuts(sets: Mapping[str, Any]) -> str:
    rows: Sequence[str] = [
        f"<tr><td>{escape(measured['title'])}: {escape(shortcut['name'])}</td>"
        f"<td class='n'>{_number(shortcut)}</td></tr>"
        for measured in sets.values()
        for shortcut in measured.get("shortcuts", ())
    ]
    if not rows:
        return ""
    head = "<tr><th>Predicts the label alone</th><th class='n'>AUROC</th></tr>"
    return f"<h2>Shortcuts in the data</h2><table>{head}{''.join(rows)}</table>"


def _number(shortcut: Mapping[str, Any]) -> str:
    raw = shortcut["auroc"]
    return interval(_read(raw)) if isinstance(raw, Mapping) else f"{float(raw):.2f}"


def _licence(card: ModelCard) -> str:
    data = card.text.get("data", "")
    words_ = data if isinstance(data, str) else " ".join(data)
    return (
        f"<h2>Data and licence</h2><p>{escape(words_)} Licence class "
        f"<b>{escape(_LICENCES.get(card.licence, card.licence))}</b>.</p>"
    )
