"""What the router knows and refuses: limits chosen on `val`, rates measured on `test`, both through the gate itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard, open_model
from medimg_core.inference.gate import check, identify
from medimg_core.inference.gate_network import Impression, Limits
from medimg_core.inference.kinds import KNOWN
from medimg_core.metrics.intervals import proportion
from medimg_core.training.data import read_image
from medimg_core.training.router_makers import CUTTABLE, SINGLE, TURNABLE, make_plain
from medimg_core.training.router_pictures import Draw
from medimg_core.training.router_sources import FILMS, SETS, Row, Shelf, rows
from medimg_core.types import GateVerdict, Image, Interval

Pixels = NDArray[np.uint8]

_MADE_OF_A_SET = 40
"""Pictures of each set besides chest films that are spoiled for measuring."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One picture, the class that the network finds likeliest, and what the gate said when any known kind was welcome.

    Attributes:
        group: the row of the report: a data set, `not_medical: photo`, `made: inverted`, `drawn: page`, ...
        expected: the class that it is.
        named: the network's likeliest class.
    """

    group: str
    id: str
    patient: str
    expected: str
    named: str
    verdict: GateVerdict

    @property
    def known(self) -> bool:
        """A stored picture of a kind that models take: it should pass, and under that name."""
        return self.group in FILMS or self.group in SETS

    @property
    def right(self) -> bool:
        """Passed as what it is, or refused as it should be."""
        if self.expected in KNOWN:
            return self.verdict.passed and self.verdict.kind == self.expected
        return not self.verdict.passed


def choose_limits(seen: Sequence[tuple[str, Impression]], kind: str, settings: Mapping[str, float]) -> Limits:
    """Limits that refuse and doubt a stated share of the real pictures of a kind.

    Args:
        seen: set and impression of every picture of this kind in `val`.
        settings: shares refused by class, by distance, and doubted by either.

    Every set counts alike, whatever its size: the quantile is taken over pictures weighted by one over their set's
    size. `least_share` keeps what passes the likeliest class; `most_share` and `least_distance` keep a kind that comes
    from one source, whose pictures are all alike, from refusing those of another.
    """
    names = [name for name, _ in seen]
    weights = np.array([1 / names.count(name) for name in names])
    share = np.array([one.shares[kind] for _, one in seen])
    distance = np.array([one.distances[kind] for _, one in seen])
    least, most = settings["least_share"], settings["most_share"]
    refuse = min(max(_quantile(share, weights, settings["refused_by_class"]), least), most)
    beyond = max(_quantile(distance, weights, 1 - settings["refused_by_distance"]), settings["least_distance"])
    return Limits(
        refuse_below=round(refuse, 4),
        doubt_below=round(max(_quantile(share, weights, settings["doubted"]), refuse), 4),
        refuse_beyond=round(beyond, 3),
        doubt_beyond=round(min(_quantile(distance, weights, 1 - settings["doubted"]), beyond), 3),
    )


def _quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(reached, share)])


def judge(data: Path, split: str, card: ModelCard, shelves: list[Shelf], seed: int) -> Iterator[Judged]:
    """Every picture of a split as stored, and what was made from them, through `gate.check`.

    Args:
        card: a card that takes every known kind and whose `gate` names the router beside it.
        shelves: the split's pictures in memory, for screens, pages and photographed films.
    """
    router = open_model(card.gate or "", card.folder.parent)
    numbered = iter(range(10**9))

    def ask(group: str, row_id: str, patient: str, expected: str, image: Image) -> Judged:
        image = replace(image, digest=f"{split} {next(numbered)}")  # one look serves both questions
        return Judged(group, row_id, patient, expected, identify(image, router).kind, check(image, card))

    kept: dict[str, list[tuple[Row, Pixels]]] = {}
    for row in rows(data, split):
        image = read_image(row.path)
        group = f"{row.data_set}: {row.kind}" if row.kind != row.data_set else row.data_set
        yield ask(group, row.id, row.patient, row.label, image)
        of_set = kept.setdefault(row.data_set, [])
        if row.data_set in FILMS or len(of_set) < _MADE_OF_A_SET:
            of_set.append((row, np.asarray(image.pixels, np.uint8)))
    for name, row, expected, altered in spoiled(kept):
        yield ask(f"made: {name}", row.id, row.patient, expected, picture(altered))
    draw = Draw(np.random.default_rng(seed), shelves, 192)
    for name, expected in _DRAWN.items():
        for i in range(200):
            number = f"{name}_{i:03d}"
            yield ask(f"drawn: {name}", number, number, expected, picture(make_plain(draw, name)))
    for shade in (0, 128, 255):
        blank = np.full((256, 256, 3), shade, np.uint8)
        yield ask("made: blank", f"blank_{shade}", f"blank_{shade}", "blank", picture(blank))


_DRAWN: Mapping[str, str] = {
    "chest_cropped": "chest_cropped",
    "chest_several": "chest_several",
    "photographed_film": "photo",
    "clouds": "photo",
    "screen": "document",
    "page": "document",
    "pattern": "document",
    "written": "written",
}


def spoiled(kept: Mapping[str, list[tuple[Row, Pixels]]]) -> Iterator[tuple[str, Row, str, Pixels]]:
    """Pictures turned, inverted, cut and doubled: name, source, expected class, pixels."""
    films = [one for name in FILMS for one in kept.get(name, [])]
    limbs = [pixels for _, pixels in kept.get("bone_fracture", [])]
    for i, (row, film) in enumerate(films):
        other = films[(i * 7 + 1) % len(films)][1]
        for name, (expected, alter) in _OF_FILMS.items():
            yield name, row, expected, alter(film, limbs[i % len(limbs)] if "limb" in name else other)
    for data_set, kind in SETS.items():
        members = kept.get(data_set, [])
        for i, (row, pixels) in enumerate(members):
            other = members[(i * 7 + 1) % len(members)][1]
            for name, (expected, alter, kinds) in _OF_OTHERS.items():
                if kind in kinds:
                    yield f"{kind}, {name}", row, expected, alter(pixels, other)


def picture(pixels: Pixels) -> Image:
    """Pixels as an ordinary picture."""
    return Image(np.ascontiguousarray(pixels), "RGB", digest="")


def _beside(first: Pixels, second: Pixels) -> Pixels:
    width = max(1, round(second.shape[1] * first.shape[0] / second.shape[0]))
    return np.hstack([first, np.asarray(cv2.resize(second, (width, first.shape[0])), np.uint8)])


def _below(first: Pixels, second: Pixels) -> Pixels:
    height = max(1, round(second.shape[0] * first.shape[1] / second.shape[1]))
    return np.vstack([first, np.asarray(cv2.resize(second, (first.shape[1], height)), np.uint8)])


def _middle(pixels: Pixels, other: Pixels) -> Pixels:
    rows_, columns = pixels.shape[:2]
    return pixels[rows_ * 3 // 10 : rows_ * 7 // 10, columns * 3 // 10 : columns * 7 // 10]


_OF_FILMS: Mapping[str, tuple[str, Callable[[Pixels, Pixels], Pixels]]] = {
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
_OF_OTHERS: Mapping[str, tuple[str, Callable[[Pixels, Pixels], Pixels], Sequence[str]]] = {
    "inverted": ("inverted", lambda pixels, other: 255 - pixels, tuple(KNOWN)),
    "turned by 90 degrees": ("turned", lambda pixels, other: np.rot90(pixels), TURNABLE),
    "turned by 180 degrees": ("turned", lambda pixels, other: np.rot90(pixels, 2), TURNABLE),
    "two side by side": ("several", _beside, SINGLE),
    "middle sixth": ("cropped", _middle, CUTTABLE),
}
"""Name -> expected class, how, and the kinds for which it is a fault."""


def report(judged: Sequence[Judged], classes: Sequence[str]) -> dict[str, Any]:
    """Rates with 95 % intervals per group, who failed by id, and how often each kind was taken for which class.

    Known pictures should pass as what they are; all others should be refused. The rest are failures.
    """
    groups: dict[str, list[Judged]] = {}
    for one in judged:
        groups.setdefault(one.group, []).append(one)
    known = [one for one in judged if one.known]
    parts = {
        "known": known,
        "films": [one for one in known if one.group in FILMS],
        "foreign": [one for one in judged if one.group.startswith(("not_medical", "other_medical"))],
        "not_medical": [one for one in judged if one.group.startswith("not_medical")],
        "other_medical": [one for one in judged if one.group.startswith("other_medical")],
        "other_model": [one for one in judged if one.group.startswith("other_model")],
        "made": [one for one in judged if one.group.startswith(("made:", "drawn:"))],
    }
    kinds = {kind: [one for one in known if one.expected == kind] for kind in KNOWN}
    return {
        **{name: _row(members) for name, members in parts.items() if members},
        "kinds": {kind: _row(members) for kind, members in kinds.items() if members},
        "confusion": _confusion(known, classes),
        "groups": {name: _row(members) for name, members in groups.items()},
    }


def _confusion(known: Sequence[Judged], classes: Sequence[str]) -> dict[str, Any]:
    truths = [kind for kind in classes if kind in KNOWN]
    counts = np.zeros((len(truths), len(classes)), int)
    for one in known:
        counts[truths.index(one.expected), list(classes).index(one.named)] += 1
    return {"rows_truth": truths, "columns_named": list(classes), "counts": counts.tolist()}


def _row(members: Sequence[Judged]) -> dict[str, Any]:
    """Rates of some pictures.

    `refused`: the gate lets none of its models see it; `doubted`: passed with a reason; `named_rightly`: the likeliest
    class is what it is, whether it passed or not; `right`: see `Judged.right`.
    """
    patients = [one.patient for one in members]
    rates = {
        "refused": [not one.verdict.passed for one in members],
        "doubted": [one.verdict.passed and bool(one.verdict.reasons) for one in members],
        "named_rightly": [one.named == one.expected for one in members],
        "right": [one.right for one in members],
    }
    failed = [one for one in members if not one.right]
    return {
        "n": len(members),
        "patients": len(set(patients)),
        **{name: _interval(proportion(hits, patients)) for name, hits in rates.items()},
        "failures": [
            {"id": one.id, "group": one.group, "taken_for": one.verdict.kind, "passed": one.verdict.passed}
            for one in failed
        ],
    }


def _interval(interval: Interval) -> dict[str, float]:
    return {"value": round(interval.value, 4), "low": round(interval.low, 4), "high": round(interval.high, 4)}
