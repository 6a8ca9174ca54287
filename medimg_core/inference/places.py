"""Where something is and how big: from one look of a network to outlines or boxes on the source grid, and measures.

The score of an outline is the Dice to be expected of it. A network's own probabilities say what Dice it expects,
2 sum(p m) / (sum(p) + sum(m)) with m the outline; a straight line fitted on val turns that into what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from medimg_core.catalog import ModelCard, PlacesCard, Structure
from medimg_core.errors import BadRequest
from medimg_core.imaging import Geometry, prepare, window_round
from medimg_core.imaging.outline import box_of, largest_part, polygons, without_specks
from medimg_core.imaging.shape import fit_ellipse
from medimg_core.inference.boxes import find_boxes, mean_places, mirrored
from medimg_core.inference.measures import ErrorFit, measure
from medimg_core.inference.pool import runtime_for
from medimg_core.inference.runtime import Forward, Runtime
from medimg_core.types import FloatArray, Image, MaskArray, Measurement, Region

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in source pixels, from the outer corner of the first pixel."""

LEAST = 0.5
"""Dice to be expected below which an outline is shown and not measured."""

ROOM = 2.5
"""Side of the square looked at round a box without spacing, in longer sides of the box."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """What was found, and the look that it was found by."""

    regions: tuple[Region, ...]
    measurements: tuple[Measurement, ...]
    forward: Forward
    x: FloatArray
    geometry: Geometry


def look(
    image: Image,
    card: ModelCard,
    *,
    box: Box | None = None,
    beside: Sequence[Image] = (),
    probability: float | None = None,
    engine: str = "auto",
) -> Places:
    """Outline or box what a model looks for.

    Args:
        card: of a model with `places`.
        box: where to look, for models that need to be told.
        beside: the slices before and after, where there are; a missing one is stood in for by the image itself.
        probability: of the positive class, as the model answers; counts in boxes (`PlacesCard.answer_weight`).

    Raises:
        BadRequest: a box is needed and there is none, or it is empty or lies outside the image.
        ModelUnavailable: the network is missing or changed.
    """
    places = _required(card)
    x, geometry = looked_at(image, places, box, beside)
    forward = forward_pass(runtime_for(card, engine, places.network), x, places)
    regions = find(forward, places, geometry, probability)
    return Places(regions, measured(regions, image, places), forward, x, geometry)


def forward_pass(runtime: Runtime, x: FloatArray, places: PlacesCard) -> Forward:
    """What a network that outlines or boxes sees in a prepared input `[H, W, C]`, in its mirror image too if asked."""
    forward = runtime.predict(x)
    if not places.mirror:
        return forward
    other = runtime.predict(np.ascontiguousarray(x[:, ::-1]))
    return replace(forward, places=_averaged(forward, other, places))


def measured(regions: Sequence[Region], image: Image, places: PlacesCard) -> tuple[Measurement, ...]:
    """What the card's family measures in regions, with the card's errors; outlines worse than `LEAST` are left out."""
    if not places.measure:
        return ()
    trusted = [region for region in regions if region.score >= LEAST]
    return measure(places.measure, trusted, image, {name: ErrorFit(**fit) for name, fit in places.errors.items()})


def _averaged(one: Forward, other: Forward, places: PlacesCard) -> FloatArray | None:
    """Two looks as one: at an image, and at its mirror image."""
    if one.places is None or other.places is None:
        return None
    if places.kind == "boxes":
        return mean_places(one.places, mirrored(other.places))
    return np.asarray((one.places + other.places[:, ::-1]) / 2, np.float32)


def find(
    forward: Forward, places: PlacesCard, geometry: Geometry, probability: float | None = None
) -> tuple[Region, ...]:
    """The regions that one look holds, on the source grid; see `PlacesCard` and `look`."""
    if forward.places is None:
        return ()
    if places.kind == "boxes":
        return find_boxes(forward.places, places, geometry, probability)
    chances = {s.id: sigmoid(geometry.raise_map(forward.places[..., k])) for k, s in enumerate(places.outputs)}
    if places.exclusive:
        most = np.max(np.stack(list(chances.values())), axis=0)
        chances = {name: np.where(chance >= most, chance, np.float32(0)) for name, chance in chances.items()}
    inside = seen(geometry)
    masks = {s.id: _cleaned((chances[s.id] >= s.threshold) & inside, s) for s in places.outputs}
    for structure in (s for s in places.structures if s.of):
        masks[structure.id] = np.logical_or.reduce([masks[part] for part in structure.of])
        chances[structure.id] = np.max(np.stack([chances[part] for part in structure.of]), axis=0)
    found = (_region(s, masks[s.id], chances[s.id]) for s in places.structures)
    return tuple(region for region in found if region is not None)


def expected_dice(chance: FloatArray, mask: MaskArray) -> float:
    """The Dice that probabilities `[H, W]` expect of an outline of them, near it: what lies far away is not its own."""
    total = float(chance[chance >= 0.1].sum()) + float(mask.sum())
    return 2 * float(chance[mask].sum()) / total if total else 0.0


def sigmoid(logits: FloatArray) -> FloatArray:
    """Probabilities of logits, without overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float32)


def _required(card: ModelCard) -> PlacesCard:
    if card.places is None:
        raise BadRequest(f"The model {card.name!r} outlines nothing.", "Choose a model that does; see `models`.")
    return card.places


def looked_at(
    image: Image, places: PlacesCard, box: Box | None = None, beside: Sequence[Image] = ()
) -> tuple[FloatArray, Geometry]:
    """The input of the network that outlines or boxes, float32 `[H, W, C]`, and the way back; see `look`."""
    window = _window(image, places, box) if places.needs_box else None
    x, geometry = prepare(image, places.input, window)
    if not places.context:
        return x, geometry
    around = [prepare(other, places.input)[0] if other.shape == image.shape else x for other in beside]
    before, after = around if len(around) == 2 else (x, x)
    return np.concatenate([before, x, after], axis=-1), geometry


def _window(image: Image, places: PlacesCard, box: Box | None) -> tuple[int, int, int, int]:
    """The square round a box; a picture that is hardly larger than the square is taken round its middle."""
    rows, columns = image.shape
    if box is None:
        if image.spacing is None or min(rows * image.spacing.row_mm, columns * image.spacing.column_mm) > 3 * (
            places.window_mm
        ):
            raise BadRequest(
                "This model outlines what lies in a box, and no box was given.",
                "Draw a box round one nodule, or pass --box x0,y0,x1,y1.",
            )
        box = (0.0, 0.0, float(columns), float(rows))
    x0, y0, x1, y1 = _inside(box, rows, columns)
    centre = ((y0 + y1) / 2, (x0 + x1) / 2)
    if image.spacing is not None:
        return window_round(image, centre, places.window_mm)
    side = max(8, round(ROOM * max(x1 - x0, y1 - y0)))
    return round(centre[0] - side / 2), round(centre[1] - side / 2), side, side


def _inside(box: Box, rows: int, columns: int) -> Box:
    """The part of a box that lies in the image: a pixel wide and high at least."""
    x0, y0, x1, y1 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], columns), min(box[3], rows)
    if x1 - x0 >= 1 and y1 - y0 >= 1:
        return x0, y0, x1, y1
    cause = f"The box lies outside the image, which has {columns} columns and {rows} rows."
    if box[2] - box[0] < 1 or box[3] - box[1] < 1:
        cause = "The box is empty: it is less than a pixel wide or high."
    raise BadRequest(cause, "Draw it round what should be outlined, or give x0,y0,x1,y1 in pixels of the image.")


def seen(geometry: Geometry) -> MaskArray:
    """Pixels of the source that the network looked at, bool `[H, W]`."""
    inside = np.ones(geometry.source, np.bool_)
    if geometry.window is not None:
        top, left, rows, columns = geometry.window
        inside[:] = False
        inside[max(top, 0) : max(top + rows, 0), max(left, 0) : max(left + columns, 0)] = True
    return inside


def _cleaned(mask: MaskArray, structure: Structure) -> MaskArray:
    if structure.single:
        mask = largest_part(mask)
    smallest = round(structure.smallest * mask.size)
    if smallest > 1:
        mask = without_specks(mask, smallest)
    return fit_ellipse(mask).mask(mask.shape) if structure.ellipse and mask.any() else mask


def _region(structure: Structure, mask: MaskArray, chance: FloatArray) -> Region | None:
    box = box_of(mask)
    if box is None:
        return None
    offset, slope = structure.quality
    score = float(np.clip(offset + slope * expected_dice(chance, mask), 0, 1))
    rings = polygons(mask)
    outline = tuple((float(x), float(y)) for x, y in rings[0]) if rings else ()
    return Region("outline", structure.id, score, box, outline, mask)
