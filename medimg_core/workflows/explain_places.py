"""Maps of what speaks for a structure that a model outlined, and which maps belong to which target."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from medimg_core.catalog import ModelCard, hashes
from medimg_core.errors import BadRequest
from medimg_core.explain import Query, available, available_places
from medimg_core.explain.segcam import structure_of, structure_weights
from medimg_core.inference import runtime_for
from medimg_core.inference.places import Box, looked_at
from medimg_core.types import Image, Prediction, SaliencyMap
from medimg_core.workflows.beside import near
from medimg_core.workflows.explain import MapCache, Progress, check_answered, make_maps, method_names

NOT_OUTLINED = "Not outlined here: the map asks for it in the whole picture."


def structures(card: ModelCard) -> tuple[str, ...]:
    """Ids of the structures that maps can be made for; none of a model that boxes."""
    return tuple(s.id for s in card.places.structures) if card.places and available_places(card) else ()


def split_methods(
    card: ModelCard, wanted: Sequence[str] | str | None, target: str | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The methods asked for: those that explain the answer, and those that explain an outline.

    Args:
        wanted: names, a list in one string, or `all` that exist for the target; None takes Grad-CAM, of an outline
            Seg-Grad-CAM.
        target: a class goes to the first, a structure to the second, a name of both to both; None to what is asked for.

    Raises:
        BadRequest: an unknown method or target, or a method named that does not explain this target or model.
    """
    if target is not None and target not in (*card.class_ids, *structures(card)):
        known = [("Its classes", card.class_ids), ("Its structures", structures(card))]
        listed = "; ".join(f"{title}: {', '.join(names)}" for title, names in known if names)
        raise BadRequest(f"The model has no class or structure {target!r}.", f"{listed}.")
    of_answer = card.answers and (target is None or target in card.class_ids)
    of_outline = target in structures(card) if target is not None else bool(structures(card))
    answers = tuple(m.name for m in available(card)) if of_answer else ()
    outlines = tuple(m.name for m in available_places(card)) if of_outline else ()
    if wanted in ("all", ["all"], ("all",)) and (answers or outlines):
        return answers, outlines
    names = method_names(card, wanted if wanted is not None else "gradcam" if of_answer else "seg_gradcam")
    left = [name for name in names if name not in (*answers, *outlines)]
    if left or not names:
        what = repr(target) if target is not None else f"what the model {card.name!r} says"
        exist = ", ".join((*answers, *outlines)) or "none"
        raise BadRequest(f"The method {', '.join(left) or wanted} does not explain {what}.", f"Methods: {exist}.")
    return tuple(n for n in names if n in answers), tuple(n for n in names if n in outlines)


def explain_places(
    image: Image,
    card: ModelCard,
    methods: Sequence[str] | str,
    target: str,
    prediction: Prediction,
    *,
    box: Box | None = None,
    beside: Sequence[Image] = (),
    progress: Progress = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
    cache: MapCache | None = None,
) -> list[SaliencyMap]:
    """Maps of several methods for one structure, in the order asked for.

    Args:
        methods: names of methods of outlines, or `all` of those.
        target: id of a structure. Where it was not outlined, the maps ask for it in the whole picture.
        prediction: what the model said to this image, with its regions.
        box, beside: what `predict` was given.
        progress, cancelled, cache: as for `workflows.explain.explain`.

    Raises:
        BadRequest: an unknown method or structure, or the box lies outside the image.
        MedImgError: the input check refused the image.
        Cancelled: stopped; maps that were finished stay in the cache.
    """
    structure_of(card, target)
    names = split_methods(card, methods, target)[1]
    check_answered(prediction)
    places = card.places
    assert places is not None
    x, geometry = looked_at(image, places, box, beside)

    def query(tick: Progress) -> Query:
        runtime = runtime_for(card, network=places.network)
        forward = runtime.predict(x)
        assert forward.places is not None
        weights = structure_weights(card, target, prediction.regions, geometry, forward.places.shape)
        return Query(runtime, x, weights, forward=forward, progress=tick)

    spacing = image.spacing if places.needs_box else None  # decides the square that is looked at
    looked = (box, spacing, *near(card, beside))
    return make_maps(
        names,
        query,
        geometry,
        key=(image.digest, hashes(card)[f"{places.network}.tflite"], target, *looked),
        target=target,
        card=card,
        progress=progress,
        cancelled=cancelled,
        cache=cache,
    )


def was_outlined(card: ModelCard, target: str, prediction: Prediction) -> bool:
    """Whether a structure, or a part of it, was found."""
    structure = structure_of(card, target)
    return bool({structure.id, *structure.of} & {region.label for region in prediction.regions})
