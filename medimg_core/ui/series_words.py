"""The answer for a series as the panel says it: a sentence, the number, which slices counted, what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from medimg_core.types import Interval
from medimg_core.ui import chances, naming, numerals, words
from medimg_core.ui.naming import SERIES
from medimg_core.ui.panel import Drawing, Figure, Figures, Panel, Row
from medimg_core.workflows.series import RankedSlice, SeriesDiagnosis, SeriesFigures

NO_ANSWER = "No answer for this series."
ASKING_WHY = "One answer for the series follows from all of them; that of the single slice stands below."
_ALIKE = 1.5
"""Times the even share; where the heaviest slice lies below it, none stands out."""
_SHOWN = (("AUROC", "auroc"), ("Sensitivity", "sensitivity"), ("Specificity", "specificity"))


def panel(found: SeriesDiagnosis, places: Sequence[float | None]) -> Panel:
    """The panel of a series in any state.

    Args:
        places: of every slice along the stack in mm, as far as they are known.
    """
    if found.state == "refused":
        refusal = found.prediction.gate.reasons
        doubts: tuple[Row, ...] = (("Doubts", " ".join(found.answer.notes)),) if found.answer.notes else ()
        return Panel("stop", NO_ANSWER, " ".join(refusal), question=question(found), rows=doubts)
    said, card, rule = found.prediction, found.card, found.card.series
    assert rule is not None
    condition = naming.condition(card)
    p = said.scores[card.class_ids[card.positive]]
    unfit = found.state == "unfit"
    tone, sentence, more = _sentence(found, p)
    return Panel(
        tone,
        sentence,
        more,
        number=said.interval or Interval(p, p, p),
        condition=condition,
        points=(said.operating_point,) if said.operating_point else (),
        meaning=chances.not_of_hundred(condition, SERIES.many)
        if unfit
        else chances.of_hundred(100 * p, condition, rule.prevalence, SERIES.many),
        question=question(found),
        rows=tuple(_rows(found, places)),
    )


def question(found: SeriesDiagnosis) -> str:
    """`Head CT, brain window, 24 slices: asked about **haemorrhage**.`"""
    kind = naming.title(found.card.takes[0]) if found.card.takes else ""
    count = f"{len(found.slices)} slices"
    return f"{f'{kind}, {count}' if kind else count}: asked about **{naming.subject(found.card)}**."


def asking(count: int) -> str:
    """While the slices are asked."""
    return f"Asking all {count} slices."


def progress(share: float, count: int) -> str:
    """`Slice 12 of 30`."""
    return f"Slice {min(count, round(share * count))} of {count}"


def stopped(share: float, count: int) -> str:
    """After the reader stopped it."""
    return f"{words.STOPPED} after {round(share * count)} of {count} slices. What was asked is kept."


def _sentence(found: SeriesDiagnosis, p: float) -> tuple[words.Tone, str, str]:
    """Tone, sentence and the line below it."""
    card, said, condition = found.card, found.prediction, naming.condition(found.card)
    point = said.operating_point
    where = ""
    if point is not None:
        side = "Above" if p >= point.threshold else "Below"
        where = f"{side} the operating point ({numerals.percent(point.threshold)})."
    if found.state == "unfit":
        if not found.population.fit_for_use:
            return "stop", words.not_fit(found.population), words.below_floor(None)
        floor = f"On the test series the AUROC is below the floor of {numerals.figure(words.AUROC_FLOOR)}."
        return "stop", "Not fit for use on series; do not rely on this result.", floor
    if found.state == "doubtful":
        positive = card.class_ids[card.positive]
        sentence = chances.undecided_sentence(said.prediction_set, positive, condition, SERIES)
        return "doubt", sentence, f"{where} Read it without the model.".strip()
    if found.state == "positive":
        return "evidence", f"Signs of {condition} in this series.", where
    return "none", f"No sign of {condition} in this series; other findings are not assessed.", where


def _rows(found: SeriesDiagnosis, places: Sequence[float | None]) -> list[Row]:
    """Doubts about the series come first: they are held against everything below."""
    rows: list[Row] = [("Doubts", " ".join(found.notes))] if found.notes else []
    if not found.prediction.refused:
        names = naming.names(found.card)
        rows.append(("Prediction set", chances.prediction_set(found.prediction.prediction_set, names, None, SERIES)))
    rows.append(("Slices that counted", _counted(found, places)))
    rows.append(("Series like this", _figures(found.figures, naming.condition(found.card))))
    if checked := _checked(found):
        rows.append(("Input check", checked))
    return rows


def _checked(found: SeriesDiagnosis) -> str:
    """How many slices passed; which ones were refused stands among the doubts."""
    passed = [one.gate for one in found.answer.slices if one is not None and not one.refused]
    doubtful = sum(bool(gate.reasons) and gate.kind != "not_checked" for gate in passed)
    if len(passed) == len(found.slices):
        return f"All {len(passed)} slices were accepted{f', {doubtful} of them with doubt' if doubtful else ''}."
    return f"{doubtful} of the {len(passed)} accepted slices passed with doubt." if doubtful else ""


def _counted(found: SeriesDiagnosis, places: Sequence[float | None]) -> Drawing:
    """The heaviest slices, each a link that brings it onto the stage (`viewer_slices.js`)."""
    heaviest = found.counted
    placed = all(places[one.index] is not None for one in heaviest)
    head = ["Slice", *(["Place"] if placed else []), "Weight", "By itself"]
    cells = "".join(f"<th{' class=n' if i else ''}>{name}</th>" for i, name in enumerate(head))
    lines = "".join(_line(one, places[one.index] if placed else None) for one in heaviest)
    used = sum(one.weight is not None for one in found.slices)
    held = numerals.percent(min(1.0, sum(one.weight or 0.0 for one in heaviest)))
    verb = "holds" if len(heaviest) == 1 else "hold"
    slices = words.capitalised(numerals.plural(len(heaviest), "slice", "slices"))
    more = f"{slices} of {used} {verb} {held} of the weight." if len(heaviest) < used else ""
    if (heaviest[0].weight or 0.0) < _ALIKE / used:
        more = f"{more} All count nearly alike.".strip()
    return Drawing(f"<table class='mi-cells'><tr>{cells}</tr>{lines}</table><p class='q'>{more}</p>")


def _line(one: RankedSlice, place: float | None) -> str:
    number = one.index + 1
    link = f"<a href='#slice-{number}' aria-label='Show slice {number} on the stage'>{number}</a>"
    where = "" if place is None else f"<td class=n>{place:.1f}\u00a0mm</td>".replace("-", "−")
    alone = "" if one.probability is None else numerals.percent(one.probability)
    spread = one.prediction.interval if one.prediction is not None else None
    if spread is not None and alone:
        alone += f" ({numerals.bare_range(spread.low, spread.high)})"
    weight = numerals.percent(one.weight or 0.0)
    return f"<tr><td>{link}</td>{where}<td class=n><b>{weight}</b></td><td class=n>{alone}</td></tr>"


def _figures(figures: SeriesFigures | None, condition: str) -> str | Figures:
    if figures is None:
        return "Not measured on series like this one."
    title = f"{figures.title}, {numerals.counted(figures.n)}, {figures.positives} with {condition}"
    shown = tuple(Figure(name, figures.metrics[key]) for name, key in _SHOWN if key in figures.metrics)
    return Figures(title, shown, against_maximum(figures))


def against_maximum(figures: SeriesFigures) -> str:
    """The answer for a series against the highest slice alone, on the same series, paired."""
    highest, gain = figures.maximum, figures.difference
    verdict = "within chance" if gain.low <= 0 <= gain.high else "better" if gain.low > 0 else "worse"
    return (
        f"The highest slice alone: AUROC {numerals.figure(highest.value)} "
        f"({numerals.figure_range(highest.low, highest.high)}). Paired difference {_signed(gain.value)} "
        f"({numerals.figure_range(gain.low, gain.high)}), p\u00a0{figures.p:.2f}: {verdict}."
    )


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + numerals.figure(value)


def provenance(found: SeriesDiagnosis) -> str:
    """The right end of the footer; without a time, for slices that were asked before cost none."""
    ref, rule = found.prediction.model, found.card.series
    temperature = rule.calibration.temperature if rule is not None and not found.prediction.refused else None
    return words.provenance(ref.name, ref.version, ref.hash, temperature, None)
