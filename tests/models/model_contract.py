"""What every model folder must keep, whatever its question: one shared list of checks, run on each shipped folder."""

from __future__ import annotations

import numpy as np

from medimg_core import catalog
from medimg_core.catalog import ModelCard
from medimg_core.inference.litert import LiteRTRuntime
from medimg_core.inference.runtime import Runtime

PROBABILITY = 2e-3
"""Largest difference of a probability from the exported network's, 16-bit weights included."""


def check_files(card: ModelCard) -> None:
    """Every file is there, is the one that was exported, and the folder has a bearable size."""
    table = catalog.hashes(card)
    needed = {"card.toml", "model.keras", "model.tflite", "golden.npz"}
    assert needed <= set(table)
    assert ("head.npz" in table) == (card.head == "pooled")
    size = sum(len(catalog.read_verified(card, file)) for file in table)
    assert size < 60 * 2**20


def check_card(card: ModelCard) -> None:
    """Numbers on the card are possible, and every population is described by a measured test set."""
    assert 0 <= card.positive < len(card.classes)
    assert len(set(card.class_ids)) == len(card.classes)
    assert card.outputs in (1, len(card.classes))
    assert card.licence in ("open", "unverified", "non-commercial", "research-only")
    # An input check judges pictures and no patients: it has no populations.
    assert card.default_population in ({""} if card.task == "gate" else {p.id for p in card.populations})
    assert bool(card.populations) == (card.task != "gate")
    measured = catalog.evaluation(card)["test_sets"]
    for population in card.populations:
        thresholds = [point.threshold for point in population.operating_points]
        assert thresholds == sorted(thresholds)
        assert all(0 < t < 1 for t in thresholds)
        assert population.calibration.temperature > 0
        assert 0 < population.prevalence < 1
        assert set(population.conformal) == set(card.class_ids)
        assert population.test_set in measured
        assert measured[population.test_set]["n"] == len(measured[population.test_set]["predictions"]["label"])


def check_golden(card: ModelCard, runtime: Runtime) -> None:
    """A runtime answers the golden inputs as the network did when it was exported."""
    with np.load(card.folder / "golden.npz") as golden:
        inputs, logits, features = golden["inputs"], golden["logits"], golden["features"]
        by_features, by_input = golden["cam_gradient"], golden["input_gradient"]
    assert inputs.shape[1:] == (card.input.height, card.input.width, card.input.channels)
    assert logits.shape[1] == card.outputs
    every = np.ones(card.outputs, np.float32)
    for i, x in enumerate(inputs):
        forward = runtime.predict(x)
        np.testing.assert_allclose(_sigmoid(forward.logits), _sigmoid(logits[i]), atol=PROBABILITY)
        assert _cosine(forward.features, features[i]) > 0.9999
        again, gradient = runtime.cam_gradient(x, every)
        np.testing.assert_allclose(again.logits, forward.logits, atol=1e-4)
        np.testing.assert_allclose(again.features, forward.features, atol=1e-3)
        assert gradient.shape == forward.features.shape
        also, slope = runtime.input_gradient(x, every)
        np.testing.assert_allclose(also, forward.logits, atol=1e-4)
        assert slope.shape == x.shape
        assert _cosine(gradient, by_features[i]) > 0.98
        assert _cosine(slope, by_input[i]) > 0.98


def check_head(card: ModelCard, runtime: Runtime) -> None:
    """A pooled head is what the card says: averaged features times the kernel give the logits."""
    if card.head != "pooled":
        assert runtime.head is None
        return
    assert runtime.head is not None
    kernel, bias = runtime.head
    with np.load(card.folder / "golden.npz") as golden:
        forward = runtime.predict(golden["inputs"][0])
    np.testing.assert_allclose(forward.features.mean(axis=(0, 1)) @ kernel + bias, forward.logits, atol=5e-3)


def check_all(card: ModelCard) -> None:
    """The whole contract on the engine for CPUs."""
    check_files(card)
    check_card(card)
    runtime = LiteRTRuntime(card)
    check_golden(card, runtime)
    check_head(card, runtime)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a.ravel() @ b.ravel()) / lengths if lengths else float(a.any() == b.any())
