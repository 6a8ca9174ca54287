"""The sentences of answers that are no yes or no: one of several kinds, a grade, and statements beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medimg_core.catalog import ModelCard, StatementCard
from medimg_core.types import Interval, Statement
from medimg_core.ui import naming
from medimg_core.ui.numerals import bare_range, counted, figure, figure_range, percent
from medimg_core.ui.words import capitalised
from medimg_core.workflows.diagnose import TestFigures, Undecided


def decided(card: ModelCard, decision: str) -> tuple[str, str]:
    """The headline of a decision that the prediction set does not contradict, and the line below it."""
    chosen = card.classes[card.class_ids.index(decision)]
    if card.form == "grade":
        grade = card.class_ids.index(decision)
        return f"Grade {grade}: {naming.lower(chosen.title)}.", chosen.meaning
    said = chosen.meaning.rstrip(".") if chosen.title == "Normal" else chosen.title
    return f"{said}.", "" if said == chosen.meaning.rstrip(".") else chosen.meaning


def not_sure(card: ModelCard, inside: Sequence[str], decision: str) -> tuple[str, str]:
    """The headline of an answer that leaves several classes open, and the line below it."""
    names = naming.names(card)
    likeliest = f"Likeliest is {names[decision]}. Read it without the model."
    if len(inside) == len(card.classes) and len(inside) > 2:
        return f"Not sure: no {'grade' if card.form == 'grade' else 'kind'} can be left out.", likeliest
    return f"Not sure: {naming.either(_open(card, inside))}.", likeliest


def _open(card: ModelCard, inside: Sequence[str]) -> list[str]:
    """Classes left open, in words; of grades only the first says so: `grade 1 or 2`."""
    if card.form != "grade":
        names = naming.names(card)
        return [names[name] for name in inside]
    grades = [str(card.class_ids.index(name)) for name in inside]
    return [f"grade {grades[0]}", *grades[1:]]


def prediction_set(card: ModelCard, inside: Sequence[str], coverage: Interval | None) -> str:
    """Which answers cannot be left out, and how often such sets held the truth on test images."""
    measured = ""
    if coverage is not None:
        n = f", {counted(coverage.n)}" if coverage.n else ""
        known = f"{percent(coverage.value)} ({bare_range(coverage.low, coverage.high)}{n})"
        measured = f" {known} of such sets held the truth."
    if len(inside) == 1:
        return f"**{capitalised(naming.names(card)[inside[0]])}** only.{measured}"
    said = capitalised(naming.either(_open(card, inside)))
    return f"**{said}**: none of them can be left out.{measured}"


def undecided(found: Undecided, noun: naming.Noun) -> str:
    """How often the model is not sure, and how often it errs when it is and when it is not."""
    errors = [
        f"{_of_100(rate)} {when}"
        for when, rate in (("when sure", found.error_when_sure), ("when not", found.error_when_unsure))
        if rate is not None
    ]
    n = f", {counted(found.share.n)}" if found.share.n else ""
    said = f"On {_of_100(found.share)} of 100 {noun.many}"
    return f"{said}. It errs in {' and in '.join(errors)}, of 100{n}." if errors else f"{said}{n}."


def called(card: ModelCard, decision: str, figures: TestFigures, noun: naming.Noun) -> str:
    """How far the decided class can be believed, from the confusion matrix of the test set."""
    if figures.called is None:
        return ""
    name = naming.names(card)[decision]
    parts = []
    if figures.called.precision is not None:
        rate = figures.called.precision
        parts.append(f"Of 100 {noun.many} called {name}, {_of_100(rate)} were (n\u00a0{rate.n:,})")
    if figures.called.sensitivity is not None:
        rate = figures.called.sensitivity
        parts.append(f"of 100 that are, {_of_100(rate)} are found (n\u00a0{rate.n:,})")
    return f"{'; '.join(parts)}." if parts else ""


def expected(grade: float, highest: int) -> str:
    """The expected grade, the mean of the scale weighted by its probabilities."""
    return f"Expected grade **{grade:.1f}** on the scale from 0 to {highest}."


def statement(card: StatementCard, told: Statement) -> str:
    """A further yes/no answer with its probability, its interval and the threshold from which it is claimed."""
    spread = f" ({bare_range(told.interval.low, told.interval.high)})" if told.interval else ""
    side = "at or above" if told.claimed else "below"
    said = card.title if told.claimed else card.otherwise
    of = "" if told.claimed else f" of {naming.lower(card.title)}"
    return (
        f"**{said.rstrip('.')}**: probability{of} {percent(told.probability)}{spread}, "
        f"{side} the threshold of {percent(told.threshold)}."
    )


def statement_figures(measured: Mapping[str, Interval]) -> str:
    """What was measured about a statement, in one line; empty where nothing was."""
    shown = (("AUROC", "auroc"), ("sensitivity", "sensitivity"), ("specificity", "specificity"))
    parts = [
        f"{title} {figure(measured[key].value)} ({figure_range(measured[key].low, measured[key].high)})"
        for title, key in shown
        if key in measured
    ]
    n = next((measured[key].n for _, key in shown if key in measured), None)
    return f"{capitalised(', '.join(parts))}{f', {counted(n)}' if n else ''}." if parts else ""


def spread(low: float, high: float, n: int) -> str:
    """How far small changes of the picture move the probability."""
    return (
        f"Small changes of the picture move it between {percent(low)} and {percent(high)} ({n} variants)."
        if percent(low) != percent(high)
        else f"Small changes of the picture leave it at {percent(low)} ({n} variants)."
    )


def _of_100(rate: Interval) -> str:
    return f"{100 * rate.value:.0f} ({100 * rate.low:.0f}–{100 * rate.high:.0f})"
