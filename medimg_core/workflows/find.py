"""What models outline, box and measure on an image, beside what they answer, with the figures of their test sets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from medimg_core.catalog import ModelCard, PlacesCard, Population, evaluation
from medimg_core.errors import BadRequest
from medimg_core.imaging.outline import box_of, polygons
from medimg_core.inference import predict
from medimg_core.inference.engine import choose_engine
from medimg_core.inference.measures import measure
from medimg_core.inference.measures.registry import mask_of
from medimg_core.inference.places import LEAST, Box, measured
from medimg_core.types import GateVerdict, Image, Interval, Measurement, Prediction, Region, Spacing
from medimg_core.workflows.beside import near
from medimg_core.workflows.cache import ByteCache

Corrected = Mapping[str, tuple[Region, ...]]
"""Structure -> what a reader left in place of the model's regions: his own, which have no score (NaN), and boxes of the
model that he did not touch. Empty where he took all away."""

FindKey = tuple[object, ...]
"""Digest of the pixels, the header entries that the gate reads, model, hash, population, box, spacing, neighbours."""


@dataclass(frozen=True, slots=True)
class ErrorFigures:
    """How far a measurement was from the truth on a test set (measured less true, in `unit`).

    Attributes:
        mae: mean absolute error.
        bias, lower, upper: mean difference and the limits of agreement (Bland and Altman).
        coverage: share of intervals that held the truth.
    """

    unit: str
    n: int
    mae: Interval
    bias: Interval
    lower: Interval
    upper: Interval
    coverage: float | None


@dataclass(frozen=True, slots=True)
class PlaceFigures:
    """What was measured on a test set, from the key `places` of `evaluation.json`.

    Attributes:
        structures: structure -> Dice over all images, with its interval and their number; of boxes empty.
        errors: measurement -> its error.
        refused: images that the input check refused; they are counted in `n` all the same.
        metrics: the headline's figures; of boxes `ap50`, `ap_centre` and `sensitivity_at_<rate>` false boxes an image.
    """

    title: str
    n: int
    patients: int
    structures: Mapping[str, Interval]
    errors: Mapping[str, ErrorFigures]
    refused: int = 0
    metrics: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one model found on one image.

    Attributes:
        image: with the spacing that was measured with.
        prediction: refused, or with regions and measurements as the model left them.
        population: whose figures apply.
        figures: None where nothing was measured.
        corrected: what a reader made of structures; it stands in place of the model's regions of those.
        measured: of what is shown, where a reader corrected anything; the model's errors do not apply to them.
    """

    card: ModelCard
    image: Image
    prediction: Prediction
    population: Population
    figures: PlaceFigures | None
    corrected: Corrected = field(default_factory=dict)
    measured: tuple[Measurement, ...] = ()

    @property
    def places(self) -> PlacesCard:
        """How the model outlines or boxes."""
        assert self.card.places is not None
        return self.card.places

    @property
    def untouched(self) -> tuple[Region, ...]:
        """The model's regions that no reader corrected."""
        return tuple(region for region in self.prediction.regions if region.label not in self.corrected)

    @property
    def left(self) -> tuple[Region, ...]:
        """The regions of the structures that a reader corrected."""
        return tuple(region for regions in self.corrected.values() for region in regions)

    @property
    def removed(self) -> tuple[Region, ...]:
        """The model's regions that a reader took away, and its boxes that he put another in the place of."""
        kept = {region.box for region in self.left}
        return tuple(
            region
            for region in self.prediction.regions
            if region.label in self.corrected
            and (region.box not in kept if region.kind == "box" else not self.corrected[region.label])
        )

    @property
    def shown(self) -> tuple[Region, ...]:
        """The reader's regions and the model's that he left alone."""
        return (*self.untouched, *self.left)

    @property
    def trusted(self) -> tuple[Region, ...]:
        """Of what is shown that which is measured: the reader's, and the model's unless it expects them to be wrong."""
        return (*(region for region in self.untouched if region.score >= LEAST), *self.left)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Of what is shown."""
        return self.measured if self.corrected else self.prediction.measurements

    @property
    def fit_for_use(self) -> bool:
        """Whether the outlines or boxes may be relied on for these patients; the answer has a mark of its own."""
        return self.places.fit_in(self.population.id)


def _bytes(prediction: Prediction) -> int:
    return 4096 + sum(
        (int(region.mask.nbytes) if region.mask is not None else 0) + 160 * len(region.polygon)
        for region in prediction.regions
    )


def find_cache(limit_bytes: int = 96 * 2**20) -> ByteCache[FindKey, Prediction]:
    """An empty cache of predictions with their masks (a byte a pixel and structure)."""
    return ByteCache(limit_bytes, _bytes)


FOUND = find_cache()
"""The process's own. Keys hold no name: a result is found only by who has the image's pixels."""


def outlining(cards: Sequence[ModelCard], *, box: bool = False) -> tuple[ModelCard, ...]:
    """Those of some models that outline or box something; with `box` also those that have to be told where to look."""
    return tuple(card for card in cards if card.places is not None and (box or not card.places.needs_box))


def find(
    image: Image,
    card: ModelCard,
    population: str | None = None,
    *,
    box: Box | None = None,
    spacing: tuple[float, float] | None = None,
    beside: Sequence[Image] = (),
    verdict: GateVerdict | None = None,
    engine: str = "auto",
    kept: ByteCache[FindKey, Prediction] | None = None,
) -> Found:
    """Outline an image and measure. Repeating it runs no network again.

    Args:
        card: of a model with `places`.
        box: where to look, for models that have to be told.
        spacing: millimetres between rows and between columns, typed by a reader; measurements say so.
        beside: the slices before and after, for models that also look at those.
        verdict: see `predict`.

    Raises:
        BadRequest: the spacing is none, the box lies outside the image, or the model outlines nothing.
        ModelUnavailable: the network is missing or changed.
    """
    used = image if spacing is None else replace(image, spacing=typed(*spacing))
    store = FOUND if kept is None else kept
    header = (image.modality, image.view, image.body_part, image.for_processing)
    chosen, _ = card.population(image, population)
    seen = near(card, beside)
    model = (str(card.folder), card.ref.hash, chosen.id, choose_engine(engine))
    key: FindKey = (image.digest, header, *model, box, used.spacing, seen, verdict is not None and verdict.passed)
    known = all((image.digest, *seen))
    prediction = store.get(key) if known else None
    if prediction is None:
        asked = predict(used, card, population, engine=engine, verdict=verdict, box=box, beside=beside)
        prediction = asked.prediction
        if known:
            store.put(key, prediction)
    return describe(prediction, used, card)


def typed(row_mm: float, column_mm: float) -> Spacing:
    """A spacing that a reader typed.

    Raises:
        BadRequest: it is no size that a pixel of a medical image has.
    """
    if not (0.001 <= row_mm <= 50 and 0.001 <= column_mm <= 50):  # nan fails as well
        raise BadRequest(
            "A pixel is between 0.001 and 50 mm high and wide.", "Type its height and width in millimetres."
        )
    return Spacing(row_mm, column_mm, "typed")


def describe(prediction: Prediction, image: Image, card: ModelCard) -> Found:
    """What a prediction with regions means; measured anew where the image has another spacing than it was made with."""
    population, _ = card.population(chosen=prediction.population)
    if card.places is not None and not prediction.refused:
        prediction = replace(prediction, measurements=measured(prediction.regions, image, card.places))
    return Found(card, image, prediction, population, place_figures(card, population.test_set))


def correct(found: Found, corrected: Corrected) -> Found:
    """The same as a reader corrected it; without any structure all corrections are taken back.

    The model's errors say nothing about a reader's outline, so what is measured then has no interval; where he only
    took something away, they hold for the rest.
    """
    if not corrected:
        return replace(found, corrected={}, measured=())
    changed = replace(found, corrected=_with_wholes(found, corrected))
    if not changed.left:
        return replace(changed, measured=measured(changed.untouched, found.image, found.places))
    kind = found.places.measure
    if not kind:
        return changed
    alone = {m.name: m for m in measured(changed.untouched, found.image, found.places)}
    return replace(changed, measured=tuple(_model_s(m, alone) for m in measure(kind, changed.trusted, found.image, {})))


def _model_s(one: Measurement, alone: Mapping[str, Measurement]) -> Measurement:
    """A measurement as the model's outlines alone give it, with its interval, where no reader had a hand in it."""
    model_s = alone.get(one.name)
    return model_s if model_s is not None and math.isclose(model_s.value, one.value) else one


def _with_wholes(found: Found, corrected: Corrected) -> Corrected:
    """What a reader corrected, with the structures that are made of it."""
    out = dict(corrected)
    for whole in found.places.structures:
        if whole.id in corrected or not any(part in corrected for part in whole.of):
            continue
        left = [region for part in whole.of for region in corrected.get(part, ())]
        left += [one for one in found.prediction.regions if one.label in whole.of and one.label not in corrected]
        mask = mask_of(left, whole.of, found.image.shape)
        rings = polygons(mask)
        polygon = tuple((float(x), float(y)) for x, y in rings[0]) if rings else ()
        out[whole.id] = (Region("outline", whole.id, math.nan, box_of(mask), polygon, mask),) if rings else ()
    return out


def by_reader(region: Region) -> bool:
    """Whether a reader drew or moved it: a model knows how sure it is."""
    return math.isnan(region.score)


def without(found: Found, away: Region) -> tuple[Region, ...]:
    """What is left of a structure when a reader takes one of its regions away that are shown."""
    return tuple(region for region in found.shown if region.label == away.label and region is not away)


def place_figures(card: ModelCard, test_set: str) -> PlaceFigures | None:
    """The figures of one test set; None where it was not measured."""
    block: Mapping[str, Any] = evaluation(card).get("places") or {}
    raw = (block.get("test_sets") or {}).get(test_set)
    if not raw:
        return None
    n = int(raw["n"])
    return PlaceFigures(
        title=str(raw["title"]),
        n=n,
        patients=int(raw["patients"]),
        structures={
            name: _interval(row["dice"], int(row.get("n", n)))
            for name, row in (raw.get("structures") or {}).items()
            if row.get("dice")
        },
        errors={name: _error(row) for name, row in (raw.get("measurements") or {}).items() if row.get("bias")},
        refused=int(raw.get("refused") or 0),
        metrics={name: _interval(figure, n) for name, figure in (raw.get("metrics") or {}).items()},
    )


def _error(row: Mapping[str, Any]) -> ErrorFigures:
    n = int(row["n"])
    mae, bias, lower, upper = (_interval(row[name], n) for name in ("mae", "bias", "lower_limit", "upper_limit"))
    coverage = row.get("coverage")
    return ErrorFigures(row.get("unit", ""), n, mae, bias, lower, upper, None if coverage is None else float(coverage))


def _interval(raw: Mapping[str, Any], n: int) -> Interval:
    return Interval(float(raw["value"]), float(raw["low"]), float(raw["high"]), n)
