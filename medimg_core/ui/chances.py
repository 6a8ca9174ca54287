"""The sentences about a probability: where it lies, what it means among a hundred, what cannot be left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medimg_core.catalog import Population
from medimg_core.types import Interval
from medimg_core.ui.naming import FILM, Noun
from medimg_core.ui.numerals import counted, percent


def position(probability: float, population: Population) -> str:
    """Where a probability lies among the operating points, in words."""
    out, balanced, rule_in = (population.point(name).threshold for name in ("rule_out", "balanced", "rule_in"))
    if probability < out:
        return f"Below the rule-out operating point ({percent(out)})."
    if probability < balanced:
        return f"Between rule-out ({percent(out)}) and the balanced operating point ({percent(balanced)})."
    if probability < rule_in:
        return f"Above the balanced operating point ({percent(balanced)}), below rule-in ({percent(rule_in)})."
    return f"Above the balanced operating point ({percent(balanced)}) and above rule-in ({percent(rule_in)})."


def undecided_sentence(inside: Sequence[str], positive: str, condition: str, noun: Noun = FILM) -> str:
    """The sentence of a doubtful image or series, in agreement with its prediction set."""
    if not inside:
        return f"Undecided: this {noun.one} is unlike {noun.many} with and without {condition}."
    if len(inside) > 1:
        other = condition.removeprefix("an ").removeprefix("a ")
        return f"Undecided: this {noun.one} fits {condition} and no {other} alike."
    if inside[0] == positive:
        return f"Undecided: signs of {condition}, too weak to rule it in."
    return f"Undecided: few signs of {condition}, too many to rule it out."


def undecided(probability: float, population: Population) -> str:
    """The line under an undecided answer."""
    out, rule_in = population.point("rule_out").threshold, population.point("rule_in").threshold
    if out <= probability < rule_in:
        return f"Between rule-out ({percent(out)}) and rule-in ({percent(rule_in)}). Read it without the model."
    return f"{position(probability, population)} Read it without the model."


def of_hundred(count: float, condition: str, prevalence: float, noun: str = "films") -> str:
    """What a calibrated probability means among films like this one."""
    n = round(count)
    about = {0: "fewer than 1 has", 1: "about 1 has", 100: "more than 99 have"}.get(n, f"about {n} have")
    return f"Of 100 such {noun} with this score, {about} {condition}, at a prevalence of {percent(prevalence)}."


def not_of_hundred(condition: str, noun: str = "films") -> str:
    """In place of `of_hundred` where the calibration was not shown to hold."""
    return f"How many of 100 such {noun} have {condition} is not stated: the calibration does not hold here."


def prediction_set(ids: Sequence[str], names: Mapping[str, str], coverage: Interval | None, noun: Noun = FILM) -> str:
    """Which answers cannot be left out, and how often such sets held the truth on test films."""
    measured = ""
    if coverage is not None:
        n = f" ({counted(coverage.n)})" if coverage.n else ""
        measured = f" {percent(coverage.value)} of such sets held the truth{n}, promised {percent(0.9)}."
    said = ", ".join(names[c] for c in ids)
    if len(ids) == 1:
        return f"**{said}** only.{measured}"
    if not ids:
        return f"**Neither**: this {noun.one} is unlike both groups behind the sets.{measured}"
    return f"**{said}**. Neither can be left out at {percent(0.9)} coverage.{measured}"
