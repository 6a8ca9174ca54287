"""Make `tests/data/tiny_model` and `tests/data/tiny_baseline` anew: `python tests/make_tiny_model.py`, one minute.

Calibration, operating points and the conformal quantiles are fitted to drawn films; the figures in
`evaluation.json` are measured on others and every text says that it is a synthetic example.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from medimg_core import explain
from medimg_core.catalog import ModelCard, read_card, write_hashes
from medimg_core.imaging import prepare
from medimg_core.inference.litert import LiteRTRuntime
from medimg_core.training.export import export_network
from medimg_core.types import FloatArray, Image, InputSpec
from model_folder import MODELS, film_pixels

SPEC = InputSpec(height=64, width=64, channels=3, fit="squash", normalisation="standardise")


def drawn(first: int, n: int) -> tuple[FloatArray, FloatArray]:
    """Inputs `[n, 64, 64, 3]` and labels `[n]`: half of the films show a blob, faint to clear."""
    inputs, labels = [], []
    for seed in range(first, first + n):
        positive = seed % 2
        strength = 0.05 + 0.35 * ((seed * 7919) % 97) / 97 if positive else 0.0
        pixels, _ = film_pixels(seed, strength)
        inputs.append(prepare(Image(pixels=pixels, photometric="MONOCHROME2", digest=""), SPEC)[0])
        labels.append(positive)
    return np.stack(inputs), np.array(labels, np.float32)


def pooled() -> keras.Model:
    """Stride 8, global average pooling and one dense layer; a depthwise convolution on the way."""
    image = keras.Input((64, 64, 3))
    x = _normed(layers.Conv2D(12, 3, strides=2, padding="same", use_bias=False)(image), layers.ReLU(6.0))
    x = _normed(layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(x), layers.ReLU())
    x = _normed(layers.Conv2D(24, 3, strides=2, padding="same", use_bias=False)(x), layers.ReLU(name="cam"))
    return keras.Model(image, layers.Dense(1, name="logits")(layers.GlobalAveragePooling2D()(x)), name="tiny_model")


def _normed(x: object, activation: layers.Layer) -> object:
    return activation(layers.BatchNormalization(momentum=0.8)(x))


def flattened() -> keras.Model:
    """The textbook network in small: convolutions with max pooling, flattened, two dense layers."""
    image = x = keras.Input((64, 64, 3))
    for filters, name in ((4, None), (8, None), (8, "cam")):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(12, activation="relu")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(1, name="logits")(x), name="tiny_baseline")


def calibrate(logits: FloatArray, labels: FloatArray) -> tuple[float, float]:
    """Temperature and shift by Newton's method on the log loss with a ridge, because drawn films separate too well."""
    design, weights = np.stack([logits, np.ones_like(logits)], 1), np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ weights))
        ridge = np.eye(2)
        hessian = design.T @ (design * (p * (1 - p))[:, None]) + ridge
        weights = weights + np.linalg.solve(hessian, design.T @ (labels - p) - weights)
    return float(1 / weights[0]), float(weights[1])


def saliency_scales(card: ModelCard, x: FloatArray) -> dict[str, float]:
    """Method -> 99th percentile of the maxima of its maps over the test films."""
    runtime, scales = LiteRTRuntime(card), {}
    for method in explain.available(card):
        if method.family == "cam" and method.needs != "forward":
            maps = (method.function(explain.Query(runtime, one, np.ones(1, np.float32))) for one in x)
            scales[method.name] = float(np.percentile([m.max() for m in maps], 99))
    return scales


def auroc(p: FloatArray, labels: FloatArray) -> float:
    difference = p[labels == 1][:, None] - p[labels == 0][None]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def interval(function: object, p: FloatArray, labels: FloatArray) -> dict[str, float]:
    """Percentile bootstrap over films, seeded."""
    draw = np.random.default_rng(0)
    values = []
    for _ in range(200):
        i = draw.integers(0, len(p), len(p))
        values.append(function(p[i], labels[i]))  # type: ignore[operator]
    low, high = np.nanpercentile(values, (2.5, 97.5))
    value = function(p, labels)  # type: ignore[operator]
    return {"value": round(float(value), 4), "low": round(float(low), 4), "high": round(float(high), 4), "n": len(p)}


def metrics(p: FloatArray, y: FloatArray, threshold: float) -> dict[str, object]:
    """Metrics of `docs/evaluation.md` that a page reads."""
    d = {
        "auroc": auroc,
        "brier": lambda p, y: np.mean((p - y) ** 2),
        "accuracy": lambda p, y: np.mean((p >= threshold) == y),
        "sensitivity": lambda p, y: np.mean(p[y == 1] >= threshold),
        "specificity": lambda p, y: np.mean(p[y == 0] < threshold),
        "precision": lambda p, y: np.mean(y[p >= threshold]),
        "f1": lambda p, y: 2 * np.sum(y[p >= threshold]) / (np.sum(p >= threshold) + np.sum(y)),
    }
    return {name: interval(function, p, y) for name, function in d.items()}


def make(build: Callable[[], keras.Model], folder: Path, head: str, second: str | None, epochs: int) -> None:
    """Train, export and describe one network."""
    keras.utils.set_random_seed(5)
    model = build()
    x, y = drawn(0, 600)
    model.compile(keras.optimizers.Adam(4e-3), keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1))
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    val_x, val_y = drawn(10_000, 300)
    test_x, test_y = drawn(20_000, 80)
    val, test = (np.asarray(model(part, training=False))[:, 0].astype(np.float64) for part in (val_x, test_x))
    temperature, shift = calibrate(val, val_y)
    draw = np.random.default_rng(1)
    draws = [calibrate(val[i], val_y[i]) for i in (draw.integers(0, 300, 300) for _ in range(40))]
    p_val, p_test = (1 / (1 + np.exp(-(part / temperature + shift))) for part in (val, test))
    points = {
        "rule_out": float(np.quantile(p_val[val_y == 1], 0.05)),
        "balanced": float(np.median(p_val)),
        "rule_in": float(np.quantile(p_val[val_y == 0], 0.95)),
    }
    points = dict(zip(points, sorted(round(v, 4) for v in points.values()), strict=True))
    conformal = {
        "normal": float(np.quantile(p_val[val_y == 0], 0.9, method="higher")),
        "pneumonia": float(np.quantile(1 - p_val[val_y == 1], 0.9, method="higher")),
    }
    golden = drawn(30_000, 2)[0]
    export_network(model, "cam", SPEC, folder, golden_inputs=golden, float16=False)
    card = _card(model.name, head, second, temperature, shift, draws, points, conformal)
    (folder / "card.toml").write_text(card, encoding="utf-8")
    write_hashes(folder)
    described = _evaluation(model.name, test, p_test, test_y, points)
    described["saliency_scales"] = saliency_scales(read_card(folder), test_x)
    (folder / "evaluation.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    write_hashes(folder)
    print(folder.name, auroc(p_test, test_y), temperature, shift, points, conformal)


def _card(
    name: str,
    head: str,
    second: str | None,
    temperature: float,
    shift: float,
    draws: list[tuple[float, float]],
    points: dict[str, float],
    conformal: dict[str, float],
) -> str:
    population = "\n".join(
        f'''
[[populations]]
id = "{id_}"
title = "{id_} (synthetic example)"
test_set = "{id_}"
prevalence = 0.5
fit_for_use = {str(fit).lower()}
{who}
conformal = {{ normal = {conformal["normal"]:.6f}, pneumonia = {conformal["pneumonia"]:.6f} }}
operating_points = {{ {", ".join(f"{k} = {v}" for k, v in points.items())} }}
[populations.calibration]
temperature = {temperature:.6f}
shift = {shift:.6f}
draws = {[[round(t, 5), round(s, 5)] for t, s in draws]}'''
        for id_, fit, who in (
            ("children", True, "age_min = 1\nage_max = 5"),
            ("adults_pa", True, 'age_min = 18\nviews = ["PA"]'),
            ("adults_ap", False, 'age_min = 18\nviews = ["AP"]'),
        )
    )
    return f'''version = "0.1.0"
title = "{name.replace("_", " ").title()} (synthetic example)"
task = "classification"
modality = "CR"
baseline = {str(second is None).lower()}
{f'second_opinion = "{second}"' if second else ""}
positive = 1
outputs = 1
cam_layer = "cam"
head = "{head}"
licence = "open"
takes = ["chest_frontal"]
default_population = "children"

[input]
height = 64
width = 64
channels = 3
fit = "squash"
normalisation = "standardise"

[[classes]]
id = "normal"
title = "No pneumonia"
meaning = "No sign of pneumonia; other findings are not assessed."

[[classes]]
id = "pneumonia"
title = "Pneumonia"
meaning = "Signs of pneumonia."
{population}

[text]
intended_use = "Synthetic example for tests: it finds a bright blob on a drawn film."
population = "Drawn films, no patients."
not_for = ["any film of a patient"]
limits = ["Synthetic example: nothing was measured on patients."]
data = "Films drawn by tests/model_folder.py."
training = "tests/make_tiny_model.py"
'''


def _evaluation(
    name: str, logits: FloatArray, p: FloatArray, y: FloatArray, points: dict[str, float]
) -> dict[str, object]:
    n = len(y)

    def test_set(id_: str) -> dict[str, object]:
        order = np.array_split(np.argsort(p, kind="stable"), 10)
        return {
            "title": f"{id_} (synthetic example)",
            "data_set": "synthetic example",
            "split": "test",
            "population": id_,
            "n": n,
            "positives": int(y.sum()),
            "patients": n,
            "refused": 0,
            "data_hash": "synthetic example",
            "metrics": metrics(p, y, points["balanced"]) | {"auprc": interval(auprc, p, y), "ece": interval(ece, p, y)},
            "operating_points": {
                key: {
                    "threshold": value,
                    **{k: v for k, v in metrics(p, y, value).items() if k in ("sensitivity", "specificity")},
                }
                for key, value in points.items()
            },
            "calibration": {
                "ece": round(ece(p, y), 4),
                "ece_null_95": 0.1,
                "bins": [
                    {
                        "predicted": round(float(p[i].mean()), 4),
                        "observed": round(float(y[i].mean()), 4),
                        "low": max(0.0, round(float(y[i].mean()) - 0.2, 4)),
                        "high": min(1.0, round(float(y[i].mean()) + 0.2, 4)),
                        "n": len(i),
                    }
                    for i in order
                ],
            },
            "conformal": {"target": 0.9, "coverage": {"value": 0.9, "low": 0.85, "high": 0.94}, "mean_size": 1.1},
            "subgroups": [{"name": "all (synthetic example)", "n": n, "positives": int(y.sum()), "auroc": None}],
            "shortcuts": [{"name": "synthetic example", "auroc": 0.5}],
            "saliency": {},
            "predictions": {
                "id": [f"drawn{i}" for i in range(n)],
                "patient": [f"drawn{i}" for i in range(n)],
                "label": [int(v) for v in y],
                "logit": [round(float(v), 4) for v in logits],
                "probability": [round(float(v), 5) for v in p],
                "decision": ["pneumonia" if v >= points["balanced"] else "normal" for v in p],
                "view": [None] * n,
                "sex": [None] * n,
                "age": [None] * n,
            },
        }

    sets = {id_: test_set(id_) for id_ in ("children", "adults_pa", "adults_ap")}
    for chosen in sets.values():
        chosen["subgroups"][0]["auroc"] = chosen["metrics"]["auroc"]  # type: ignore[index]
    return {
        "schema": 1,
        "note": "synthetic example: drawn films, no patients",
        "model": name,
        "version": "0.1.0",
        "date": "2026-01-01",
        "command": "python tests/make_tiny_model.py",
        "commit": "",
        "code_hash": "",
        "versions": {},
        "training_seconds": 0,
        "data": [{"set": "synthetic example", "split": "test", "n": n, "patients": n, "hash": ""}],
        "test_sets": sets,
        "cost": {"parameters": 0, "tflite_bytes": 0, "keras_bytes": 0, "predict_ms": 0, "cam_ms": 0},
    }


def auprc(p: FloatArray, y: FloatArray) -> float:
    ranked = y[np.argsort(-p, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float((precision * ranked).sum() / ranked.sum())


def ece(p: FloatArray, y: FloatArray) -> float:
    bins = np.array_split(np.argsort(p, kind="stable"), 10)
    return float(sum(len(i) * abs(p[i].mean() - y[i].mean()) for i in bins) / len(p))


if __name__ == "__main__":
    make(pooled, MODELS / "tiny_model", "pooled", "tiny_baseline", epochs=30)
    make(flattened, MODELS / "tiny_baseline", "dense", None, epochs=8)
