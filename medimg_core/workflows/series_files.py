"""Series among the files of the command line: slices are noted as they are answered, each series is told at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from medimg_core.catalog import ModelCard
from medimg_core.inference.series import FEWEST, Slice, combine, see
from medimg_core.inference.series_order import where
from medimg_core.types import GateVerdict, Prediction
from medimg_core.workflows.diagnose_files import Json, Opened, Told, bare_object
from medimg_core.workflows.series import SeriesDiagnosis, describe

_NOT_ASKED = "The input check did not name this model for the slice."


@dataclass(eq=False)
class _Group:
    """The slices of one stack so far, without pixels: file and index, place, and by model what was seen."""

    slices: list[tuple[str, int | None]] = field(default_factory=list)
    bare: list[Slice] = field(default_factory=list)
    seen: dict[str, dict[int, Slice]] = field(default_factory=dict)


class SeriesFiles:
    """Collects the slices of series, for the models that answer a series.

    Args:
        cards: models that may be asked; those without an answer for a series are left out.
    """

    def __init__(self, cards: Sequence[ModelCard]) -> None:
        self._cards = {card.name: card for card in cards if card.series is not None}
        self._groups: dict[tuple[object, ...], _Group] = {}

    def add(self, opened: Opened, told: Sequence[Told]) -> None:
        """Note one image and what the models said to it; an image without a place in a series is passed over.

        Args:
            told: as `diagnose_image` reports it.
        """
        if not self._cards or opened.image is None or not opened.group:
            return
        place = where(opened.image)
        if place.mm is None:
            return
        group = self._groups.setdefault((opened.group, place.plane), _Group())
        number = len(group.slices)
        group.slices.append((opened.file, opened.index))
        group.bare.append(Slice(place))
        for card, answer in told:
            if card.name in self._cards:
                group.seen.setdefault(card.name, {})[number] = see(opened.image, answer)

    def results(self) -> Iterator[tuple[SeriesDiagnosis, Json]]:
        """Every series of three slices or more with each model that answered one of them at least: what it means, and
        the object of the command line.

        Raises:
            ModelUnavailable: a pooling network is missing or changed.
        """
        for group in self._groups.values():
            if len(group.slices) < FEWEST:
                continue
            for name, seen in group.seen.items():
                if any(one.features is not None for one in seen.values()):
                    card = self._cards[name]
                    found = describe(combine(_all(group, seen, card), card), card)
                    yield found, _object(found, group.slices)


def _all(group: _Group, seen: dict[int, Slice], card: ModelCard) -> list[Slice]:
    """All slices of a group; those that the router kept from the model count as refused."""
    kept = Prediction(card.ref, {}, GateVerdict(False, (_NOT_ASKED,)))
    return [seen.get(i) or Slice(bare.where, kept) for i, bare in enumerate(group.bare)]


def _object(found: SeriesDiagnosis, slices: Sequence[tuple[str, int | None]]) -> Json:
    said = found.prediction
    files = list(dict.fromkeys(file for file, _ in slices))
    whole = Opened(common_folder(files), None, None)
    point, spread = said.operating_point, said.interval
    content: dict[str, Any] = {
        **bare_object(whole, "refused" if said.refused else "ok", " ".join(found.notes), found.card),
        "files": files,
        "scores": dict(said.scores),
        "decision": said.decision,
        "operating_point": None if point is None else {"name": point.name, "threshold": point.threshold},
        "prediction_set": list(said.prediction_set),
        "interval": None if spread is None else {"value": spread.value, "low": spread.low, "high": spread.high},
        "population": said.population,
        "fit_for_use": None if said.refused else found.state != "unfit",
        "places_fit_for_use": None,  # nothing is outlined in a series as a whole
        "gate": {"passed": not said.refused, "kind": "series", "reasons": list(found.notes)},
        "slices": [
            {"file": slices[one.index][0], "index": slices[one.index][1], "weight": one.weight, "probability": p}
            for one in found.slices
            for p in (one.probability,)
        ],
        "seconds": round(said.seconds, 6),
    }
    return content


def common_folder(files: Sequence[str]) -> str:
    """The folder or archive that holds all files, as given; the first file where there is none."""
    try:
        return os.path.commonpath(files) or files[0]
    except ValueError:
        return files[0]


def sentence(found: SeriesDiagnosis, result: Json) -> str:
    """A series in words, for a reader at a terminal."""
    card, said = found.card, found.prediction
    head = f"{result['file']}: series of {len(found.slices)} slices:"
    if said.refused or said.decision is None or said.positive is None:
        return f"{head} {result['reason']}"
    title = {c.id: c.title for c in card.classes}[said.decision]
    spread = said.interval
    span = "" if spread is None else f" ({spread.low:.1%}–{spread.high:.1%})"
    heaviest = ", ".join(f"{one.index + 1} ({one.weight:.0%})" for one in found.slices[:3] if one.weight is not None)
    threshold = "" if said.operating_point is None else f", operating point {said.operating_point.threshold:.1%}"
    parts = [
        f"{head} {title}, {said.positive} {said.scores[said.positive]:.1%}{span}{threshold};",
        f"slices that count most, as given: {heaviest};",
        f"model {said.model.name} {said.model.version}.",
    ]
    if found.state == "unfit":
        parts.append("Not fit for use; do not rely on this result.")
    return " ".join([*parts, result["reason"]]).rstrip()
