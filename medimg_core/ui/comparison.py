"""The words and tables of the comparison page, as HTML of our own classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType

from medimg_core.catalog import ModelCard
from medimg_core.types import Interval
from medimg_core.ui.figures import count, interval, p_value, rounded_p, signed, span
from medimg_core.workflows.dashboard import FLOOR, Dashboard, ModelResult, PairResult

_COLUMNS = ("Model", "AUROC", "Accuracy", "Sensitivity", "Specificity", "Precision", "F1", "ECE", "ms", "MB")
_METRICS = ("auroc", "accuracy", "sensitivity", "specificity", "precision", "f1")


AREA = {"yes_no": "AUROC", "one_of": "mean AUROC", "grade": "AUROC"}
"""Form -> what the area under the curve is called."""


def verdict(board: Dashboard) -> str:
    """Two sentences with the numbers that carry them."""
    where = escape(_place(board))
    first, area = board.models[0], AREA[board.form]
    if not board.pairs:
        lead = f"{escape(first.name)}: {area} {interval(first.metrics['auroc'])} {where}, {count(board.n)}."
        return _verdict(lead, _fitness(first))
    pair = board.pairs[0]
    a, b, difference = pair.auroc.a.value, pair.auroc.b.value, pair.auroc.difference
    figures = f"difference {signed(difference.value)} ({span(difference)}), paired, {p_value(pair.auroc.p)}"
    if difference.low <= 0 <= difference.high:
        lead = (
            f"The two models cannot be told apart {where}: {area} {a:.2f} against {b:.2f}, {figures}, {count(pair.n)}."
        )
    else:
        better, x, y = (pair.first, a, b) if difference.value > 0 else (pair.second, b, a)
        lead = (
            f"{escape(better)} is the better model {where}: {area} {x:.2f} against {y:.2f}, {figures}, {count(pair.n)}."
        )
    return _verdict(lead, f"{_fitness(first)} {_cost(board)}")


def _verdict(lead: str, more: str) -> str:
    return f"<div class='mi mi-verdict'><p><b>{lead}</b> {more}</p></div>"


def _place(board: Dashboard) -> str:
    return f"on the test set “{board.title}”"


def _fitness(model: ModelResult) -> str:
    auroc = model.metrics["auroc"].value
    if auroc < FLOOR:
        return f"{escape(model.name)} is not fit for use here: {auroc:.2f} is below the floor of {FLOOR:.2f}."
    if model.fit_for_use is False:
        return f"{escape(model.name)} is not fit for use here; its card says why."
    weak = [group for group in model.subgroups if group.figure.value < FLOOR]
    if weak and not model.kinds:  # of several kinds subgroups have an accuracy, which knows no floor
        names = ", ".join(f"{escape(group.name)} ({group.figure.value:.2f})" for group in weak)
        return f"Below the floor of {FLOOR:.2f} in {names}."
    return ""


def _cost(board: Dashboard) -> str:
    first, second = (float(model.cost["predict_ms"]) for model in board.models[:2])
    if min(first, second) <= 0:
        return ""
    return f"It takes {first:.1f} ms an image, the other {second:.1f} ms."


def summary(board: Dashboard, labels: Mapping[str, str] = MappingProxyType({})) -> str:
    """Which films, how many, how the intervals were made."""
    positives = "" if board.form == "one_of" else f", {board.positives:,} {escape(_side(board, labels))}"
    return (
        f"<span class='mi q'>{count(board.n)} images of {board.patients:,} patients{positives}; "
        "95 % intervals over patients</span>"
    )


def _side(board: Dashboard, labels: Mapping[str, str]) -> str:
    """The positive side in words: `with pneumonia`, `of grade 2 or more`."""
    if board.form == "grade":
        return f"of grade {board.classes.index(board.positive)} or more"
    return f"with {labels.get(board.positive, board.positive)}"


def different(first: ModelCard, second: ModelCard) -> str:
    """Why two models cannot be compared, and what to do."""
    if first.class_ids != second.class_ids:
        cause = (
            f"{escape(first.title)} and {escape(second.title)} answer different questions, "
            "so their figures cannot be set against each other."
        )
    else:
        cause = f"{escape(first.title)} and {escape(second.title)} were not measured on the same images."
    return _verdict(cause, "Choose another model to compare with.")


def tables(board: Dashboard, labels: Mapping[str, str] = MappingProxyType({})) -> str:
    """Figures at the balanced operating point, confusion matrices and paired differences.

    Args:
        labels: class -> its words; the identifier where there are none.
    """
    head = "".join(f"<th class='{'n' if i else ''}'>{name}</th>" for i, name in enumerate(_COLUMNS))
    rows = "".join(_row(model) for model in board.models)
    pairs = "".join(_pair(pair) for pair in board.pairs)
    title = _TITLES[board.form]
    confusions = (
        _confusions(board, labels)
        if board.form == "yes_no"
        else "".join(_matrix(board, m, labels) for m in board.models)
    )
    return (
        # What scrolls must be reachable by keys: the words take the focus, the arrows move what is around them.
        "<div class='mi mi-tables' tabindex='0' role='region' aria-label='Figures'>"
        f"<h3>{title}</h3><table><tr>{head}</tr>{rows}</table>{confusions}{pairs}</div>"
    )


def _matrix(board: Dashboard, model: ModelResult, labels: Mapping[str, str]) -> str:
    """The confusion matrix of several kinds or grades: rows the truth, columns the decision."""
    return f"<h3 class='next'>Confusion matrix, {escape(short_name(model))}</h3>" + matrix(
        [labels.get(name, name) for name in board.classes], model.matrix.tolist()
    )


def matrix(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """A confusion matrix as a table: rows the truth, columns the decision."""
    head = "".join(f"<th class='n'>{escape(name)}</th>" for name in classes)
    body = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(
            f"<td class='n'>{'<b>' if i == j else ''}{n:,}{'</b>' if i == j else ''}</td>" for j, n in enumerate(row)
        )
        + "</tr>"
        for i, (name, row) in enumerate(zip(classes, counts, strict=True))
    )
    return f"<table class='matrix'><tr><th>Truth, called</th>{head}</tr>{body}</table>"


_TITLES = {
    "yes_no": "At the balanced operating point",
    "one_of": "Figures of the decisions, means over the kinds",
    "grade": "Figures of the decisions",
}
"""Form -> title of the table."""


def _row(model: ModelResult) -> str:
    cells = "".join(_cell(model.metrics.get(name)) for name in _METRICS)
    ece = model.metrics["ece"].value
    size = float(model.cost["tflite_bytes"]) / 1e6
    return (
        f"<tr><td>{escape(short_name(model))}</td>{cells}<td class='n'>{ece:.3f}</td>"
        f"<td class='n'>{float(model.cost['predict_ms']):.1f}</td><td class='n'>{size:.1f}</td></tr>"
    )


def short_name(model: ModelResult) -> str:
    """The model's name where there is little room."""
    return "baseline CNN" if model.baseline else model.name


def _cell(figure: Interval | None) -> str:
    if figure is None:
        return "<td class='n'>–</td>"
    return f"<td class='n'>{figure.value:.2f}<small>{span(figure)}</small></td>"


def _confusions(board: Dashboard, labels: Mapping[str, str]) -> str:
    """One small table: for each model what was decided on films with and without the finding."""
    positive = escape(labels.get(board.positive, board.positive))
    head = (
        f"<tr><th>Decision against truth</th><th class='n'>{positive} found</th><th class='n'>{positive} missed</th>"
        "<th class='n'>called wrongly</th><th class='n'>left out rightly</th></tr>"
    )
    cells = ((1, 1), (1, 0), (0, 1), (0, 0))  # truth, decision
    body = "".join(
        f"<tr><td>{escape(short_name(m))}</td>"
        + "".join(f"<td class='n'>{m.confusion[at]:,}</td>" for at in cells)
        + "</tr>"
        for m in board.models
    )
    return f"<h3 class='next'>Confusion matrix, images</h3><table>{head}{body}</table>"


def _pair(pair: PairResult) -> str:
    difference, right = pair.auroc.difference, pair.right
    rows: list[tuple[str, str, str, str]] = [
        (f"AUROC {signed(difference.value, plus=True)}", span(difference), rounded_p(pair.auroc.p), pair.test),
        (
            f"Accuracy {signed(pair.accuracy.value, plus=True)}; right by one model only: "
            f"{right.only_a} against {right.only_b}",
            span(pair.accuracy),
            rounded_p(right.p),
            "McNemar, exact",
        ),
    ]
    if pair.kappa is not None:
        rows.append((f"Kappa {signed(pair.kappa.value, plus=True)}", span(pair.kappa), "", "bootstrap"))
    body = "".join(
        f"<tr><td>{a}</td><td class='n'>{b}</td><td class='n'>{c}</td><td class='n'>{d}</td></tr>"
        for a, b, c, d in rows
    )
    return (
        f"<h3 class='next'>{escape(pair.first)} against {escape(pair.second)}, same {pair.n:,} images</h3><table>"
        "<tr><th>Paired difference</th><th class='n'>95 % interval</th><th class='n'>p</th><th class='n'>test</th></tr>"
        f"{body}</table>"
    )


def provenance(board: Dashboard) -> str:
    """The right side of the footer."""
    return f"Evaluation of {escape(board.date[:10])} · data {escape(board.data_hash[:8])}"
