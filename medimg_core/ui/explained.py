"""What the page Explainability speaks about besides an answer: outlined structures, their maps made at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from medimg_core.catalog import Structure, hashes
from medimg_core.explain import available_places, method, verdict
from medimg_core.inference.places import Box
from medimg_core.types import SaliencyMap
from medimg_core.ui import naming, pixels, regions, routes, service, session, words
from medimg_core.ui.answer import Answer
from medimg_core.ui.maps import Shown, picture
from medimg_core.ui.panel import Panel, Row
from medimg_core.ui.session import Case, Workspace
from medimg_core.ui.viewer import Layer, MethodView
from medimg_core.workflows.beside import Beside, near
from medimg_core.workflows.explain_places import explain_places, structures, was_outlined
from medimg_core.workflows.find import Found, correct

NOT_FOUND = "Not outlined here: the map asks for it in the whole picture"
DRAW_BOX = "Draw a box round what should be outlined first, on the page Diagnosis."
BOXES = "Its model draws boxes; maps are made of answers and of outlines."


@dataclass(frozen=True, slots=True, eq=False)
class Outlined:
    """A structure that maps can be made for.

    Attributes:
        found: what the model outlined, without a reader's corrections: the map explains the model.
        box: where it was told to look.
        beside: the slices before and after, for models that also look at those.
    """

    found: Found
    structure: Structure
    box: Box | None = None
    beside: Beside = ()

    @property
    def key(self) -> str:
        """Its value in the list of targets; no class has it."""
        return f"outline {self.found.card.name} {self.structure.id}"

    @property
    def title(self) -> str:
        """Its line there."""
        return f"{naming.lower(self.structure.title)}, outline"

    @property
    def here(self) -> bool:
        """Whether it was outlined."""
        return was_outlined(self.found.card, self.structure.id, self.found.prediction)


def outlined(case: Case, finds: Sequence[Found]) -> dict[str, Outlined]:
    """Every structure that models outline on the chosen image, found or not, by its key; models that box have none."""
    known: dict[str, Outlined] = {}
    beside = service.neighbours_of(case)
    for one in finds:
        if one.prediction.refused:
            continue
        box = case.boxes.get(case.chosen) if one.places.needs_box else None
        for structure in one.places.structures if structures(one.card) else ():
            target = Outlined(correct(one, {}), structure, box, beside)
            known[target.key] = target
    return known


def targets(answer: Answer | None, known: Mapping[str, Outlined]) -> dict[str, str]:
    """What maps can speak for, and the words of it: classes of the answer, then what is outlined."""
    classes: dict[str, str] = {}
    if answer is not None:
        card = answer.card
        titles = naming.names(card) if card.form != "grade" else naming.titles(card)
        order = reversed(card.class_ids) if card.form == "yes_no" else card.class_ids
        classes = {name: titles[name] for name in order}
    return classes | {key: one.title for key, one in known.items()}


def nothing(finds: Sequence[Found], faults: Sequence[Row], waits: bool) -> Panel:
    """Why there is no map of an image that no model answers about.

    Args:
        waits: a model has to be told where to look.
    """
    if faults or any(one.prediction.refused for one in finds):
        return Panel("stop", words.NO_MAPS, words.NO_MAPS_WHY, rows=tuple(faults))
    return Panel("none", words.NO_MAPS, DRAW_BOX if waits else BOXES)


def first(known: Mapping[str, Outlined]) -> str:
    """The structure to begin with: the first that was found."""
    return next((key for key, one in known.items() if one.here), next(iter(known)))


def methods(one: Outlined) -> list[str]:
    """Those that exist for it, one a pane."""
    return [m.name for m in available_places(one.found.card)]


def gather(one: Outlined, names: Sequence[str]) -> Shown:
    """Its maps by the methods named, and what is said about every method."""
    space = session.workspace()
    layers = {name: _layer(one, name, space) for name in dict.fromkeys(names)}
    return Shown(layers, {name: _view(one, name, layers.get(name)) for name in methods(one)})


def lines(one: Outlined) -> list[dict[str, Any]]:
    """Its outline on the image, as a line alone: a filling would be taken for evidence."""
    own = [region for region in one.found.prediction.regions if region.label in (one.structure.id, *one.structure.of)]
    bare = replace(one.found, prediction=replace(one.found.prediction, regions=tuple(own)))
    return [{**line, "fixed": True} for line in regions.lines(bare, 0, named=False)]


def bar(shown: Shown) -> dict[str, Any]:
    """The colour bar that the maps share."""
    scaled = all(layer.scale is not None for layer in shown.layers.values())
    return {"signed": False, "high": "evidence" if scaled else "raw value", "low": "none", "label": words.SCALE_VAL}


def provenance(one: Outlined, shown: Shown) -> str:
    """The right end of the footer."""
    ref = replace(one.found.prediction.model, hash=_network(one)[:8])
    model = words.provenance(ref.name, ref.version, ref.hash, None, None)
    grids = [layer.grid for layer in shown.layers.values()]
    return words.maps_provenance(grids, one.found.image.shape, model, "validation set")


def _network(one: Outlined) -> str:
    return hashes(one.found.card)[f"{one.found.places.network}.tflite"]


def _look(one: Outlined) -> tuple[object, ...]:
    """What beside the image decides its maps."""
    return (_network(one), one.box, *near(one.found.card, one.beside))


def _saliency(one: Outlined, name: str, space: Workspace) -> SaliencyMap:
    found = one.found
    target, said = one.structure.id, found.prediction
    (made,) = explain_places(
        found.image, found.card, (name,), target, said, box=one.box, beside=one.beside, cache=space.maps
    )
    return made


def _layer(one: Outlined, name: str, space: Workspace) -> Layer:
    def make() -> Layer:
        made, places = _saliency(one, name, space), one.found.places
        return Layer(
            method=name,
            target=" ".join((one.key, *map(str, _look(one)))),
            values=pixels.overlay(made, places.input, not places.needs_box),
            scale=made.scale,
            maximum=made.maximum,
            signed=made.signed,
            grid=(made.grid.shape[0], made.grid.shape[1]),
            seconds=made.seconds,
        )

    return space.remember(("layer", one.found.image.digest, *_look(one), name, one.key), make)


def _view(one: Outlined, name: str, layer: Layer | None) -> MethodView:
    found, space = one.found, session.workspace()
    judged = verdict(found.card, name, found.population.id, one.structure.id)
    file = f"evidence-{name}-{found.image.digest[:8]}.png"
    token = space.case.give(
        ("export", found.image.digest, *_look(one), one.key, name),
        partial(_export, one, name, space),
        "image/png",
        file,
    )
    said = judged.words if one.here else NOT_FOUND
    if layer is not None and layer.scale is None:
        said = f"{said}; {words.RAW}"
    mark = judged.mark if judged.measured and one.here else ""
    return MethodView(method(name).title, mark, said, words.COMPUTING, routes.url(token), file)


def _export(one: Outlined, name: str, space: Workspace, query: Mapping[str, str]) -> bytes:
    """A PNG of one map as the reader sees it; the route that calls this knows no session."""
    return picture(one.found.image, _saliency(one, name, space), one.found.card, one.found.population, query)
