"""Outlines and boxes as the viewer draws them: in the colours of charts, named at the line, each to be switched off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from medimg_core.imaging.outline import polygons
from medimg_core.types import Region
from medimg_core.ui.findings import box_of, title_of
from medimg_core.ui.numerals import percent
from medimg_core.workflows.find import Found, by_reader

COLOURS = ("#A99BD6", "#6FA39D", "#D3D7DA")
"""Violet, teal, text: series of charts on the black stage. Orange stays for evidence, blue for what can be clicked."""

_DASHES: tuple[tuple[int, ...], ...] = ((), (7, 4), (2, 3))
"""Told apart by dash where there are more structures than colours."""

_PARTS: Mapping[str, tuple[str, ...]] = {"lungs": ("lung_right", "lung_left")}
"""Structure -> those that it is made of, where a model outlines all of them."""

UNFIT: Mapping[str, Any] = {"colour": "#9EA4A9", "dash": [2, 4]}
"""Of what is not fit for use: grey and dotted, whichever structure; its words say so too."""

_SMOOTH = 0.35
"""Pixels by which a line is simplified for the browser, on images of up to a thousand pixels a side."""


def lines(found: Found, image: int, named: bool = True) -> list[dict[str, Any]]:
    """Everything that one model shows on image number `image`.

    Args:
        named: write the name beside the line.
    """
    order = {structure.id: index for index, structure in enumerate(found.places.structures)}
    out: list[dict[str, Any]] = []
    for region in found.shown:
        if region.label in _whole(found):
            continue
        own = by_reader(region)
        look = style(order.get(region.label, 0)) if own or found.fit_for_use else UNFIT
        told = {
            **look,
            "structure": region.label,
            "model": found.card.name,
            "title": title_of(found, region),
            "words": _words(found, region) if named else "",
            "by": "reader" if own else "model",
        }
        out.append({**told, **outline(region, image)})
    return out


def _words(found: Found, region: Region) -> str:
    """`2 Fracture 62 %`: boxes as the panel calls them, with their chance."""
    said = box_of(found, region) if region.kind == "box" else title_of(found, region)
    if region.kind == "box" and not by_reader(region):
        said = f"{said} {percent(region.score)}"
    if by_reader(region):
        return f"{said}, corrected by you"
    return said if found.fit_for_use else f"{said}, not fit for use"


def _whole(found: Found) -> frozenset[str]:
    """Structures whose parts are shown by themselves: a line round all of them would lie on theirs."""
    shown = {region.label for region in found.shown}
    return frozenset(name for name, parts in _PARTS.items() if name in shown and shown.issuperset(parts))


def style(index: int) -> dict[str, Any]:
    """Colour and dash of the structure with a number."""
    return {"colour": COLOURS[index % len(COLOURS)], "dash": list(_DASHES[index // len(COLOURS) % len(_DASHES)])}


def outline(region: Region, image: int) -> dict[str, Any]:
    """A region as closed lines in image pixels; those of holes among them, for a filling by the odd-even rule."""
    score = None if by_reader(region) else region.score
    told = {"image": image, "label": region.label, "score": score, "area": None}
    if region.kind == "box" and region.box is not None:
        x0, y0, x1, y1 = region.box
        corners = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
        return {**told, "kind": "box", "points": corners, "rings": [corners]}
    if region.mask is not None:
        tolerance = max(_SMOOTH, _SMOOTH * max(region.mask.shape) / 1000)
        rings = [np.round(ring, 2).tolist() for ring in polygons(region.mask, tolerance) if len(ring) > 2]
    else:
        rings = [[list(point) for point in region.polygon]]
    return {**told, "kind": "outline", "points": rings[0] if rings else [], "rings": rings}


def legend(found: Iterable[Found]) -> list[Mapping[str, Any]]:
    """The structures that models look for, in their order: `shown`, `missing`, and of boxes that are shown `more`."""
    out: dict[str, Mapping[str, Any]] = {}
    for one in found:
        seen = {region.label for region in one.shown}
        for index, structure in enumerate(one.places.structures):
            if structure.id in _whole(one):
                continue
            if structure.id not in out or structure.id in seen:
                named = {"structure": structure.id, "title": structure.title, "model": one.card.name}
                look = style(index) if one.fit_for_use else UNFIT
                out[structure.id] = {**look, **named, "state": "shown" if structure.id in seen else "missing"}
                if one.places.kind == "boxes" and structure.id in seen:
                    out[f"more {structure.id}"] = {**look, **named, "state": "more"}
    return list(out.values())
