"""The answer panel as HTML: a sentence, the number, what it means, what can be held against it, in that order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from medimg_core.types import Interval, OperatingPoint
from medimg_core.ui import numerals, words

_LABELS = {"rule_out": "rule out", "balanced": "balanced", "rule_in": "rule in"}
_CLOSEST = 0.15
"""Operating points nearer than this on the axis would write over each other's names."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure with its interval, for the row Patients like this."""

    name: str
    value: Interval


@dataclass(frozen=True, slots=True)
class Figures:
    """The row that quotes measured figures: whose, on how many, the figures, and a sentence below them."""

    title: str
    figures: tuple[Figure, ...]
    more: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One class with its probability; `inside` where the prediction set cannot leave it out."""

    title: str
    share: Interval
    chosen: bool = False
    inside: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A row that holds a small table: names on the left, figures on the right, sentences below.

    Attributes:
        head: titles of the columns; empty shows none.
        lines: cells as text with `**bold**`.
        more: sentences below, each on a line of its own.
    """

    lines: tuple[tuple[str, ...], ...]
    head: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """A row that holds a drawing: HTML of our own, without anything that came from a file, and a sentence below it."""

    markup: str
    more: str = ""


Row = tuple[str, "str | Figures | Table | Drawing"]
"""Label and text with `**bold**`, or figures, a table, a drawing."""


@dataclass(frozen=True, slots=True)
class Panel:
    """What the panel says.

    Attributes:
        tone: `evidence`, `none`, `doubt` or `stop`: the look of the dot and the bar beside the sentence.
        number: calibrated probability with its interval; None where no number is given.
        condition: what the probability is of.
        bars: all classes of an answer with more than two; they stand in place of the axis.
        meaning: the line under the axis.
        asides: further lines under it, quieter.
        question: the line above the sentence: what the image is, and what was asked.
    """

    tone: words.Tone
    sentence: str
    more: str = ""
    number: Interval | None = None
    condition: str = ""
    points: tuple[OperatingPoint, ...] = ()
    meaning: str = ""
    rows: tuple[Row, ...] = ()
    bars: tuple[Bar, ...] = ()
    asides: tuple[str, ...] = ()
    question: str = ""


def html(panel: Panel) -> str:
    """The whole panel."""
    out = f"<p class='q mi-asked'>{_rich(panel.question)}</p>" if panel.question else ""
    out += f"<h2>{_rich(panel.sentence)}</h2>"
    if panel.more:
        out += f"<p class='q'>{_rich(panel.more)}</p>"
    if panel.number is not None:
        out += _number(panel.number, panel.condition)
        out += bars(panel.bars) if panel.bars else axis(panel.number, panel.points)
    if panel.meaning:
        out += f"<p>{_rich(panel.meaning)}</p>"
    out += "".join(f"<p class='q mi-aside'>{_rich(line)}</p>" for line in panel.asides)
    return f"<div class='mi mi-answer {panel.tone}'>{out}{_rows(panel.rows)}</div>"


def rows_html(rows: tuple[Row, ...]) -> str:
    """Rows by themselves, below something else."""
    return f"<div class='mi mi-answer'>{_rows(rows)}</div>"


def _rows(rows: tuple[Row, ...]) -> str:
    body = "".join(f"<dt>{escape(label)}</dt><dd>{_value(value)}</dd>" for label, value in rows)
    return f"<dl class='mi-rows'>{body}</dl>" if body else ""


def _number(number: Interval, condition: str) -> str:
    text = f"probability of {escape(condition)}"
    if number.low < number.high:
        text += f", 95\u00a0% interval {numerals.percent_range(number.low, number.high)}"
    return f"<div class='mi-prob'><strong>{escape(numerals.percent(number.value))}</strong><span>{text}</span></div>"


def bars(shown: tuple[Bar, ...]) -> str:
    """Every class with its probability and interval; classes of the prediction set have a filled mark."""
    rows = "".join(_bar(bar) for bar in shown)
    return f"<div class='mi-bars' role='table' aria-label='Probability of every class'>{rows}</div>"


def _bar(bar: Bar) -> str:
    share = bar.share
    kind = " ".join(name for name, true in (("chosen", bar.chosen), ("inside", bar.inside)) if true)
    spread = numerals.percent_range(share.low, share.high) if share.low < share.high else ""
    return (
        f"<div class='bar {kind}' role='row'><span role='cell'>{escape(bar.title)}</span>"
        f"<span class='track' role='presentation'><i style='width:{share.value:.1%}'></i>"
        f"<i class='range' style='left:{share.low:.1%};width:{share.high - share.low:.1%}'></i></span>"
        f"<b role='cell'>{escape(numerals.percent(share.value))}</b><small role='cell'>{escape(spread)}</small></div>"
    )


def axis(number: Interval, points: tuple[OperatingPoint, ...]) -> str:
    """The number line from 0 to 100 % with the operating points, the interval and the value."""
    marks = "".join(f"<i class='point' style='left:{p.threshold:.1%}'></i>" for p in points)
    value, low, high = number.value, number.low, number.high
    said = f"{value:.0%}, 95 % interval {low:.0%} to {high:.0%}"
    places = _apart([p.threshold for p in points])
    ends = "".join(
        f"<em class='{side}' style='left:{at}'><br>{text}</em>"
        for side, at, text in (("l", "0", "0"), ("r", "100%", "100\u00a0%"))
        if not any(abs(place - (side == "r")) < 0.15 for place in places)
    )
    return (
        f"<div class='mi-axis' role='img' aria-label='{said}'><i class='base'></i>"
        f"<i class='end' style='left:0'></i><i class='end' style='left:100%'></i>{marks}{_names(points, places)}{ends}"
        f"<i class='range' style='left:{low:.1%};width:{high - low:.1%}'></i>"
        f"<i class='dot' style='left:{value:.1%}'></i></div>"
    )


def _apart(places: list[float]) -> list[float]:
    """Where names stand so that near neighbours do not write over each other and none leaves the panel."""
    last = len(places) - 1
    for _ in range(4):
        for i in range(1, len(places)):
            gap = _CLOSEST - (places[i] - places[i - 1])
            if gap > 0:
                places[i - 1], places[i] = places[i - 1] - gap / 2, places[i] + gap / 2
        places = [min(max(p, 0.07 + _CLOSEST * i), 0.93 - _CLOSEST * (last - i)) for i, p in enumerate(places)]
    return places


def _names(points: tuple[OperatingPoint, ...], places: list[float]) -> str:
    return "".join(
        f"<em style='left:{at:.1%}'>{_LABELS[p.name]}<br>{round(p.threshold * 100)}</em>"
        for at, p in zip(places, points, strict=True)
    )


def _value(value: str | Figures | Table | Drawing) -> str:
    if isinstance(value, str):
        return _rich(value)
    if isinstance(value, Drawing):
        return value.markup + (f"<div>{_rich(value.more)}</div>" if value.more else "")
    if isinstance(value, Table):
        return _table(value)
    cells = "".join(
        f"<div><span>{escape(f.name)}</span><b>{numerals.figure(f.value.value)}</b>"
        f"<span>{numerals.figure_range(f.value.low, f.value.high)}</span></div>"
        for f in value.figures
    )
    more = f"<div>{_rich(value.more)}</div>" if value.more else ""
    return f"<span class='q'>{escape(value.title)}</span><div class='mi-fig'>{cells}</div>{more}"


def _table(table: Table) -> str:
    """Cells after the first stand to the right, above each other."""

    def line(cells: tuple[str, ...], tag: str) -> str:
        marked = (f"<{tag}{' class=n' if i else ''}>{_rich(cell)}</{tag}>" for i, cell in enumerate(cells))
        return f"<tr>{''.join(marked)}</tr>" if cells else ""

    body = line(table.head, "th") + "".join(line(cells, "td") for cells in table.lines)
    more = "".join(f"<p class='q'>{_rich(text)}</p>" for text in table.more)
    return (f"<table class='mi-cells'>{body}</table>" if body else "") + more


def _rich(text: str) -> str:
    """Escape, then bold."""
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(text, quote=False))
