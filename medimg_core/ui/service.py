"""The pages' way to the workflows: results by content, kept in the session, small enough to keep many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medimg_core.catalog import ModelCard
from medimg_core.errors import ModelUnavailable
from medimg_core.explain import Method, available, method, verdict
from medimg_core.explain.registry import Progress
from medimg_core.types import Image, SaliencyMap
from medimg_core.ui import pixels, session, who
from medimg_core.ui.answer import Answer
from medimg_core.ui.session import Workspace
from medimg_core.ui.viewer import Layer
from medimg_core.workflows.diagnose import diagnose, place
from medimg_core.workflows.explain import explain
from medimg_core.workflows.route import models

FIRST_MAP = "gradcam"
"""The map beside the answer: behind a pooled head it costs no pass of its own."""

SIDE_BY_SIDE = ("gradcam", "layercam", "scorecam", "occlusion", "integrated_gradients", "smoothgrad")
"""Methods on the six panes until the reader chooses others: every family once."""


def primary() -> ModelCard:
    """The model that answers.

    Raises:
        ModelUnavailable: none is installed.
    """
    return models()[0]


def ready_for(image: Image | None) -> str:
    """`Ready for <model>.`, or why there is none; nothing where there is no image."""
    try:
        return f"Ready for {primary().name}." if image is not None else ""
    except ModelUnavailable as error:
        return str(error)


def answer(image: Image, told: str | None) -> Answer:
    """The answer to an image; computed once a session for the same pixels, model and patient group."""
    card = primary()
    return session.remember(("answer", image.digest, card.ref.hash, told), lambda: _answer(image, card, told))


def _answer(image: Image, card: ModelCard, told: str | None) -> Answer:
    space = session.workspace()
    chosen = who.chosen_population(card, told)
    found = diagnose(image, card, chosen, with_map=False, answers=space.answers, maps=space.maps)
    if found.state == "refused":
        return Answer(image, told, found, None, None)
    name = FIRST_MAP
    saliency = explain(image, card, (name,), card.class_ids[card.positive], answer=found.answer, cache=space.maps)[0]
    where = place(saliency) if found.state != "unfit" else ""
    trust = verdict(card, name, found.population.id)
    return Answer(image, told, replace(found, place=where), as_layer(saliency, card), trust)


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
    card, asked = answer.card, answer.found.answer

    def make() -> Layer:
        made = explain(answer.image, card, (name,), target, answer=asked, progress=progress, cache=space.maps)
        return as_layer(made[0], card)

    return space.remember(("layer", answer.image.digest, card.ref.hash, name, target), make)


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
