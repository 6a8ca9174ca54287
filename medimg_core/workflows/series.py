"""One series, one answer: what the model says to all slices together, which of them counted, what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from medimg_core.catalog import ModelCard, Population, evaluation
from medimg_core.inference.series import Kept, SeriesAnswer, Told, predict_series, series_card
from medimg_core.types import Interval, Prediction, Series
from medimg_core.workflows.diagnose import State

_FIT_AUROC = 0.80
_COUNTED, _HELD = 6, 0.8


@dataclass(frozen=True, slots=True)
class SeriesFigures:
    """What was measured on test series, from the key `series` of `evaluation.json`.

    Attributes:
        n, positives: series.
        metrics: name -> figure with its 95 % interval, series counted.
        maximum: AUROC of the highest slice alone, on the same series.
        difference: AUROC of the answer less the maximum's, paired; `p` of that test.
        chosen_by: name -> AUROC of every pooling in the cross-validation that chose, None where it was not kept.
    """

    title: str
    n: int
    positives: int
    metrics: Mapping[str, Interval]
    maximum: Interval
    difference: Interval
    p: float
    chosen_by: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RankedSlice:
    """One slice of a series.

    Attributes:
        index: its number in the series as given, from 0.
        weight: its share in the answer, 0 to 1; None where it was refused, unreadable or left out.
        prediction: what the model says to it alone; None where it could not be computed.
        probability: of the positive class, by itself; None without an answer.
    """

    index: int
    weight: float | None
    prediction: Prediction | None
    probability: float | None


@dataclass(frozen=True, slots=True, eq=False)
class SeriesDiagnosis:
    """Everything that a page or the command line says about a series.

    Attributes:
        state: `positive` and `negative` only where the prediction set holds that class alone, else `doubtful`;
            `unfit` where the model or its answers to series reach less than AUROC 0.80; `refused` where there is no
            answer: the single slices in `slices` stand all the same.
        slices: all slices, those that counted most first, those without an answer last.
        figures: None where nothing was measured.
        notes: doubts about the series; of a refusal its cause and the next step come first.
    """

    card: ModelCard
    state: State
    answer: SeriesAnswer
    population: Population
    figures: SeriesFigures | None
    slices: tuple[RankedSlice, ...]
    notes: tuple[str, ...]

    @property
    def prediction(self) -> Prediction:
        """The answer of the series."""
        return self.answer.prediction

    @property
    def counted(self) -> tuple[RankedSlice, ...]:
        """The slices that counted most: the fewest that together hold 80 % of the weight, six at most."""
        found: list[RankedSlice] = []
        held = 0.0
        for one in self.slices[:_COUNTED]:
            if one.weight is None or held >= _HELD:
                break
            found.append(one)
            held += one.weight
        return tuple(found)


def diagnose_series(
    series: Series,
    card: ModelCard,
    population: str | None = None,
    *,
    stopped: Callable[[], bool] | None = None,
    progress: Told | None = None,
    kept: Kept | None = None,
    engine: str = "auto",
) -> SeriesDiagnosis:
    """Ask a model about a series as `io.read_study` made it.

    Args:
        card: of a model with an answer for series (`card.series` is not None).
        population: id on the card; None takes what the header says, else the card's default.
        stopped, progress, kept: see `predict_series`.

    Raises:
        BadRequest: the model answers single images only.
        ModelUnavailable: a network is missing or changed.
        Cancelled: `stopped` said so.
    """
    said = predict_series(series.images, card, population, stopped=stopped, progress=progress, kept=kept, engine=engine)
    return describe(said, card, population)


def describe(said: SeriesAnswer, card: ModelCard, population: str | None = None) -> SeriesDiagnosis:
    """What an answer to a series means."""
    chosen, _ = card.population(chosen=population or said.prediction.population)
    figures = series_figures(card)
    refusal = said.prediction.gate.reasons if said.prediction.refused else ()
    return SeriesDiagnosis(
        card=card,
        state=_state(said.prediction, card, chosen, figures),
        answer=said,
        population=chosen,
        figures=figures,
        slices=_ranked(said, card),
        notes=(*refusal, *said.notes),
    )


def series_figures(card: ModelCard) -> SeriesFigures | None:
    """What was measured on a model's test series; None where nothing was.

    Raises:
        BadRequest: the model has no answer for a series.
    """
    block: Mapping[str, Any] = evaluation(card).get("series", {})
    measured = block.get(series_card(card).figures)
    if measured is None:
        return None
    n = int(measured["n"])
    tried = block.get("cross_validation", {}).get("poolings", {})
    return SeriesFigures(
        title=measured["title"],
        n=n,
        positives=measured["positives"],
        metrics={name: _interval(figure, n) for name, figure in measured["metrics"].items()},
        maximum=_interval(measured["maximum"], n),
        difference=_interval(measured["difference"], n),
        p=measured["difference"]["p"],
        chosen_by={name: _interval(pooling["auroc"], n) for name, pooling in tried.items()},
    )


def _interval(raw: Mapping[str, Any], n: int) -> Interval:
    return Interval(raw["value"], raw["low"], raw["high"], raw.get("n", n))


def _state(said: Prediction, card: ModelCard, population: Population, figures: SeriesFigures | None) -> State:
    if said.refused:
        return "refused"
    if not population.fit_for_use or (figures is not None and figures.metrics["auroc"].value < _FIT_AUROC):
        return "unfit"
    if len(said.prediction_set) != 1:
        return "doubtful"
    return "positive" if said.decision == card.class_ids[card.positive] else "negative"


def _ranked(said: SeriesAnswer, card: ModelCard) -> tuple[RankedSlice, ...]:
    positive = card.class_ids[card.positive]
    found = []
    for index, (weight, prediction) in enumerate(zip(said.counts, said.slices, strict=True)):
        alone = prediction.scores.get(positive) if prediction is not None else None
        found.append(RankedSlice(index, None if math.isnan(weight) else weight, prediction, alone))
    return tuple(sorted(found, key=lambda one: (one.weight is None, -(one.weight or 0.0), one.index)))
