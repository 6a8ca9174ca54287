"""One map for one question: which engine computes it, and how it reaches the source grid."""

from __future__ import annotations

import difflib
import time
from dataclasses import replace
from typing import Literal

import numpy as np

from medimg_core import catalog
from medimg_core.catalog import ModelCard
from medimg_core.errors import BadRequest, MedImgError
from medimg_core.explain.registry import Method, Query, method, methods
from medimg_core.imaging import Geometry
from medimg_core.inference.places import seen
from medimg_core.inference.runtime import FEATURES
from medimg_core.types import FloatArray, SaliencyMap

Engine = Literal["own", "tf-keras-vis"]
ENGINES: tuple[Engine, ...] = ("own", "tf-keras-vis")
"""`own` needs the runtime only; `tf-keras-vis` loads TensorFlow and the Keras file, and is the reference in tests."""


def target_weights(card: ModelCard, target: str) -> FloatArray:
    """What is explained, as weights of the logits, float32 `[outputs]`.

    Yes/no: +1 asks for the positive class, -1 for the other one. Several kinds: one-hot. Grades: the step that leads to
    the grade; minus the first step for the lowest. The logits of statements are left out.

    Raises:
        BadRequest: the model has no such class; the message lists the near names.
    """
    if target not in card.class_ids:
        near = difflib.get_close_matches(target, card.class_ids, n=3, cutoff=0.5) or list(card.class_ids)
        raise BadRequest(f"The model {card.name!r} has no class {target!r}.", f"Near names: {', '.join(near)}.")
    index = card.class_ids.index(target)
    weights = np.zeros(card.outputs, np.float32)
    if card.form == "yes_no":
        weights[0] = 1 if index == card.positive else -1
    elif card.form == "grade":
        weights[max(index - 1, 0)] = 1 if index else -1
    else:
        weights[index] = 1
    return weights


def available(card: ModelCard) -> tuple[Method, ...]:
    """The methods that exist for a model's answer: CAM itself needs a pooled head; without an answer there are none."""
    if not card.answers:
        return ()
    own = (m for m in methods() if m.needs != "places_gradient")
    return tuple(m for m in own if m.needs != "features" or card.head == "pooled")


def available_places(card: ModelCard) -> tuple[Method, ...]:
    """The methods that exist for what a model outlines; none for boxes."""
    outlines = card.places is not None and card.places.kind == "outline"
    return tuple(m for m in methods() if m.needs == "places_gradient" and outlines)


def compute(
    name: str, query: Query, geometry: Geometry, *, target: str, card: ModelCard, engine: str = "own"
) -> SaliencyMap:
    """A method's map of one prepared input, on the source grid and unnormalised.

    Args:
        name: identifier of the method (`gradcam`).
        query: the question; `query.weights` must be `target_weights(card, target)`, of a structure
            `segcam.structure_weights`.
        geometry: from `imaging.prepare`, the way back to the source grid.
        target: the class or structure that the map speaks for; kept with the map.
        engine: one of `ENGINES`.

    Returns:
        The map; `empty` when nothing speaks for the target, which is a result and no failure.

    Raises:
        BadRequest: unknown method or engine, or the method does not exist for this network.
        MedImgError: the network answered with values that are no numbers.
    """
    chosen = method(name)
    started = time.perf_counter()
    grid = _grid(chosen, query, engine)
    seconds = time.perf_counter() - started
    if not np.isfinite(grid).all():
        raise MedImgError(
            f"The map of {chosen.title} holds values that are no numbers, so it is not shown.",
            "Choose another method; if others fail too, export the model again.",
        )
    return raise_grid(chosen, grid, geometry, target=target, card=card, seconds=seconds)


def raise_grid(
    chosen: Method, grid: FloatArray, geometry: Geometry, *, target: str, card: ModelCard, seconds: float
) -> SaliencyMap:
    """Raise a map `[h, w]` of the model's grid to the source grid and attach what a reader must know about it.

    Where the network looked at a part of the source only, the rest of the map is zero.
    """
    values = geometry.raise_map(grid)
    if geometry.window is not None:
        values = np.where(seen(geometry), values, np.float32(0))
    network = card.places.network if chosen.needs == "places_gradient" and card.places is not None else "model"
    layer = card.cam_layer if network == "model" else FEATURES
    return SaliencyMap(
        values=values,
        grid=grid,
        method=chosen.name,
        target=target,
        layer=layer if chosen.family == "cam" else "input",
        model=replace(card.ref, hash=catalog.hashes(card)[f"{network}.tflite"][:8]),
        scale=scale_of(card, chosen.name, target),
        signed=chosen.signed,
        seconds=seconds,
    )


def scale_of(card: ModelCard, name: str, target: str = "") -> float | None:
    """The value shown as 1.0, as measured on the model's test films, of outlines on val for each structure.

    None where it was not measured.
    """
    measured = catalog.evaluation(card)
    scale = measured.get("saliency_scales", {}).get(name)
    if method(name).needs == "places_gradient":
        scale = measured.get("places", {}).get("saliency", {}).get(name, {}).get(target, {}).get("scale")
    return float(scale) if scale else None


def _grid(chosen: Method, query: Query, engine: str) -> FloatArray:
    if engine == "own":
        return np.ascontiguousarray(chosen.function(query), np.float32)
    if engine == "tf-keras-vis":
        from medimg_core.explain import engine_tf_keras_vis

        return engine_tf_keras_vis.grid(chosen.name, query)
    raise BadRequest(f"There is no engine named {engine!r}.", f"Engines: {', '.join(ENGINES)}.")
