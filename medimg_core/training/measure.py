"""What the exported network says to films; `figures` says what that is worth.

The network is asked as the app asks it: LiteRT, batch of one, `imaging.prepare` on the stored file.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from medimg_core.catalog import ModelCard
from medimg_core.explain import quality, target_weights
from medimg_core.explain.registry import Method, Query, methods
from medimg_core.imaging import prepare
from medimg_core.inference import gate
from medimg_core.inference.runtime import Runtime
from medimg_core.training.data import Progress, Record, read_image
from medimg_core.types import FloatArray, MaskArray


@dataclass(frozen=True, slots=True)
class Pointing:
    """One film's map against its truth: see `explain.quality`; `area` is the share of the film inside the truth."""

    hit: float
    inside: float
    area: float
    centre: float


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the network said to one film: its logits `[K]`.

    `peaks` and `pointing` (by method) and `refused` (the input check would not let the film pass) are known only where
    they were asked for.
    """

    record: Record
    logits: FloatArray
    seconds: float
    peaks: Mapping[str, float] = field(default_factory=dict)
    pointing: Mapping[str, Pointing] = field(default_factory=dict)
    refused: bool = False


def ask(runtime: Runtime, records: Sequence[Record], progress: Progress, final: bool = False) -> tuple[Answer, ...]:
    """The network's answers to films; for the `final` measurement with input check and the cheap maps."""
    chosen = _cheap_methods(runtime) if final else ()
    answers = []
    for done, record in enumerate(records, start=1):
        answers.append(_answer(runtime, record, chosen, final))
        if done % 50 == 0:
            progress("Measuring", done / len(records))
    return tuple(answers)


def _cheap_methods(runtime: Runtime) -> tuple[Method, ...]:
    """Methods of the CAM family, which need one pass; CAM itself only behind a pooled head."""
    needs = ("features", "cam_gradient") if runtime.head is not None else ("cam_gradient",)
    return tuple(m for m in methods() if m.family == "cam" and m.needs in needs)


def _answer(runtime: Runtime, record: Record, chosen: Sequence[Method], gated: bool) -> Answer:
    image = read_image(record.file)
    x, geometry = prepare(image, runtime.card.input)
    start = time.perf_counter()
    forward = runtime.predict(x)
    seconds = time.perf_counter() - start
    query = Query(runtime, x, target_weights(runtime.card, explained(runtime.card, record)), forward)
    drawn = record.positive or runtime.card.form == "one_of"
    truth = truth_mask(record, image.shape) if chosen and drawn else None
    peaks, pointing = {}, {}
    for method in chosen:
        grid = method.function(query)
        peaks[method.name] = float(grid.max(initial=0.0))
        if truth is not None:
            values = geometry.raise_map(grid)
            pointing[method.name] = Pointing(
                quality.pointing_game(values, truth),
                quality.energy_inside(values, truth),
                float(truth.mean()),
                quality.centre_hit(truth),
            )
    refused = gated and not gate.check(image, runtime.card).passed
    return Answer(record, forward.logits, seconds, peaks, pointing, refused)


def explained(card: ModelCard, record: Record) -> str:
    """The class whose evidence is looked for in a film: its own kind, or the side that counts as positive."""
    return card.class_ids[record.index if card.form == "one_of" else card.positive]


def truth_mask(record: Record, shape: tuple[int, int]) -> MaskArray | None:
    """Where the evidence of a film should lie, bool on the stored grid; None where nobody drew it."""
    if record.mask is not None:
        stored = cv2.imread(str(record.mask), cv2.IMREAD_GRAYSCALE)
        return None if stored is None or not stored.any() else np.asarray(stored > 0)
    if not record.boxes:
        return None
    mask = np.zeros(shape, np.bool_)
    for x0, y0, x1, y1 in record.boxes:
        mask[round(y0) : round(y1), round(x0) : round(x1)] = True
    return mask


def saliency_scales(answers: Sequence[Answer]) -> dict[str, float]:
    """Method -> 99th percentile of the maxima of its maps: the value that is shown as 1.0."""
    names = answers[0].peaks if answers else ()
    return {name: float(np.percentile([a.peaks[name] for a in answers], 99)) for name in names}
