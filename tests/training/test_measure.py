from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score
from sklearn.preprocessing import StandardScaler

from medimg_core.catalog import Calibration, ModelCard, Population, StatementCard, StatementFit
from medimg_core.training import figures
from medimg_core.training.data import Record
from medimg_core.training.figures import fit_for_use
from medimg_core.training.linear import ridge_logistic
from medimg_core.training.measure import Answer, Pointing, saliency_scales, truth_mask
from medimg_core.training.recipe import StatementRule, read_recipe
from medimg_core.training.shortcuts import Judge, shortcuts
from medimg_core.types import OperatingPoint

PEOPLE = Population(
    "all",
    "All",
    "all",
    Calibration(),
    (OperatingPoint("rule_out", 0.2), OperatingPoint("balanced", 0.5), OperatingPoint("rule_in", 0.8)),
    {"no": 0.6, "yes": 0.6},
    0.5,
    True,
)


RECIPE = replace(read_recipe(Path(__file__).resolve().parents[2] / "recipes" / "chest_xray_pneumonia.toml"), card={})


@pytest.fixture
def answers(tmp_path: Path) -> list[Answer]:
    """Eight films whose figures are easy by hand: one positive below, one negative above the balanced point."""
    (tmp_path / "film").write_bytes(b"film")
    logits = [-3.0, -2.0, -1.0, 1.0, -1.5, 1.5, 2.0, 3.0]
    found = []
    for i, logit in enumerate(logits):
        record = Record(
            "s",
            f"id{i}",
            tmp_path / "film",
            "test",
            f"p{i}",
            float(i >= 4),
            1.0,
            True,
            "",
            boxes=((0, 0, 2, 2),) if i >= 4 else (),
            view="AP" if i in (3, 5, 6, 7) else "PA",
            shape=(10, 100 + i),
        )
        pointing = {"cam": Pointing(float(i != 4), 0.5, 0.1, 0.0)} if i >= 4 else {}
        found.append(Answer(record, np.array([logit], np.float32), 0.001, {"cam": float(i)}, pointing))
    return found


@pytest.fixture
def card(tiny_model: ModelCard) -> ModelCard:
    """A card with the classes `no` and `yes`."""
    no, yes = tiny_model.classes
    return replace(tiny_model, classes=(replace(no, id="no"), replace(yes, id="yes")))


def measured_set(answers: list[Answer], card: ModelCard, people: Population = PEOPLE) -> dict[str, Any]:
    judge = Judge(tuple(a.record for a in answers), ("view", "width"))
    return figures.measured_set("Eight films", answers, card, people, RECIPE, judge)


def test_figures_by_hand(answers: list[Answer], card: ModelCard) -> None:
    measured = measured_set(answers, card)
    figures = {name: interval["value"] for name, interval in measured["metrics"].items()}
    # Of 16 pairs the positive at -1.5 loses to -1 and to 1: 14 of 16.
    assert figures["auroc"] == pytest.approx(14 / 16)
    assert figures["accuracy"] == figures["sensitivity"] == figures["specificity"] == 0.75
    assert figures["precision"] == figures["f1"] == 0.75
    p = 1 / (1 + np.exp(-np.array([a.logits[0] for a in answers])))
    assert figures["brier"] == pytest.approx(((p - (np.arange(8) >= 4)) ** 2).mean(), abs=1e-5)
    assert measured["operating_points"]["rule_in"]["sensitivity"]["value"] == 0.75
    assert measured["operating_points"]["rule_in"]["specificity"]["value"] == 1.0
    # A class is left out above 0.6: p(1.0) = 0.73 leaves "no" out of a negative, p(-1.5) = 0.18 "yes" of a positive.
    assert measured["conformal"]["coverage"]["value"] == 0.75
    assert measured["conformal"]["mean_size"] == 1.0
    assert (measured["n"], measured["positives"], measured["patients"]) == (8, 4, 8)
    assert measured["predictions"]["decision"] == ["no", "no", "no", "yes", "no", "yes", "yes", "yes"]
    assert measured["predictions"]["label"] == [0, 0, 0, 0, 1, 1, 1, 1]


def test_saliency_is_a_mean_over_films_with_a_truth(answers: list[Answer], card: ModelCard) -> None:
    row = measured_set(answers, card)["saliency"]["cam"]
    assert row["n"] == 4
    assert row["pointing_game"]["value"] == 0.75
    assert row["energy_inside"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert row["random"]["value"] == row["area"]["value"] == 0.1
    assert row["centre"]["value"] == 0.0
    assert saliency_scales(answers)["cam"] == pytest.approx(6.93)  # 99th percentile of 0..7


def test_what_is_not_sure_has_its_own_rate_of_errors(answers: list[Answer], card: ModelCard) -> None:
    # With limits of 0.75 both classes stay for p between 0.25 and 0.75: the logits -1 and 1 of the negatives.
    people = replace(PEOPLE, conformal={"no": 0.75, "yes": 0.75})
    block = measured_set(answers, card, people)["undecided"]
    assert block["share"]["value"] == 0.25
    assert block["error_when_unsure"]["value"] == 0.5  # -1 is called rightly, 1 is not
    assert block["error_when_sure"]["value"] == pytest.approx(1 / 6, abs=1e-5)
    failures = measured_set(answers, card, people)["failures"]
    assert [(f["id"], f["truth"], f["answer"]) for f in failures] == [("id4", "yes", "no"), ("id3", "no", "yes")]


def test_several_kinds_by_hand(answers: list[Answer], tiny_model: ModelCard) -> None:
    classes = tuple(replace(tiny_model.classes[0], id=name) for name in "abc")
    card = replace(tiny_model, classes=classes, outputs=3, positive=0)
    truth = [0, 0, 1, 1, 1, 2, 2, 2]
    logits = np.full((8, 3), -2.0, np.float32)
    logits[range(8), [0, 0, 1, 1, 0, 2, 2, 2]] = 2.0
    films = [Answer(replace(a.record, target=float(t)), z, 0.0) for a, t, z in zip(answers, truth, logits, strict=True)]
    people = replace(PEOPLE, conformal={"a": 0.5, "b": 0.5, "c": 0.5})
    measured = measured_set(films, card, people)
    assert measured["metrics"]["accuracy"]["value"] == 0.875
    assert measured["metrics"]["auroc_c"]["value"] == 1.0
    assert measured["confusion"] == {"classes": ["a", "b", "c"], "counts": [[2, 0, 0], [1, 2, 0], [0, 0, 3]]}
    assert measured["predictions"]["decision"] == list("aabbaccc")
    assert np.sum(measured["predictions"]["probabilities"], axis=1) == pytest.approx(np.ones(8), abs=1e-5)


def test_grades_by_hand(answers: list[Answer], tiny_model: ModelCard) -> None:
    classes = tuple(replace(tiny_model.classes[0], id=name) for name in ("none", "mild", "severe"))
    card = replace(tiny_model, task="grading", classes=classes, outputs=2, positive=2)
    truth, told = [0, 0, 0, 1, 1, 2, 2, 2], [0, 0, 1, 1, 1, 2, 2, 0]
    logits = np.array([[9.0 if g > 0 else -9.0, 9.0 if g > 1 else -9.0] for g in told], np.float32)
    films = [Answer(replace(a.record, target=float(t)), z, 0.0) for a, t, z in zip(answers, truth, logits, strict=True)]
    people = replace(
        PEOPLE, conformal=dict.fromkeys(("none", "mild", "severe"), 0.5), steps=(Calibration(), Calibration())
    )
    metrics = measured_set(films, card, people)["metrics"]
    assert metrics["accuracy"]["value"] == 0.75
    assert metrics["mae"]["value"] == pytest.approx(3 / 8)
    assert metrics["kappa_quadratic"]["value"] == pytest.approx(
        cohen_kappa_score(truth, told, weights="quadratic"), abs=1e-5
    )
    assert (metrics["sensitivity"]["value"], metrics["specificity"]["value"]) == (pytest.approx(2 / 3, abs=1e-5), 1.0)


def test_a_shortcut_is_learned_on_train_and_measured_on_test(answers: list[Answer], card: ModelCard) -> None:
    records = [a.record for a in answers]
    found = {s["name"]: s["auroc"]["value"] for s in shortcuts(records, Judge(tuple(records), ("view", "width")), card)}
    assert found["view"] == 0.75  # three of four positives AP, one of four negatives
    assert found["width of the original"] == 1.0
    # Learned the other way round, it misleads.
    turned = tuple(replace(r, target=1 - (r.target or 0)) for r in records)
    (row,) = shortcuts(records, Judge(turned, ("width",)), card)
    assert row["auroc"]["value"] == 0.0
    assert shortcuts(records, Judge(tuple(records), ("side",)), card) == []  # no such column: nothing to learn


def test_the_regression_equals_ridge_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    x, new = rng.normal(0, 2, (200, 3)), rng.normal(0, 2, (50, 3))
    y = rng.random(200) < 1 / (1 + np.exp(-x[:, 0]))
    scaler = StandardScaler().fit(x)
    reference = LogisticRegression(C=1.0, tol=1e-10).fit(scaler.transform(x), y)
    slope, intercept = ridge_logistic(x, y)
    expected = reference.decision_function(scaler.transform(new))
    np.testing.assert_allclose(new @ slope + intercept, expected, atol=1e-4)


def test_a_statement_is_measured_where_its_truth_is_known(answers: list[Answer], card: ModelCard) -> None:
    question = StatementCard("bacterial", "Rather bacterial", "Rather viral", "", 1, ("yes",))
    card = replace(card, outputs=2, statements=(question,))
    people = replace(PEOPLE, statements={"bacterial": StatementFit(Calibration(), 0.5, 0.5, 10)})
    causes = ["none", "none", "none", "none", "viral", "bacterial", "bacterial", "viral"]
    films = [
        Answer(replace(a.record, columns={"cause": cause}), np.array([a.logits[0], z], np.float32), 0.0)
        for a, cause, z in zip(answers, causes, [0, 0, 0, 0, -1, 2, -2, -3], strict=True)
    ]
    recipe = replace(RECIPE, statements=(StatementRule("bacterial", "s", "cause", {"viral": 0, "bacterial": 1}),))
    judge = Judge(tuple(a.record for a in films), ("view",))
    row = figures.measured_set("", films, card, people, recipe, judge)["statements"]["bacterial"]
    assert (row["n"], row["positives"]) == (4, 2)
    assert row["auroc"]["value"] == 0.75
    assert (row["sensitivity"]["value"], row["specificity"]["value"]) == (0.5, 1.0)
    assert row["truth"] == [None, None, None, None, 0, 1, 1, 0]  # beside the predictions, for whoever measures again


@pytest.mark.parametrize(("area", "alone", "fit"), [(0.79, 0.5, False), (0.85, 0.7, True), (0.85, 0.9, False)])
def test_fit_for_use_needs_the_floor_and_more_than_a_shortcut(area: float, alone: float, fit: bool) -> None:
    measured = {"metrics": {"auroc": {"value": area}}, "shortcuts": [{"name": "view", "auroc": {"value": alone}}]}
    assert fit_for_use(measured, "yes_no") is fit


@pytest.mark.parametrize(("kappa", "fit"), [(0.49, False), (0.5, True)])
def test_grades_also_need_a_kappa(kappa: float, fit: bool) -> None:
    measured = {"metrics": {"auroc": {"value": 0.9}, "kappa_quadratic": {"value": kappa}}, "shortcuts": []}
    assert fit_for_use(measured, "grade") is fit


def test_kinds_must_be_told_better_than_by_a_shortcut() -> None:
    row = {"name": "view", "auroc": {"value": 0.8}, "accuracy": {"value": 0.79}}
    figures_ = {"auroc": {"value": 0.9}, "accuracy": {"value": 0.78}}
    assert not fit_for_use({"metrics": figures_, "shortcuts": [row]}, "one_of")
    assert fit_for_use({"metrics": figures_ | {"accuracy": {"value": 0.8}}, "shortcuts": [row]}, "one_of")


def test_boxes_as_a_truth_on_the_stored_grid(answers: list[Answer]) -> None:
    mask = truth_mask(answers[5].record, (4, 5))
    assert mask is not None
    assert mask.sum() == 4
    assert mask[:2, :2].all()
    assert truth_mask(answers[0].record, (4, 5)) is None
