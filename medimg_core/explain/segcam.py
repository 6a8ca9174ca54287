"""Seg-Grad-CAM: what in a picture speaks for a structure that a network outlines.

The score is the sum of the structure's logits over a set of pixels M, and the maps are those of Grad-CAM and HiRes-CAM
for that score at the bottom of the U-Net. M are the pixels of the outline as it is shown; where nothing was outlined,
the whole picture. The mean of the gradient over all places, which Seg-Grad-CAM weighs channels by, forgets where the
outline lies; Seg-HiRes-Grad CAM keeps it.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np

from medimg_core.catalog import ModelCard, PlacesCard, Structure
from medimg_core.errors import BadRequest
from medimg_core.explain.cam import Combine, gradcam, hirescam
from medimg_core.explain.registry import Method, Query, register
from medimg_core.imaging import Geometry
from medimg_core.types import FloatArray, MaskArray, Region


def structure_of(card: ModelCard, target: str) -> Structure:
    """The structure of a model that outlines, by its id.

    Raises:
        BadRequest: the model outlines nothing, or nothing of that name; the message lists the near names.
    """
    if card.places is None or card.places.kind != "outline":
        raise BadRequest(f"The model {card.name!r} outlines nothing.", "Choose a model that does; see models.")
    known = {structure.id: structure for structure in card.places.structures}
    if target not in known:
        near = difflib.get_close_matches(target, known, n=3, cutoff=0.5) or list(known)
        raise BadRequest(f"The model {card.name!r} outlines no {target!r}.", f"Near names: {', '.join(near)}.")
    return known[target]


def structure_weights(
    card: ModelCard, target: str, regions: Sequence[Region], geometry: Geometry, shape: tuple[int, ...]
) -> FloatArray:
    """What is explained, as weights of the places' logits: ones at the pixels of M, float32 `[h, w, K]`.

    A structure made of others asks for those of its parts that were found, each within its own outline.

    Args:
        regions: what was outlined, on the source grid.
        geometry: from the source grid to the input.
        shape: of the places, `(h, w, K)`.

    Raises:
        BadRequest: see `structure_of`.
    """
    structure = structure_of(card, target)
    assert card.places is not None
    outputs = [output.id for output in card.places.outputs]
    masks = {region.label: region.mask for region in regions if region.mask is not None}
    parts = structure.of or (structure.id,)
    found = [part for part in parts if part in masks]
    weights = np.zeros(shape, np.float32)
    for part in found or parts:
        inside = lowered(masks[part], geometry, (shape[0], shape[1])) if part in masks else np.True_
        weights[..., outputs.index(part)] = inside
    return weights


def lowered(mask: MaskArray, geometry: Geometry, shape: tuple[int, int]) -> MaskArray:
    """A mask `[H, W]` on a grid that covers the input: the cells of which half lies inside, else the fullest."""
    fine = geometry.lower(mask.astype(np.float32))
    share = np.asarray(cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
    return np.asarray(share >= min(0.5, max(float(share.max()), 1e-6)), np.bool_)


def _map(query: Query, combine: Combine) -> FloatArray:
    places = query.runtime.card.places
    assert isinstance(places, PlacesCard)
    values = _look(query, query.x, query.weights, combine)
    if places.mirror:  # both looks stand behind the outline, each for half
        query.progress(0.5)
        other = _look(query, query.x[:, ::-1], query.weights[:, ::-1], combine)
        values = np.asarray((values + other[:, ::-1]) / 2, np.float32)
    return np.asarray(np.maximum(values, 0), np.float32)


def _look(query: Query, x: FloatArray, weights: FloatArray, combine: Combine) -> FloatArray:
    forward, gradient = query.runtime.places_gradient(np.ascontiguousarray(x), np.ascontiguousarray(weights))
    return combine(forward.features, gradient, 0.0)


for _name, _title, _paper, _equation, _combine in (
    (
        "seg_gradcam",
        "Seg-Grad-CAM",
        "Vinogradova et al., AAAI 2020, arXiv 2002.11434",
        "relu(sum_c A_c mean(G_c)), G = d sum_M(logits) / d A",
        gradcam,
    ),
    (
        "seg_hirescam",
        "Seg-HiRes-Grad CAM",
        "Rheude et al., MELBA 2024, doi 10.59275/j.melba.2024-ebd3",
        "relu(sum_c A_c G_c), G = d sum_M(logits) / d A",
        hirescam,
    ),
):
    register(
        Method(
            name=_name,
            title=_title,
            family="cam",
            needs="places_gradient",
            signed=False,
            paper=_paper,
            equation=_equation,
            function=partial(_map, combine=_combine),
        )
    )
