"""What the exported network says to films, and what that is worth: the figures of `evaluation.json`.

The network is asked as the app asks it: LiteRT, batch of one, `imaging.prepare` on the stored file.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core import metrics
from medimg_core.catalog import Population
from medimg_core.explain import quality
from medimg_core.explain.registry import Method, Query, methods
from medimg_core.imaging import prepare
from medimg_core.inference import gate
from medimg_core.inference.runtime import Runtime
from medimg_core.metrics.intervals import bootstrap, percentile_interval
from medimg_core.training.calibrate import Floats, probabilities
from medimg_core.training.data import Progress, Record, data_hash, read_image
from medimg_core.types import Interval, MaskArray

POSITIVE = np.ones(1, np.float32)
"""Explains the positive class of a network with one logit."""

_BETTER_AT_LEAST = 0.80


@dataclass(frozen=True, slots=True)
class Pointing:
    """One film's map against its truth: see `explain.quality`; `area` is the share of the film inside the truth."""

    hit: float
    inside: float
    area: float
    centre: float


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the network said to one film.

    `peaks` and `pointing` (by method) and `refused` (the input check would not let the film pass) are known only where
    they were asked for.
    """

    record: Record
    logit: float
    seconds: float
    peaks: Mapping[str, float] = field(default_factory=dict)
    pointing: Mapping[str, Pointing] = field(default_factory=dict)
    refused: bool = False


def ask(runtime: Runtime, records: Sequence[Record], progress: Progress, final: bool = False) -> tuple[Answer, ...]:
    """The network's answers to films; for the `final` measurement with input check and the cheap maps."""
    chosen = _cheap_methods(runtime) if final else ()
    answers = []
    for done, record in enumerate(records, start=1):
        answers.append(_answer(runtime, record, chosen, final))
        if done % 50 == 0:
            progress("Measuring", done / len(records))
    return tuple(answers)


def _cheap_methods(runtime: Runtime) -> tuple[Method, ...]:
    """Methods of the CAM family, which need one pass; CAM itself only behind a pooled head."""
    needs = ("features", "cam_gradient") if runtime.head is not None else ("cam_gradient",)
    return tuple(m for m in methods() if m.family == "cam" and m.needs in needs)


def _answer(runtime: Runtime, record: Record, chosen: Sequence[Method], gated: bool) -> Answer:
    image = read_image(record.file)
    x, geometry = prepare(image, runtime.card.input)
    start = time.perf_counter()
    forward = runtime.predict(x)
    seconds = time.perf_counter() - start
    query = Query(runtime, x, POSITIVE, forward)
    truth = truth_mask(record, image.shape) if chosen and record.positive else None
    peaks, pointing = {}, {}
    for method in chosen:
        grid = method.function(query)
        peaks[method.name] = float(grid.max(initial=0.0))
        if truth is not None:
            values = geometry.raise_map(grid)
            pointing[method.name] = Pointing(
                quality.pointing_game(values, truth),
                quality.energy_inside(values, truth),
                float(truth.mean()),
                quality.centre_hit(truth),
            )
    refused = gated and not gate.check(image, runtime.card).passed
    return Answer(record, float(forward.logits[0]), seconds, peaks, pointing, refused)


def truth_mask(record: Record, shape: tuple[int, int]) -> MaskArray | None:
    """Where the evidence of a film should lie, bool on the stored grid; None where nobody drew it."""
    if record.mask is not None:
        stored = cv2.imread(str(record.mask), cv2.IMREAD_GRAYSCALE)
        return None if stored is None or not stored.any() else np.asarray(stored > 0)
    if not record.boxes:
        return None
    mask = np.zeros(shape, np.bool_)
    for x0, y0, x1, y1 in record.boxes:
        mask[round(y0) : round(y1), round(x0) : round(x1)] = True
    return mask


def saliency_scales(answers: Sequence[Answer]) -> dict[str, float]:
    """Method -> 99th percentile of the maxima of its maps: the value that is shown as 1.0."""
    names = answers[0].peaks if answers else ()
    return {name: float(np.percentile([a.peaks[name] for a in answers], 99)) for name in names}


def measured_set(
    title: str, answers: Sequence[Answer], population: Population, classes: tuple[str, str]
) -> dict[str, Any]:
    """The entry of one test set in `evaluation.json` (see docs/evaluation.md).

    Args:
        title: as shown.
        answers: all films of the set, both classes present.
        population: whose calibration and operating points are used.
        classes: identifiers of the negative and the positive class.
    """
    records = [a.record for a in answers]
    y = np.array([r.positive for r in records])
    patients = np.array([r.patient for r in records])
    logits = np.array([a.logit for a in answers], np.float64)
    p = probabilities(logits, population.calibration)
    return {
        "title": title,
        "data_set": records[0].set,
        "split": records[0].split,
        "population": population.id,
        "n": len(records),
        "positives": int(y.sum()),
        "patients": len(set(patients)),
        "refused": sum(a.refused for a in answers),
        "data_hash": data_hash(records),
        "metrics": _metrics(y, p, patients, population.point("balanced").threshold),
        "operating_points": {
            point.name: {
                "threshold": point.threshold,
                **{k: v for k, v in _rates(y, p >= point.threshold, patients).items() if k.endswith("ity")},
            }
            for point in population.operating_points
        },
        "calibration": _calibration(y, p, patients),
        "conformal": _conformal(y, p, patients, population, classes),
        "subgroups": _subgroups(records, y, p, patients),
        "shortcuts": shortcuts(records),
        "saliency": _saliency(answers, patients),
        "predictions": _predictions(records, logits, p, population, classes),
    }


def as_json(interval: Interval) -> dict[str, float]:
    """An interval as `evaluation.json` holds it."""
    return {"value": round(interval.value, 5), "low": round(interval.low, 5), "high": round(interval.high, 5)}


def _metrics(
    y: NDArray[np.bool_], p: Floats, patients: NDArray[np.str_], threshold: float
) -> dict[str, dict[str, float]]:
    over_all = {
        "auroc": metrics.auroc(y, p, patients),
        "auprc": metrics.auprc(y, p, patients),
        "brier": metrics.brier(y, p, patients),
        "ece": metrics.ece(y, p, patients),
    }
    return {name: as_json(value) for name, value in over_all.items()} | _rates(y, p >= threshold, patients)


def _rates(y: NDArray[np.bool_], decided: NDArray[np.bool_], patients: NDArray[np.str_]) -> dict[str, dict[str, float]]:
    figures = metrics.rates(y, decided, patients)
    names = ("accuracy", "sensitivity", "specificity", "precision", "f1")
    return {name: as_json(value) for name in names if (value := getattr(figures, name)) is not None}


def _calibration(y: NDArray[np.bool_], p: Floats, patients: NDArray[np.str_]) -> dict[str, Any]:
    return {
        "ece": round(metrics.ece(y, p, patients, draws=1).value, 5),
        "ece_null_95": round(metrics.ece_null_95(p), 5),
        "bins": [
            {name: round(getattr(b, name), 5) for name in ("predicted", "observed", "low", "high")} | {"n": b.n}
            for b in metrics.reliability(y, p, patients)
        ],
    }


def calibration_on(answers: Sequence[Answer], population: Population) -> dict[str, Any]:
    """Calibration error of a population on some films (val, when the fit is to be judged), with its null."""
    y = np.array([a.record.positive for a in answers])
    p = probabilities(np.array([a.logit for a in answers], np.float64), population.calibration)
    return _calibration(y, p, np.array([a.record.patient for a in answers])) | {"n": len(answers)}


def _conformal(
    y: NDArray[np.bool_], p: Floats, patients: NDArray[np.str_], population: Population, classes: tuple[str, str]
) -> dict[str, Any]:
    holds = np.stack([p <= population.conformal[classes[0]], 1 - p <= population.conformal[classes[1]]], axis=1)
    covered = holds[np.arange(y.size), y.astype(np.intp)]
    return {
        "target": 0.9,
        "coverage": as_json(metrics.proportion(covered, patients)),
        "mean_size": round(float(holds.sum(axis=1).mean()), 4),
    }


def _subgroups(
    records: Sequence[Record], y: NDArray[np.bool_], p: Floats, patients: NDArray[np.str_]
) -> list[dict[str, Any]]:
    """AUROC by view and sex where both classes have at least five films."""
    rows = []
    for name, title in (("view", "View"), ("sex", "Sex")):
        values = np.array([getattr(r, name) for r in records])
        for value in sorted(set(values) - {""}):
            inside = values == value
            positives = int(y[inside].sum())
            if min(positives, int(inside.sum()) - positives) >= 5:
                area = metrics.auroc(y[inside], p[inside], patients[inside])
                rows.append(
                    {
                        "name": f"{title} {value}",
                        "n": int(inside.sum()),
                        "positives": positives,
                        "auroc": as_json(area),
                    }
                )
    return rows


def shortcuts(records: Sequence[Record]) -> list[dict[str, Any]]:
    """How far things that say nothing about the lungs predict the label alone: view, width, aspect.

    Each counts in whichever direction predicts better. The network never sees any of them.
    """
    y = [r.positive for r in records]
    found = []
    views = [float(r.view == "AP") for r in records]
    if len(set(views)) > 1:
        found.append(("view (PA or AP)", views))
    shapes = [r.shape for r in records if r.shape is not None]
    if len(shapes) == len(records):
        found.append(("width of the original film", [float(s[1]) for s in shapes]))
        found.append(("aspect of the original film", [s[1] / s[0] for s in shapes]))
    areas = [(name, metrics.auroc(y, values)) for name, values in found]
    return [
        {"name": name, "auroc": as_json(a if a.value >= 0.5 else Interval(1 - a.value, 1 - a.high, 1 - a.low))}
        for name, a in areas
    ]


def fit_for_use(measured: Mapping[str, Any]) -> bool:
    """AUROC of at least 0.80, and more than every shortcut reaches alone."""
    area = measured["metrics"]["auroc"]["value"]
    alone = [s["auroc"]["value"] for s in measured["shortcuts"]]
    return bool(area >= _BETTER_AT_LEAST and area > max(alone, default=0.5))


def _saliency(answers: Sequence[Answer], patients: NDArray[np.str_]) -> dict[str, Any]:
    known = [(a, patient) for a, patient in zip(answers, patients, strict=True) if a.pointing]
    if not known:
        return {}
    who = np.array([patient for _, patient in known])
    truth = "the lung fields" if known[0][0].record.mask is not None else "the opacity boxes of the expert readers"
    return {
        method: {
            "pointing_game": _mean([a.pointing[method].hit for a, _ in known], who),
            "energy_inside": _mean([a.pointing[method].inside for a, _ in known], who),
            "area": _mean([a.pointing[method].area for a, _ in known], who),
            "centre": _mean([a.pointing[method].centre for a, _ in known], who),
            # A random place hits with the probability of the truth's area.
            "random": _mean([a.pointing[method].area for a, _ in known], who),
            "n": len(known),
            "truth": truth,
        }
        for method in known[0][0].pointing
    }


def _mean(values: Sequence[float], patients: NDArray[np.str_]) -> dict[str, float]:
    v = np.array(values, np.float64)
    drawn = bootstrap(lambda w: np.asarray(w @ v / w.sum(axis=1), np.float64), v.size, patients)
    return as_json(percentile_interval(float(v.mean()), drawn, v.size))


def _predictions(
    records: Sequence[Record], logits: Floats, p: Floats, population: Population, classes: tuple[str, str]
) -> dict[str, list[Any]]:
    threshold = population.point("balanced").threshold
    return {
        "id": [r.id for r in records],
        "patient": [r.patient for r in records],
        "label": [int(r.positive) for r in records],
        "logit": [round(float(v), 5) for v in logits],
        "probability": [round(float(v), 6) for v in p],
        "decision": [classes[int(v >= threshold)] for v in p],
        "view": [r.view or None for r in records],
        "sex": [r.sex or None for r in records],
        "age": [r.age for r in records],
    }
