"""From a diagnosis to the panel: which of the states it is, and what each row says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medimg_core.catalog import ModelCard
from medimg_core.explain import Verdict
from medimg_core.inference import gate
from medimg_core.types import Image, Interval
from medimg_core.ui import chances, forms, naming, numerals, palette, who, words
from medimg_core.ui.naming import condition, names
from medimg_core.ui.panel import Bar, Figure, Figures, Panel, Row
from medimg_core.ui.viewer import Layer
from medimg_core.workflows.beside import near
from medimg_core.workflows.diagnose import Diagnosis, State, target_of
from medimg_core.workflows.route import accepted


@dataclass(frozen=True, slots=True)
class Asked:
    """Which models an image goes to.

    Attributes:
        card: the model whose answer is shown.
        routed: all that the router names for the image; empty where none takes it.
        by_reader: the reader chose `card` in place of the router.
    """

    card: ModelCard
    routed: tuple[ModelCard, ...]
    by_reader: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """All that the panel speaks about.

    Attributes:
        image: the film.
        told: the reader's answer about age and view (`Case.who`).
        found: the diagnosis, without its map on the source grid.
        layer: the map beside the answer, for the viewer; None when refused.
        verdict: whether such maps deserve trust; None when refused.
        asked: who was asked, and why.
        beside: the slices before and after it, whether its model looks at them or not.
    """

    image: Image
    told: str | None
    found: Diagnosis
    layer: Layer | None
    verdict: Verdict | None
    asked: Asked
    beside: tuple[Image, ...] = ()

    @property
    def card(self) -> ModelCard:
        """The model that answers."""
        return self.found.card

    @property
    def look(self) -> str:
        """What beside the image decides the answer and its maps: the network, and the neighbours that it looked at."""
        return "-".join((self.card.ref.hash, *near(self.card, self.beside)))

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
        """Calibrated probability of `target` with its interval."""
        return self.found.shares[self.target]

    @property
    def target(self) -> str:
        """The class that the map beside the answer speaks for."""
        return target_of(self.found.prediction, self.card)

    @property
    def map_trusted(self) -> bool:
        """Whether the map is shown before the reader asks for it."""
        fails = self.verdict is not None and self.verdict.measured and self.verdict.mark == "hollow"
        return self.state != "unfit" and not fails


def question(answer: Answer) -> tuple[who.Choice, ...]:
    """What the reader must tell before the answer is shown; nothing for a picture that was refused."""
    if answer.told is not None or answer.state == "refused":
        return ()
    return who.question(answer.card, answer.image)


def panel(answer: Answer, others: Sequence[Answer] = ()) -> Panel:
    """The panel of any state; `others` are answers of further models to the same image."""
    if answer.state == "refused":
        return _refused(answer)
    tone, sentence, more = _sentence(answer)
    yes_no = answer.card.form == "yes_no"
    return Panel(
        tone,
        sentence,
        more,
        number=answer.probability,
        condition=names(answer.card)[answer.target],
        points=answer.found.population.operating_points if yes_no else (),
        bars=() if yes_no else _bars(answer),
        meaning=_meaning(answer) if yes_no else "",
        asides=tuple(_asides(answer)),
        question=asked_words(answer),
        rows=(*_rows(answer), *(("Also asked", _also(other)) for other in others)),
    )


def _also(other: Answer) -> str:
    """Another model's answer to the same image, in one line."""
    if question(other):
        return f"{other.card.title}: {words.NEEDS_PATIENT}."
    return f"{other.card.title}: **{summary(other)}**."


def summary(answer: Answer) -> str:
    """The answer in a few words, for lists and captions: `glioma, 91 % (85–95)`."""
    if answer.state == "refused":
        return "not analysed"
    p = answer.probability
    said = f"{names(answer.card)[answer.target]}, {numerals.percent(p.value)} ({numerals.bare_range(p.low, p.high)})"
    note = {"doubtful": "not sure: ", "unfit": "not fit for use: "}.get(answer.state, "")
    return note + said


def _bars(answer: Answer) -> tuple[Bar, ...]:
    p, titles = answer.found.prediction, naming.titles(answer.card)
    return tuple(
        Bar(titles[name], share, name == p.decision, name in p.prediction_set)
        for name, share in answer.found.shares.items()
    )


def _asides(answer: Answer) -> list[str]:
    """The expected grade, and the statements that go with this answer."""
    found, card = answer.found, answer.card
    lines = []
    if found.expected is not None:
        lines.append(forms.expected(found.expected, len(card.classes) - 1))
    questions = {question.id: question for question in card.statements}
    lines += [forms.statement(questions[told.id], told) for told in found.prediction.statements]
    return lines


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


def asked_words(answer: Answer) -> str:
    """`Head CT, brain window: asked about haemorrhage.`, and who chose the model where it was the reader."""
    kind = naming.title(answer.found.prediction.gate.kind) or "Kind not checked"
    by = " You chose the model." if answer.asked.by_reader else ""
    return f"{kind}: asked about **{naming.subject(answer.card)}**.{by}"


def _refused(answer: Answer) -> Panel:
    """Refused by the model that the reader chose, or by all."""
    verdict, by_reader = answer.found.prediction.gate, answer.asked.by_reader
    card = answer.card if by_reader else None
    others = [other.title for other in answer.asked.routed]
    instead = f"Let the router choose: {'; '.join(others)}." if by_reader and others else gate.next_step(verdict, card)
    rows: tuple[Row, ...] = (
        ("Why", " ".join(verdict.reasons)),
        ("Accepted", gate.accepted(card) if card else accepted()),
        ("Next step", instead),
    )
    return Panel("stop", gate.headline(verdict, card), words.OUTSIDE, rows=tuple(row for row in rows if row[1]))


def _sentence(answer: Answer) -> tuple[words.Tone, str, str]:
    """Tone, sentence and the line below it of an answer with a number."""
    if answer.state == "unfit":
        if answer.studied:
            auroc = answer.found.figures.metrics.get("auroc") if answer.found.figures else None
            return "stop", words.not_fit(answer.found.population), words.below_floor(auroc)
        return "stop", words.not_studied(answer.image, answer.told), words.which_were_studied(answer.card)
    tone: words.Tone = {"positive": "evidence", "negative": "none"}.get(answer.state, "doubt")  # type: ignore[assignment]
    return (tone, *(_yes_no(answer) if answer.card.form == "yes_no" else _several(answer)))


def _yes_no(answer: Answer) -> tuple[str, str]:
    card, population, p = answer.card, answer.found.population, answer.probability.value
    name, noun = condition(card), naming.noun(card)
    if answer.state == "doubtful":
        inside = answer.found.prediction.prediction_set
        said = chances.undecided_sentence(inside, card.class_ids[card.positive], name, noun)
        return said, chances.undecided(p, population)
    chosen = card.positive if answer.state == "positive" else 1 - card.positive
    return card.classes[chosen].meaning, chances.position(p, population)


def _several(answer: Answer) -> tuple[str, str]:
    p = answer.found.prediction
    assert p.decision is not None
    if answer.state == "doubtful":
        return forms.not_sure(answer.card, p.prediction_set, p.decision)
    return forms.decided(answer.card, p.decision)


def _meaning(answer: Answer) -> str:
    meant, noun = answer.found.of_hundred, naming.noun(answer.card).many
    if meant is None or answer.state == "unfit":
        return chances.not_of_hundred(condition(answer.card), noun)
    return chances.of_hundred(meant.count, condition(answer.card), meant.prevalence, noun)


def _rows(answer: Answer) -> list[Row]:
    found = answer.found
    rows: list[Row] = [("Prediction set", _set(answer))]
    figures = found.figures if answer.studied else None
    if figures is not None and figures.undecided is not None:
        rows.append(("Not sure", forms.undecided(figures.undecided, naming.noun(answer.card))))
    rows.append(("Patients like this", _figures(answer)))
    rows += _statement_rows(answer)
    rows.append(("Evidence", _evidence(answer)))
    if found.second is not None and found.second_card is not None:
        rows.append(("Second model", _second(answer, found.second_card)))
    source = words.source_of_patient(answer.image, answer.told)
    checked: Row = ("Input check", words.input_check(found.prediction.gate, source))
    gate = found.prediction.gate
    # A doubt about the picture itself comes before everything that was measured on pictures without one.
    return [checked, *rows] if gate.reasons and gate.kind != "not_checked" else [*rows, checked]


def _set(answer: Answer) -> str:
    found, card = answer.found, answer.card
    figures = found.figures if answer.studied else None
    inside, coverage = found.prediction.prediction_set, figures.coverage if figures else None
    if card.form == "yes_no":
        return chances.prediction_set(inside, names(card), coverage, naming.noun(card))
    return forms.prediction_set(card, inside, coverage)


def _statement_rows(answer: Answer) -> list[Row]:
    """What was measured about the statements told with this answer."""
    figures = answer.found.figures
    if figures is None or not answer.studied:
        return []
    told = {told.id for told in answer.found.prediction.statements}
    return [
        (question.title.rstrip("."), line)
        for question in answer.card.statements
        if question.id in told and (line := forms.statement_figures(figures.statements.get(question.id, {})))
    ]


_SHOWN = {
    "yes_no": (("AUROC", "auroc"), ("Sensitivity", "sensitivity"), ("Specificity", "specificity")),
    "one_of": (("Accuracy", "accuracy"), ("AUROC, mean", "auroc")),
    "grade": (("Kappa, quadratic", "kappa_quadratic"), ("Error in grades", "mae"), ("AUROC", "auroc")),
}
"""Form -> figures of the row Patients like this: title, name in `evaluation.json`."""


def _figures(answer: Answer) -> str | Figures:
    found, card = answer.found, answer.card
    if not answer.studied:
        return "There are none: the model was not measured on them."
    if found.figures is None:
        return f"Not measured on {naming.noun(card).many} like this one."
    shown = list(_SHOWN[card.form])
    decision = found.prediction.decision
    if card.form == "one_of":
        shown.append((f"AUROC, {names(card)[decision or '']}", f"auroc_{decision}"))
    figures = tuple(Figure(title, found.figures.metrics[key]) for title, key in shown if key in found.figures.metrics)
    assumed = "" if found.known or len(card.populations) == 1 else " · assumed: age and view are not known"
    title = words.capitalised(found.population.title)
    more = forms.called(card, decision, found.figures, naming.noun(card)) if decision else ""
    return Figures(f"{title} · test set, {numerals.counted(found.figures.n)}{assumed}", figures, more)


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
    chosen = target_of(p, card)
    value = p.scores[chosen]
    if card.form != "yes_no":
        title = f"{title}, {names(card)[chosen]}"
    population = next((q for q in card.populations if q.id == p.population), None)
    fit = answer.studied and population is not None and population.fit_for_use
    agrees = p.decision == answer.found.prediction.decision
    point = p.operating_point.threshold if p.operating_point else None
    return words.second_model(title, value, p.interval, agrees, fit, point)
