"""One image, one model, one answer: gate, preparation, network, calibration."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from medimg_core.catalog import ModelCard, Population
from medimg_core.errors import MedImgError
from medimg_core.imaging import Geometry, prepare
from medimg_core.inference import gate
from medimg_core.inference.calibration import decide, interval, prediction_set, probabilities, statements
from medimg_core.inference.places import LEAST, Box, look
from medimg_core.inference.pool import runtime_for
from medimg_core.inference.runtime import Forward
from medimg_core.types import FloatArray, GateVerdict, Image, Prediction, Region, Statement

WORKERS = 2
"""Threads of a batch: preparation of one film overlaps with the network of another."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A prediction and what it was made from, so that a map of its evidence costs no second pass.

    Attributes:
        prediction: refused, or with scores.
        forward, x, geometry: the pass, its input float32 `[H, W, C]` and the way back to the source grid; all None
            where the gate refused.
    """

    prediction: Prediction
    forward: Forward | None = None
    x: FloatArray | None = None
    geometry: Geometry | None = None


def predict(
    image: Image,
    card: ModelCard,
    population: str | None = None,
    *,
    engine: str = "auto",
    verdict: GateVerdict | None = None,
    box: Box | None = None,
    beside: Sequence[Image] = (),
) -> Answer:
    """Ask a model about an image.

    Args:
        population: id on the card whose calibration and operating points apply; None takes what age and view of the
            header say, else the card's default.
        engine: see `inference.engine.choose_engine`.
        verdict: what the gate said, where another model with the same gate was asked before; else it is asked now.
        box, beside: where to look, and the slices before and after, for models that outline (see `places.look`).

    Raises:
        ModelUnavailable: the network is missing or changed.
        BadRequest: the model needs a box.
        MedImgError: the network answered with values that are no numbers.
    """
    started = time.perf_counter()
    verdict = verdict or gate.check(image, card)
    if not verdict.passed:
        return Answer(Prediction(card.ref, {}, verdict, seconds=time.perf_counter() - started))
    one_network = card.places is not None and card.places.network == "model"
    found = look(image, card, box=box, beside=beside, engine=engine) if one_network else None
    if found is not None:
        x, geometry, forward = found.x, found.geometry, found.forward
    else:
        x, geometry = prepare(image, card.input)
        forward = runtime_for(card, engine).predict(x)
    if not _finite(forward):
        raise MedImgError(
            f"The model {card.name!r} answered with values that are no numbers, so there is no result.",
            "Check the pixels of this image; if others fail too, restore the model's folder from the release.",
        )
    if found is not None and card.places is not None and card.places.needs_box and not found.regions:
        verdict = GateVerdict(False, ("The model finds nothing in the box that it could outline.",), gate.EMPTY_BOX)
        return Answer(Prediction(card.ref, {}, verdict, seconds=time.perf_counter() - started))
    chosen, _ = card.population(image, population)
    said = Prediction(card.ref, {}, verdict, population=chosen.id)
    if card.answers:
        said = _prediction(card, chosen, forward, verdict)
    if card.places is not None and not one_network:
        known = said.scores.get(card.class_ids[card.positive]) if card.answers else None
        found = look(image, card, box=box, beside=beside, probability=known, engine=engine)
    if found is not None:
        resting = _resting(said.statements, card, found.regions)
        said = replace(said, regions=found.regions, measurements=found.measurements, statements=resting)
    return Answer(replace(said, seconds=time.perf_counter() - started), forward, x, geometry)


def _finite(forward: Forward) -> bool:
    places = forward.places
    return bool(np.isfinite(forward.logits).all()) and (places is None or bool(np.isfinite(places).all()))


def _prediction(card: ModelCard, population: Population, forward: Forward, verdict: GateVerdict) -> Prediction:
    scores = probabilities(forward.logits, card, population)
    decision = decide(scores, card, population)
    yes_no = card.form == "yes_no"
    positive = card.class_ids[card.positive] if yes_no else decision
    return Prediction(
        model=card.ref,
        scores=scores,
        gate=verdict,
        decision=decision,
        positive=positive,
        interval=interval(forward.logits, card, population, positive),
        population=population.id,
        operating_point=population.point("balanced") if yes_no else None,
        prediction_set=prediction_set(scores, population.conformal, decision),
        statements=statements(forward.logits, card, population, decision),
    )


def _resting(told: Sequence[Statement], card: ModelCard, regions: Sequence[Region]) -> tuple[Statement, ...]:
    """Without the statements that were read in an outline of which the model expects little, or which is not there."""
    trusted = {region.label for region in regions if region.score >= LEAST}
    structure = {question.id: question.structure for question in card.statements}
    return tuple(one for one in told if not structure[one.id] or structure[one.id] in trusted)


def predict_batch(
    images: Iterable[Image],
    card: ModelCard,
    population: str | None = None,
    *,
    engine: str = "auto",
    workers: int = WORKERS,
) -> Iterator[Answer]:
    """Answers to many images, in their order; `images` is read only a few ahead, so that it may decode as it goes.

    Raises:
        What `predict` raises, when its image's turn comes.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="medimg-batch") as threads:
        waiting: deque[Future[Answer]] = deque()
        try:
            for image in images:
                waiting.append(threads.submit(predict, image, card, population, engine=engine))
                if len(waiting) >= 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
