from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from medimg_core.catalog import Calibration, ModelCard, ModelClass
from medimg_core.metrics import ece, ece_null_95
from medimg_core.training.calibrate import (
    class_limits,
    conformal_limits,
    fit_calibration,
    fit_population,
    fit_temperature,
    operating_points,
    probabilities,
    softmax,
)
from medimg_core.types import InputSpec

RNG = np.random.default_rng(0)
N = 4000
TRUE_TEMPERATURE, TRUE_SHIFT = 2.5, -0.7
LOGITS = RNG.normal(0, 4, N)
POSITIVE = RNG.random(N) < 1 / (1 + np.exp(-(LOGITS / TRUE_TEMPERATURE + TRUE_SHIFT)))
PATIENTS = np.array([f"p{i}" for i in range(N)])


def card_of(*classes: str, task: str = "classification", positive: int = 1) -> ModelCard:
    """A card that says how an answer is given, and nothing else."""
    return ModelCard(
        name="drawn",
        folder=Path("drawn"),
        version="0",
        title="",
        task=task,
        modality="CT",
        baseline=False,
        second_opinion=None,
        classes=tuple(ModelClass(name, name, "") for name in classes),
        positive=positive,
        outputs=len(classes),
        input=InputSpec(8, 8),
        cam_layer="",
        head="pooled",
        gate=None,
        licence="open",
        populations=(),
        default_population="all",
        label_map={},
        text={},
    )


def test_it_finds_the_temperature_and_shift_that_made_the_labels() -> None:
    fitted = fit_calibration(LOGITS, POSITIVE, PATIENTS, draws=100)
    assert fitted.temperature == pytest.approx(TRUE_TEMPERATURE, rel=0.06)
    assert fitted.shift == pytest.approx(TRUE_SHIFT, abs=0.1)
    drawn = np.array(fitted.draws)
    assert drawn.shape == (100, 2)
    low, high = np.percentile(drawn[:, 0], (0.5, 99.5))
    assert low < TRUE_TEMPERATURE < high
    p = probabilities(LOGITS, fitted)
    assert ece(POSITIVE, p, draws=1).value < ece_null_95(p)


def test_it_equals_unpenalised_logistic_regression() -> None:
    reference = LogisticRegression(C=np.inf, tol=1e-10).fit(LOGITS[:, None], POSITIVE)
    fitted = fit_calibration(LOGITS, POSITIVE, PATIENTS, draws=1)
    # Platt's targets differ from 0 and 1 by about 1 / 3000 here.
    assert 1 / fitted.temperature == pytest.approx(reference.coef_[0, 0], rel=5e-3)
    assert fitted.shift == pytest.approx(reference.intercept_[0], abs=5e-3)


def test_separable_films_keep_finite_and_modest_probabilities() -> None:
    z = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    fitted = fit_calibration(z, z > 0, np.array(list("abcdef")), draws=50)
    p = probabilities(z, fitted)
    assert p.min() > 0
    # Platt's target is (3 + 1) / (3 + 2); the likelihood equation meets it on the average weighted by the logit.
    assert np.average(p[3:], weights=z[3:]) == pytest.approx(0.8, abs=1e-4)
    assert all(np.isfinite(draw).all() and draw[0] > 0 for draw in fitted.draws)


def test_a_network_that_knows_nothing_answers_with_the_prevalence() -> None:
    y = np.arange(400) % 4 == 0
    p = probabilities(np.ones(400), fit_calibration(np.ones(400), y, PATIENTS[:400], draws=1))
    np.testing.assert_allclose(p, 0.25, atol=5e-3)


def test_operating_points_keep_what_they_promise_on_val() -> None:
    p = probabilities(LOGITS, Calibration(TRUE_TEMPERATURE, TRUE_SHIFT))
    rule_out, balanced, rule_in = operating_points(p, POSITIVE, PATIENTS)
    assert rule_out.name == "rule_out"
    assert (p[POSITIVE] >= rule_out.threshold).mean() >= 0.95
    assert (p[POSITIVE] >= rule_out.threshold + 0.01).mean() < 0.95
    assert (p[~POSITIVE] < rule_in.threshold).mean() >= 0.95
    assert (p[~POSITIVE] < rule_in.threshold - 0.02).mean() < 0.95
    assert rule_out.threshold < balanced.threshold < rule_in.threshold
    sensitivity, specificity = (p[POSITIVE] >= balanced.threshold).mean(), (p[~POSITIVE] < balanced.threshold).mean()
    assert sensitivity == pytest.approx(specificity, abs=0.01)


def test_perfectly_separated_films_have_points_in_order() -> None:
    p = np.concatenate([np.linspace(0.01, 0.2, 50), np.linspace(0.9, 0.99, 50)])
    points = operating_points(p, np.arange(100) >= 50, PATIENTS[:100])
    thresholds = [point.threshold for point in points]
    assert thresholds == sorted(thresholds)
    assert all(0.2 < t < 0.9 for t in thresholds)


def test_where_the_balanced_point_promises_95_percent_99_is_asked() -> None:
    """Balanced lies at 0.51: 6 of 200 positives missed, 6 of 200 negatives called, 0.97 both."""
    negatives = np.concatenate([np.linspace(0.01, 0.3, 194), [0.6, 0.65, 0.7, 0.75, 0.8, 0.82]])
    positives = np.concatenate([np.linspace(0.4, 0.58, 10), np.linspace(0.85, 0.99, 190)])
    p = np.concatenate([negatives, positives])
    rule_out, balanced, rule_in = operating_points(p, np.arange(400) >= 200, PATIENTS[:400])
    assert balanced.threshold == pytest.approx(0.51, abs=0.02)
    assert 0.42 < rule_out.threshold < 0.44  # 2 of 200 positives missed
    assert 0.75 < rule_in.threshold < 0.8  # 2 of 200 negatives called


def test_conformal_limits_by_hand() -> None:
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.05, 0.99])
    positive = np.array([False] * 9 + [True] * 3)
    limits = conformal_limits(p, positive, ("no", "yes"), 0.5)
    assert limits["no"] == 0.9  # rank ceil(10 * 0.9) = 9 of 9
    assert limits["yes"] == 1.0  # rank ceil(4 * 0.9) = 4 of 3: too few films to leave the class out


def test_conformal_sets_cover_new_films() -> None:
    p = probabilities(LOGITS, Calibration(TRUE_TEMPERATURE, TRUE_SHIFT))
    half = N // 2
    limits = conformal_limits(p[:half], POSITIVE[:half], ("no", "yes"), 0.4)
    fresh, truth = p[half:], POSITIVE[half:]
    assert (1 - fresh[truth] <= limits["yes"]).mean() == pytest.approx(0.9, abs=0.025)
    assert (fresh[~truth] <= limits["no"]).mean() == pytest.approx(0.9, abs=0.025)


def test_a_film_unlike_either_class_gets_both() -> None:
    p = np.concatenate([np.linspace(0.001, 0.05, 90), np.linspace(0.95, 0.999, 90)])
    limits = conformal_limits(p, np.arange(180) >= 90, ("no", "yes"), 0.3)
    # Rank ceil(91 * 0.9) = 82 of 90 on either side; the empty middle belongs to both.
    lowest, highest = 0.95 + 8 * 0.049 / 89, 0.001 + 81 * 0.049 / 89
    assert limits == {"no": pytest.approx(lowest), "yes": pytest.approx(1 - highest)}


def test_the_decided_class_is_always_in_the_set() -> None:
    p = np.linspace(0.001, 0.999, 200)
    limits = conformal_limits(p, p > 0.5, ("no", "yes"), 0.97)
    assert limits["no"] == 0.97


def test_one_class_cannot_be_calibrated() -> None:
    with pytest.raises(ValueError, match="both classes"):
        fit_population(np.zeros((3, 1)), np.ones(3, np.intp), PATIENTS[:3], card_of("no", "yes"))


def drawn_kinds(n: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too certain by a temperature, and kinds drawn from what they should have said."""
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 3, (n, 3))
    p = softmax(logits / temperature)
    return logits, (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1)


def test_the_temperature_of_several_kinds_is_found() -> None:
    logits, truth = drawn_kinds(4000, 2.0)
    fitted = fit_temperature(logits, truth, PATIENTS, draws=50)
    assert fitted.temperature == pytest.approx(2.0, rel=0.06)
    assert fitted.shift == 0.0
    assert len(fitted.draws) == 50
    assert min(t for t, _ in fitted.draws) < fitted.temperature < max(t for t, _ in fitted.draws)


def test_several_kinds_have_limits_that_cover() -> None:
    logits, truth = drawn_kinds(4000, 1.0)
    fitted = fit_population(logits[:2000], truth[:2000], PATIENTS[:2000], card_of("a", "b", "c"))
    scores = softmax(logits[2000:] / fitted.calibration.temperature)
    for k, name in enumerate("abc"):
        own = truth[2000:] == k
        assert (1 - scores[own, k] <= fitted.conformal[name]).mean() == pytest.approx(0.9, abs=0.04)
    assert fitted.prevalence == pytest.approx((truth[:2000] == 1).mean())
    assert fitted.steps == ()


def test_eight_films_cannot_leave_a_class_out() -> None:
    scores = np.tile([[0.9, 0.1]], (17, 1))
    truth = np.repeat([0, 1], [9, 8])
    # ceil(10 * 0.9) = 9 of 9; ceil(9 * 0.9) = 9 of 8.
    assert class_limits(scores, truth, ("a", "b")) == {"a": pytest.approx(0.1), "b": 1.0}


def test_every_step_of_a_scale_has_its_own_calibration() -> None:
    rng = np.random.default_rng(2)
    severity = rng.normal(0, 2, 3000)
    grade = (severity + rng.logistic(0, 1, 3000) > np.array([[-1.0], [0.5], [2.0]])).sum(axis=0)
    logits = np.stack([severity * 2] * 3, axis=1)
    card = card_of("none", "mild", "moderate", "severe", task="grading", positive=2)
    fitted = fit_population(logits, grade, PATIENTS[:3000], card)
    assert [s.shift for s in fitted.steps] == pytest.approx([1.0, -0.5, -2.0], abs=0.15)
    assert [s.temperature for s in fitted.steps] == pytest.approx([2.0] * 3, rel=0.1)
    assert fitted.calibration == fitted.steps[1]
    assert fitted.prevalence == pytest.approx((grade >= 2).mean())
    assert set(fitted.conformal) == set(card.class_ids)
