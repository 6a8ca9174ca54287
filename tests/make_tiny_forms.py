"""Make `tests/data_forms/tiny_kinds` and `tiny_grades` anew: `python tests/make_tiny_forms.py`, one minute.

Drawn films with a bright blob, a dark one or none (kinds), or with a blob of four strengths (grades, with a statement
that is the step to the third). As in `make_tiny_model.py`, every text says that it is a synthetic example.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers
from make_tiny_model import SPEC, _normed, calibrate

from medimg_core.catalog import ModelCard, read_card, write_hashes
from medimg_core.imaging import prepare
from medimg_core.inference.calibration import decide, prediction_set, probabilities
from medimg_core.inference.litert import LiteRTRuntime
from medimg_core.metrics import Answers, evaluate_answers
from medimg_core.training.export import export_network
from medimg_core.types import FloatArray, Image
from medimg_core.workflows.predictions import positive_side
from model_folder import FORMS, GRADES, KINDS, film_pixels

Curve = tuple[float, float]


@dataclass(frozen=True)
class Plan:
    """One network: its classes with the blob's strength, the first positive one, its task."""

    name: str
    task: str
    classes: dict[str, float]
    positive: int

    @property
    def graded(self) -> bool:
        return self.task == "grading"

    @property
    def outputs(self) -> int:
        return len(self.classes) - self.graded


PLANS = (
    Plan("tiny_kinds", "classification", KINDS, 0),
    Plan("tiny_grades", "grading", GRADES, 2),
)


def drawn(plan: Plan, first: int, n: int) -> tuple[FloatArray, FloatArray]:
    """Inputs `[n, 64, 64, 3]` and class numbers `[n]`; strengths vary by a fifth and a little noise."""
    strengths, inputs, truth = list(plan.classes.values()), [], []
    for seed in range(first, first + n):
        number = seed % len(strengths)
        vary = 0.8 + 0.4 * ((seed * 7919) % 97) / 97
        pixels, _ = film_pixels(seed, strengths[number] * vary)
        inputs.append(prepare(Image(pixels=pixels, photometric="MONOCHROME2", digest=""), SPEC)[0])
        truth.append(number)
    return np.stack(inputs), np.array(truth)


def network(plan: Plan) -> keras.Model:
    """As `make_tiny_model.pooled`, with a logit a kind or a step."""
    image = keras.Input((64, 64, 3))
    x = _normed(layers.Conv2D(12, 3, strides=2, padding="same", use_bias=False)(image), layers.ReLU(6.0))
    x = _normed(layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x), layers.ReLU())
    x = _normed(layers.Conv2D(24, 3, strides=2, padding="same", use_bias=False)(x), layers.ReLU(name="cam"))
    out = layers.Dense(plan.outputs, name="logits")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, out, name=plan.name)


def steps_of(truth: FloatArray, outputs: int) -> FloatArray:
    """`[n, outputs]`: whether the grade is at least 1, 2, ..."""
    return (truth[:, None] > np.arange(outputs)).astype(np.float32)


def temperature(logits: FloatArray, truth: FloatArray) -> float:
    """The temperature of least log loss on a grid."""
    grid = np.geomspace(0.2, 5, 80)
    losses = []
    for t in grid:
        z = logits / t
        z = z - z.max(axis=1, keepdims=True)
        losses.append(-np.mean(z[np.arange(len(truth)), truth] - np.log(np.exp(z).sum(axis=1))))
    return float(grid[int(np.argmin(losses))])


def curves(plan: Plan, logits: FloatArray, truth: FloatArray) -> list[Curve]:
    """Of kinds one temperature, of grades a curve a step."""
    if not plan.graded:
        return [(temperature(logits, truth), 0.0)]
    asked = steps_of(truth, plan.outputs)
    return [calibrate(logits[:, k], asked[:, k]) for k in range(plan.outputs)]


def make(plan: Plan) -> None:
    """Train, export, calibrate on one draw of films, measure on another, describe."""
    keras.utils.set_random_seed(11)
    model, folder = network(plan), FORMS / plan.name
    x, truth = drawn(plan, 0, 900)
    if plan.graded:
        loss, target = keras.losses.BinaryCrossentropy(from_logits=True), steps_of(truth, plan.outputs)
    else:
        loss, target = keras.losses.SparseCategoricalCrossentropy(from_logits=True), truth
    model.compile(keras.optimizers.Adam(4e-3), loss)
    model.fit(x, target, batch_size=32, epochs=25, verbose=0)
    (val_x, val_y), (test_x, test_y) = drawn(plan, 10_000, 360), drawn(plan, 20_000, 96)
    val = np.asarray(model(val_x, training=False)).astype(np.float64)
    fitted = curves(plan, val, val_y)
    draw = np.random.default_rng(1)
    refits = [curves(plan, val[i], val_y[i]) for i in (draw.integers(0, 360, 360) for _ in range(20))]
    export_network(model, "cam", SPEC, folder, golden_inputs=drawn(plan, 30_000, 2)[0], float16=False)
    write_card(plan, folder, fitted, refits, points=(0.2, 0.5, 0.8), conformal=dict.fromkeys(plan.classes, 0.9))
    write_hashes(folder)
    card = read_card(folder)
    population = card.populations[0]
    scores = np.array([list(probabilities(z.astype(np.float32), card, population).values()) for z in val])
    p = np.array([positive_side(list(row), plan.positive, plan.graded) for row in scores])
    side = val_y >= plan.positive if plan.graded else val_y == plan.positive
    points = sorted((float(np.quantile(p[side], 0.05)), float(np.median(p)), float(np.quantile(p[~side], 0.95))))
    conformal = {
        name: float(np.quantile(1 - scores[val_y == i, i], 0.9, method="higher")) for i, name in enumerate(plan.classes)
    }
    write_card(plan, folder, fitted, refits, tuple(np.clip(points, 0.01, 0.99)), conformal)
    card = read_card(folder)
    described = describe(card, test_x, test_y)
    (folder / "evaluation.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    write_hashes(folder)
    print(plan.name, described["test_sets"]["drawn"]["metrics"])


def describe(card: ModelCard, x: FloatArray, truth: FloatArray) -> dict[str, Any]:
    """`evaluation.json` as `docs/evaluation.md` has it, from the films of the test draw."""
    runtime, population = LiteRTRuntime(card), card.populations[0]
    logits = [runtime.predict(one).logits for one in x]
    said = [probabilities(z, card, population) for z in logits]
    decided = [decide(s, card, population) for s in said]
    scores = np.array([list(s.values()) for s in said])
    graded = card.form == "grade"
    p = np.array([positive_side(list(row), card.positive, graded) for row in scores])
    left = np.array([len(prediction_set(s, population.conformal)) for s in said])
    ids = [f"drawn{i}" for i in range(len(x))]
    answers = Answers(
        truth=truth,
        decided=np.array([card.class_ids.index(d) for d in decided]),
        probability=p,
        patients=np.array(ids),
        positive=card.positive,
        classes=len(card.classes),
        form=card.form,
        scores=scores,
        called=p >= population.point().threshold if graded else None,
        names=card.class_ids,
    )
    found = evaluate_answers(answers, np.ones(len(x), bool), left)

    def interval(i: Any) -> dict[str, float] | None:
        return None if i is None else {"value": round(i.value, 5), "low": round(i.low, 5), "high": round(i.high, 5)}

    test_set = {
        "title": "Drawn films (synthetic example)",
        "data_set": "synthetic example",
        "split": "test",
        "population": "drawn",
        "n": len(x),
        "positives": found.positives,
        "patients": len(x),
        "refused": 0,
        "data_hash": "synthetic example",
        "metrics": {name: interval(i) for name, i in found.left_out.items()},
        "operating_points": {},
        "calibration": {
            "ece": round(found.left_out["ece"].value, 5),
            "ece_null_95": round(found.ece_null_95 or 0.0, 5),
            "bins": [
                {"predicted": b.predicted, "observed": b.observed, "low": b.low, "high": b.high, "n": b.n}
                for b in found.bins
            ],
        },
        "conformal": {"target": 0.9, "coverage": interval(found.undecided.share), "mean_size": float(left.mean())},
        "confusion": {"classes": list(card.class_ids), "counts": found.confusion.tolist()},
        "undecided": {
            name: interval(getattr(found.undecided, name)) for name in ("share", "error_when_sure", "error_when_unsure")
        },
        "failures": {"ids": [i for i, d, t in zip(ids, decided, truth, strict=True) if card.class_ids[t] != d]},
        "statements": {},
        "subgroups": [],
        "shortcuts": [{"name": "synthetic example", "auroc": {"value": 0.5, "low": 0.5, "high": 0.5}}],
        "saliency": {},
        "predictions": {
            "id": ids,
            "patient": ids,
            "label": truth.tolist(),
            "logits": np.round([z.tolist() for z in logits], 5).tolist(),
            "probabilities": np.round(scores, 6).tolist(),
            "decision": decided,
            "view": [None] * len(x),
            "sex": [None] * len(x),
            "age": [None] * len(x),
        },
    }
    cost = {
        "parameters": 5000,
        "tflite_bytes": (card.folder / "model.tflite").stat().st_size,
        "keras_bytes": (card.folder / "model.keras").stat().st_size,
        "predict_ms": 1.0,
        "cam_ms": 1.0,
    }
    return {
        "schema": 1,
        "model": card.name,
        "version": card.version,
        "date": "2026-11-21 (synthetic example)",
        "command": "python tests/make_tiny_forms.py",
        "commit": "synthetic example",
        "code_hash": "synthetic example",
        "versions": {},
        "training_seconds": 20,
        "data": [{"set": "synthetic example", "split": "test", "n": len(x), "patients": len(x), "hash": ""}],
        "test_sets": {"drawn": test_set},
        "val": {},
        "saliency_scales": {},
        "cost": cost,
    }


def write_card(
    plan: Plan,
    folder: Path,
    fitted: list[Curve],
    refits: list[list[Curve]],
    points: tuple[float, ...],
    conformal: dict[str, float],
) -> None:
    """Write `card.toml`."""

    def curve(k: int) -> str:
        draws = [[round(float(v), 5) for v in refit[k]] for refit in refits]
        return f"temperature = {fitted[k][0]:.6f}\nshift = {fitted[k][1]:.6f}\ndraws = {draws}"

    main = plan.positive - 1 if plan.graded else 0
    text = f'''version = "0.1.0"
title = "{plan.name.replace("_", " ").title()} (synthetic example)"
task = "{plan.task}"
modality = "CR"
positive = {plan.positive}
outputs = {plan.outputs}
cam_layer = "cam"
head = "pooled"
licence = "open"
default_population = "drawn"
takes = ["chest_frontal"]

[input]
height = 64
width = 64
channels = 3
fit = "squash"
normalisation = "standardise"
'''
    for name in plan.classes:
        text += f'\n[[classes]]\nid = "{name}"\ntitle = "{name.title()} blob"\nmeaning = "Drawn as: {name}."\n'
    if plan.graded:
        text += f"""
[[statements]]
id = "referable"
title = "Referable"
otherwise = "Not referable"
meaning = "A marked blob or a heavy one."
output = {main}
"""
    text += f"""
[[populations]]
id = "drawn"
title = "Drawn films (synthetic example)"
test_set = "drawn"
prevalence = 0.5
fit_for_use = true
conformal = {{ {", ".join(f"{k} = {v:.6f}" for k, v in conformal.items())} }}
operating_points = {{ rule_out = {points[0]:.5f}, balanced = {points[1]:.5f}, rule_in = {points[2]:.5f} }}
[populations.calibration]
{curve(main)}
"""
    if plan.graded:
        text += "".join(f"[[populations.steps]]\n{curve(k)}\n" for k in range(plan.outputs))
        fit = f"threshold = {points[1]:.5f}\nprevalence = 0.5\nn = 360"
        text += f"[populations.statements.referable]\n{fit}\n"
        text += f"[populations.statements.referable.calibration]\n{curve(main)}\n"
    text += """
[text]
intended_use = "Synthetic example for tests: it tells blobs on drawn films."
population = "Drawn films, no patients."
not_for = ["any film of a patient"]
limits = ["Synthetic example: nothing was measured on patients."]
data = "Films drawn by tests/model_folder.py."
training = "tests/make_tiny_forms.py"
"""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for plan in PLANS:
        make(plan)
