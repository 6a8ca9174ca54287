"""From a diagnosis to the panel: which of the states it is, and what each row says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medimg_core.catalog import ModelCard
from medimg_core.explain import Verdict
from medimg_core.inference import gate
from medimg_core.types import Image, Interval
from medimg_core.ui import palette, who, words
from medimg_core.ui.panel import Figure, Figures, Panel, Row
from medimg_core.ui.viewer import Layer
from medimg_core.workflows.diagnose import Diagnosis, State


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """All that the panel speaks about.

    Attributes:
        image: the film.
        told: the reader's answer about age and view (`Case.who`).
        found: the diagnosis, without its map on the source grid.
        layer: the map beside the answer, for the viewer; None when refused.
        verdict: whether such maps deserve trust; None when refused.
    """

    image: Image
    told: str | None
    found: Diagnosis
    layer: Layer | None
    verdict: Verdict | None

    @property
    def card(self) -> ModelCard:
        """The model that answers."""
        return self.found.card

    @property
    def studied(self) -> bool:
        """Whether the model was measured on patients of this age and films of this view."""
        return self.found.studied and self.told != who.OTHER_AGE

    @property
    def state(self) -> State:
        """Which sentence answers."""
        found = self.found.state
        return found if self.studied or found == "refused" else "unfit"

    @property
    def probability(self) -> Interval:
        """Calibrated probability of the positive class with its interval."""
        p = self.found.prediction
        value = p.scores[p.positive or self.card.class_ids[self.card.positive]]
        return p.interval or Interval(value, value, value)

    @property
    def target(self) -> str:
        """The class that the map beside the answer speaks for."""
        return self.card.class_ids[self.card.positive]

    @property
    def map_trusted(self) -> bool:
        """Whether the map is shown before the reader asks for it."""
        fails = self.verdict is not None and self.verdict.measured and self.verdict.mark == "hollow"
        return self.state != "unfit" and not fails


def condition(card: ModelCard) -> str:
    """What the positive class is called in a sentence: `pneumonia`."""
    return card.class_ids[card.positive].replace("_", " ")


def names(card: ModelCard) -> dict[str, str]:
    """Classes in words; the other side of a yes/no question is `no <condition>`, never `normal`."""
    positive = condition(card)
    if len(card.classes) != 2:
        return {c.id: c.id.replace("_", " ") for c in card.classes}
    return {c.id: positive if i == card.positive else f"no {positive}" for i, c in enumerate(card.classes)}


def question(answer: Answer) -> tuple[who.Choice, ...]:
    """What the reader must tell before the answer is shown; nothing for a picture that was refused."""
    if answer.told is not None or answer.state == "refused":
        return ()
    return who.question(answer.card, answer.image)


def panel(answer: Answer) -> Panel:
    """The panel of any state."""
    if answer.state == "refused":
        return _refused(answer)
    tone, sentence, more = _sentence(answer)
    return Panel(
        tone,
        sentence,
        more,
        number=answer.probability,
        condition=condition(answer.card),
        points=answer.found.population.operating_points,
        meaning=_meaning(answer),
        rows=tuple(_rows(answer)),
    )


def provenance(answer: Answer) -> str:
    """The right end of the footer."""
    if answer.state == "refused":
        return words.NOT_RUN
    prediction = answer.found.prediction
    ref, calibration = prediction.model, answer.found.population.calibration
    scale = "map: 1.0 = 99th percentile on the test set" if answer.layer and answer.layer.scale else ""
    said = words.provenance(ref.name, ref.version, ref.hash, calibration.temperature, prediction.seconds)
    return " · ".join(part for part in (scale, said) if part)


def maps_provenance(answer: Answer, layers: Mapping[str, Layer]) -> str:
    """The right end of the footer below several maps."""
    ref = answer.found.prediction.model
    temperature = answer.found.population.calibration.temperature
    model = words.provenance(ref.name, ref.version, ref.hash, temperature, None)
    return words.maps_provenance([layer.grid for layer in layers.values()], answer.image.shape, model)


def _refused(answer: Answer) -> Panel:
    verdict = answer.found.prediction.gate
    rows: tuple[Row, ...] = (
        ("Why", " ".join(verdict.reasons)),
        ("Accepted", gate.accepted(answer.card)),
        ("Next step", gate.next_step(verdict)),
    )
    return Panel("stop", gate.headline(verdict), words.OUTSIDE, rows=tuple(row for row in rows if row[1]))


def _sentence(answer: Answer) -> tuple[words.Tone, str, str]:
    """Tone, sentence and the line below it of an answer with a number."""
    card, population, p = answer.card, answer.found.population, answer.probability.value
    name = condition(card)
    match answer.state:
        case "positive":
            return "evidence", f"Signs of {name}.", words.position(p, population)
        case "negative":
            return "none", f"No sign of {name}; other findings are not assessed.", words.position(p, population)
        case "doubtful":
            more = words.undecided(p, population)
            inside = answer.found.prediction.prediction_set
            return "doubt", words.undecided_sentence(inside, card.class_ids[card.positive], name), more
    if answer.studied:
        auroc = answer.found.figures.metrics.get("auroc") if answer.found.figures else None
        return "stop", words.not_fit(population), words.below_floor(auroc)
    return "stop", words.not_studied(answer.image, answer.told), words.which_were_studied(card)


def _meaning(answer: Answer) -> str:
    meant = answer.found.of_hundred
    if meant is None or answer.state == "unfit":
        return words.not_of_hundred(condition(answer.card))
    return words.of_hundred(meant.count, condition(answer.card), meant.prevalence)


def _rows(answer: Answer) -> list[Row]:
    found = answer.found
    coverage = found.figures.coverage if found.figures and answer.studied else None
    rows: list[Row] = [
        ("Prediction set", words.prediction_set(found.prediction.prediction_set, names(answer.card), coverage)),
        ("Patients like this", _figures(answer)),
        ("Evidence", _evidence(answer)),
    ]
    if found.second is not None and found.second_card is not None:
        rows.append(("Second model", _second(answer, found.second_card)))
    source = words.source_of_patient(answer.image, answer.told)
    rows.append(("Input check", words.input_check(found.prediction.gate, source)))
    return rows


def _figures(answer: Answer) -> str | Figures:
    found = answer.found
    if not answer.studied:
        return "There are none: the model was not measured on them."
    if found.figures is None:
        return "Not measured on films like this one."
    shown = (("AUROC", "auroc"), ("Sensitivity", "sensitivity"), ("Specificity", "specificity"))
    figures = tuple(Figure(title, found.figures.metrics[key]) for title, key in shown if key in found.figures.metrics)
    assumed = "" if found.known else " · assumed: age and view are not known"
    title = words.capitalised(found.population.title)
    return Figures(f"{title} · test set, {words.counted(found.figures.n)}{assumed}", figures)


def _evidence(answer: Answer) -> str:
    drawn = answer.layer
    trust = words.trust(answer.verdict)
    if drawn is None or answer.state == "unfit":
        return trust
    scaled = drawn.scale is not None
    where = words.evidence(answer.found.place, drawn.maximum, palette.THRESHOLD, scaled)
    shown = drawn.maximum >= palette.THRESHOLD if scaled else drawn.maximum > 0
    return f"{where} {trust}" if shown else where  # trust is of use only where there is something to look at


def _second(answer: Answer, card: ModelCard) -> str:
    p = answer.found.second
    assert p is not None
    title = f"{card.title} (baseline)" if card.baseline else card.title
    value = p.scores[card.class_ids[card.positive]]
    population = next((q for q in card.populations if q.id == p.population), None)
    fit = answer.studied and population is not None and population.fit_for_use
    agrees = p.decision == answer.found.prediction.decision
    point = p.operating_point.threshold if p.operating_point else None
    return words.second_model(title, value, p.interval, agrees, fit, point)
