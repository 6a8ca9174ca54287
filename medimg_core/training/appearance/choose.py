"""Which seed shows what a case is meant to show: candidates with their check and the shipped model's answer.

Choosing the cases that illustrate a state is what demo cases are for; `docs/demo_cases.md` says that it was done. They
are no evidence of how good a model is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from medimg_core.catalog import ModelCard
from medimg_core.inference import predict
from medimg_core.io import read_file
from medimg_core.training.appearance.cases import Case, State
from medimg_core.training.appearance.dicomfile import dicom_bytes
from medimg_core.training.appearance.make import Fitted, film
from medimg_core.training.appearance.novelty import Novelty


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model says of a demo film: probability of the positive class (None when refused), and the state."""

    probability: float | None
    state: State

    def fits(self, case: Case) -> bool:
        """Whether this is what the case is meant to show."""
        return self.probability is not None and case.expected in ("any", self.state)


def answer(content: bytes, card: ModelCard) -> Answered:
    """Read a demo film as the app does and ask the model.

    The state is that of the Diagnosis page: decided only where operating points and prediction set agree.
    """
    result = read_file(content)
    if result.error is not None:
        raise result.error
    image = result.images[0]
    prediction = predict(image, card).prediction
    if prediction.refused or prediction.positive is None:
        return Answered(None, "any")
    probability, inside = prediction.scores[prediction.positive], prediction.prediction_set
    population, _ = card.population(image)
    out, balanced, rule_in = (population.point(name).threshold for name in ("rule_out", "balanced", "rule_in"))
    if inside == (prediction.positive,) and probability >= max(balanced, rule_in):
        return Answered(probability, "positive")
    if inside and prediction.positive not in inside and probability < min(balanced, out):
        return Answered(probability, "negative")
    return Answered(probability, "doubtful")


def candidates(
    case: Case, seeds: Iterable[int], fitted: Fitted, card: ModelCard
) -> Iterator[tuple[int, Novelty, Answered]]:
    """A case under other seeds: its check and the model's answer."""
    for seed in seeds:
        pixels, check = film(dataclasses.replace(case, seed=seed), fitted)
        yield seed, check, answer(dicom_bytes(pixels, case.header, case.stem), card)
