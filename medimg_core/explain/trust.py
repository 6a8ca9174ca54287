"""Does a method's map deserve trust on this model? Words and a mark from what was measured on test films."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from medimg_core import catalog
from medimg_core.catalog import ModelCard
from medimg_core.explain.registry import method

Mark = Literal["full", "half", "hollow"]

SAME_MAP = 0.7
"""Correlation with the map of a head with shuffled weights from which on the map does not depend on the answer."""

CONCENTRATION = 1.5
"""Energy inside the truth over the truth's share of the film, below which a map that points is called coarse."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stands under a map.

    Attributes:
        mark: `full`: points better than chance; `half`: better, but coarse or noisy; `hollow`: fails, or was not
            measured. Of outlines: what it marks outside moves the outline more than random places and than those
            nearest to it; more than random ones; no more than those, or hardly.
        words: one line without a final stop, numbers with interval and n.
        measured: False where no figure exists for this model.
        truth: what was pointed at (`opacity boxes`, `lung mask`); empty where not measured.
    """

    mark: Mark
    words: str
    measured: bool
    truth: str = ""


LEAST_MOVED = 0.01
"""Change of an outline's Dice below which what a map marks hardly matters, whatever random places do."""


def verdict(card: ModelCard, name: str, population: str | None = None, target: str = "") -> Verdict:
    """The verdict on a method from `evaluation.json`.

    Args:
        target: of a method that explains outlines the structure; those were measured on val, over all populations.
        population: id on the card whose test set is quoted; None quotes the default population's. Where that test
            set has no figure for the method, the answer is `not measured`: another population's films say nothing
            about this one.
    """
    if method(name).needs == "places_gradient":
        return _outlined(catalog.evaluation(card).get("places", {}).get("saliency", {}).get(name, {}).get(target))
    chosen = next(p for p in card.populations if p.id == (population or card.default_population))
    sets = catalog.evaluation(card).get("test_sets", {})
    figures = sets.get(chosen.test_set, {}).get("saliency", {}).get(name)
    if not figures:
        return Verdict("hollow", "Not measured on this model", measured=False)
    return _judge(figures, method(name).family)


def _judge(figures: Mapping[str, Any], family: str) -> Verdict:
    truth = str(figures["truth"])
    hit, centre, random = figures["pointing_game"], figures["centre"], figures["random"]
    chance = max(centre["value"], random["value"])
    # Boxes are what a reader expects to be pointed at; a wider truth, such as the lungs, is named.
    where = "" if "boxes" in truth else f", {truth}"
    tail = f"{_with_interval(hit)}, centre {centre['value']:.2f}, n\u00a0{figures['n']}{where}"
    sanity = figures.get("sanity")
    same = f"looks alike with a shuffled head ({sanity['value']:.2f})" if sanity and sanity["value"] >= SAME_MAP else ""
    if hit["low"] <= chance:
        words = f"Fails: {same}. Not for location" if same else f"Points no better than chance: {tail}"
        return Verdict("hollow", words, measured=True, truth=truth)
    if same:
        # The place then comes from the features: where the network looks, not what decides between the classes.
        return Verdict("half", f"Points, but {same}: {tail}", measured=True, truth=truth)
    if figures["energy_inside"]["value"] < CONCENTRATION * figures["area"]["value"]:
        flaw = "Points, but noisy" if family == "gradient" else "Better than chance but coarse"
        return Verdict("half", f"{flaw}: {tail}", measured=True, truth=truth)
    return Verdict("full", f"Points better than chance: {tail}", measured=True, truth=truth)


def _outlined(figures: Mapping[str, Any] | None) -> Verdict:
    """What hiding the marked places outside an outline showed (`explain.hiding`)."""
    if not figures:
        return Verdict("hollow", "Not measured on this model", measured=False)
    moved, random, beside = (figures[name]["value"] for name in ("moved", "random", "beside"))
    spread = f"{moved:.3f} ({figures['moved']['low']:.3f}\u2013{figures['moved']['high']:.3f})"
    n = f"n\u00a0{figures['n']}"
    if figures["gain"]["low"] <= 0 or moved < LEAST_MOVED:
        little = "nothing" if figures["gain"]["low"] <= 0 else "hardly anything"
        there = f"which moves by {spread} without what is marked there, by {random:.3f} without random places, {n}"
        return Verdict("hollow", f"Says {little} outside the outline, {there}", measured=True, truth="outline")
    if figures["gain_beside"]["low"] <= 0:
        rivals = f"better than random places ({random:.3f}), not than the surroundings ({beside:.3f})"
        words = f"Outside the outline {rivals}: it moves by {spread} without what is marked, {n}"
        return Verdict("half", words, measured=True, truth="outline")
    rival = f"by {random:.3f} without random places"
    words = f"Marks what the outline rests on outside: it moves by {spread} without that, {rival}, {n}"
    return Verdict("full", words, measured=True, truth="outline")


def _with_interval(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.2f} ({figure['low']:.2f}\u2013{figure['high']:.2f})"
