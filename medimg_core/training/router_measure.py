"""What the input check refuses: limits chosen on `val`, rates measured on `test`, both through the gate itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard
from medimg_core.inference.gate import check
from medimg_core.inference.gate_network import Impression, Limits
from medimg_core.metrics.intervals import proportion
from medimg_core.training.data import read_image
from medimg_core.training.router_pictures import Draw, make_plain
from medimg_core.training.router_sources import FILMS, Row, Shelf, rows
from medimg_core.types import GateVerdict, Image, Interval

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Judged:
    """One picture and what the gate said. `group` is the row of the report, `expected` the kind it should name."""

    group: str
    id: str
    patient: str
    expected: str
    verdict: GateVerdict


def choose_limits(films: Sequence[tuple[str, Impression]], settings: Mapping[str, float]) -> Limits:
    """Limits that refuse and doubt a stated share of real films.

    Args:
        films: set and impression of every film of `val`.
        settings: table [gate] of the recipe: shares refused by class, by distance, and doubted by either.

    Every set counts alike, whatever its size: the quantile is taken over films weighted by one over their set's size.
    """
    names = [name for name, _ in films]
    weights = np.array([1 / names.count(name) for name in names])
    frontal = np.array([seen.frontal for _, seen in films])
    distance = np.array([seen.distance for _, seen in films])
    return Limits(
        refuse_below=round(_quantile(frontal, weights, settings["refused_by_class"]), 4),
        doubt_below=round(_quantile(frontal, weights, settings["doubted"]), 4),
        refuse_beyond=round(_quantile(distance, weights, 1 - settings["refused_by_distance"]), 3),
        doubt_beyond=round(_quantile(distance, weights, 1 - settings["doubted"]), 3),
    )


def _quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(reached, share)])


def judge(data: Path, split: str, card: ModelCard, shelves: list[Shelf], seed: int) -> Iterator[Judged]:
    """Every picture of a split as stored, and what was made from its films, through `gate.check`.

    Args:
        card: any card whose `gate` names the input check beside it.
        shelves: the split's pictures in memory, for screens, pages and photographed films.
    """
    films: list[tuple[Row, Pixels]] = []
    limbs: list[Pixels] = []
    for row in rows(data, split):
        image = read_image(row.path)
        group = row.data_set if row.data_set != "not_medical" else f"not_medical: {row.kind}"
        yield Judged(group, row.id, row.patient, row.label, check(image, card))
        if row.data_set in FILMS:
            films.append((row, np.asarray(image.pixels, np.uint8)))
        elif row.data_set == "bone_fracture" and len(limbs) < 100:
            limbs.append(np.asarray(image.pixels, np.uint8))
    for i, (row, film) in enumerate(films):
        other = films[(i * 7 + 1) % len(films)][1]
        for name, (expected, alter) in _ALTERATIONS.items():
            altered = alter(film, limbs[i % len(limbs)] if "limb" in name else other)
            yield Judged(f"made: {name}", row.id, row.patient, expected, check(picture(altered), card))
    draw = Draw(np.random.default_rng(seed), shelves, 192)
    for name in ("chest_cropped", "chest_several", "photographed_film", "screen", "page", "pattern", "clouds"):
        for i in range(200):
            made = make_plain(draw, name)
            expected = {"photographed_film": "photo", "clouds": "photo"}.get(name, name)
            expected = expected if expected.startswith(("chest", "photo")) else "document"
            yield Judged(f"drawn: {name}", f"{name}_{i:03d}", f"{name}_{i:03d}", expected, check(picture(made), card))
    for shade in (0, 128, 255):
        blank = np.full((256, 256, 3), shade, np.uint8)
        yield Judged("made: blank", f"blank_{shade}", f"blank_{shade}", "blank", check(picture(blank), card))


def picture(pixels: Pixels) -> Image:
    """Pixels as an ordinary picture."""
    return Image(np.ascontiguousarray(pixels), "RGB", digest="")


def _beside(first: Pixels, second: Pixels) -> Pixels:
    width = round(second.shape[1] * first.shape[0] / second.shape[0])
    return np.hstack([first, np.asarray(cv2.resize(second, (width, first.shape[0])), np.uint8)])


def _below(first: Pixels, second: Pixels) -> Pixels:
    height = round(second.shape[0] * first.shape[1] / second.shape[1])
    return np.vstack([first, np.asarray(cv2.resize(second, (first.shape[1], height)), np.uint8)])


_ALTERATIONS: Mapping[str, tuple[str, Callable[[Pixels, Pixels], Pixels]]] = {
    "inverted": ("chest_inverted", lambda film, other: 255 - film),
    "turned by 90 degrees": ("chest_turned", lambda film, other: np.rot90(film)),
    "turned by 180 degrees": ("chest_turned", lambda film, other: np.rot90(film, 2)),
    "turned by 270 degrees": ("chest_turned", lambda film, other: np.rot90(film, 3)),
    "left half": ("chest_cropped", lambda film, other: film[:, : film.shape[1] // 2]),
    "right half": ("chest_cropped", lambda film, other: film[:, film.shape[1] // 2 :]),
    "upper 45 %": ("chest_cropped", lambda film, other: film[: film.shape[0] * 45 // 100]),
    "upper left quarter": ("chest_cropped", lambda film, other: film[: film.shape[0] // 2, : film.shape[1] // 2]),
    "two films side by side": ("chest_several", _beside),
    "two films one below the other": ("chest_several", _below),
    "film beside a limb": ("chest_several", _beside),
}


def report(judged: Sequence[Judged]) -> dict[str, Any]:
    """Rates with 95 % intervals per group, and who failed by id.

    Films should pass: `failures` are the refused. All others should be refused: `failures` are those that passed.
    """
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        groups.setdefault(one.group, []).append(one)
    films = [one for one in judged if one.group in FILMS]
    real = [one for one in judged if one.group not in FILMS and not one.group.startswith(("made:", "drawn:"))]
    made = [one for one in judged if one.group.startswith(("made:", "drawn:"))]
    return {
        "films": _row(films),
        "foreign": _row(real),
        "foreign_without_medical_sets": _row([one for one in real if one.group.startswith("not_medical")]),
        "made": _row(made),
        "groups": {name: _row(members) for name, members in groups.items()},
    }


def _row(members: Sequence[Judged]) -> dict[str, Any]:
    patients = [one.patient for one in members]
    film = members[0].group in FILMS
    refused = [not one.verdict.passed for one in members]
    row: dict[str, Any] = {
        "n": len(members),
        "patients": len(set(patients)),
        "refused": _interval(proportion(refused, patients)),
    }
    if film:
        doubted = [one.verdict.passed and bool(one.verdict.reasons) for one in members]
        row["doubted"] = _interval(proportion(doubted, patients))
    else:
        row["named_rightly"] = _interval(proportion([o.verdict.kind == o.expected for o in members], patients))
    failed = [one for one in members if one.verdict.passed != film]
    row["failures"] = [{"id": one.id, "group": one.group, "taken_for": one.verdict.kind} for one in failed]
    return row


def _interval(interval: Interval) -> dict[str, float]:
    return {"value": round(interval.value, 4), "low": round(interval.low, 4), "high": round(interval.high, 4)}
