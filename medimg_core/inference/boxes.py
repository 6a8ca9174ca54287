"""From a detector's `places` to boxes in source pixels: pure numpy, the same for training, app and benchmarks.

Boxes are `x0, y0, x1, y1` measured from the picture's outer corner, x1 and y1 the far edge. `places` are float32
`[h, w, 6]` on a grid that covers the network's input: heat (logit), distances from the cell's centre to the left, top,
right and bottom side in pixels of the input, and the overlap that the box expects of itself (logit).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medimg_core.catalog import ModelCard, PlacesCard
from medimg_core.imaging import Geometry
from medimg_core.metrics.detection import box_iou
from medimg_core.types import FloatArray, Region

Floats = NDArray[np.float64]

FLOOR = 0.02
"""Raw score below which a cell is no candidate."""

CANDIDATES = 200
"""At most so many cells of a film go on to the suppression of doubles."""

MOST = 30
"""At most so many boxes of a film are told, the likeliest."""


@dataclass(frozen=True, slots=True)
class BoxRule:
    """How `places` become regions, as the card says (`card_rule`); chosen on val.

    Attributes:
        label: of the regions.
        slope, shift: `p = sigmoid(slope * z + shift)` is the chance that a box is true; z the logit of the raw score.
        threshold: chance from which on a box is shown.
        trust: exponent of the expected overlap in the raw score `heat^(1 - trust) * overlap^trust`.
        suppress: overlap from which on the weaker of two boxes is dropped.
        vote: overlap from which on dropped boxes still move the sides of the kept one; 1 moves nothing.
        mirror: the film's mirror image is to be asked too (`mirrored`, `mean_places`).
        image: weight of the logit of the classifier's probability for the whole film, added to z.
    """

    label: str = "fracture"
    slope: float = 1.0
    shift: float = 0.0
    threshold: float = 0.0
    trust: float = 0.5
    suppress: float = 0.3
    vote: float = 1.0
    mirror: bool = False
    image: float = 0.0


def to_model(boxes: ArrayLike, geometry: Geometry) -> Floats:
    """Boxes of the source on the network's grid, float64 `[n, 4]`."""
    b = np.asarray(boxes, np.float64).reshape(-1, 2, 2)[..., ::-1] - 0.5
    return np.asarray(geometry.to_model(b.reshape(-1, 2)).reshape(-1, 2, 2)[..., ::-1].reshape(-1, 4) + 0.5)


def to_source(boxes: ArrayLike, geometry: Geometry) -> Floats:
    """The inverse of `to_model`."""
    b = np.asarray(boxes, np.float64).reshape(-1, 2, 2)[..., ::-1] - 0.5
    return np.asarray(geometry.to_source(b.reshape(-1, 2)).reshape(-1, 2, 2)[..., ::-1].reshape(-1, 4) + 0.5)


def mirrored(places: FloatArray) -> FloatArray:
    """The `places` of a film, from those of its mirror image `[:, ::-1]`."""
    return np.ascontiguousarray(places[:, ::-1][..., [0, 3, 2, 1, 4, 5]])


def mean_places(one: FloatArray, other: FloatArray) -> FloatArray:
    """Two opinions of one film as one: means of logits and of sides."""
    return np.asarray((one + other) / 2, np.float32)


def candidates(places: FloatArray, stride: tuple[float, float], rule: BoxRule) -> tuple[Floats, Floats]:
    """All boxes that cells propose, before doubles are suppressed.

    Args:
        places: float32 `[h, w, 6]`.
        stride: height and width of a cell in pixels of the input.

    Returns:
        Boxes float64 `[n, 4]` in pixels of the input, and logits of their raw scores `[n]`, falling.
    """
    p = np.asarray(places, np.float64)
    score = -(1 - rule.trust) * np.logaddexp(0, -p[..., 0]) - rule.trust * np.logaddexp(0, -p[..., 5])
    rows, columns = np.nonzero(score >= math.log(FLOOR))
    order = np.argsort(-score[rows, columns], kind="stable")[:CANDIDATES]
    rows, columns = rows[order], columns[order]
    kept = p[rows, columns]
    y, x = (rows + 0.5) * stride[0], (columns + 0.5) * stride[1]
    boxes = np.stack([x - kept[:, 1], y - kept[:, 2], x + kept[:, 3], y + kept[:, 4]], axis=1)
    log = np.minimum(score[rows, columns], -1e-9)
    return boxes, log - np.log(-np.expm1(log))


def suppress(boxes: Floats, z: Floats, overlap: float, vote: float = 1.0) -> tuple[Floats, Floats]:
    """Greedy non-maximum suppression; kept boxes may be moved by those they suppress (box voting, Gidaris and
    Komodakis, ICCV 2015).

    Args:
        boxes: `[n, 4]`; z: logits of their scores, falling.
        overlap: IoU above which the weaker box is dropped.
        vote: IoU from which on boxes are averaged with the kept one, weighted by their scores; 1 averages none.

    Returns:
        Kept boxes `[k, 4]` and their logits `[k]`, falling.
    """
    iou = box_iou(boxes, boxes)
    free, kept = np.ones(len(boxes), np.bool_), []
    for i in range(len(boxes)):
        if free[i]:
            kept.append(i)
            free &= iou[i] <= overlap
    if vote >= 1 or not kept:
        return boxes[kept], z[kept]
    weights = (iou[kept] >= vote) * (1 / (1 + np.exp(-z)))[None]
    return weights @ boxes / weights.sum(axis=1, keepdims=True), z[kept]


def found_boxes(places: FloatArray, geometry: Geometry, rule: BoxRule) -> tuple[Floats, Floats]:
    """Boxes of a film in source pixels, cut to the picture, and logits of their raw scores; likeliest first.

    Returns:
        float64 `[n, 4]` and `[n]`, n at most `MOST`; boxes outside the picture are left out.
    """
    stride = (geometry.model[0] / places.shape[0], geometry.model[1] / places.shape[1])
    boxes, z = suppress(*candidates(places, stride, rule), rule.suppress, rule.vote)
    rows, columns = geometry.source
    inside = np.clip(to_source(boxes, geometry), 0, [columns, rows, columns, rows])
    left = (inside[:, 2:] - inside[:, :2] >= 1).all(axis=1)
    return inside[left][:MOST], z[left][:MOST]


def chance(z: ArrayLike, rule: BoxRule, probability: float | None = None) -> Floats:
    """Calibrated chance that a box is true.

    Args:
        z: logits of raw scores.
        probability: of the whole film, by the classifier; counts where the rule has a weight for it.
    """
    total = np.asarray(z, np.float64)
    if rule.image:
        if probability is None:
            raise ValueError("the rule of these boxes asks for the classifier's probability")
        q = min(max(probability, 1e-6), 1 - 1e-6)
        total = total + rule.image * math.log(q / (1 - q))
    return np.asarray(1 / (1 + np.exp(-(rule.slope * total + rule.shift))), np.float64)


def find_boxes(
    places: FloatArray, card: PlacesCard, geometry: Geometry, probability: float | None = None
) -> tuple[Region, ...]:
    """The boxes of a film, read as its card says (see `card_rule`, `regions`)."""
    return regions(places, geometry, card_rule(card), probability)


def card_rule(card: PlacesCard) -> BoxRule:
    """The rule of a card of the kind `boxes`: label, threshold and calibration are those of its one structure."""
    (structure,) = card.structures
    shift, slope = structure.quality
    return BoxRule(
        label=structure.id,
        slope=slope,
        shift=shift,
        threshold=structure.threshold,
        trust=card.trust,
        suppress=card.suppress,
        vote=card.vote,
        mirror=card.mirror,
        image=card.answer_weight,
    )


def every_box(card: ModelCard) -> ModelCard:
    """The card of a model that boxes, with every box told: average precision looks at the doubtful ones too."""
    assert card.places is not None
    structures = tuple(replace(s, threshold=0.0) for s in card.places.structures)
    return replace(card, places=replace(card.places, structures=structures))


def regions(
    places: FloatArray, geometry: Geometry, rule: BoxRule, probability: float | None = None
) -> tuple[Region, ...]:
    """The boxes of a film that reach the rule's threshold, likeliest first.

    Args:
        places: float32 `[h, w, 6]`; with `rule.mirror` the mean of both opinions.
        geometry: of the network's own input.
        probability: calibrated, of the whole film (see `chance`).
    """
    boxes, z = found_boxes(places, geometry, rule)
    p = chance(z, rule, probability)
    return tuple(
        Region("box", rule.label, float(score), box=(float(b[0]), float(b[1]), float(b[2]), float(b[3])))
        for b, score in zip(boxes, p, strict=True)
        if score >= rule.threshold
    )
