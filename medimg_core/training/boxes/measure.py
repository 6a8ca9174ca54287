"""What a detector is worth: choices on val, then figures with 95 % intervals (bootstrap by patient group)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from medimg_core.inference.boxes import BoxRule, chance
from medimg_core.metrics import brier, ece, ece_null_95, proportion, reliability
from medimg_core.metrics.detection import Froc, average_precision, froc
from medimg_core.training.boxes.answers import BoxAnswer, FoundBoxes, found
from medimg_core.types import Interval

RATES = (0.125, 0.25, 0.5, 1.0, 2.0)
"""False boxes an image at which the sensitivity is told."""

SHOWN_AT = 0.5
"""False boxes an image, on val, at the threshold that is shown by default."""

_FEW = 10
"""Subgroups with fewer true boxes are counted, not measured."""

_GAIN = 0.01
"""A further knob must raise the AP50 of val by this much to be turned: val has few findings."""


def variants(rule: BoxRule, image: bool) -> tuple[dict[str, tuple[Any, ...]], ...]:
    """The knobs of a rule, in the order in which `choose` turns them."""
    first: tuple[dict[str, tuple[Any, ...]], ...] = (
        {"mirror": (False, True)},
        {"trust": (0.0, 0.25, 0.5, 0.75)},
        {"suppress": (0.2, 0.3, 0.4, 0.5)},
        {"vote": (1.0, 0.7, 0.5)},
    )
    # The logits of scores are much closer together than those of the classifier: more would drown the boxes.
    return (*first, {"image": (0.0, 0.05, 0.1, 0.2, 0.4)}) if image else first


def choose(
    answers: Sequence[BoxAnswer], rule: BoxRule, knobs: Iterable[Mapping[str, Sequence[Any]]]
) -> tuple[BoxRule, list[dict[str, Any]]]:
    """Turn one knob after another to the setting with the best AP50, where it gains enough.

    Returns:
        The rule chosen, and one row for each setting that was tried.
    """
    tried = []
    reached = precision(found(answers, rule), 0.5, draws=2).value
    for knob in knobs:
        for name, settings in knob.items():
            scores = {}
            for setting in settings:
                films = found(answers, replace(rule, **{name: setting}))
                scores[setting] = precision(films, 0.5, draws=2).value
                tried.append({"knob": name, "setting": setting, "ap50": round(scores[setting], 4)})
            best = max(scores, key=lambda s: scores[s])
            if scores[best] >= reached + _GAIN:
                rule, reached = replace(rule, **{name: best}), scores[best]
    return rule, tried


def precision(films: Sequence[FoundBoxes], iou: float | None, draws: int = 2000) -> Interval:
    """Average precision at every recall; `iou` None takes a box whose centre lies in a true one."""
    return average_precision([film.image for film in films], iou, draws).all_points


def shown_from(films: Sequence[FoundBoxes], rule: BoxRule, rate: float = SHOWN_AT) -> float:
    """The calibrated chance at which there are `rate` false boxes an image (by `FoundBoxes.true`'s milder half: the
    centre inside), rounded down to five decimals.
    """
    curve = froc([film.image for film in films], None, (rate,), draws=2)
    z = float(curve.thresholds[last_below(curve, rate)])
    plain = replace(rule, image=0.0)  # `films` carry the classifier's part already
    return math.floor(float(chance([z], plain)[0]) * 1e5) / 1e5 if math.isfinite(z) else 1.0


def last_below(curve: Froc, rate: float) -> int:
    """Index of the lowest threshold with at most `rate` false boxes an image."""
    return int((curve.false_per_image <= rate + 1e-9).sum()) - 1


def figures(films: Sequence[FoundBoxes], rule: BoxRule) -> dict[str, Any]:
    """All figures of a set of films under a rule."""
    curve = froc([film.image for film in films], None, RATES)
    return {
        **_counts(films),
        "ap50": told(precision(films, 0.5)),
        "ap_centre": told(precision(films, None)),
        "sensitivity_at_false_boxes": {str(r): told(i) for r, i in zip(curve.rates, curve.at, strict=True)},
        "shown": shown(films, rule),
        "calibration": calibration(films, rule),
    }


def subgroups(films: Sequence[FoundBoxes], columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Figures of the films with one value of a column, where there are enough true boxes."""
    out: dict[str, dict[str, Any]] = {}
    for column in columns:
        for value in sorted({film.record.columns.get(column, "") for film in films}):
            part = [film for film in films if film.record.columns.get(column, "") == value]
            row = _counts(part)
            if row["boxes"] >= _FEW:
                curve = froc([film.image for film in part], None, (SHOWN_AT,))
                row |= {"ap50": told(precision(part, 0.5)), "ap_centre": told(precision(part, None))}
                row["sensitivity_at_0.5"] = told(curve.at[0])
            out[f"{column}={value}"] = row
    return out


def shown(films: Sequence[FoundBoxes], rule: BoxRule) -> dict[str, Any]:
    """What a reader sees at the rule's threshold: findings with a box on them, false boxes, films without any."""
    plain = replace(rule, image=0.0)
    false = 0
    hits: list[tuple[bool, str]] = []
    boxes: list[tuple[bool, str]] = []
    marked: list[tuple[bool, str]] = []
    clean: list[tuple[bool, str]] = []
    for film in films:
        keep = chance(film.z, plain) >= rule.threshold
        true = film.true[keep]
        hits += [(i < int(true.sum()), film.record.patient) for i in range(len(film.record.boxes))]
        false += int((~true).sum())
        (marked if film.record.boxes else clean).append((bool(keep.any()), film.record.patient))
        boxes += [(bool(t), film.record.patient) for t in true]

    def share(rows: Sequence[tuple[bool, str]]) -> dict[str, Any] | None:
        return told(proportion([hit for hit, _ in rows], [group for _, group in rows])) if rows else None

    return {
        "threshold": rule.threshold,
        "found": share(hits),
        "false_boxes_per_image": round(false / len(films), 4),
        "shown_boxes_true": share(boxes),
        "films_with_finding_marked": share(marked),
        "films_without_finding_marked": share(clean),
    }


def calibration(films: Sequence[FoundBoxes], rule: BoxRule) -> dict[str, Any]:
    """Whether the chances told are true: Brier score, calibration error with what luck alone explains, the curve."""
    plain = replace(rule, image=0.0)
    p = np.concatenate([chance(film.z, plain) for film in films])
    true = np.concatenate([film.true for film in films])
    groups = np.array([film.record.patient for film in films for _ in film.z])
    bins = reliability(true, p, groups)
    return {
        "boxes": int(p.size),
        "true": int(true.sum()),
        "brier": told(brier(true, p, groups)),
        "ece": told(ece(true, p, groups)),
        "ece_null_95": round(ece_null_95(p), 4),
        "curve": [{k: round(float(v), 4) for k, v in asdict(b).items()} for b in bins],
    }


def told(interval: Interval) -> dict[str, Any]:
    """An interval for JSON."""
    return {k: round(float(v), 4) if k != "n" else v for k, v in asdict(interval).items()}


def _counts(films: Sequence[FoundBoxes]) -> dict[str, Any]:
    return {
        "images": len(films),
        "with_finding": sum(1 for film in films if film.record.boxes),
        "boxes": sum(len(film.record.boxes) for film in films),
        "groups": len({film.record.patient for film in films}),
    }
