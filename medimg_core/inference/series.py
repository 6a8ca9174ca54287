"""One answer for a series: every slice through the same gate and network, then the network over the slices."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from medimg_core.catalog import ModelCard, SeriesCard
from medimg_core.errors import BadRequest, Cancelled, MedImgError, ModelUnavailable
from medimg_core.inference.answer import WORKERS, Answer, predict
from medimg_core.inference.calibration import prediction_set, sigmoid
from medimg_core.inference.series_network import Pooled, Weights, pool, read_weights
from medimg_core.inference.series_order import Where, arrange, where
from medimg_core.types import FloatArray, GateVerdict, Image, Interval, OperatingPoint, Prediction

FEWEST = 3
"""Usable slices below which there is no answer for a series."""

Told = Callable[[int, int], None]
"""Called with the number of slices done and of all slices; may raise `Cancelled`."""


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """What is kept of a slice that a model was asked about; no pixels.

    Attributes:
        where: its place, stack and patient as far as the header tells.
        prediction: refused, or with scores; None where the slice could not be computed, and `error` says why.
        features: pooled features and, last, the logit, float32 `[F + 1]`; None without an answer.
    """

    where: Where
    prediction: Prediction | None = None
    features: FloatArray | None = None
    error: str = ""


Kept = MutableMapping[tuple[object, ...], Slice]
"""Slices that were asked before, a few kilobytes each, under `kept_key`."""


def kept_key(image: Image, card: ModelCard, population: str | None) -> tuple[object, ...]:
    """What the answer to a slice depends on, within one case."""
    return image.digest, where(image), card.ref.hash, population


@dataclass(frozen=True, slots=True, eq=False)
class SeriesAnswer:
    """What a model says to a series.

    Attributes:
        prediction: of the series; refused where there are too few usable slices or several patients, with the cause and
            the next step as reasons. Doubts stand in its gate's reasons too.
        counts: weight of every slice in the answer, in the order given, summing to 1; nan where a slice was refused,
            unreadable or of another stack. All nan where the series was refused.
        slices: what the model says to each slice by itself; None where it could not be computed.
        order: numbers of the slices that were used, in the order of their places.
        notes: what is doubtful about the series, one sentence each.
    """

    prediction: Prediction
    counts: tuple[float, ...]
    slices: tuple[Prediction | None, ...]
    order: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def ranked(self) -> tuple[int, ...]:
        """Numbers of the slices that count, the heaviest first."""
        return tuple(sorted((i for i, w in enumerate(self.counts) if w > 0), key=lambda i: -self.counts[i]))


def predict_series(
    images: Sequence[Image],
    card: ModelCard,
    population: str | None = None,
    *,
    stopped: Callable[[], bool] | None = None,
    progress: Told | None = None,
    kept: Kept | None = None,
    engine: str = "auto",
) -> SeriesAnswer:
    """Ask a model about all slices and say one thing about their series.

    Slices with a place are sorted by it, others stay in the order given. Slices of one place count once together.

    Args:
        images: slices of one series, in any order.
        population: as in `predict`.
        stopped: asked between slices.
        kept: slices found in it are not asked again; all that are asked go into it, so that a stopped series goes on.

    Raises:
        BadRequest: the model has no answer for a series.
        ModelUnavailable: a network is missing or changed.
        Cancelled: `stopped` said so.
    """
    series_card(card)
    found: list[Slice] = []
    for one in _asked(images, card, population, engine, stopped or (lambda: False), {} if kept is None else kept):
        found.append(one)
        if progress is not None:
            progress(len(found), len(images))
    return combine(found, card)


def series_card(card: ModelCard) -> SeriesCard:
    """How a model answers a series.

    Raises:
        BadRequest: it does not.
    """
    if card.series is None:
        raise BadRequest(
            f"The model {card.name!r} answers single images and has no answer for a series.",
            "Ask it about the images one by one.",
        )
    return card.series


def see(image: Image, answer: Answer | MedImgError) -> Slice:
    """What of an answer the series needs."""
    if isinstance(answer, MedImgError):
        return Slice(where(image), error=str(answer))
    if answer.forward is None:
        return Slice(where(image), answer.prediction)
    features = np.append(answer.forward.features.mean(axis=(0, 1)), answer.forward.logits[0])
    return Slice(where(image), answer.prediction, np.asarray(features, np.float32))


def combine(slices: Sequence[Slice], card: ModelCard) -> SeriesAnswer:
    """One answer of slices that were asked before (`see`).

    Raises:
        BadRequest: the model has no answer for a series.
        ModelUnavailable: its pooling network is missing or changed.
    """
    rule = series_card(card)
    usable = [i for i, one in enumerate(slices) if one.features is not None]
    stack = arrange([one.where for one in slices], usable, rule)
    places = [list(place) for place in stack.places]
    notes = (*_missing(slices), *stack.notes)
    refusal = stack.refusal or _too_few(len(places), len(slices))
    if refusal:
        return _refused(slices, card, refusal, notes)
    rows = [np.mean([own for i in place if (own := slices[i].features) is not None], axis=0) for place in places]
    weights = None if rule.kind == "maximum" else read_weights(card)
    pooled = _pooled(np.asarray(rows, np.float32), weights, rule.slices[1])
    counts = np.full(len(slices), np.nan)
    for place, weight in zip(places, pooled.weights, strict=True):
        counts[place] = float(weight) / len(place)
    return SeriesAnswer(
        prediction=_prediction(pooled.logit, card, rule, slices, notes),
        counts=tuple((counts / np.nansum(counts)).tolist()),
        slices=tuple(one.prediction for one in slices),
        order=tuple(i for place in places for i in place),
        notes=notes,
    )


def _asked(
    images: Sequence[Image],
    card: ModelCard,
    population: str | None,
    engine: str,
    stopped: Callable[[], bool],
    kept: Kept,
) -> Iterator[Slice]:
    """Slices in their order, two at a time; one that fails is an answer like any other."""

    def ask(image: Image) -> Slice:
        key = kept_key(image, card, population)
        if key not in kept:
            try:
                kept[key] = see(image, predict(image, card, population, engine=engine))
            except ModelUnavailable:
                raise
            except MedImgError as error:
                kept[key] = see(image, error)
        return kept[key]

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="medimg-series") as threads:
        waiting: deque[Future[Slice]] = deque()
        try:
            for image in images:
                if stopped():
                    raise Cancelled
                waiting.append(threads.submit(ask, image))
                if len(waiting) >= 2 * WORKERS:
                    yield waiting.popleft().result()
            while waiting:
                if stopped():
                    raise Cancelled
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _pooled(x: FloatArray, weights: Weights | None, most: int) -> Pooled:
    """By the network; without one by the slice with the highest logit, which then counts alone."""
    if weights is not None:
        return pool(x, weights, most)
    best = int(x[:, -1].argmax())
    return Pooled(float(x[best, -1]), np.eye(len(x), dtype=np.float32)[best])


def _prediction(
    logit: float, card: ModelCard, rule: SeriesCard, slices: Sequence[Slice], notes: tuple[str, ...]
) -> Prediction:
    told = (one.prediction.population for one in slices if one.prediction is not None and one.features is not None)
    positive, negative = card.class_ids[card.positive], card.class_ids[1 - card.positive]
    values = sigmoid(logit, rule.calibration)
    p = float(values[0])
    low, high = np.percentile(values[1:], (2.5, 97.5)).tolist() if values.size > 1 else (p, p)
    scores = {name: p if name == positive else 1 - p for name in card.class_ids}
    decision = positive if p >= rule.threshold else negative
    return Prediction(
        model=card.ref,
        scores=scores,
        gate=GateVerdict(True, notes, "series"),
        decision=decision,
        positive=positive,
        interval=Interval(p, min(low, p), max(high, p)) if values.size > 1 else None,
        population=next(told, None),
        operating_point=OperatingPoint("balanced", rule.threshold),
        prediction_set=prediction_set(scores, rule.conformal, decision),
        seconds=_seconds(slices),
    )


def _refused(
    slices: Sequence[Slice], card: ModelCard, reasons: tuple[str, ...], notes: tuple[str, ...]
) -> SeriesAnswer:
    verdict = GateVerdict(False, reasons, "series")
    return SeriesAnswer(
        prediction=Prediction(card.ref, {}, verdict, seconds=_seconds(slices)),
        counts=(float("nan"),) * len(slices),
        slices=tuple(one.prediction for one in slices),
        order=(),
        notes=notes,
    )


def _seconds(slices: Sequence[Slice]) -> float:
    return sum(one.prediction.seconds for one in slices if one.prediction is not None)


def _too_few(usable: int, given: int) -> tuple[str, ...]:
    if usable >= FEWEST:
        return ()
    return (
        f"Only {usable} of {given} slices can be used, and an answer for a series needs {FEWEST} or more.",
        "Read the answers to the single slices, or load the whole series.",
    )


def _missing(slices: Sequence[Slice]) -> Iterator[str]:
    """Sentences about slices without an answer, numbered from 1 as they were given."""
    refused = [i for i, one in enumerate(slices, 1) if one.prediction is not None and one.features is None]
    failed = [i for i, one in enumerate(slices, 1) if one.prediction is None]
    if refused:
        yield f"{_slices(refused)} refused by the input check and not counted."
    if failed:
        yield f"{_slices(failed)} unreadable and not counted."


def _slices(numbers: Sequence[int]) -> str:
    """`Slice 3 was` or `Slices 3, 4 and 2 more were`."""
    if len(numbers) == 1:
        return f"Slice {numbers[0]} was"
    shown = ", ".join(str(number) for number in numbers[:6])
    more = f" and {len(numbers) - 6} more" if len(numbers) > 6 else ""
    return f"Slices {shown}{more} were"
