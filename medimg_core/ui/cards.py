"""A model card as a doctor reads it: what it is for, on whom it was measured, how often it is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from medimg_core.catalog import ModelCard, evaluation, hashes
from medimg_core.metrics import rates
from medimg_core.types import Interval
from medimg_core.ui import cards_places, naming
from medimg_core.ui.comparison import matrix
from medimg_core.ui.figures import count
from medimg_core.workflows.model_list import HEADLINES, PLACES, describe


def caption(card: ModelCard) -> str:
    """The line below a model's name in the list."""
    if card.task == "gate":
        return "input check, no answer of its own"
    if card.baseline:
        return "for comparison, not for clinical use"
    return fitness(card)


def fitness(card: ModelCard) -> str:
    """Where a model is fit for use, in a few words."""
    said = _fitness([population.fit_for_use for population in card.populations])
    if card.places is None or not card.answers:
        return said
    places = _fitness([card.places.fit_in(population.id) for population in card.populations])
    return said if places == said else f"{said}; {'boxes' if card.places.kind == 'boxes' else 'outlines'} {places}"


def _fitness(marks: Sequence[bool]) -> str:
    if len(marks) == 1:
        return "fit for use" if marks[0] else "not fit for use"
    return f"fit for use in {sum(marks)} of {len(marks)} populations"


_FORMS = {"yes_no": "yes or no", "one_of": "one of several kinds", "grade": "grade", "places": "outlines, measurements"}


def overview(cards: Sequence[ModelCard]) -> str:
    """All models in one table: what they are asked, how they answer, how well, where they may be used."""
    head = "<tr><th>Model</th><th>Question</th><th>Answer</th><th class='n'>Headline figure (95 %)</th>"
    head += "<th>Use</th><th>Data</th></tr>"
    rows = "".join(_overview_row(card) for card in cards)
    frame = "<div class='mi mi-overview' tabindex='0' role='region' aria-label='All models'>"
    return f"{frame}<table>{head}{rows}</table></div>"


def _overview_row(card: ModelCard) -> str:
    name = f"<td>{escape(card.title)}<br><span class='q'>{escape(card.name)}</span></td>"
    licence = f"<td>{escape(naming.LICENCES.get(card.licence, card.licence))}</td>"
    if card.task == "gate":
        return f"<tr>{name}<td>Which kind of image this is</td><td>a kind, or none</td><td></td><td></td>{licence}</tr>"
    use = "for comparison only" if card.baseline else fitness(card)
    warm = "" if card.baseline or any(p.fit_for_use for p in card.populations) else " class='warm'"
    return (
        f"<tr>{name}<td class='wide'>{escape(_capital(_question(card)))}</td><td>{_form(card)}</td>"
        f"<td class='n'>{_headline(card)}</td><td{warm}>{escape(use)}</td>{licence}</tr>"
    )


def _form(card: ModelCard) -> str:
    """How a model answers, and whether it outlines or boxes beside that."""
    if card.places is None or not card.answers:
        return "boxes" if card.places is not None and card.places.kind == "boxes" else _FORMS[card.form]
    return f"{_FORMS[card.form]}; {'boxes' if card.places.kind == 'boxes' else 'outlines'}"


def _question(card: ModelCard) -> str:
    if card.form == "places":
        return naming.outlined(card)
    if card.form == "yes_no":
        return naming.subject(card)
    return naming.either([naming.lower(title) for title in naming.titles(card).values()])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _headline(card: ModelCard) -> str:
    figure = describe(card)["headline"]
    if figure is None:
        return "not measured"
    title = dict([*HEADLINES.values(), *PLACES.values()])[figure["metric"]]
    return f"{title} {figure['value']:.2f}<small>{figure['low']:.2f}–{figure['high']:.2f}, {count(figure['n'])}</small>"


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
    return f"<div class='mi mi-card' tabindex='0' role='region' aria-label='The card'>{''.join(parts)}</div>"


def facts(card: ModelCard) -> str:
    """The right column: what was measured, in a table and in plain numbers."""
    file = evaluation(card)
    sets: Mapping[str, Any] = file.get("test_sets", {})
    parts = [
        _measured(card, sets),
        cards_places.facts(card),
        _plain_numbers(card, sets),
        _unsure(sets),
        _statements(card, sets),
        _trust(sets),
        _confusion(card, sets),
        _shortcuts(sets),
        _subgroups(sets),
        _failures(sets),
        _licence(card),
    ]
    return f"<div class='mi mi-facts' tabindex='0' role='region' aria-label='Figures'>{''.join(parts)}</div>"


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


_COLUMNS = {
    "yes_no": (("AUROC (95 %)", "auroc"),),
    "one_of": (("Accuracy (95 %)", "accuracy"), ("AUROC, mean", "auroc")),
    "grade": (("Kappa (95 %)", "kappa_quadratic"), ("AUROC", "auroc")),
    "places": (),
}
"""Form -> columns of the first table."""


def _measured(card: ModelCard, sets: Mapping[str, Any]) -> str:
    fit = {population.test_set: population.fit_for_use for population in card.populations}
    columns = _COLUMNS[card.form]
    rows = "".join(
        f"<tr><td>{escape(measured['title'])}, {count(measured['n'])}</td>"
        + "".join(f"<td class='n'>{_metric(measured, key)}</td>" for _, key in columns)
        + f"<td class='n'>{_use(fit.get(key))}</td></tr>"
        for key, measured in sets.items()
    )
    titles = "".join(f"<th class='n'>{title}</th>" for title, _ in columns)
    head = f"<tr><th>Test set</th>{titles}<th class='n'>Use</th></tr>"
    return f"<h2>Measured, per population</h2><table>{head}{rows}</table>" if rows else ""


def _metric(measured: Mapping[str, Any], name: str) -> str:
    raw = measured["metrics"].get(name)
    return "not measured" if raw is None else _cell(raw)


def _cell(raw: Mapping[str, float]) -> str:
    return f"{raw['value']:.2f}<small>{raw['low']:.2f}–{raw['high']:.2f}</small>"


def _use(fit: bool | None) -> str:
    return {None: "", True: "fit for use", False: "<b class='warm'>not fit for use</b>"}[fit]


def _plain_numbers(card: ModelCard, sets: Mapping[str, Any]) -> str:
    shown = [(p.title, sets[p.test_set]) for p in card.populations if p.test_set in sets]
    lines = [_per_kind(card, *one) if card.form == "one_of" else _two_sides(card, *one) for one in shown]
    point = ", at the balanced point" if card.form == "yes_no" else ""
    return f"<h2>In plain numbers{point}</h2>{''.join(lines)}" if any(lines) else ""


def _two_sides(card: ModelCard, title: str, measured: Mapping[str, Any]) -> str:
    """How many of the positive side are found, and how many others are called so."""
    if not {"sensitivity", "specificity"} <= set(measured["metrics"]):
        return ""
    found, spared = (_read(measured["metrics"][name]) for name in ("sensitivity", "specificity"))
    wrong = Interval(1 - spared.value, 1 - spared.high, 1 - spared.low)
    return (
        f"<p>{escape(title)}: of 100 {naming.noun(card).many} {escape(_finding(card))} it finds {_of_100(found)}; "
        f"of 100 others it calls {_of_100(wrong)} wrongly.</p>"
    )


def _per_kind(card: ModelCard, title: str, measured: Mapping[str, Any]) -> str:
    """Of every kind, how many are found and how many that are called so are; counted over patients."""
    rows, lines = measured["predictions"], ""
    truth, decided = np.asarray(rows["label"]), np.asarray(rows["decision"])
    for index, (name, label) in enumerate(naming.names(card).items()):
        known = rates(truth == index, decided == name, rows["patient"])
        parts = [f"of 100 it finds {_of_100(known.sensitivity)}"] if known.sensitivity else []
        parts += [f"of 100 called so, {_of_100(known.precision)} are"] if known.precision else []
        lines += f"<p>{escape(title)}, {escape(label)}: {'; '.join(parts) or 'not measured'}.</p>"
    return lines


def _finding(card: ModelCard) -> str:
    """The positive side: `with pneumonia`, `of grade 2 or more`."""
    if card.form == "grade":
        return f"of grade {card.positive} or more"
    return f"with {naming.names(card)[card.class_ids[card.positive]]}"


def _unsure(sets: Mapping[str, Any]) -> str:
    """How often a model is not sure, and how often it errs when it is and when it is not."""
    lines = []
    for measured in sets.values():
        raw = measured.get("undecided") or {}
        if not raw.get("share"):
            continue
        errors = [
            f"{when} it errs in {_of_100(_read(raw[key]))}"
            for when, key in (("when sure", "error_when_sure"), ("when not sure", "error_when_unsure"))
            if raw.get(key)
        ]
        lines.append(
            f"<p>{escape(measured['title'])}: not sure on {_of_100(_read(raw['share']))} of 100; "
            f"{', '.join(errors)} of 100 ({count(measured['n'])}).</p>"
        )
    return f"<h2>When it is not sure</h2>{''.join(lines)}" if lines else ""


def _statements(card: ModelCard, sets: Mapping[str, Any]) -> str:
    """Figures of the further yes/no answers."""
    titles = {question.id: question.title for question in card.statements}
    rows = "".join(
        f"<tr><td>{escape(titles[name])}: {escape(measured['title'])}, {count(row['n'])}</td>"
        + "".join(
            f"<td class='n'>{_cell(row[key]) if row.get(key) else '–'}</td>"
            for key in ("auroc", "sensitivity", "specificity")
        )
        + "</tr>"
        for measured in sets.values()
        for name, row in (measured.get("statements") or {}).items()
        if name in titles
    )
    head = "<tr><th>Said beside the answer</th><th class='n'>AUROC</th><th class='n'>Sensitivity</th>"
    head += "<th class='n'>Specificity</th></tr>"
    return f"<h2>Further statements</h2><table>{head}{rows}</table>" if rows else ""


def _confusion(card: ModelCard, sets: Mapping[str, Any]) -> str:
    """Confusion matrix of every test set of a population."""
    shown = {population.test_set for population in card.populations}
    tables = [
        f"<h2>Confusion matrix, {escape(measured['title'])}, {count(measured['n'])}</h2>"
        + matrix([_short(card, name) for name in measured["confusion"]["classes"]], measured["confusion"]["counts"])
        for key, measured in sets.items()
        if measured.get("confusion") and key in shown
    ]
    return "".join(tables)


def _short(card: ModelCard, name: str) -> str:
    if card.form == "grade" and name in card.class_ids:
        return str(card.class_ids.index(name))
    return naming.names(card).get(name, name.replace("_", " "))


def _subgroups(sets: Mapping[str, Any]) -> str:
    """AUROC or accuracy among some of the images."""
    rows = "".join(
        f"<tr><td>{escape(measured['title'])}: {escape(group['name'])}, {count(group['n'])}</td>"
        f"<td class='n'>{_figure_of(group)}</td></tr>"
        for measured in sets.values()
        for group in measured.get("subgroups", ())
        if group.get("auroc") or group.get("accuracy")
    )
    head = "<tr><th>Among</th><th class='n'>Figure (95 %)</th></tr>"
    return f"<h2>Subgroups</h2><table>{head}{rows}</table>" if rows else ""


def _figure_of(row: Mapping[str, Any]) -> str:
    """AUROC, accuracy or both of a subgroup or a shortcut, whichever was measured."""
    parts = []
    for title, key in (("AUROC", "auroc"), ("accuracy", "accuracy")):
        raw = row.get(key)
        if raw is not None:
            parts.append(f"{title} {_cell(raw) if isinstance(raw, Mapping) else f'{float(raw):.2f}'}")
    return "<br>".join(parts) or "not measured"


def _failures(sets: Mapping[str, Any]) -> str:
    """The wrong answers that were the most certain, by the id of the public set."""
    parts = []
    for measured in sets.values():
        raw = measured.get("failures") or ()
        listed = raw.get("ids", ()) if isinstance(raw, Mapping) else raw
        if listed:
            said = ", ".join(_failure(one) for one in listed)
            parts.append(
                f"<details><summary>{escape(measured['title'])}: {len(listed)}</summary><p>{said}</p></details>"
            )
    return f"<h2>Wrong answers, the most certain first</h2>{''.join(parts)}" if parts else ""


def _failure(one: Any) -> str:
    if not isinstance(one, Mapping):
        return escape(str(one))
    answer, truth = (str(one[key]).replace("_", " ") for key in ("answer", "truth"))
    return f"{escape(str(one['id']))} ({escape(answer)} {one['probability'] * 100:.0f}\u00a0%, is {escape(truth)})"


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
                f"{_of_100(_read(row['pointing_game']))} of 100 ({count(row['n'])}); the centre of the picture "
                f"would in {_share(row.get('centre'))}, a random place in {_share(row.get('random'))}.</p>"
            )
        if row.get("energy_inside"):
            lines.append(
                f"<p>{escape(measured['title'])}: {_of_100(_read(row['energy_inside']))} % of the evidence lies in "
                f"{escape(row['truth'])}, which covers {_share(row.get('area'))} % of the picture.</p>"
            )
    return f"<h2>Does the map deserve trust?</h2>{''.join(lines)}" if lines else ""


def _share(raw: Any) -> str:
    value = raw["value"] if isinstance(raw, Mapping) else raw
    return "–" if value is None else f"{float(value) * 100:.0f}"


def _shortcuts(sets: Mapping[str, Any]) -> str:
    rows = [
        f"<tr><td>{escape(measured['title'])}: {escape(shortcut['name'])}</td>"
        f"<td class='n'>{_figure_of(shortcut)}</td></tr>"
        for measured in sets.values()
        for shortcut in measured.get("shortcuts", ())
    ]
    if not rows:
        return ""
    head = "<tr><th>Predicts the answer alone</th><th class='n'>Figure (95 %)</th></tr>"
    return f"<h2>Shortcuts in the data</h2><table>{head}{''.join(rows)}</table>"


def _licence(card: ModelCard) -> str:
    data = card.text.get("data", "")
    words_ = data if isinstance(data, str) else " ".join(data)
    allows = naming.licence_mark(card).partition(". ")[2]
    return (
        f"<h2>Data and licence</h2><p>{escape(words_)} Licence class "
        f"<b>{escape(naming.LICENCES.get(card.licence, card.licence))}</b>. {escape(allows)}</p>"
    )
