"""One film, one primary answer: what the model says, where its evidence lies, what was measured on such patients."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from medimg_core.catalog import ModelCard, Population, evaluation, open_answering, open_model
from medimg_core.errors import ModelUnavailable
from medimg_core.inference import Answer, predict
from medimg_core.inference.calibration import interval
from medimg_core.inference.engine import choose_engine
from medimg_core.metrics import Rates, rates
from medimg_core.types import GateVerdict, Image, Interval, Prediction, SaliencyMap
from medimg_core.workflows.beside import near
from medimg_core.workflows.cache import ByteCache
from medimg_core.workflows.explain import MapCache, explain
from medimg_core.workflows.route import route

_log = logging.getLogger(__name__)

State = Literal["positive", "negative", "doubtful", "refused", "unfit"]

AnswerKey = tuple[str, tuple[object, ...], str, str, str, str, tuple[str, ...]]
"""Digest of the pixels, the header entries that the gate reads, model, hash, population, engine, neighbours."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """How often a model was not sure on its test set, and how often it was wrong when it was and when it was not."""

    share: Interval
    error_when_sure: Interval | None
    error_when_unsure: Interval | None


@dataclass(frozen=True, slots=True)
class TestFigures:
    """What was measured on the test films of a population, from `evaluation.json`.

    Attributes:
        title: the test set as it is named there.
        metrics: name -> figure with its 95 % interval, `n` filled in.
        coverage: share of prediction sets that held the truth; None where it was not measured.
        undecided: None where it was not measured.
        called: of several kinds and of grades, how often the class that was decided here was called rightly
            (`precision`) and found (`sensitivity`), counting patients; None for a yes/no question.
        statements: statement -> metric -> figure.
    """

    __test__ = False  # a name for readers, no test class

    title: str
    n: int
    positives: int
    patients: int
    metrics: Mapping[str, Interval]
    coverage: Interval | None
    undecided: Undecided | None = None
    called: Rates | None = None
    statements: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OfHundred:
    """Of 100 such films with this score, `count` (`low` to `high`) are positive, at this prevalence."""

    count: float
    low: float
    high: float
    prevalence: float


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """Everything that the Diagnosis page formats.

    Attributes:
        state: which sentence answers; see `state_of`.
        answer: prediction, forward pass and geometry of the primary model, for further maps without a second pass.
        population: whose calibration, operating points and figures apply.
        studied: whether the model was measured on patients of this age and films of this view; unknown counts as
            studied, and `known` is False then.
        known: the population was chosen by the reader or told by the header.
        figures: None where the population was not measured or the patient is of none.
        shares: class -> calibrated probability with its interval, in the order of the card; empty when refused.
        map: evidence for `target_of`; None when refused, not fit for use, or not asked for.
        place: where the map is strongest, in words; empty without positive evidence.
        of_hundred: None when refused or not fit for use, and where there are more than two answers.
        second: what the second model said; None where the card names none, it is not installed, or refused.
    """

    card: ModelCard
    state: State
    answer: Answer
    population: Population
    studied: bool
    known: bool
    figures: TestFigures | None
    shares: Mapping[str, Interval]
    map: SaliencyMap | None
    place: str
    of_hundred: OfHundred | None
    second: Prediction | None
    second_card: ModelCard | None

    @property
    def prediction(self) -> Prediction:
        """The primary model's prediction."""
        return self.answer.prediction

    @property
    def expected(self) -> float | None:
        """The expected grade, counted from 0; None where the answer is no grade."""
        if self.card.form != "grade" or not self.shares:
            return None
        return sum(grade * share.value for grade, share in enumerate(self.shares.values()))


def _answer_bytes(answer: Answer) -> int:
    arrays = (answer.x, *((answer.forward.features, answer.forward.logits) if answer.forward else ()))
    return 4096 + sum(int(array.nbytes) for array in arrays if array is not None)


def answer_cache(limit_bytes: int = 32 * 2**20) -> ByteCache[AnswerKey, Answer]:
    """An empty cache of answers (100 kB to 1 MB each)."""
    return ByteCache(limit_bytes, _answer_bytes)


ANSWERS = answer_cache()
"""The process's own. Keys hold no name: an answer is found only by who has the image's pixels."""


def diagnose(
    image: Image,
    model: ModelCard | str = "auto",
    population: str | None = None,
    *,
    beside: Sequence[Image] = (),
    with_map: bool = True,
    engine: str = "auto",
    answers: ByteCache[AnswerKey, Answer] | None = None,
    maps: MapCache | None = None,
) -> Diagnosis:
    """Ask the primary model, the second model and the map about one film. Repeating it runs no network again.

    Args:
        model: a card, a name, or `auto` for the first model that `route` names.
        population: id on the card, where the reader told age and view; None takes them from the header.
        beside: the slices before and after, for models that also look at those.
        with_map: whether to make the map.
        engine: see `inference.engine.choose_engine`.
        answers, maps: where results are kept; the process's own where None.

    Raises:
        ModelUnavailable: the model is missing or changed. A second model that is missing is left out.
    """
    card = model if isinstance(model, ModelCard) else route(image).first if model == "auto" else open_answering(model)
    kept = ANSWERS if answers is None else answers
    answer = _ask(image, card, population, engine, kept, beside)
    chosen, known = card.population(image, population)
    studied = known or _possible(card, image)
    state = state_of(answer.prediction, card, chosen, studied=studied)
    usable = state not in ("refused", "unfit")
    saliency = _map(image, card, population, answer, beside, maps) if with_map and usable else None
    second, second_card = _second(image, card, population, engine, kept, beside, answer.prediction.gate)
    return Diagnosis(
        card=card,
        state=state,
        answer=answer,
        population=chosen,
        studied=studied,
        known=known,
        figures=_figures(card, chosen, answer.prediction.decision) if studied else None,
        shares=_shares(answer, card, chosen),
        map=saliency,
        place=place(saliency, sides_of_patient(card)) if saliency is not None else "",
        of_hundred=_of_hundred(answer.prediction, chosen) if usable and card.form == "yes_no" else None,
        second=second,
        second_card=second_card,
    )


def state_of(prediction: Prediction, card: ModelCard, population: Population, *, studied: bool = True) -> State:
    """Which sentence answers.

    Yes/no: `positive` needs three things at once: a probability above the balanced and the rule-in point, and a
    prediction set that holds the positive class alone; `negative` likewise below the balanced and the rule-out point.
    Of several kinds and of grades the answer stands where the prediction set holds the decision alone; it is
    `positive` where that is a finding. Anything else is doubtful: between the points, several classes in the set, or
    none (unlike all groups).
    """
    if prediction.refused:
        return "refused"
    if not studied or not population.fit_for_use:
        return "unfit"
    if card.form != "yes_no":
        return _state_of_several(prediction, card)
    positive = card.class_ids[card.positive]
    p, inside = prediction.scores[positive], prediction.prediction_set
    balanced = population.point("balanced").threshold
    if inside == (positive,) and p >= max(balanced, population.point("rule_in").threshold):
        return "positive"
    if inside and positive not in inside and p < min(balanced, population.point("rule_out").threshold):
        return "negative"
    return "doubtful"


def _state_of_several(prediction: Prediction, card: ModelCard) -> State:
    decision = prediction.decision
    if decision is None or prediction.prediction_set != (decision,):
        return "doubtful"
    return "positive" if is_finding(card, decision) else "negative"


def is_finding(card: ModelCard, name: str) -> bool:
    """Whether a class says that something is there: of grades every one above the lowest."""
    if card.form == "grade":
        return name != card.class_ids[0]
    if card.form == "yes_no":
        return name == card.class_ids[card.positive]
    return name != "normal" and not name.startswith(("no_", "not_"))


def target_of(prediction: Prediction, card: ModelCard) -> str:
    """The class that the map beside the answer speaks for: the positive one of a yes/no question, else the decision."""
    return prediction.positive or card.class_ids[card.positive]


def sides_of_patient(card: ModelCard) -> bool:
    """Whether left and right of the picture are known to be the patient's: on frontal chest films they are."""
    return not card.takes or set(card.takes) == {"chest_frontal"}


def place(saliency: SaliencyMap, of_patient: bool = True) -> str:
    """Where a map is strongest.

    Args:
        of_patient: the picture is a frontal film: sides are the patient's, whose right is the left of the picture.
            Otherwise sides are those of the picture.
    """
    if saliency.empty:
        return ""
    rows, columns = saliency.values.shape
    row, column = np.unravel_index(int(saliency.values.argmax()), saliency.values.shape)
    height, width = (row + 0.5) / rows, (column + 0.5) / columns
    third = "upper" if height < 1 / 3 else "middle" if height < 2 / 3 else "lower"
    if abs(width - 0.5) < 0.08:
        return f"in the {third} third, near the {'midline' if of_patient else 'middle of the picture'}"
    if of_patient:
        return f"in the {third} third on the patient’s {'right' if width < 0.5 else 'left'}"
    return f"in the {third} third, on the {'left' if width < 0.5 else 'right'} of the picture"


def _ask(
    image: Image,
    card: ModelCard,
    population: str | None,
    engine: str,
    kept: ByteCache[AnswerKey, Answer],
    beside: Sequence[Image],
    verdict: GateVerdict | None = None,
) -> Answer:
    header = (image.modality, image.view, image.body_part, image.for_processing)
    chosen, _ = card.population(image, population)
    seen = near(card, beside)
    key = (image.digest, header, str(card.folder), card.ref.hash, chosen.id, choose_engine(engine), seen)
    known = all((image.digest, *seen))
    answer = kept.get(key) if known else None
    if answer is None:
        answer = predict(image, card, population, engine=engine, verdict=verdict, beside=beside)
        if known:
            kept.put(key, answer)
    return answer


def _second(
    image: Image,
    card: ModelCard,
    population: str | None,
    engine: str,
    kept: ByteCache[AnswerKey, Answer],
    beside: Sequence[Image],
    verdict: GateVerdict,
) -> tuple[Prediction | None, ModelCard | None]:
    """What the card's second opinion says; a film that was refused is shown to nobody."""
    if card.second_opinion is None or not verdict.passed:
        return None, None
    try:
        other = open_model(card.second_opinion, card.folder.parent)
        same_gate = verdict if other.gate == card.gate else None
        answer = _ask(image, other, population, engine, kept, beside, same_gate)
    except ModelUnavailable as error:
        _log.warning("The second model %s was left out: %s", card.second_opinion, error.cause)
        return None, None
    return (None, None) if answer.prediction.refused else (answer.prediction, other)


def _map(
    image: Image,
    card: ModelCard,
    population: str | None,
    answer: Answer,
    beside: Sequence[Image],
    maps: MapCache | None,
) -> SaliencyMap:
    """The map that costs no pass: CAM behind a pooled head, else Grad-CAM."""
    method = "cam" if card.head == "pooled" else "gradcam"
    target = target_of(answer.prediction, card)
    return explain(image, card, (method,), target, population, answer=answer, beside=beside, cache=maps)[0]


def _possible(card: ModelCard, image: Image) -> bool:
    """Whether what the header says leaves room for one of the populations the model was measured on."""
    view = image.view.upper() if image.view else None
    return any(
        _takes_age(p, image.age_years) and (view is None or not p.views or view in p.views) for p in card.populations
    )


def _takes_age(population: Population, age: float | None) -> bool:
    low, high = population.age_min, population.age_max
    return age is None or ((low is None or age >= low) and (high is None or age < high + 1))


def _of_hundred(prediction: Prediction, population: Population) -> OfHundred:
    value = prediction.scores[prediction.positive or ""]
    spread = prediction.interval or Interval(value, value, value)
    return OfHundred(100 * value, 100 * spread.low, 100 * spread.high, population.prevalence)


def _shares(answer: Answer, card: ModelCard, population: Population) -> dict[str, Interval]:
    if answer.forward is None:
        return {}
    shares = {}
    for name, value in answer.prediction.scores.items():
        known = interval(answer.forward.logits, card, population, name)
        shares[name] = known or Interval(value, value, value)
    return shares


def _figures(card: ModelCard, population: Population, decision: str | None) -> TestFigures | None:
    measured = evaluation(card).get("test_sets", {}).get(population.test_set)
    if not measured:
        return None
    n = int(measured["n"])
    return TestFigures(
        title=str(measured["title"]),
        n=n,
        positives=int(measured.get("positives") or 0),
        patients=int(measured["patients"]),
        metrics=_intervals(measured["metrics"], n),
        coverage=_optional(measured.get("conformal", {}).get("coverage"), n),
        undecided=_undecided(measured.get("undecided"), n),
        called=_called(card, measured.get("predictions"), decision),
        statements={
            name: _intervals({key: value for key, value in row.items() if isinstance(value, Mapping)}, int(row["n"]))
            for name, row in (measured.get("statements") or {}).items()
        },
    )


def _undecided(raw: Mapping[str, Any] | None, n: int) -> Undecided | None:
    share = _optional((raw or {}).get("share"), n)
    if raw is None or share is None:
        return None
    return Undecided(share, _optional(raw.get("error_when_sure"), n), _optional(raw.get("error_when_unsure"), n))


def _called(card: ModelCard, rows: Mapping[str, Any] | None, decision: str | None) -> Rates | None:
    """Rates of `called this class` against `is this class`, over the predictions behind the figures."""
    if card.form == "yes_no" or decision is None or not rows:
        return None
    truth = np.asarray(rows["label"]) == card.class_ids.index(decision)
    return rates(truth, np.asarray(rows["decision"]) == decision, rows["patient"])


def _intervals(raw: Mapping[str, Any], n: int) -> dict[str, Interval]:
    return {name: _interval(figure, n) for name, figure in raw.items() if figure}


def _optional(figure: Mapping[str, Any] | None, n: int) -> Interval | None:
    return _interval(figure, n) if figure else None


def _interval(figure: Mapping[str, Any], n: int) -> Interval:
    return Interval(float(figure["value"]), float(figure["low"]), float(figure["high"]), int(figure.get("n", n)))
