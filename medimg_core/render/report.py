"""Reports as one HTML file each: no script, no outside font or picture, every number with its n and interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from medimg_core.metrics import Evaluation, McNemar, PairedTest
from medimg_core.render.figures import pr_figure, reliability_figure, roc_figure
from medimg_core.render.overlay import DISCLAIMER
from medimg_core.types import Interval

Fact = tuple[str, str]
"""Label and text of one row."""

_STYLE = """
:root { color-scheme: light; }
body { margin: 32px auto; max-width: 1080px; padding: 0 16px; background: #F1F2F2; color: #1E2327;
  font: 14px/20px "Source Sans 3", "Source Sans Pro", "Segoe UI", Helvetica, Arial, sans-serif;
  font-variant-numeric: tabular-nums lining-nums; }
h1 { font-size: 24px; line-height: 29px; font-weight: 600; margin: 0 0 4px; }
h2 { font-size: 16px; line-height: 23px; font-weight: 600; margin: 28px 0 6px; }
p { margin: 4px 0; max-width: 74ch; }
table { border-collapse: collapse; font-size: 13px; line-height: 18px; }
th, td { text-align: left; padding: 6px 20px 6px 0; border-bottom: 1px solid #C7CCD0; vertical-align: top; }
th { color: #535B62; font-weight: 400; }
td.figure { font-weight: 600; } td.quiet, .quiet { color: #535B62; }
.charts { display: flex; flex-wrap: wrap; gap: 16px; } .charts figure { margin: 0; width: 330px; }
.charts svg { width: 100%; height: auto; } figcaption { font-size: 12px; color: #535B62; }
footer { margin-top: 32px; border-top: 1px solid #C7CCD0; padding-top: 6px; font-size: 12px; color: #535B62; }
"""


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two models: the test of their areas, differences with bootstrap intervals, McNemar's test; p values also after
    Holm. `test` names the test of the areas, `titles` heads the figures.
    """

    title: str
    auroc: PairedTest
    p_holm: float
    differences: Mapping[str, Interval]
    right: McNemar
    right_p_holm: float
    test: str = "DeLong"
    titles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FigureTable:
    """Figures of one structure or measurement: name, refused films left out, refused films counted wrong."""

    title: str
    words: str
    rows: Sequence[tuple[str, Interval | None, Interval | None]]


def evaluation_report(
    title: str,
    facts: Sequence[Fact],
    found: Evaluation | None,
    classes: Sequence[str],
    notes: Sequence[str] = (),
    *,
    tables: Sequence[FigureTable] = (),
) -> str:
    """The report of `evaluate`.

    Args:
        facts: what was measured on what: model, films, operating points, date.
        classes: names of the classes in the order of the confusion matrix.
        found: None where no image has a known label.
        notes: sentences on what was left out or is not known.
        tables: figures of what the model outlines, boxes or measures.
    """
    head = [_facts(facts), *(f"<p>{escape(note)}</p>" for note in notes)]
    places = [_places(tables)] if tables else []
    if found is None and places:
        return _page(title, [*head, *places])
    if found is None:
        return _page(
            title, [*head, "<p>No image has a label that the model knows, so there is nothing to measure.</p>"]
        )
    charts = []
    if found.roc is not None and found.pr is not None:
        charts.append(
            (roc_figure([("model", found.roc)]), f"ROC; AUROC {figure(found.roc.auroc)}, pointwise 95 % band")
        )
        charts.append((pr_figure([("model", found.pr)]), f"Average precision {figure(found.pr.auprc)}"))
    if found.kinds:
        words = "; ".join(f"{name} {figure(curve.auroc)}" for name, curve in found.kinds.items())
        charts.append((roc_figure(list(found.kinds.items())), f"ROC of every class against the rest; AUROC {words}"))
    if found.bins:
        charts.append((reliability_figure(found.bins, _observed(found)), _calibration_words(found)))
    parts = [_metrics(found), _charts(charts), _confusion(found, classes), _undecided(found), _bins(found)]
    return _page(title, [*head, *parts, *places])


def _places(tables: Sequence[FigureTable]) -> str:
    """One block a structure or measurement."""
    head = "<tr><th></th><th>refused films left out</th><th>refused films counted wrong</th></tr>"
    blocks = []
    for table in tables:
        rows = "".join(
            f"<tr><th>{escape(name)}</th>{_cell(left_out)}{_cell(wrong)}</tr>" for name, left_out, wrong in table.rows
        )
        blocks.append(f"<h2>{escape(table.title)}</h2><p>{escape(table.words)}</p><table>{head}{rows}</table>")
    return "".join(blocks)


def comparison_report(
    title: str,
    facts: Sequence[Fact],
    models: Sequence[tuple[str, Evaluation]],
    pairs: Sequence[PairRow],
) -> str:
    """The report of `compare`.

    Args:
        models: name and figures of each model on the same films.
    """
    head = "".join(f"<th>{escape(name)}</th>" for name, _ in models)
    rows = []
    for name, heading in models[0][1].titles.items():
        cells = [_cell(found.left_out.get(name)) for _, found in models]
        rows.append(f"<tr><th>{escape(heading)}</th>{''.join(cells)}</tr>")
    table = f"<h2>Figures</h2><table><tr><th></th>{head}</tr>{''.join(rows)}</table>"
    charts = []
    curves = [(name, found.roc) for name, found in models if found.roc is not None]
    if curves:
        charts.append((roc_figure(curves), "ROC with pointwise 95 % bands"))
    recall = [(name, found.pr) for name, found in models if found.pr is not None]
    if recall:
        charts.append((pr_figure(recall), "Precision against recall"))
    return _page(title, [_facts(facts), *(_pair(pair) for pair in pairs), table, _charts(charts)])


def figure(interval: Interval) -> str:
    """`0.981 (0.970–0.989), n 566`, the n behind a no-break space; `to` between ends below zero."""
    n = "" if interval.n is None else f", n\u00a0{interval.n:,}"
    between = " to " if interval.low < 0 else "–"
    return f"{_number(interval.value)} ({_number(interval.low)}{between}{_number(interval.high)}){n}"


def p_value(p: float) -> str:
    """`p = 0.032`, or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _number(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}".replace("-", "−")


def _page(title: str, parts: Sequence[str]) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(part for part in parts if part)
        + f"\n<footer>{escape(DISCLAIMER)}</footer></body></html>\n"
    )


def _facts(facts: Sequence[Fact]) -> str:
    rows = "".join(f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in facts)
    return f"<table>{rows}</table>"


def _cell(interval: Interval | None) -> str:
    if interval is None:
        return '<td class="quiet">not defined by these films</td>'
    value, rest = figure(interval).split(" ", 1)
    return f'<td><b>{value}</b> <span class="quiet">{rest}</span></td>'


def _metrics(found: Evaluation) -> str:
    rows = "".join(
        f"<tr><th>{escape(heading)}</th>{_cell(found.left_out.get(name))}{_cell(found.wrong.get(name))}</tr>"
        for name, heading in found.titles.items()
    )
    return (
        "<h2>Figures</h2><p>Each with its 95 % interval, which counts patients, not films. Films without an answer are "
        "left out, or counted as answered wrongly with certainty.</p>"
        f"<table><tr><th></th><th>refused films left out</th><th>refused films counted wrong</th></tr>{rows}</table>"
    )


def _charts(charts: Sequence[tuple[str, str]]) -> str:
    figures = "".join(f"<figure>{svg}<figcaption>{escape(words)}</figcaption></figure>" for svg, words in charts)
    return f'<h2>Curves</h2><div class="charts">{figures}</div>' if charts else ""


def _calibration_words(found: Evaluation) -> str:
    measured = found.left_out["ece"]
    limit = found.ece_null_95 or 0.0
    says = "chance alone explains" if measured.value <= limit else "chance alone does not explain"
    of = "of the class decided " if found.form == "one_of" else ""
    return f"Calibration error {of}{figure(measured)}; {says} it (95th percentile {limit:.3f})"


def _confusion(found: Evaluation, classes: Sequence[str]) -> str:
    if not found.confusion.any():
        return ""
    head = "".join(f"<th>called {escape(name)}</th>" for name in classes)
    rows = "".join(
        f"<tr><th>is {escape(name)}</th>{''.join(f'<td>{count:,}</td>' for count in row)}</tr>"
        for name, row in zip(classes, found.confusion.tolist(), strict=True)
    )
    return f"<h2>Answers</h2><table><tr><th></th>{head}</tr>{rows}</table>"


def _undecided(found: Evaluation) -> str:
    if found.undecided is None:
        return ""
    rows = "".join(
        f"<tr><th>{words}</th>{_cell(interval)}</tr>"
        for words, interval in (
            ("Not decided: the prediction set holds several classes, or none", found.undecided.share),
            ("Errors where it is decided", found.undecided.error_when_sure),
            ("Errors where it is not", found.undecided.error_when_unsure),
        )
    )
    return f"<h2>Open questions</h2><table>{rows}</table>"


def _observed(found: Evaluation) -> str:
    return "Share decided rightly" if found.form == "one_of" else "Share with the finding"


def _bins(found: Evaluation) -> str:
    rows = "".join(
        f"<tr><td>{b.predicted:.3f}</td><td><b>{b.observed:.3f}</b> "
        f'<span class="quiet">({b.low:.3f}–{b.high:.3f})</span></td><td>{b.n:,}</td></tr>'
        for b in found.bins
    )
    head = f"<tr><th>predicted</th><th>{_observed(found).removeprefix('Share ')}</th><th>n</th></tr>"
    return f"<h2>Calibration</h2><table>{head}{rows}</table>" if rows else ""


def _pair(pair: PairRow) -> str:
    rows = "".join(
        f"<tr><th>{escape(pair.titles.get(key, key))}, difference</th>{_cell(difference)}<td></td></tr>"
        for key, difference in pair.differences.items()
    )
    return (
        f"<h2>{escape(pair.title)}</h2><table>"
        f"<tr><th>AUROC, difference</th>{_cell(pair.auroc.difference)}"
        f"<td>{p_value(pair.auroc.p)} ({escape(pair.test)}), {p_value(pair.p_holm)} after Holm</td></tr>{rows}"
        f"<tr><th>Right only by one</th><td>{pair.right.only_a:,} against {pair.right.only_b:,}</td>"
        f"<td>{p_value(pair.right.p)} (McNemar, exact), {p_value(pair.right_p_holm)} after Holm</td></tr></table>"
    )
