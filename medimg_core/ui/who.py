"""Whose film this is, as far as the model must know: age group and view, from the header or asked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from medimg_core.catalog import ModelCard, Population
from medimg_core.types import Image
from medimg_core.ui import words

OTHER_AGE: Final = "other_age"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Choice:
    """One possible answer: a population's id, `other_age` or `unknown`, and its words."""

    id: str
    title: str


def _takes_age(population: Population, age: float) -> bool:
    low, high = population.age_min, population.age_max
    return (low is None or age >= low) and (high is None or age < high + 1)


def possible(card: ModelCard, image: Image) -> tuple[Population, ...]:
    """The populations that the header leaves open."""
    view = image.view.upper() if image.view else None
    return tuple(
        p
        for p in card.populations
        if (image.age_years is None or _takes_age(p, image.age_years))
        and (view is None or not p.views or view in p.views)
    )


def question(card: ModelCard, image: Image) -> tuple[Choice, ...]:
    """What to ask the reader; empty where the header answers, or where no answer would help."""
    open_ = possible(card, image)
    told = [p for p in open_ if p.takes(image.age_years, image.view)]
    if told or not open_:
        return ()
    choices = [Choice(p.id, p.title[:1].upper() + p.title[1:]) for p in open_]
    if image.age_years is None:
        choices.append(Choice(OTHER_AGE, f"Another age ({words.ages_not_studied(card)} years)"))
    choices.append(Choice(UNKNOWN, "Not known"))
    return tuple(choices)


def chosen_population(card: ModelCard, who: str | None) -> str | None:
    """The population id behind an answer; None leaves it to the header or the card's default."""
    return who if who in {p.id for p in card.populations} else None
