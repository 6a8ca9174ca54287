"""Which models answer when nobody named one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from medimg_core.catalog import ModelCard, list_models
from medimg_core.errors import ModelUnavailable
from medimg_core.inference import gate
from medimg_core.inference.kinds import KNOWN, words
from medimg_core.types import GateVerdict, Image


@dataclass(frozen=True, slots=True)
class Routed:
    """What an image is, and who answers.

    Attributes:
        cards: the models that take it; empty where it is refused. Those that answer come first, then those that only
            outline, last those that a reader has to tell where to look; by name among each.
        first: the first of them; where there is none, the model that came nearest to taking it.
        verdict: what the gate said for `first`. `verdict.kind` is the kind that the router names.
    """

    cards: tuple[ModelCard, ...]
    first: ModelCard
    verdict: GateVerdict

    @property
    def what(self) -> str:
        """The kind in words ("a frontal chest film"); empty where it was not told."""
        return words(self.verdict.kind) if self.verdict.kind in KNOWN else ""


def models(folder: Path | None = None) -> tuple[ModelCard, ...]:
    """The installed models that say something about an image: no baselines, no router, by name.

    Raises:
        ModelUnavailable: there is none.
    """
    cards = tuple(card for card in list_models(folder) if not card.baseline and card.task != "gate")
    if not cards:
        raise ModelUnavailable(
            "No model is installed here, or none whose licence MEDIMG_LICENCES allows.",
            "Restore the models folder from the release, or ask who runs this site which licences it allows.",
        )
    return cards


def route(image: Image, folder: Path | None = None) -> Routed:
    """The models that answer for an image: those whose gate lets it pass. The router looks at it once for all.

    Raises:
        ModelUnavailable: no model is installed, or the router is damaged.
    """
    asked = [(card, gate.check(image, card)) for card in models(folder)]
    passed = sorted(((card, verdict) for card, verdict in asked if verdict.passed), key=lambda one: _late(one[0]))
    if passed:
        return Routed(tuple(card for card, _ in passed), *passed[0])
    # A verdict with figures comes from a look at the picture, one without from the header alone.
    first, verdict = max(asked, key=lambda one: (one[1].kind not in KNOWN, bool(one[1].figures)))
    if verdict.kind in KNOWN:
        reason = f"It is {words(verdict.kind)}; no model for such images is installed, or none that this site allows."
        verdict = replace(verdict, reasons=(reason,))
    return Routed((), first, verdict)


def _late(card: ModelCard) -> int:
    """Who answers is asked before who outlines, and both before who needs a box."""
    if card.places is not None and card.places.needs_box:
        return 2
    return int(not card.answers)


def accepted(folder: Path | None = None) -> str:
    """What the installed models take, in plain words (the row Accepted of a refusal by all)."""
    return " ".join(dict.fromkeys(gate.accepted(card) for card in models(folder)))
