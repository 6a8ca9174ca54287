"""What a detector is worth: choices on val, then figures with 95 % intervals (bootstrap by patient group)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medimg_core.inference.boxes import BoxRule, Floats, chance
from medimg_core.metrics import brier, ece, ece_null_95, proportion, reliability
from medimg_core.metrics.detection import Froc, ImageBoxes, average_precision, froc
from medimg_core.training.boxes.answers import BoxAnswer, FoundBoxes, found
from medimg_core.types import Interval

IOU = 0.5
"""Overlap from which on a box is true (AP50)."""

RATES = (0.125, 0.25, 0.5, 1.0, 2.0)
"""False boxes an image at which the sensitivity is told."""

SHOWN_AT = 0.5
"""Most false boxes an image, on val, at the threshold that is shown by default."""

LEAST = 0.1
"""Chance below which no box is shown, however few false ones that would be."""

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
    reached = precision(found(answers, rule), IOU, draws=2).value
    for knob in knobs:
        for name, settings in knob.items():
            scores = {}
            for setting in settings:
                films = found(answers, replace(rule, **{name: setting}))
                scores[setting] = precision(films, IOU, draws=2).value
                tried.append({"knob": name, "setting": setting, "ap50": round(scores[setting], 4)})
            best = max(scores, key=lambda s: scores[s])
            if scores[best] >= reached + _GAIN:
                rule, reached = replace(rule, **{name: best}), scores[best]
    return rule, tried


def precision(films: Sequence[FoundBoxes], iou: float | None, draws: int = 2000) -> Interval:
    """Average precision at every recall; `iou` None takes a box whose centre lies in a true one."""
    return average_precision([film.image for film in films], iou, draws).all_points


def shown_from(films: Sequence[FoundBoxes], rule: BoxRule, rate: float = SHOWN_AT) -> float:
    """The calibrated chance, at least `LEAST`, from which on there are at most `rate` false boxes an image
    (`FoundBoxes.true`); rounded down to five decimals.
    """
    curve = froc([film.image for film in films], None, (rate,), draws=2)
    z = float(curve.thresholds[last_below(curve, rate)])
    if not math.isfinite(z):
        return 1 - 1e-5
    return max(math.floor(float(_chance([z], rule)[0]) * 1e5) / 1e5, LEAST)


def last_below(curve: Froc, rate: float) -> int:
    """Index of the lowest threshold with at most `rate` false boxes an image."""
    return int((curve.false_per_image <= rate + 1e-9).sum()) - 1


def figures_of(images: Sequence[ImageBoxes]) -> dict[str, Interval]:
    """`ap50`, `ap_centre` (a box is true whose centre lies in a true one), and `sensitivity_at_<rate>` false boxes an
    image, by the centre (FROC). Empty where nothing is to be found.
    """
    if not any(len(np.asarray(image.truth)) for image in images):
        return {}
    curve = froc(images, None, RATES)
    return {
        "ap50": average_precision(images, IOU).all_points,
        "ap_centre": average_precision(images, None).all_points,
        **{f"sensitivity_at_{rate:g}": at for rate, at in zip(curve.rates, curve.at, strict=True)},
    }


def boxes_set(title: str, films: Sequence[FoundBoxes], rule: BoxRule, columns: Sequence[str] = ()) -> dict[str, Any]:
    """The entry of one test set in the block `places` of `evaluation.json` (docs/evaluation.md).

    Args:
        columns: of the manifest, whose values are reported apart.
    """
    return {
        "title": title,
        "data_set": films[0].record.set,
        "split": films[0].record.split,
        **_counts(films),
        "refused": sum(film.refused for film in films),
        "metrics": {name: told(figure) for name, figure in figures_of([film.image for film in films]).items()},
        "shown": shown(films, rule),
        "calibration": calibration(films, rule),
        "subgroups": subgroups(films, columns),
        "predictions": {
            "id": [film.record.id for film in films],
            "patient": [film.record.patient for film in films],
            "boxes": [len(film.record.boxes) for film in films],
            "shown": [int(_kept(film, rule).sum()) for film in films],
            "right": [int(film.true[_kept(film, rule)].sum()) for film in films],
        },
    }


def subgroups(films: Sequence[FoundBoxes], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Figures of the films with one value of a column, where there are enough true boxes; else they are counted."""
    out = []
    for column in columns:
        for value in sorted({film.record.columns.get(column, "") for film in films}):
            part = [film for film in films if film.record.columns.get(column, "") == value]
            row: dict[str, Any] = {"name": f"{column}: {value or 'not known'}", **_counts(part)}
            if row["boxes"] >= _FEW:
                row |= {name: told(figure) for name, figure in figures_of([film.image for film in part]).items()}
            out.append(row)
    return out


def shown(films: Sequence[FoundBoxes], rule: BoxRule) -> dict[str, Any]:
    """What a reader sees at the rule's threshold: findings with a box on them, false boxes, films without any."""
    false = 0
    hits: list[tuple[bool, str]] = []
    boxes: list[tuple[bool, str]] = []
    marked: list[tuple[bool, str]] = []
    clean: list[tuple[bool, str]] = []
    for film in films:
        true = film.true[_kept(film, rule)]
        hits += [(i < int(true.sum()), film.record.patient) for i in range(len(film.record.boxes))]
        false += int((~true).sum())
        (marked if film.record.boxes else clean).append((bool(true.size), film.record.patient))
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


def calibration(films: Sequence[FoundBoxes], rule: BoxRule) -> dict[str, Any] | None:
    """Whether the chances told are true: Brier score, calibration error with what luck alone explains, the curve.

    None where there is no box.
    """
    p = np.concatenate([_chance(film.z, rule) for film in films])
    if not p.size:
        return None
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
    return {k: round(float(v), 5) if k != "n" else v for k, v in asdict(interval).items()}


def _chance(z: ArrayLike, rule: BoxRule) -> Floats:
    """Chances of boxes whose logits carry the classifier's part already."""
    return chance(z, replace(rule, image=0.0))


def _kept(film: FoundBoxes, rule: BoxRule) -> NDArray[np.bool_]:
    """Which boxes of a film are shown."""
    return np.asarray(_chance(film.z, rule) >= rule.threshold, np.bool_)


def _counts(films: Sequence[FoundBoxes]) -> dict[str, Any]:
    return {
        "n": len(films),
        "patients": len({film.record.patient for film in films}),
        "with_finding": sum(1 for film in films if film.record.boxes),
        "boxes": sum(len(film.record.boxes) for film in films),
    }
