"""The pages' way to the workflows: results by content, kept in the session, small enough to keep many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medimg_core.catalog import ModelCard
from medimg_core.errors import MedImgError, ModelUnavailable
from medimg_core.explain import Method, available, method, verdict
from medimg_core.explain.registry import Progress
from medimg_core.inference import gate
from medimg_core.inference.places import Box
from medimg_core.inference.series import kept_key, see
from medimg_core.inference.series_order import neighbours, where
from medimg_core.types import Image, SaliencyMap
from medimg_core.ui import naming, pixels, session, who
from medimg_core.ui.answer import Answer, Asked
from medimg_core.ui.faults import report
from medimg_core.ui.panel import Row
from medimg_core.ui.session import Case, Workspace
from medimg_core.ui.viewer import Layer
from medimg_core.workflows.beside import Beside, near
from medimg_core.workflows.diagnose import Diagnosis, diagnose, place, sides_of_patient, target_of
from medimg_core.workflows.explain import explain
from medimg_core.workflows.find import Found, correct, describe, find, outlining
from medimg_core.workflows.route import Routed, accepted, models, route

FIRST_MAP = "gradcam"
"""The map beside the answer: behind a pooled head it costs no pass of its own."""

SIDE_BY_SIDE = ("gradcam", "layercam", "scorecam", "occlusion", "integrated_gradients", "smoothgrad")
"""Methods on the six panes until the reader chooses others: every family once."""


def choices() -> tuple[ModelCard, ...]:
    """All models that answer a question, by title.

    Raises:
        ModelUnavailable: none is installed.
    """
    return tuple(sorted(models(), key=lambda card: card.title))


def asked(image: Image, wanted: str | None, space: Workspace) -> Asked:
    """The model that answers about an image: the reader's choice, else the first that the router names.

    Raises:
        ModelUnavailable: none is installed.
    """
    cards = choices()
    found: Routed = space.remember(_routed(image, cards), lambda: route(image))
    chosen = next((card for card in cards if card.name == wanted), None)
    return Asked(chosen or found.first, found.cards, chosen is not None)


def known_kinds(images: Sequence[Image]) -> list[str]:
    """What the router took images for; empty where it was not asked yet, for this never asks it."""
    try:
        cards, results = choices(), session.workspace().results
    except ModelUnavailable:
        return [""] * len(images)
    found = [results.get(_routed(image, cards)) for image in images]
    return [one.verdict.kind if one is not None else "" for one in found]


def _routed(image: Image, cards: Sequence[ModelCard]) -> tuple[str, ...]:
    return ("routed", image.digest, *(card.ref.hash for card in cards))


def routed_rows(image: Image | None, wanted: str | None) -> tuple[Row, ...]:
    """What an image is and which models it goes to, or why it goes to none and what would be accepted."""
    if image is None:
        return ()
    try:
        chosen = asked(image, wanted, session.workspace())
    except ModelUnavailable as error:
        return (("Models", str(error)),)
    verdict = gate.check(image, chosen.card)
    if not verdict.passed:
        card = chosen.card if chosen.by_reader else None
        why = " ".join((gate.headline(verdict, card), *verdict.reasons))
        return (("Models", why), ("Accepted", gate.accepted(card) if card else accepted()))
    cards = (chosen.card,) if chosen.by_reader else chosen.routed
    subjects = " and ".join(f"**{naming.subject(card)}**" for card in answering(cards))
    said = [f"asked about {subjects}" if subjects else ""]
    for kind, verb in (("outline", "outlined"), ("boxes", "boxed")):
        placing = [card for card in outlining(cards) if card.places is not None and card.places.kind == kind]
        places = " and ".join(f"**{naming.outlined(card)}**" for card in placing)
        said.append(f"{verb}: {places}" if places else "")
    if boxed := [card for card in cards if card.places is not None and card.places.needs_box]:
        said.append(f"in a box that you draw: **{naming.outlined(boxed[0])}**")
    by = "You chose the model." if chosen.by_reader else f"Model: {'; '.join(card.title for card in cards)}."
    kind = naming.title(verdict.kind) or "Kind not checked"
    return (("Models", f"{kind}: {'; '.join(part for part in said if part)}. {by}"),)


def answering(cards: Sequence[ModelCard]) -> tuple[ModelCard, ...]:
    """Those of some models that say something of the image as a whole, without being told where to look."""
    return tuple(card for card in cards if card.answers and not (card.places is not None and card.places.needs_box))


def neighbours_of(case: Case, image: int | None = None, space: Workspace | None = None) -> Beside:
    """The slices before and after an image of a case, the chosen one unless told; empty where it is in no stack.

    Args:
        space: see `answer`.
    """
    used: Workspace = space or session.workspace()

    def numbers() -> list[tuple[int, ...]]:
        found, first = list[tuple[int, ...]](), 0
        for series in case.study.series:
            own = neighbours([where(one) for one in series.images])
            found += [tuple(first + number for number in pair) for pair in own]
            first += len(own)
        return found

    # Numbers and not images: a reader may type another spacing.
    pair = used.remember(("neighbours", case.number), numbers)[case.chosen if image is None else image]
    return tuple(case.study.images[number] for number in pair)


def finds(image: Image, told: str | None, case: Case, faults: list[Row]) -> list[Found]:
    """What the models outline that an image goes to, with what the reader corrected.

    Args:
        told: the reader's answer about age and view.
        faults: gets a row for each model that could not outline; the others are shown all the same.
    """
    space: Workspace = session.workspace()
    chosen, box, out = asked(image, case.model, space), case.boxes.get(case.chosen), []
    cards = (chosen.card,) if chosen.by_reader else chosen.routed
    beside = neighbours_of(case)
    for card in outlining(cards, box=box is not None):
        needs = card.places is not None and card.places.needs_box
        try:
            one = find_one(image, card, told, space, box if needs else None, beside)
        except MedImgError as error:
            report(error, image.digest)
            faults.append(("Outline", str(error)))
            continue
        out.append(correct(one, case.corrected.get((image.digest, card.name), {})))
    return out


def answers(image: Image, wanted: str | None) -> bool:
    """Whether a model says something of the image as a whole; a refusal counts as that."""
    chosen = asked(image, wanted, session.workspace())
    return (not chosen.routed and not chosen.by_reader) or bool(answering((chosen.card,)))


def waits_for_box(image: Image, case: Case) -> bool:
    """Whether one of the models that an image goes to has to be told where to look."""
    chosen = asked(image, case.model, session.workspace())
    cards = (chosen.card,) if chosen.by_reader else chosen.routed
    return any(card.places is not None and card.places.needs_box for card in cards)


def find_one(
    image: Image, card: ModelCard, told: str | None, space: Workspace, box: Box | None = None, beside: Beside = ()
) -> Found:
    """What one model outlines on an image and the slices beside it; what it answered before is not asked again."""
    population = who.chosen_population(card, told)

    def make() -> Found:
        if card.answers and box is None:
            said = _diagnosed(image, card, population, space, beside)
            return describe(said.prediction, image, card)
        return find(image, card, population, box=box, beside=beside, kept=space.found)

    seen = near(card, beside)
    return space.remember(("found", image.digest, card.ref.hash, population, box, image.spacing, seen), make)


def _diagnosed(image: Image, card: ModelCard, population: str | None, space: Workspace, beside: Beside) -> Diagnosis:
    return diagnose(image, card, population, beside=beside, with_map=False, answers=space.answers, maps=space.maps)


def answer(
    image: Image,
    told: str | None,
    wanted: str | None = None,
    space: Workspace | None = None,
    beside: Beside = (),
) -> Answer:
    """The answer to an image; computed once a session for the same pixels, neighbours, model and patient group.

    Args:
        told: the reader's answer about age and view.
        wanted: name of the model that the reader chose; None leaves it to the router.
        space: the session's workspace, for work beside the page, which knows no session.
        beside: the slices before and after (`neighbours_of`), for models that also look at those.
    """
    used: Workspace = space or session.workspace()
    chosen = asked(image, wanted, used)
    key = ("answer", image.digest, chosen.card.ref.hash, told, near(chosen.card, beside))
    return used.remember(key, lambda: _answer(image, chosen, told, used, beside))


def _answer(image: Image, chosen: Asked, told: str | None, space: Workspace, beside: Beside) -> Answer:
    card = chosen.card
    population = who.chosen_population(card, told)
    found = _diagnosed(image, card, population, space, beside)
    if card.series is not None:  # what it says of one slice is not asked again for its series
        space.slices[kept_key(image, card, population)] = see(image, found.answer)
    if found.state == "refused":
        return Answer(image, told, found, None, None, chosen, beside)
    name = FIRST_MAP
    target = target_of(found.prediction, card)
    saliency = explain(image, card, (name,), target, answer=found.answer, beside=beside, cache=space.maps)[0]
    said = place(saliency, sides_of_patient(card)) if found.state != "unfit" else ""
    trust = verdict(card, name, found.population.id)
    return Answer(image, told, replace(found, place=said), as_layer(saliency, card), trust, chosen, beside)


def others(found: Answer, space: Workspace | None = None) -> list[Answer]:
    """What the other models say that the router names for the image; nothing where the reader chose one.

    What the reader told about the patient counts for them only where it is one of their own groups.
    """
    if found.asked.by_reader:
        return []
    rest = [card for card in answering(found.asked.routed) if card.name != found.card.name]
    told = {card.name: who.chosen_population(card, found.told) for card in rest}
    return [answer(found.image, told[card.name], card.name, space, found.beside) for card in rest]


def all_images(case: Case, found: Answer) -> list[Answer | None]:
    """The answers to all images of a case, `found` for the chosen one; None where one could not be had."""
    return [
        found if index == case.chosen else _quietly(case, index, image) for index, image in enumerate(case.study.images)
    ]


def _quietly(case: Case, index: int, image: Image) -> Answer | None:
    """The answer to an image that the panel does not speak about; its failure is told once it does."""
    told, wanted = case.told.get(index), case.models.get(index)
    try:
        beside = neighbours_of(case, index)
        return answer(image, told, wanted, beside=beside) if answers(image, wanted) else None
    except MedImgError:
        return None


def layers(answer: Answer, names: Sequence[str], target: str, space: Workspace) -> dict[str, Layer]:
    """Maps by method; see `one_layer`."""
    return {name: one_layer(answer, name, target, space) for name in names}


def one_layer(
    answer: Answer, name: str, target: str, space: Workspace, progress: Progress = lambda share: None
) -> Layer:
    """One map; made before, it comes from the session's memory.

    Args:
        space: the session's workspace, given because jobs and routes run beside the page and know no session.
        progress: called between the passes of slow methods.
    """
    card, asked, beside = answer.card, answer.found.answer, answer.beside

    def make() -> Layer:
        made = explain(
            answer.image, card, (name,), target, answer=asked, beside=beside, progress=progress, cache=space.maps
        )
        return as_layer(made[0], card)

    return space.remember(("layer", answer.image.digest, answer.look, name, target), make)


def side_by_side(card: ModelCard) -> list[str]:
    """The methods on the panes until the reader chooses others."""
    exist = [m.name for m in offered(card)]
    first = [name for name in SIDE_BY_SIDE if name in exist]
    return (first + [name for name in exist if name not in first])[: len(SIDE_BY_SIDE)]


def is_fast(name: str) -> bool:
    """Whether a method costs a pass or two at most, so that the page may wait for it."""
    needs = method(name).needs
    return needs in ("features", "cam_gradient") or name == "gradients"


def offered(card: ModelCard) -> tuple[Method, ...]:
    """The methods that exist for a model, as the registry orders them."""
    return available(card)


def as_layer(saliency: SaliencyMap, card: ModelCard) -> Layer:
    """The part of a map that the viewer needs; the map on the source grid is let go."""
    return Layer(
        method=saliency.method,
        target=saliency.target,
        values=pixels.overlay(saliency, card.input),
        scale=saliency.scale,
        maximum=saliency.maximum,
        signed=saliency.signed,
        grid=(saliency.grid.shape[0], saliency.grid.shape[1]),
        seconds=saliency.seconds,
    )
