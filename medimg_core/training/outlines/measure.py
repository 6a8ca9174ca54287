"""What an exported network outlines in films, asked as the app asks it, and what that is worth.

Every figure is counted on the source grid, against the stored mask.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core import metrics
from medimg_core.catalog import ModelCard, PlacesCard
from medimg_core.imaging import Geometry
from medimg_core.inference import gate
from medimg_core.inference.measures import ErrorFit
from medimg_core.inference.places import look, measured, sigmoid
from medimg_core.inference.runtime import Forward
from medimg_core.training.data import Progress
from medimg_core.training.outlines.data import OutlineRecord, read_mask, structures_of
from medimg_core.training.outlines.recipe import OutlineRecipe
from medimg_core.types import FloatArray, Image, Interval, MaskArray, Measurement, Region

_RELATIVE = ("mm2", "px2", "ml", "px")
"""Units of measurements whose error grows with them; of lengths in pixels of unknown size only the share carries over
to the millimetres of another picture."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One structure of one film: pixels of both outlines, of each, Dice, IoU and HD95 (`in_mm`, or px without spacing).

    `score` is what the model expected its Dice to be; None where it outlined nothing.
    """

    both: int
    true: int
    found: int
    dice: float
    iou: float
    hd95: float
    score: float | None
    in_mm: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class OutlineAnswer:
    """What the network made of one film; `agreement` holds the structures that were outlined in truth.

    `histograms` (`metrics.pixel_histogram`) are there where the card asks for figures by pixel.
    """

    record: OutlineRecord
    logits: FloatArray
    agreement: Mapping[str, Agreement]
    measured: Mapping[str, Measurement]
    true: Mapping[str, Measurement]
    seconds: float
    refused: bool
    histograms: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


def ask(
    card: ModelCard, records: Sequence[OutlineRecord], recipe: OutlineRecipe, progress: Progress, final: bool = False
) -> tuple[OutlineAnswer, ...]:
    """The model's outlines of films; for the `final` measurement with the input check."""
    beside = {(r.patient, r.slice): r for r in records if r.slice is not None}
    answers = []
    for done, record in enumerate(records, start=1):
        around = [beside.get((record.patient, (record.slice or 0) + step)) for step in (-1, 1)] if beside else []
        answers.append(_answer(card, record, around, recipe, final))
        if done % 20 == 0:
            progress("Measuring", done / len(records))
    return tuple(answers)


def _answer(
    card: ModelCard,
    record: OutlineRecord,
    around: Sequence[OutlineRecord | None],
    recipe: OutlineRecipe,
    final: bool,
) -> OutlineAnswer:
    assert card.places is not None
    image = record.image()
    others = [image if other is None else other.image() for other in around]
    start = time.perf_counter()
    found = look(image, card, beside=others)
    seconds = time.perf_counter() - start
    truth = truths(record, image, recipe)
    for whole in (s for s in card.places.structures if s.of and all(part in truth for part in s.of)):
        truth[whole.id] = np.logical_or.reduce([truth[part] for part in whole.of])
    regions = {region.label: region for region in found.regions}
    agreement = {name: agree(mask, regions.get(name), image) for name, mask in truth.items()}
    drawn = [Region("mask", name, 1.0, mask=mask) for name, mask in truth.items() if mask.any()]
    return OutlineAnswer(
        record,
        found.forward.logits,
        agreement,
        {m.name: m for m in found.measurements},
        {m.name: m for m in measured(drawn, image, card.places)},
        seconds,
        final and not gate.check(image, card).passed,
        histograms(found.forward, found.geometry, truth, card.places),
    )


def histograms(
    forward: Forward | None, geometry: Geometry | None, truth: Mapping[str, MaskArray], places: PlacesCard
) -> dict[str, NDArray[np.int64]]:
    """Pixels by probability, with and without each structure; empty where a card does not ask for figures by pixel."""
    if not places.pixelwise or forward is None or forward.places is None or geometry is None:
        return {}
    raised = [geometry.raise_map(forward.places[..., k]) for k in range(len(places.outputs))]
    return {
        s.id: metrics.pixel_histogram(truth[s.id], sigmoid(chance))
        for s, chance in zip(places.outputs, raised, strict=True)
        if s.id in truth
    }


def truths(record: OutlineRecord, image: Image, recipe: OutlineRecipe) -> dict[str, MaskArray]:
    """The true masks of the structures that were outlined in a film at all."""
    inside = structures_of(read_mask(record, image.shape), recipe.structures)
    known = [
        all(record.columns.get(column) in values for column, values in rule.where.items()) for rule in recipe.structures
    ]
    return {rule.id: inside[..., k] for k, rule in enumerate(recipe.structures) if known[k]}


def agree(truth: MaskArray, region: Region | None, image: Image) -> Agreement:
    """How well a region agrees with the truth; none stands for an empty outline."""
    mask = region.mask if region is not None and region.mask is not None else np.zeros_like(truth)
    spacing = (image.spacing.row_mm, image.spacing.column_mm) if image.spacing else (1.0, 1.0)
    distance = metrics.hd95(truth, mask, spacing) if truth.any() and mask.any() else float("inf")
    return Agreement(
        int((truth & mask).sum()),
        int(truth.sum()),
        int(mask.sum()),
        metrics.dice(truth, mask),
        metrics.iou(truth, mask),
        distance,
        region.score if region is not None else None,
        image.spacing is not None,
    )


def fit_quality(answers: Sequence[OutlineAnswer], name: str) -> tuple[float, float]:
    """Offset and slope from the Dice that the network expects to the one measured, by least squares on val."""
    rows = [a.agreement[name] for a in answers if name in a.agreement]
    pairs = np.array([(row.score, row.dice) for row in rows if row.score is not None and row.true])
    if len(pairs) < 10 or np.ptp(pairs[:, 0]) < 1e-3:
        return 0.0, 1.0
    slope, offset = np.polyfit(pairs[:, 0], pairs[:, 1], 1)
    return round(float(offset), 5), round(float(slope), 5)


def fit_thresholds(answers: Sequence[OutlineAnswer]) -> dict[str, float]:
    """Structure -> the probability with the highest Dice over all pixels of val; empty without figures by pixel."""
    return {
        name: _best_threshold(np.sum([a.histograms[name] for a in answers], axis=0))
        for name in (answers[0].histograms if answers else ())
    }


def _best_threshold(histogram: NDArray[np.int64]) -> float:
    """Of a histogram of `metrics.pixel_histogram`, `[2, levels]`; between two levels, and at least one of them up."""
    above = np.cumsum(histogram[:, ::-1], axis=1)[:, ::-1]
    dice = 2 * above[1] / np.maximum(above.sum(axis=0) + histogram[1].sum(), 1)
    level = 1 + int(np.argmax(dice[1:]))
    return round((level - 0.5) / (len(dice) - 1), 4)


def fit_errors(answers: Sequence[OutlineAnswer]) -> dict[str, dict[str, float | bool]]:
    """Measurement -> its error on val against the same measure of the true outlines."""
    fits: dict[str, dict[str, float | bool]] = {}
    for name in sorted({name for a in answers for name in a.true}):
        pairs = [(a.measured[name], a.true[name]) for a in answers if name in a.measured and name in a.true]
        if len(pairs) < 10:
            continue
        relative = pairs[0][0].unit in _RELATIVE
        found, true = (np.array([m.value for m in side]) for side in zip(*pairs, strict=True))
        keep = found > 0
        fit = ErrorFit.of(found[keep], true[keep], relative)
        fits[name] = {"bias": round(fit.bias, 5), "sd": round(fit.sd, 5), "relative": relative}
    return fits


def outlines_set(title: str, answers: Sequence[OutlineAnswer], places: PlacesCard) -> dict[str, Any]:
    """The entry of one test set in the block `places` of `evaluation.json` (docs/evaluation.md)."""
    patients = np.array([a.record.patient for a in answers])
    names = [s.id for s in places.structures if any(s.id in a.agreement for a in answers)]
    structures = {name: _structure(answers, patients, name) for name in names}
    return {
        "title": title,
        "data_set": answers[0].record.set,
        "split": answers[0].record.split,
        "n": len(answers),
        "patients": len(set(patients)),
        "refused": sum(a.refused for a in answers),
        "metrics": {"dice": _mean_dice(answers, patients, names) if places.pixelwise else structures[names[0]]["dice"]},
        "structures": structures,
        "measurements": _measurements(answers, patients),
        "predictions": {
            "id": [a.record.id for a in answers],
            "patient": [str(p) for p in patients],
            "dice": [[_rounded(a.agreement.get(s.id)) for s in places.structures] for a in answers],
        },
    }


def _mean_dice(
    answers: Sequence[OutlineAnswer], patients: NDArray[np.str_], names: Sequence[str]
) -> dict[str, float] | None:
    """The mean over structures, all of which every film has to have been outlined for."""
    both = np.array([[a.agreement[name].both for name in names] for a in answers])
    sizes = np.array([[a.agreement[name].true + a.agreement[name].found for name in names] for a in answers])
    return as_json(metrics.dice_per_patient(both, sizes, patients))


def _rounded(row: Agreement | None) -> float | None:
    return None if row is None else round(row.dice, 4)


def _structure(answers: Sequence[OutlineAnswer], patients: NDArray[np.str_], name: str) -> dict[str, Any]:
    """Figures of one structure: `dice` is the mean over patients of the Dice of all their pixels."""
    known = np.array([name in a.agreement for a in answers])
    rows = [a.agreement[name] for a in answers if name in a.agreement]
    who = patients[known]
    there = np.array([row.true > 0 for row in rows])
    each = np.array([row.dice for row in rows])
    both, sizes = np.array([2 * r.both for r in rows]), np.array([r.true + r.found for r in rows])
    distance = np.array([row.hd95 for row in rows])[there]
    scored = [(row.score, row.dice) for row in rows if row.score is not None and row.true]
    return {
        "n": len(rows),
        "with": int(there.sum()),
        "dice": as_json(metrics.dice_per_patient(both / 2, sizes, who)),
        "dice_per_image": as_json(_mean(each[there], who[there])),
        "iou": as_json(_mean(np.array([row.iou for row in rows])[there], who[there])),
        "hd95_median": None if not there.any() else round(float(np.median(distance)), 4),
        "missed": int(sum(row.found == 0 for row in rows if row.true)),
        "false": int(sum(row.found > 0 for row in rows if not row.true)),
        "empty": int((~there).sum()),
        "auprc": as_json(auprc([a.histograms[name] for a in answers if name in a.histograms], who)),
        "quality_mae": round(float(np.mean([abs(a - b) for a, b in scored])), 4) if scored else None,
    }


def auprc(counted: Sequence[NDArray[np.int64]], who: NDArray[np.str_]) -> Interval | None:
    """Area under the precision-recall curve over all pixels of these histograms; None without a pixel of truth."""
    return metrics.pixel_pr(np.stack(counted), who).pooled if any(each[1].any() for each in counted) else None


def _measurements(answers: Sequence[OutlineAnswer], patients: NDArray[np.str_]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in sorted({name for a in answers for name in a.true}):
        units = {a.measured[name].unit for a in answers if name in a.measured}
        # Millimetres and pixels are never averaged together: films without a spacing are left out where others have it.
        unit = min(units, key=lambda u: u.startswith("px"), default="")
        both = np.array([name in a.true and name in a.measured and a.measured[name].unit == unit for a in answers])
        if both.sum() < 10:
            continue
        pairs = [(a.true[name], a.measured[name]) for a, kept in zip(answers, both, strict=True) if kept]
        true, said = (np.array([m.value for m in side]) for side in zip(*pairs, strict=True))
        held = [m.low <= t.value <= m.high for t, m in pairs if np.isfinite(m.low)]
        found[name] = {"unit": unit, **agreement_json(true, said, patients[both])} | {
            "coverage": round(float(np.mean(held)), 4) if held else None,
        }
    return found


def agreement_json(true: NDArray[np.float64], said: NDArray[np.float64], who: NDArray[np.str_]) -> dict[str, Any]:
    """Mean absolute error and Bland-Altman figures of pairs."""
    limits = metrics.bland_altman(true, said, who)
    return {
        "n": len(true),
        "mae": as_json(metrics.mean_absolute_error(true, said, who)),
        "bias": as_json(limits.bias),
        "lower_limit": as_json(limits.lower),
        "upper_limit": as_json(limits.upper),
    }


def _mean(values: NDArray[np.float64], groups: NDArray[np.str_]) -> Interval | None:
    return metrics.mean_interval(values, groups) if values.size else None


def as_json(interval: Interval | None) -> dict[str, float] | None:
    """An interval as `evaluation.json` keeps it."""
    if interval is None:
        return None
    return {key: round(float(getattr(interval, key)), 5) for key in ("value", "low", "high")}
