"""What every model folder must keep, whatever its question: one shared list of checks, run on each shipped folder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from places_contract import (
    check_places_card,
    check_places_evaluation,
    check_places_files,
    check_places_golden,
    check_regions,
)

from medimg_core import catalog
from medimg_core.catalog import LICENCES, ModelCard, Population
from medimg_core.explain import target_weights
from medimg_core.inference import gate
from medimg_core.inference.calibration import decide, probabilities, statements
from medimg_core.inference.kinds import KNOWN
from medimg_core.inference.litert import LiteRTRuntime
from medimg_core.inference.runtime import Runtime, input_shape
from medimg_core.types import Image

FLOAT32 = 5e-5
"""Largest difference of logits and features from the exported network's, by the largest value (at least 1)."""

INPUT_GRADIENT = 0.89
"""Least median cosine between input gradients and the exported network's: 16-bit weights put some ReLUs on the other
side of their kink (`training.export.GRADIENT_CORRELATION`)."""

PROBABILITY = 2e-3
"""Largest difference of a probability, where the file that ships holds 16-bit weights."""

NOISES = 4


def check_files(card: ModelCard) -> None:
    """Every file is there, is the one that was exported, and the folder has a bearable size."""
    table = catalog.hashes(card)
    needed = {"card.toml", "evaluation.json", "model.keras", "model.tflite", "golden.npz"}
    assert needed <= set(table)
    assert ("head.npz" in table) == (card.head == "pooled")
    size = sum(len(catalog.read_verified(card, file)) for file in table)
    assert size < 60 * 2**20


def check_card(card: ModelCard) -> None:
    """Numbers and words on the card are possible."""
    assert card.answers or card.places is not None
    if card.answers:
        assert 0 <= card.positive < len(card.classes)
        assert len(set(card.class_ids)) == len(card.classes) >= 2
    assert card.licence in LICENCES
    assert all(c.title and c.meaning for c in card.classes)
    for name in ("intended_use", "population", "not_for", "limits"):
        assert card.text.get(name), f"the card says nothing under {name}"
    assert not list(_empty(card.text))
    if card.task == "gate":
        # It judges pictures and no patients: it has no populations.
        assert card.outputs == len(card.classes)
        assert (card.populations, card.default_population) == ((), "")
        return
    assert card.takes
    assert set(card.takes) <= set(KNOWN)
    assert set(card.label_map.values()) <= set(card.class_ids)
    _check_outputs(card)
    assert card.default_population in {p.id for p in card.populations}
    for population in card.populations:
        _check_population(card, population)


def _empty(value: Any, name: str = "text") -> list[str]:
    """Places of the card's words where nothing stands."""
    if isinstance(value, dict):
        return [place for key, part in value.items() for place in _empty(part, f"{name}.{key}")]
    if isinstance(value, list):
        return [place for part in value for place in _empty(part, name)] if value else [name]
    return [] if not isinstance(value, str) or value.strip() else [name]


def _check_outputs(card: ModelCard) -> None:
    """Every logit has a meaning: the main answer's first, then those of statements."""
    told = {statement.output for statement in card.statements}
    assert told <= set(range(card.outputs))
    assert set(range(card.main_outputs, card.outputs)) <= told
    assert card.main_outputs <= card.outputs
    assert len({statement.id for statement in card.statements}) == len(card.statements)
    for statement in card.statements:
        assert all((statement.title, statement.otherwise, statement.meaning))
        assert set(statement.of) <= set(card.class_ids)
        outlined = {s.id for s in card.places.structures} if card.places is not None else set()
        assert statement.structure in ("", *outlined)


def _check_population(card: ModelCard, population: Population) -> None:
    if not card.answers:
        assert (population.steps, dict(population.statements), dict(population.conformal)) == ((), {}, {})
        return
    thresholds = [point.threshold for point in population.operating_points]
    assert thresholds == sorted(thresholds)
    assert all(0 < t < 1 for t in thresholds)
    assert 0 < population.prevalence < 1
    assert set(population.conformal) == set(card.class_ids)
    assert all(0 <= limit <= 1 for limit in population.conformal.values())
    curves = [population.calibration, *population.steps, *(f.calibration for f in population.statements.values())]
    for curve in curves:
        assert curve.temperature > 0
        assert all(temperature > 0 for temperature, _ in curve.draws)
    assert len(population.steps) == (card.main_outputs if card.form == "grade" else 0)
    assert set(population.statements) <= {statement.id for statement in card.statements}
    for fit in population.statements.values():
        assert 0 < fit.threshold < 1
        assert 0 < fit.prevalence < 1


def check_evaluation(card: ModelCard) -> None:
    """Every population is described by a measured test set, with the shortcuts that could have answered alone."""
    measured = catalog.evaluation(card)["test_sets"]
    for population in card.populations if card.answers else ():
        assert population.test_set in measured
    for test_set in measured.values():
        rows = test_set["predictions"]
        assert {len(rows[name]) for name in ("id", "patient", "label", "decision")} == {test_set["n"]}
        assert test_set["shortcuts"]
        assert set(rows["decision"]) <= set(card.class_ids)
        if card.form != "yes_no":
            assert max(rows["label"]) < len(card.classes)
            np.testing.assert_allclose(np.sum(rows["probabilities"], axis=1), 1, atol=1e-4)
    if card.task == "gate":
        assert {"val", "test"} <= set(catalog.evaluation(card)["gate"])


def check_golden(card: ModelCard, runtime: Runtime, tolerance: float | None = FLOAT32) -> None:
    """A runtime answers the golden inputs as the network did when it was exported.

    Args:
        tolerance: of logits and features; None compares probabilities only, as 16-bit weights allow.
    """
    with np.load(card.folder / "golden.npz") as golden:
        inputs, logits, features = golden["inputs"], golden["logits"], golden["features"]
        # A network that answers and outlines at once was exported without the gradients of its golden inputs.
        by_features, by_input = golden.get("cam_gradient"), golden.get("input_gradient")
    assert inputs.shape[1:] == input_shape(card)
    assert (by_features is None) == (by_input is None) == (card.places is not None and card.places.network == "model")
    assert logits.shape[1] == card.outputs
    every = np.ones(card.outputs, np.float32)
    slopes = []
    for i, x in enumerate(inputs):
        forward = runtime.predict(x)
        np.testing.assert_allclose(_shares(forward.logits, card), _shares(logits[i], card), atol=PROBABILITY)
        assert _cosine(forward.features, features[i]) > 0.999
        if tolerance is not None:
            assert _off(forward.logits, logits[i]) <= tolerance
            assert _off(forward.features, features[i]) <= tolerance
        again, gradient = runtime.cam_gradient(x, every)
        np.testing.assert_allclose(again.logits, forward.logits, atol=1e-4)
        np.testing.assert_allclose(again.features, forward.features, atol=1e-3)
        assert gradient.shape == forward.features.shape
        also, slope = runtime.input_gradient(x, every)
        np.testing.assert_allclose(also, forward.logits, atol=1e-4)
        assert slope.shape == x.shape
        if by_features is not None and by_input is not None:
            assert _cosine(gradient, by_features[i]) > 0.98
            slopes.append(_cosine(slope, by_input[i]))
    assert not slopes or np.median(slopes) > INPUT_GRADIENT


def check_answers(card: ModelCard, runtime: Runtime) -> None:
    """For every population: probabilities of all classes that sum to 1, one decision, statements between 0 and 1."""
    with np.load(card.folder / "golden.npz") as golden:
        inputs = golden["inputs"]
    for x in inputs:
        logits = runtime.predict(x).logits
        for population in card.populations:
            scores = probabilities(logits, card, population)
            assert tuple(scores) == card.class_ids
            assert abs(sum(scores.values()) - 1) < 1e-6
            assert all(0 <= p <= 1 for p in scores.values())
            decision = decide(scores, card, population)
            assert decision in card.class_ids
            for told in statements(logits, card, population, decision):
                assert 0 <= told.probability <= 1


def check_maps(card: ModelCard, runtime: Runtime) -> None:
    """The class activation map of some golden input is not flat: features times what the target's gradient weighs."""
    with np.load(card.folder / "golden.npz") as golden:
        inputs = golden["inputs"]
    targets = [target_weights(card, name) for name in card.class_ids] if card.task != "gate" else np.eye(card.outputs)
    for weights in targets:
        relief = []
        for x in inputs:
            forward, gradient = runtime.cam_gradient(x, np.asarray(weights, np.float32))
            evidence = forward.features @ gradient.mean(axis=(0, 1))
            relief.append(float(np.ptp(evidence)) / max(float(np.abs(evidence).max()), 1e-12))
        assert max(relief) > 0.05


def check_head(card: ModelCard, runtime: Runtime) -> None:
    """A pooled head is what the card says: averaged features times the kernel give the logits.

    Statements that are read in an outline are no matter of the features: their columns are zero.
    """
    if card.head != "pooled":
        assert runtime.head is None
        return
    assert runtime.head is not None
    kernel, bias = runtime.head
    with np.load(card.folder / "golden.npz") as golden:
        forward = runtime.predict(golden["inputs"][0])
    read = [question.output for question in card.statements if question.structure]
    assert not kernel[:, read].any()
    logits = np.delete(forward.features.mean(axis=(0, 1)) @ kernel + bias, read)
    np.testing.assert_allclose(logits, np.delete(forward.logits, read), atol=5e-3)


def check_noise(card: ModelCard) -> None:
    """Noise is refused by the gate, grey or in colour. A card without a gate is for tests only."""
    asked = replace(card, gate=card.name) if card.task == "gate" else card
    assert asked.gate is not None
    assert (card.folder.parent / asked.gate / "card.toml").is_file()
    for seed in range(NOISES):
        draw = np.random.default_rng(seed)
        grey = draw.integers(0, 256, (320, 256), dtype=np.uint8)
        colours = draw.integers(0, 256, (320, 256, 3), dtype=np.uint8)
        for pixels, photometric in ((grey.astype(np.float32), "MONOCHROME2"), (colours, "RGB")):
            image = Image(pixels=pixels, photometric=photometric, digest=f"noise {seed} {photometric}", format="PNG")
            verdict = gate.check(image, asked)
            assert not verdict.passed, f"{photometric} noise {seed} passes as {verdict.kind}"
            assert verdict.reasons


def holds_16_bits(card: ModelCard, network: str = "model") -> bool:
    """Whether the LiteRT file of a network stores 16-bit weights."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(card.folder / f"{network}.tflite"))
    return any(tensor["dtype"] == np.float16 for tensor in interpreter.get_tensor_details())


def check_all(card: ModelCard, *, shipped: bool = True) -> None:
    """The whole contract on the engine for CPUs.

    Args:
        shipped: false for the small models of the tests, which have no gate.
    """
    check_files(card)
    check_card(card)
    check_evaluation(card)
    if card.answers:
        runtime = LiteRTRuntime(card)
        check_golden(card, runtime, None if holds_16_bits(card) else FLOAT32)
        check_head(card, runtime)
        check_maps(card, runtime)
        check_answers(card, runtime)
    if card.places is not None:
        check_places_files(card)
        check_places_card(card)
        check_places_evaluation(card)
        stem = card.places.network
        check_places_golden(card, LiteRTRuntime(card, stem), float16=holds_16_bits(card, stem))
        check_regions(card)
    if shipped:
        check_noise(card)


def _shares(logits: np.ndarray, card: ModelCard) -> np.ndarray:
    """Uncalibrated probabilities by form: the softmax of kinds, the sigmoid of every other logit."""
    kinds = card.main_outputs if card.form == "one_of" else 0
    kinds = card.outputs if card.task == "gate" else kinds
    power = np.exp(logits[:kinds] - logits[:kinds].max(initial=-np.inf))
    return np.concatenate([power / max(power.sum(), 1e-12), 1 / (1 + np.exp(-logits[kinds:]))])


def _off(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(actual - expected).max()) / max(1.0, float(np.abs(expected).max()))


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a.ravel() @ b.ravel()) / lengths if lengths else float(a.any() == b.any())
