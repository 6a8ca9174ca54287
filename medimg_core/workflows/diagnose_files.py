"""Files, folders and zips past one model or those that the gate lets in: one plain object an image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np

from medimg_core.catalog import ModelCard, open_answering
from medimg_core.errors import BadRequest, MedImgError, OutlinesOnly
from medimg_core.inference import Answer, gate, predict
from medimg_core.inference.places import Box
from medimg_core.io import read_files
from medimg_core.types import GateVerdict, Image, Measurement, MrSequence, Region, Spacing, Statement
from medimg_core.workflows.places_words import places_words
from medimg_core.workflows.route import Routed, models, route

Json = dict[str, Any]

Told = tuple[ModelCard, Answer | MedImgError]
"""A model, and what it said to an image or what went wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """One image of the command line, or why there is none.

    Attributes:
        file: the path as given; in folders and archives with the member's own path behind it.
        index: number of the image within its file, from 0; None where the file could not be read.
        frames: images in the file.
        group: shared by images that may be slices of one series; empty for an image of its own.
        frame, sequence: as in `io.FileResult`.
        parts: of a slice that was joined from three sequences, their files in the order of its colours.
    """

    file: str
    index: int | None
    image: Image | None
    frames: int = 0
    error: MedImgError | None = None
    group: str = ""
    frame: str = ""
    sequence: MrSequence | None = None
    parts: tuple[str, ...] = ()


def choose_models(name: str) -> tuple[ModelCard, ...]:
    """The model of a name; for `auto` those that the router names.

    Raises:
        ModelUnavailable: no such model, or none at all for `auto`.
    """
    return models() if name == "auto" else (open_answering(name),)


def check_population(cards: Iterable[ModelCard], population: str | None) -> None:
    """Refuse a population that no card knows.

    Raises:
        BadRequest: unknown; the message lists those of the cards.
    """
    known = [p.id for card in cards for p in card.populations]
    if population is not None and population not in known:
        raise BadRequest(f"No card knows the population {population!r}.", f"Known: {', '.join(known)}.")


def open_paths(paths: Sequence[str], spacing: Spacing | None = None) -> Iterator[Opened]:
    """All images of paths, in order, read a few files ahead.

    Args:
        spacing: for images whose file states none.
    """
    for result in read_files([Path(path) for path in paths]):
        file = _as_given(result.label, paths)
        if result.error is not None:
            yield Opened(file, None, None, error=result.error)
        for index, image in enumerate(result.images):
            known = image if image.spacing is not None or spacing is None else replace(image, spacing=spacing)
            frames = len(result.images)
            group = f"file {result.number}" if frames > 1 else result.group
            yield Opened(file, index, known, frames, group=group, frame=result.frame, sequence=result.sequence)


def _as_given(label: str, paths: Sequence[str]) -> str:
    """The label with the spelling of the command line: `Path` drops a leading `./` and doubled slashes."""
    for path in paths:
        plain = str(Path(path))
        if path != plain and plain != "." and (label == plain or label.startswith(plain + "/")):
            return path.rstrip("/") + label[len(plain) :]
    return label


def diagnose_image(
    opened: Opened,
    cards: Sequence[ModelCard],
    population: str | None = None,
    masks: Path | None = None,
    *,
    routed: bool = False,
    box: Box | None = None,
    beside: Sequence[Image] = (),
    told: Callable[[Told], None] = lambda heard: None,
) -> list[Json]:
    """One object for each model.

    Args:
        routed: the router names the models for this image in place of `cards`; where none takes it, one object without
            a model stands for all of them.
        population: id for the cards that know it.
        masks: folder for the masks of regions, 0/255 PNG on the source grid; not written where None.
        box: where to look, for models that ask for it; without one the router's choice leaves them out where other
            models take the image.
        beside: the slices before and after, for models that look at those.
        told: hears every model's answer, refusal or failure as it is.
    """
    if opened.image is None:
        return [failed(opened, opened.error)]
    found: Routed | None = None
    if routed:
        try:
            found = route(opened.image)
        except MedImgError as error:
            return [failed(opened, error)]
        if not found.cards:
            return [refused(opened, found.verdict, None)]
    results = []
    for card in cards if found is None else _without_box(found.cards, box):
        chosen = population if population in {p.id for p in card.populations} else None
        # The gate's word on the first model is known already.
        verdict = found.verdict if found is not None and card is found.first else None
        try:
            answer = predict(opened.image, card, chosen, verdict=verdict, box=box, beside=beside)
        except MedImgError as error:
            told((card, error))
            results.append(failed(opened, error, card))
            continue
        told((card, answer))
        said = answer.prediction
        results.append(
            refused(opened, said.gate, card, said.seconds) if said.refused else answered(opened, answer, card, masks)
        )
    return results


def needs_box(card: ModelCard) -> bool:
    """Whether a reader has to say where the model looks."""
    return card.places is not None and card.places.needs_box


def _without_box(cards: Sequence[ModelCard], box: Box | None) -> Sequence[ModelCard]:
    """Models that can be asked; where all need a box that there is not, all: each says so itself."""
    able = [card for card in cards if box is not None or not needs_box(card)]
    return able or cards


def failed(opened: Opened, error: MedImgError | None, card: ModelCard | None = None) -> Json:
    """The object of an image that could not be read or computed, or of a file that is read and holds none."""
    return bare_object(opened, "refused" if isinstance(error, OutlinesOnly) else "error", str(error), card)


def refused(opened: Opened, verdict: GateVerdict, card: ModelCard | None, seconds: float | None = None) -> Json:
    """The object of an image that the input check refused, for one model or for all; it holds no probability."""
    reason = " ".join([gate.headline(verdict, card), *verdict.reasons, gate.next_step(verdict, card)])
    return {
        **bare_object(opened, "refused", reason, card),
        "gate": {"passed": False, "kind": verdict.kind, "reasons": list(verdict.reasons)},
        "seconds": None if seconds is None else round(seconds, 6),
    }


def answered(opened: Opened, answer: Answer, card: ModelCard, masks: Path | None = None) -> Json:
    """The object of an answer; see `diagnose_image` for `masks`."""
    said = answer.prediction
    point, spread = said.operating_point, said.interval
    fit = {p.id: p.fit_for_use for p in card.populations}
    return {
        **bare_object(opened, "ok", " ".join(said.gate.reasons), card),
        "scores": dict(said.scores),
        "decision": said.decision,
        "grade": card.class_ids.index(said.decision) if card.form == "grade" and said.decision else None,
        "operating_point": None if point is None else {"name": point.name, "threshold": point.threshold},
        "prediction_set": list(said.prediction_set),
        "interval": None if spread is None else {"value": spread.value, "low": spread.low, "high": spread.high},
        "statements": [_statement(statement) for statement in said.statements],
        "population": said.population,
        "fit_for_use": fit.get(said.population or ""),
        "places_fit_for_use": None if card.places is None else card.places.fit_in(said.population),
        "gate": {"passed": True, "kind": said.gate.kind, "reasons": list(said.gate.reasons)},
        "regions": [_region(opened, region, card, masks) for region in said.regions],
        "measurements": [measurement_json(m) for m in said.measurements],
        "seconds": round(said.seconds, 6),
    }


def measurement_json(said: Measurement) -> Json:
    """A measurement; `low` and `high` are null where its error was not measured."""
    low, high = (None if math.isnan(side) else side for side in (said.low, said.high))
    return {"name": said.name, "value": said.value, "low": low, "high": high, "unit": said.unit, "basis": said.basis}


def _statement(said: Statement) -> Json:
    spread = said.interval
    return {
        "id": said.id,
        "probability": said.probability,
        "low": None if spread is None else spread.low,
        "high": None if spread is None else spread.high,
        "claimed": said.claimed,
    }


def _region(opened: Opened, region: Region, card: ModelCard, masks: Path | None) -> Json:
    mask = None
    if region.mask is not None and masks is not None:
        digest = opened.image.digest[:8] if opened.image is not None else ""
        frame = f".{opened.index}" if opened.frames > 1 else ""
        mask = f"{PurePath(opened.file).stem}{frame}.{digest}.{card.name}.{region.label}.png"
        masks.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(masks / mask), region.mask.astype(np.uint8) * np.uint8(255))
    box = None if region.box is None else list(region.box)
    return {"kind": region.kind, "label": region.label, "score": region.score, "box": box, "mask": mask}


def bare_object(opened: Opened, status: str, reason: str, card: ModelCard | None) -> Json:
    """All keys in the order of the contract; those that only an answer has are empty."""
    ref = card.ref if card is not None else None
    return {
        "file": opened.file,
        "index": opened.index,
        "status": status,
        "reason": reason,
        "model": ref.name if ref else None,
        "version": ref.version if ref else None,
        "hash": ref.hash if ref else None,
        "scores": {},
        "decision": None,
        "grade": None,
        "operating_point": None,
        "prediction_set": [],
        "statements": [],
        "regions": [],
        "measurements": [],
        "seconds": None,
        **({"files": list(opened.parts)} if opened.parts else {}),
    }


def sentence(result: Mapping[str, Any], card: ModelCard | None) -> str:
    """An object in words, for a reader at a terminal."""
    where = result["file"] if not result["index"] else f"{result['file']} image {result['index'] + 1}"
    if result.get("files"):
        where = f"{result['file']} joined slice {result['index'] + 1}"
    if result["status"] != "ok" or card is None:
        return f"{where}: {result['reason']}"
    parts = [f"{where}:"]
    if card.answers:
        parts += [{c.id: c.meaning for c in card.classes}[result["decision"]], f"{_figures(result, card)};"]
    parts += places_words(result, card)
    titles = {s.id: (s.otherwise, s.title) for s in card.statements}
    parts += [
        f"{titles[told['id']][told['claimed']]}, {told['id']} {_share(told['probability'], told)};"
        for told in result["statements"]
    ]
    parts.append(f"model {result['model']} {result['version']}, population {result['population']}.")
    if result["fit_for_use"] is False:
        parts.append("Not fit for use in these patients; do not rely on this result.")
    if card.answers and result["places_fit_for_use"] is False:
        placed = "boxes" if card.places is not None and card.places.kind == "boxes" else "outlines"
        parts.append(f"Its {placed} are not fit for use in these patients; do not rely on them.")
    if result["reason"]:
        parts.append(f"Input check: {result['reason']}")
    return " ".join(parts)


def _figures(result: Mapping[str, Any], card: ModelCard) -> str:
    """The probabilities behind the decision: of the positive class, of every kind, of the grade."""
    scores, spread = result["scores"], result["interval"]
    if card.form == "yes_no":
        positive, point = card.class_ids[card.positive], result["operating_point"]
        threshold = f", {point['name']} operating point {point['threshold']:.1%}"
        return f"{positive} {_share(scores[positive], spread)}{threshold}"
    decision = result["decision"]
    said = f"{decision} {_share(scores[decision], spread)}"
    if card.form == "grade":
        return f"grade {result['grade']} of 0 to {len(card.classes) - 1}: {said}"
    return ", ".join([said, *(f"{name} {p:.1%}" for name, p in scores.items() if name != decision)])


def _share(p: float, spread: Mapping[str, Any] | None) -> str:
    known = spread is not None and spread["low"] is not None
    return f"{p:.1%}" + (f" ({spread['low']:.1%}–{spread['high']:.1%})" if spread is not None and known else "")
