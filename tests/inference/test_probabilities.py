from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medimg_core.catalog import Calibration, ModelCard, Population, StatementCard, StatementFit
from medimg_core.inference.calibration import (
    at_prevalence,
    decide,
    grade_scores,
    interval,
    prediction_set,
    probabilities,
    statements,
)

LOG3 = float(np.log(3.0))


def people(calibration: Calibration, **more: object) -> Population:
    return Population("all", "", "all", calibration, (), {}, 0.5, True, **more)  # type: ignore[arg-type]


def logit(value: float) -> np.ndarray:
    return np.array([value], np.float32)


@pytest.mark.parametrize(
    ("value", "calibration", "p"),
    [
        (0.0, Calibration(), 0.5),
        (LOG3, Calibration(), 0.75),
        (LOG3, Calibration(0.5, 0.0), 0.9),  # odds 3 squared: 9 to 1
        (0.0, Calibration(2.0, -LOG3), 0.25),
        (-2 * LOG3, Calibration(2.0, LOG3), 0.5),
    ],
)
def test_one_output_is_a_sigmoid_of_the_scaled_and_shifted_logit(
    tiny_model: ModelCard, value: float, calibration: Calibration, p: float
) -> None:
    scores = probabilities(logit(value), tiny_model, people(calibration))
    assert scores == pytest.approx({"normal": 1 - p, "pneumonia": p})
    assert list(scores) == ["normal", "pneumonia"]


def test_the_positive_class_may_stand_first(tiny_model: ModelCard) -> None:
    scores = probabilities(logit(LOG3), replace(tiny_model, positive=0), people(Calibration()))
    assert scores == pytest.approx({"normal": 0.75, "pneumonia": 0.25})


def test_several_outputs_are_a_softmax(tiny_model: ModelCard) -> None:
    card = replace(tiny_model, outputs=3, classes=(*tiny_model.classes, replace(tiny_model.classes[0], id="other")))
    scores = probabilities(np.log(np.array([1, 4, 9], np.float32)), card, people(Calibration(2.0, 5.0)))
    assert scores == pytest.approx({"normal": 1 / 6, "pneumonia": 2 / 6, "other": 3 / 6})


@pytest.mark.parametrize("value", [-1e4, 1e4])
def test_far_logits_stay_finite(tiny_model: ModelCard, value: float) -> None:
    scores = probabilities(logit(value), tiny_model, people(Calibration(0.1, 0.0)))
    assert sorted(scores.values()) == [0.0, 1.0]


def test_the_interval_is_the_middle_95_percent_of_the_refits(tiny_model: ModelCard) -> None:
    shifts = np.linspace(-1, 1, 401)
    calibration = Calibration(1.0, 0.0, tuple((1.0, float(s)) for s in shifts))
    found = interval(logit(0.0), tiny_model, people(calibration), "pneumonia")
    assert found is not None
    # The sigmoid is monotone, so percentiles of p are the sigmoids of percentiles of the shift: -0.95 and 0.95.
    low, high = 1 / (1 + np.exp(0.95)), 1 / (1 + np.exp(-0.95))
    assert (found.value, found.low, found.high) == pytest.approx((0.5, low, high), abs=1e-6)


def test_the_interval_holds_its_value(tiny_model: ModelCard) -> None:
    found = interval(logit(0.0), tiny_model, people(Calibration(1.0, 0.0, ((1.0, 1.0), (1.0, 2.0)))), "pneumonia")
    assert found is not None
    assert found.low == found.value == 0.5


def graded(card: ModelCard) -> ModelCard:
    classes = tuple(replace(card.classes[0], id=name) for name in ("no_dr", "mild", "moderate"))
    return replace(card, task="grading", classes=classes, positive=2, outputs=2)


def test_grades_are_the_differences_of_their_steps(tiny_model: ModelCard) -> None:
    card = graded(tiny_model)
    population = people(Calibration(), steps=(Calibration(), Calibration(1.0, -2 * LOG3)))
    # P(grade >= 1) = 3/4; P(grade >= 2) = 1/4.
    scores = probabilities(np.array([LOG3, LOG3], np.float32), card, population)
    assert scores == pytest.approx({"no_dr": 0.25, "mild": 0.5, "moderate": 0.25})
    assert decide(scores, card, population) == "mild"


@pytest.mark.parametrize(
    ("scores", "median"),
    [((0.51, 0.0, 0.49), "no_dr"), ((0.45, 0.1, 0.45), "mild"), ((0.4, 0.05, 0.55), "moderate")],
)
def test_the_median_grade_is_answered(tiny_model: ModelCard, scores: tuple[float, ...], median: str) -> None:
    card = graded(tiny_model)
    assert decide(dict(zip(card.class_ids, scores, strict=True)), card, people(Calibration())) == median


def test_a_later_step_is_never_likelier_than_an_earlier_one() -> None:
    np.testing.assert_allclose(grade_scores(np.array([0.4, 0.7])), [0.6, 0.0, 0.4])


def test_a_statement_is_told_with_its_decision_only(tiny_model: ModelCard) -> None:
    question = StatementCard("bacterial", "Rather bacterial", "Rather viral", "", 1, ("pneumonia",))
    card = replace(tiny_model, outputs=2, statements=(question,))
    fit = StatementFit(Calibration(2.0, 0.0, ((1.0, 0.0), (2.0, 0.0))), 0.6, 0.5, 100)
    population = people(Calibration(), statements={"bacterial": fit})
    (told,) = statements(np.array([5.0, 2 * LOG3], np.float32), card, population, "pneumonia")
    assert told.probability == pytest.approx(0.75)
    assert told.claimed
    assert told.interval is not None
    assert (told.interval.low, told.interval.high) == pytest.approx((0.75, 0.9 - 0.025 * 0.15))
    assert statements(np.array([5.0, 2 * LOG3], np.float32), card, population, "normal") == ()


def test_no_refits_no_interval(tiny_model: ModelCard) -> None:
    assert interval(logit(0.0), tiny_model, people(Calibration()), "pneumonia") is None


def test_prevalence_restates_by_bayes() -> None:
    # Sensitivity 0.9 and specificity 0.8 of a yes/no test: at 50 % prevalence a positive has 0.9 / 1.1, at 10 %
    # 0.09 / (0.09 + 0.18) = 1/3.
    assert at_prevalence(0.9 / 1.1, 0.5, 0.1) == pytest.approx(1 / 3)
    assert at_prevalence(1 / 3, 0.1, 0.5) == pytest.approx(0.9 / 1.1)
    assert at_prevalence(0.37, 0.2, 0.2) == pytest.approx(0.37)
    assert (at_prevalence(0.0, 0.5, 0.1), at_prevalence(1.0, 0.5, 0.1)) == (0.0, 1.0)


@pytest.mark.parametrize(("prevalence", "wanted"), [(0.0, 0.5), (0.5, 1.0), (1.0, 0.5), (0.5, -0.1)])
def test_a_prevalence_of_none_or_all_is_refused(prevalence: float, wanted: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        at_prevalence(0.5, prevalence, wanted)


@pytest.mark.parametrize(
    ("p", "kept"),
    [(0.05, ("normal",)), (0.2, ("normal",)), (0.25, ()), (0.7, ("pneumonia",)), (0.95, ("pneumonia",))],
)
def test_narrow_limits_leave_one_class_or_none(p: float, kept: tuple[str, ...]) -> None:
    limits = {"normal": 0.2, "pneumonia": 0.3000001}
    assert prediction_set({"normal": 1 - p, "pneumonia": p}, limits) == kept


def test_wide_limits_leave_both() -> None:
    assert prediction_set({"normal": 0.6, "pneumonia": 0.4}, {"normal": 0.5, "pneumonia": 0.8}) == (
        "normal",
        "pneumonia",
    )


def test_a_class_without_a_limit_always_stays() -> None:
    assert prediction_set({"normal": 0.01, "pneumonia": 0.99}, {"pneumonia": 0.5}) == ("normal", "pneumonia")
