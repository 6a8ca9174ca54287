"""What a model's answers to a test set are worth: the blocks of `evaluation.json` (docs/evaluation.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from medimg_core import metrics
from medimg_core.catalog import ModelCard, Population, StatementCard
from medimg_core.inference.calibration import decide, prediction_set, probabilities, sigmoid
from medimg_core.metrics.intervals import bootstrap, percentile_interval
from medimg_core.training.data import Record, data_hash
from medimg_core.training.measure import Answer
from medimg_core.training.recipe import Recipe
from medimg_core.training.shortcuts import Judge, shortcuts
from medimg_core.types import Interval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_FIT_AUROC, _FIT_KAPPA = 0.80, 0.50
_FEWEST = 5
"""Films on either side below which a subgroup has no figure."""

_FAILURES = 30
_COLUMNS = ("view", "sex", "site", "eye", "region", "hardware", "calipers", "id_series")


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The answers of a model to some films, calibrated.

    Attributes:
        truth, decided: number of the class `[n]`.
        scores: `[n, classes]`.
        holds: which classes the prediction set holds, bool `[n, classes]`.
        positive: whether the film is of the positive side, and `p`, its probability.
    """

    card: ModelCard
    population: Population
    records: tuple[Record, ...]
    logits: Floats
    truth: NDArray[np.intp]
    decided: NDArray[np.intp]
    scores: Floats
    holds: Bools

    @property
    def patients(self) -> NDArray[np.str_]:
        """Patient of each film."""
        return np.array([r.patient for r in self.records])

    @property
    def positive(self) -> Bools:
        """Films of the positive class; of grades, of the first positive one and beyond."""
        return self.truth >= self.card.positive if self.card.form == "grade" else self.truth == self.card.positive

    @property
    def p(self) -> Floats:
        """Probability of the positive side."""
        first = self.card.positive
        return self.scores[:, first:].sum(axis=1) if self.card.form == "grade" else self.scores[:, first]


def judge(answers: Sequence[Answer], card: ModelCard, population: Population) -> Judged:
    """Calibrate answers as the app does."""
    rows = [probabilities(a.logits, card, population) for a in answers]
    names = [decide(row, card, population) for row in rows]
    sets = [
        prediction_set(row, population.conformal, name if card.form != "yes_no" else "")
        for row, name in zip(rows, names, strict=True)
    ]
    return Judged(
        card,
        population,
        tuple(a.record for a in answers),
        np.array([a.logits for a in answers], np.float64),
        np.array([a.record.index for a in answers], np.intp),
        np.array([card.class_ids.index(name) for name in names], np.intp),
        np.array([list(row.values()) for row in rows], np.float64),
        np.array([[name in inside for name in card.class_ids] for inside in sets], np.bool_),
    )


def measured_set(
    title: str,
    answers: Sequence[Answer],
    card: ModelCard,
    population: Population,
    recipe: Recipe,
    judge_: Judge,
) -> dict[str, Any]:
    """The entry of one test set in `evaluation.json`.

    Args:
        title: as shown.
        answers: all films of the set, at least two classes present.
        card: says how the answer is given.
        population: whose calibration and operating points are used.
        recipe: its `[card]` names subgroups and what the maps are held against, its statements where their truth is.
        judge_: predicts the label from a shortcut, as learned on train.
    """
    found = judge(answers, card, population)
    patients = found.patients
    return {
        "title": title,
        "data_set": found.records[0].set,
        "split": found.records[0].split,
        "population": population.id,
        "n": len(answers),
        "positives": int(found.positive.sum()),
        "patients": len(set(patients)),
        "refused": sum(a.refused for a in answers),
        "data_hash": data_hash(found.records),
        "metrics": {name: as_json(value) for name, value in metrics.measure(answers_of(found)).items()},
        "operating_points": operating_points(found),
        "calibration": calibration(found),
        "conformal": _conformal(found),
        "undecided": _undecided(found),
        "confusion": {
            "classes": list(card.class_ids),
            "counts": metrics.confusion_matrix(found.truth, found.decided, len(card.classes)).tolist(),
        },
        "statements": {q.id: _statement(found, q, recipe) for q in card.statements if q.id in population.statements},
        "subgroups": _subgroups(found, recipe.card.get("subgroups", ("view", "sex"))),
        "shortcuts": shortcuts(found.records, judge_, card),
        "saliency": saliency(answers, patients, _truth_name(recipe, found)),
        "failures": _failures(found),
        "predictions": _predictions(found),
    }


def as_json(interval: Interval) -> dict[str, float]:
    """An interval as `evaluation.json` holds it."""
    return {"value": round(interval.value, 5), "low": round(interval.low, 5), "high": round(interval.high, 5)}


def answers_of(found: Judged) -> metrics.Answers:
    """The same films as `metrics` measures them."""
    card = found.card
    return metrics.Answers(
        found.truth,
        found.decided,
        found.p,
        found.patients,
        card.positive,
        len(card.classes),
        cast(metrics.Form, card.form),  # a model that only outlines is judged elsewhere
        found.scores,
        found.p >= found.population.point("balanced").threshold if card.form == "grade" else None,
        card.class_ids,
    )


def operating_points(found: Judged) -> dict[str, Any]:
    """Every threshold of the positive side with its rates."""
    return {
        point.name: {"threshold": point.threshold, **_rates(found.positive, found.p >= point.threshold, found.patients)}
        for point in found.population.operating_points
    }


def _rates(y: Bools, called: Bools, patients: NDArray[np.str_]) -> dict[str, dict[str, float]]:
    rates = metrics.rates(y, called, patients)
    both = {"sensitivity": rates.sensitivity, "specificity": rates.specificity}
    return {name: as_json(value) for name, value in both.items() if value is not None}


def calibration(found: Judged) -> dict[str, Any]:
    """Calibration error with that of a perfect model with the same scores, and ten bins of equal mass.

    Of a yes/no question and of grades the probability of the positive side, of several kinds that of the answer.
    """
    several = found.card.form == "one_of"
    y = found.truth == found.decided if several else found.positive
    p = found.scores.max(axis=1) if several else found.p
    patients = found.patients
    return {
        "ece": round(metrics.ece(y, p, patients, draws=1).value, 5),
        "ece_null_95": round(metrics.ece_null_95(p), 5),
        "bins": [
            {name: round(getattr(b, name), 5) for name in ("predicted", "observed", "low", "high")} | {"n": b.n}
            for b in metrics.reliability(y, p, patients)
        ],
        "n": len(y),
    }


def _conformal(found: Judged) -> dict[str, Any]:
    covered = found.holds[np.arange(found.truth.size), found.truth]
    return {
        "target": 0.9,
        "coverage": as_json(metrics.proportion(covered, found.patients)),
        "mean_size": round(float(found.holds.sum(axis=1).mean()), 4),
    }


def _undecided(found: Judged) -> dict[str, Any]:
    """How often the model is not sure, and how often its one answer is wrong when it is sure and when it is not."""
    unsure, wrong = found.holds.sum(axis=1) > 1, found.truth != found.decided
    block: dict[str, Any] = {"share": as_json(metrics.proportion(unsure, found.patients)), "n": int(unsure.sum())}
    for name, members in (("error_when_sure", ~unsure), ("error_when_unsure", unsure)):
        if members.any():
            block[name] = as_json(metrics.proportion(wrong[members], found.patients[members]))
    return block


def _statement(found: Judged, question: StatementCard, recipe: Recipe) -> dict[str, Any]:
    """Figures of a statement: its truth is the grade itself, or stands in a column of its own."""
    fit = found.population.statements[question.id]
    p = np.array([sigmoid(z, fit.calibration)[0] for z in found.logits[:, question.output]])
    rule = next((r for r in recipe.statements if r.id == question.id), None)
    if rule is None:
        return statement_figures(found.truth > question.output, p, found.patients, fit.threshold)
    told = [rule.targets.get(r.value(rule.column)) for r in found.records]
    known = np.array([value is not None for value in told])
    y = np.array([(value or 0.0) > 0.5 for value in told])
    measured = statement_figures(y[known], p[known], found.patients[known], fit.threshold)
    return measured | {"truth": [None if value is None else int(value > 0.5) for value in told]}


def statement_figures(y: Bools, p: Floats, patients: NDArray[np.str_], threshold: float) -> dict[str, Any]:
    """What a yes/no statement is worth on films whose truth is known."""
    return {
        "n": int(y.size),
        "positives": int(y.sum()),
        "auroc": as_json(metrics.auroc(y, p, patients)),
        "threshold": threshold,
        **_rates(y, p >= threshold, patients),
        "ece": round(metrics.ece(y, p, patients, draws=1).value, 5),
        "ece_null_95": round(metrics.ece_null_95(p), 5),
    }


def _subgroups(found: Judged, names: Sequence[str]) -> list[dict[str, Any]]:
    """AUROC of the positive side (of several kinds: accuracy) for every value with enough films."""
    rows = []
    for name in names:
        values = np.array([value_of(r, name) for r in found.records])
        for value in sorted(set(values) - {""}):
            inside = values == value
            n, positives = int(inside.sum()), int(found.positive[inside].sum())
            row = {"name": f"{name.replace('_', ' ').capitalize()} {value}", "n": n, "positives": positives}
            patients = found.patients[inside]
            if found.card.form == "one_of":
                if n >= 2 * _FEWEST:
                    right = (found.truth == found.decided)[inside]
                    rows.append(row | {"accuracy": as_json(metrics.proportion(right, patients))})
            elif min(positives, n - positives) >= _FEWEST:
                area = metrics.auroc(found.positive[inside], found.p[inside], patients)
                rows.append(row | {"auroc": as_json(area)})
    return rows


def value_of(record: Record, name: str) -> str:
    """A column of the manifest; ages in steps of twenty years."""
    if name == "age":
        return "" if record.age is None else f"{int(record.age // 20 * 20)} to {int(record.age // 20 * 20 + 19)}"
    return record.value(name)


def fit_for_use(measured: Mapping[str, Any], form: str) -> bool:
    """AUROC of at least 0.80 (of grades also kappa of at least 0.50), and more than every shortcut reaches alone."""
    figure = {name: interval["value"] for name, interval in measured["metrics"].items()}
    good = figure["auroc"] >= _FIT_AUROC and (form != "grade" or figure["kappa_quadratic"] >= _FIT_KAPPA)
    key = "accuracy" if form == "one_of" else "auroc"
    alone = [s[key]["value"] for s in measured["shortcuts"] if key in s]
    return bool(good and figure[key] > max(alone, default=0.5))


def saliency(answers: Sequence[Answer], patients: NDArray[np.str_], truth_name: str) -> dict[str, Any]:
    """Pointing game and energy inside the truth, for every method that was asked; empty where nothing is drawn."""
    known = [(a, patient) for a, patient in zip(answers, patients, strict=True) if a.pointing]
    if not known:
        return {}
    who = np.array([patient for _, patient in known])
    return {
        method: {
            "pointing_game": _mean([a.pointing[method].hit for a, _ in known], who),
            "energy_inside": _mean([a.pointing[method].inside for a, _ in known], who),
            "area": _mean([a.pointing[method].area for a, _ in known], who),
            "centre": _mean([a.pointing[method].centre for a, _ in known], who),
            # A random place hits with the probability of the truth's area.
            "random": _mean([a.pointing[method].area for a, _ in known], who),
            "n": len(known),
            "truth": truth_name,
        }
        for method in known[0][0].pointing
    }


def _truth_name(recipe: Recipe, found: Judged) -> str:
    """What the maps are held against: one name, or one a set."""
    name = recipe.card.get("truth_name", "the outlines of the expert readers")
    return str(name[found.records[0].set] if isinstance(name, Mapping) else name)


def _mean(values: Sequence[float], patients: NDArray[np.str_]) -> dict[str, float]:
    v = np.array(values, np.float64)
    if set(v.tolist()) <= {0.0, 1.0}:
        return as_json(metrics.proportion(v > 0, patients))  # a bootstrap has no width at 0 and 1
    drawn = bootstrap(lambda w: np.asarray(w @ v / w.sum(axis=1), np.float64), v.size, patients)
    return as_json(percentile_interval(float(v.mean()), drawn, v.size))


def _failures(found: Judged) -> list[dict[str, Any]]:
    """The wrong answers, the most certain first."""
    wrong = np.flatnonzero(found.truth != found.decided)
    certain = found.scores[np.arange(found.truth.size), found.decided]
    ids = found.card.class_ids
    return [
        {
            "id": found.records[i].id,
            "truth": ids[found.truth[i]],
            "answer": ids[found.decided[i]],
            "probability": round(float(certain[i]), 4),
        }
        for i in wrong[np.argsort(-certain[wrong], kind="stable")][:_FAILURES]
    ]


def _predictions(found: Judged) -> dict[str, list[Any]]:
    records = found.records
    columns: dict[str, list[Any]] = {
        "id": [r.id for r in records],
        "patient": [r.patient for r in records],
        "label": found.truth.tolist(),
    }
    if found.card.form == "yes_no":
        columns |= {
            "logit": [round(float(z), 5) for z in found.logits[:, 0]],
            "probability": [round(float(p), 6) for p in found.p],
        }
    else:
        columns |= {
            "logits": [[round(float(z), 5) for z in row] for row in found.logits],
            "probabilities": [[round(float(p), 6) for p in row] for row in found.scores],
        }
    columns["decision"] = [found.card.class_ids[k] for k in found.decided]
    for name in _COLUMNS:
        values = [value_of(r, name) or None for r in records]
        if any(values) or name in ("view", "sex"):
            columns[name] = values
    return columns | {"age": [r.age for r in records]}
