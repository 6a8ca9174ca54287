"""Do a model's maps point at what is there? Measured on films whose truth is drawn: boxes or masks.

Every figure stands beside what one reaches who never saw the film (the centre, a random point), with intervals from
the bootstrap by patient. The target is the model's positive class, of several kinds the film's own; only films that
truly are of it, with a truth drawn on them, can be pointed at. The input check is left out: the map is measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard
from medimg_core.errors import BadTable, Cancelled
from medimg_core.explain import Query, compute, method, quality, scorecam, target_weights
from medimg_core.explain.engine_shuffled import ShuffledHead
from medimg_core.imaging import prepare
from medimg_core.inference import runtime_for
from medimg_core.inference.runtime import Runtime
from medimg_core.io import read_file
from medimg_core.metrics.intervals import bootstrap, percentile_interval
from medimg_core.types import Interval
from medimg_core.workflows.explain import method_names
from medimg_core.workflows.saliency_films import Film, read_films, truth_mask

FIGURES = ("pointing_game", "energy_inside", "iou", "area", "centre", "random")
SCALE_PERCENTILE = 99
"""The value shown as 1.0 is this percentile of the test films' largest positive values."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one method's map of one film measures; figures only where the film has a truth.

    `scales` is true for films that count for the method's scale: a draw from all films.
    """

    film: Film
    scales: bool
    maximum: float
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MethodCheck:
    """A method on some films.

    Attributes:
        figures: `pointing_game energy_inside iou area centre random`, `gain` (pointing game less centre), and, where
            asked for, `sanity` (correlation with the map of a shuffled head), `deletion_gain` and `insertion_gain`
            (areas better than those of random maps).
        scale: 99th percentile of the largest positive values over films drawn from all.
    """

    method: str
    truth: str
    n: int
    patients: int
    films: int
    figures: Mapping[str, Interval]
    scale: float

    def as_json(self) -> dict[str, Any]:
        """The entry of `evaluation.json`, rounded to four digits."""
        intervals = {
            name: {"value": round(i.value, 4), "low": round(i.low, 4), "high": round(i.high, 4), "n": i.n}
            for name, i in self.figures.items()
        }
        return {**intervals, "n": self.n, "patients": self.patients, "truth": self.truth}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        slow_films: at most so many films with a truth, and as many of all films for the scale, for methods that need
            more than one pass. The CAM family is measured on all films.
        score_films: the same for Score-CAM, which needs one pass a channel.
        sanity_films: films with a truth for the comparison with a shuffled head; 0 leaves it out. Gradient maps, and
            all maps of a head that is not pooled, load TensorFlow for it.
        perturbed_films: films with a truth for deletion and insertion; 0 leaves them out.
    """

    slow_films: int = 200
    score_films: int = 100
    sanity_films: int = 24
    perturbed_films: int = 24
    seed: int = 0

    def films_for(self, name: str, films: Sequence[Film]) -> frozenset[str]:
        """Ids of the films that a method is measured on."""
        with_truth = [film for film in films if film.truth]
        return self.scale_films(name, films) | self.draw(with_truth, self.most(name))

    def scale_films(self, name: str, films: Sequence[Film]) -> frozenset[str]:
        """Ids of the films that a method's scale is taken from: drawn from all alike, with a truth or without."""
        return self.draw(films, self.most(name))

    def most(self, name: str) -> int:
        """The largest number of films for a method."""
        if method(name).needs in ("features", "cam_gradient"):
            return sys.maxsize
        return self.score_films if name == "scorecam" else self.slow_films

    def draw(self, films: Sequence[Film], most: int) -> frozenset[str]:
        """At most `most` of the films, by the seed; a smaller draw is part of a larger one."""
        order = np.random.default_rng(self.seed).permutation(len(films))
        return frozenset(films[i].id for i in order[:most])


STANDARD = Plan()


def measure_films(
    card: ModelCard,
    films: Sequence[Film],
    methods: Sequence[str] | str,
    plan: Plan = STANDARD,
    *,
    progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> dict[str, list[Row]]:
    """Every method's map of every film, measured film by film (one forward pass each).

    Raises:
        Cancelled: stopped between films.
    """
    names = method_names(card, methods)
    chosen = {name: (plan.films_for(name, films), plan.scale_films(name, films)) for name in names}
    drawn = [film for film in films if film.truth]
    sane, perturbed = (
        {film.id for film in drawn} & plan.draw(drawn, most) for most in (plan.sanity_films, plan.perturbed_films)
    )
    shuffled = ShuffledHead(card, plan.seed) if sane else None
    rows: dict[str, list[Row]] = {name: [] for name in names}
    for done, film in enumerate(films):
        if cancelled():
            raise Cancelled
        progress(done / len(films))
        bench = _Bench(card, film, shuffled if film.id in sane else None, film.id in perturbed, plan.seed)
        for name in names:
            measured, scales = chosen[name]
            if film.id in measured:
                maximum, figures = bench.measure(name)
                rows[name].append(Row(film, film.id in scales, maximum, figures))
    progress(1.0)
    return rows


class _Bench:
    """One film, prepared once for all methods."""

    def __init__(self, card: ModelCard, film: Film, shuffled: Runtime | None, perturb: bool, seed: int) -> None:
        read = read_file(film.file)
        if read.error is not None:
            raise read.error
        image = read.images[0]
        self.card, self.shuffled, self.perturb, self.seed = card, shuffled, perturb, seed
        self.x, self.geometry = prepare(image, card.input)
        self.target = film.target or card.class_ids[card.positive]
        self.weights = target_weights(card, self.target)
        self.runtime = runtime_for(card)
        self.forward = self.runtime.predict(self.x)
        drawn = truth_mask(film, image.shape) if film.truth else None
        self.truth = drawn if drawn is not None and drawn.any() else None

    def measure(self, name: str) -> tuple[float, dict[str, float]]:
        """The largest positive value of a method's map, and its figures where the film has a truth."""
        query = Query(self.runtime, self.x, self.weights, forward=self.forward, seed=self.seed)
        found = compute(name, query, self.geometry, target=self.target, card=self.card)
        maximum = max(float(found.values.max()), 0.0)
        if self.truth is None:
            return maximum, {}
        area = float(self.truth.mean())
        hit, centre = quality.pointing_game(found.values, self.truth), quality.centre_hit(self.truth)
        figures = {
            "pointing_game": hit,
            "energy_inside": quality.energy_inside(found.values, self.truth),
            "iou": quality.iou(found.values, self.truth),
            "area": area,
            "centre": centre,
            "random": area,  # a random point hits as often as the truth is large
            "gain": hit - centre,
        }
        if self.shuffled is not None and not found.empty:
            blind = Query(self.shuffled, self.x, self.weights, seed=self.seed)
            figures["sanity"] = quality.correlation(found.grid, method(name).function(blind))
        if self.perturb:
            faith = quality.faithfulness(self._probability, self.x, found.grid, seed=self.seed)
            figures["deletion_gain"] = faith.random_deletion - faith.deletion
            figures["insertion_gain"] = faith.insertion - faith.random_insertion
        return maximum, figures

    def _probability(self, x: NDArray[np.float32]) -> float:
        return scorecam.confidence(self.runtime.predict(x).logits, self.weights, self.card)


def summarise(name: str, rows: Sequence[Row], ids: Collection[str] | None = None) -> MethodCheck | None:
    """A method's figures with intervals; None where no film has a truth.

    Args:
        ids: only films of these ids count for the figures; the scale does not depend on them.
    """
    drawn = [row for row in rows if row.figures and (ids is None or row.film.id in ids)]
    if not drawn:
        return None
    names = [*FIGURES, "gain", "sanity", "deletion_gain", "insertion_gain"]
    figures = {}
    for figure in names:
        having = [row for row in drawn if figure in row.figures]
        if having:
            patients = [row.film.patient for row in having]
            figures[figure] = mean_interval(np.array([row.figures[figure] for row in having]), patients)
    return MethodCheck(
        method=name,
        truth=drawn[0].film.truth,
        n=len(drawn),
        patients=len({row.film.patient for row in drawn}),
        films=len(rows),
        figures=figures,
        scale=scale(rows),
    )


def scale(rows: Sequence[Row]) -> float:
    """The value shown as 1.0; an empty map's largest value is 0."""
    return float(np.percentile([row.maximum for row in rows if row.scales], SCALE_PERCENTILE))


def mean_interval(values: NDArray[np.float64], patients: Sequence[str], draws: int = 2000) -> Interval:
    """The mean over films with its 95 % interval from the bootstrap by patient."""
    drawn = bootstrap(lambda weights: weights @ values / weights.sum(axis=1), len(values), list(patients), draws)
    return percentile_interval(float(values.mean()), drawn, len(values))


def saliency_check(
    card: ModelCard,
    manifest: Path,
    split: str,
    methods: Sequence[str] | str = "all",
    out: Path | None = None,
    plan: Plan = STANDARD,
    *,
    label: str = "label",
    progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[MethodCheck, ...]:
    """Measure methods on the films of a manifest's split; with `out`, also write `saliency_check.json` there.

    Raises:
        BadTable: see `read_films`; or no film of the split has a truth drawn.
        Cancelled: stopped between films.
    """
    films = read_films(manifest, split, card, label=label)
    if not any(film.truth for film in films):
        what = "No positive film" if card.form != "one_of" else "No film"
        raise BadTable(
            f"{what} of this split has boxes or a mask, so a map cannot be checked.",
            "Give a manifest with the column boxes or mask.",
        )
    rows = measure_films(card, films, methods, plan, progress=progress, cancelled=cancelled)
    checks = tuple(check for name, found in rows.items() if (check := summarise(name, found)) is not None)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        report = {
            "model": {"name": card.name, "version": card.version, "hash": card.ref.hash},
            "split": split,
            "target": "the class of each film" if card.form == "one_of" else card.class_ids[card.positive],
            "films": len(films),
            "methods": {check.method: {**check.as_json(), "scale": check.scale} for check in checks},
        }
        (out / "saliency_check.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return checks


def measure(
    card: ModelCard,
    manifest: Path,
    split: str,
    methods: Sequence[str] | str = "all",
    plan: Plan = STANDARD,
) -> dict[str, Any]:
    """The numbers that `evaluation.json` needs from one manifest: `saliency` and `saliency_scales`."""
    checks = saliency_check(card, manifest, split, methods, plan=plan)
    return {
        "saliency": {check.method: check.as_json() for check in checks},
        "saliency_scales": {check.method: check.scale for check in checks},
    }
