"""What a detector says to films: LiteRT, batch of one, `imaging.prepare` on the stored file.

`ask` hears the network's own words, from which val chooses how they are read; `told` is what the app then says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard
from medimg_core.imaging import Geometry, prepare
from medimg_core.inference import gate, predict
from medimg_core.inference.boxes import BoxRule, Floats, every_box, found_boxes, mean_places, mirrored
from medimg_core.metrics.detection import ImageBoxes, match
from medimg_core.training.boxes.data import BoxRecord
from medimg_core.training.data import Progress
from medimg_core.types import FloatArray, GateVerdict, Image, InputSpec

Probability = Callable[[Image], float]
"""The classifier's calibrated probability that anything is to be found on a film."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxAnswer:
    """What the network said to one film.

    Attributes:
        places: of the film and of its mirror image, float32 `[2, h, w, 6]`, both as of the film itself.
        probability: the classifier's; 0.5 where it was not asked.
    """

    record: BoxRecord
    geometry: Geometry
    places: FloatArray
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class FoundBoxes:
    """The boxes of one film under one rule, in source pixels.

    Attributes:
        boxes: float64 `[n, 4]`.
        z: logits of raw scores, the classifier's included, `[n]`; of what the app told those of the chances.
        refused: the input check does not let the film pass; it is counted all the same.
    """

    record: BoxRecord
    boxes: Floats
    z: Floats
    refused: bool = False

    @property
    def image(self) -> ImageBoxes:
        """For `metrics.detection`."""
        return ImageBoxes(self.record.truth, self.boxes, self.z, self.record.patient)

    @property
    def true(self) -> NDArray[np.bool_]:
        """Which boxes are true `[n]`: the centre lies in an outlined finding, as it does from an overlap of 0.5 on.

        Each finding makes one box true; a second one on it is false.
        """
        return np.asarray(match(self.record.truth, self.boxes, self.z, None) >= 0, np.bool_)


def ask(
    network: Path, spec: InputSpec, records: Sequence[BoxRecord], probability: Probability | None, progress: Progress
) -> tuple[BoxAnswer, ...]:
    """The answers of `boxes.tflite` to films and to their mirror images."""
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=str(network), num_threads=2).get_signature_runner("predict")
    answers = []
    for done, record in enumerate(records, start=1):
        image = record.image()
        x, geometry = prepare(image, spec)
        places = np.asarray(run(x=x[None])["places"][0], np.float32)
        other = mirrored(run(x=np.ascontiguousarray(x[:, ::-1])[None])["places"][0])
        p = probability(image) if probability else 0.5
        answers.append(BoxAnswer(record, geometry, np.stack([places, other]), p))
        if done % 50 == 0:
            progress("Measuring", done / len(records))
    return tuple(answers)


def told(card: ModelCard, record: BoxRecord, image: Image) -> FoundBoxes:
    """Every box that the app finds on a film, whether or not the input check lets the film pass."""
    regions = predict(image, every_box(card), verdict=GateVerdict(passed=True)).prediction.regions
    boxes = np.array([region.box for region in regions], np.float64).reshape(-1, 4)
    p = np.clip([region.score for region in regions], 1e-9, 1 - 1e-9)
    return FoundBoxes(record, boxes, np.log(p / (1 - p)), not gate.check(image, card).passed)


def classifier(card: ModelCard) -> Probability | None:
    """The probability of the positive class at the default population; None where it is no yes/no question."""
    from medimg_core.inference.calibration import probabilities
    from medimg_core.inference.litert import LiteRTRuntime

    if card.form != "yes_no":
        return None
    runtime: Any = LiteRTRuntime(card)
    population = next(p for p in card.populations if p.id == card.default_population)

    def probability(image: Image) -> float:
        logits = runtime.predict(prepare(image, card.input)[0]).logits
        return float(probabilities(logits, card, population)[card.class_ids[card.positive]])

    return probability


def found(answers: Sequence[BoxAnswer], rule: BoxRule) -> tuple[FoundBoxes, ...]:
    """Boxes of films under a rule; the classifier's logit is added to `z` where the rule has a weight for it."""
    out = []
    for answer in answers:
        places = mean_places(answer.places[0], answer.places[1]) if rule.mirror else answer.places[0]
        boxes, z = found_boxes(places, answer.geometry, rule)
        q = min(max(answer.probability, 1e-6), 1 - 1e-6)
        out.append(FoundBoxes(answer.record, boxes, z + rule.image * np.log(q / (1 - q))))
    return tuple(out)


def calibrated(films: Sequence[FoundBoxes], rule: BoxRule, seed: int = 0) -> BoxRule:
    """The rule with slope and shift fitted on films of val, by all their candidates (`FoundBoxes.true`).

    Raises:
        ValueError: no box is true, or none is false.
    """
    from medimg_core.training.calibrate import fit_calibration

    z = np.concatenate([film.z for film in films])
    true = np.concatenate([film.true for film in films])
    patients = np.array([film.record.patient for film in films for _ in film.z])
    if true.all() or not true.any():
        raise ValueError("calibration needs boxes that are true and boxes that are not")
    fit = fit_calibration(z, true, patients, draws=1, seed=seed)
    return replace(rule, slope=round(1 / fit.temperature, 5), shift=fit.shift)
