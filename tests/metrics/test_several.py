"""Figures of kinds and grades against scikit-learn and closed forms."""

import numpy as np
import pytest
from sklearn import metrics as sk

from medimg_core.metrics import (
    Answers,
    brier_kinds,
    delong_test,
    evaluate_answers,
    figure_differences,
    grade_error,
    headline_test,
    macro_auroc,
    macro_auroc_test,
    macro_rates,
    measure,
    undecided,
    wilson,
)
from medimg_core.metrics.several import bootstrap_p

KINDS = ("glioma", "meningioma", "pituitary")


def kinds(n: int = 150, seed: int = 0, signal: float = 1.0, positive: int = 0) -> Answers:
    rng, truth = np.random.default_rng(seed), np.random.default_rng(99).integers(0, 3, n)
    z = np.round(rng.normal(size=(n, 3)) + signal * np.eye(3)[truth], 1)  # rounded: ties
    scores = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    patients = np.array([f"p{i // 2}" for i in range(n)])
    decided = scores.argmax(axis=1)
    return Answers(truth, decided, scores[:, positive], patients, positive, 3, "one_of", scores, names=KINDS)


def grades(n: int = 150, seed: int = 0, noise: float = 1.0) -> Answers:
    rng, truth = np.random.default_rng(seed), np.random.default_rng(7).integers(0, 5, n)
    decided = np.clip(np.round(truth + noise * rng.normal(size=n)), 0, 4).astype(np.intp)
    p = 1 / (1 + np.exp(-(truth - 1.5 + noise * rng.normal(size=n))))
    patients = np.array([f"p{i // 2}" for i in range(n)])
    return Answers(truth, decided, p, patients, 2, 5, "grade", None, p >= 0.4, ("a", "b", "c", "d", "e"))


def test_every_figure_of_several_kinds_is_scikit_learns() -> None:
    a = kinds()
    found = measure(a)
    expected = {
        "auroc": sk.roc_auc_score(a.truth, a.scores, multi_class="ovr", average="macro"),
        **{f"auroc_{name}": sk.roc_auc_score(a.truth == i, a.scores[:, i]) for i, name in enumerate(KINDS)},
        "accuracy": sk.accuracy_score(a.truth, a.decided),
        "sensitivity": sk.recall_score(a.truth, a.decided, average="macro"),
        "precision": sk.precision_score(a.truth, a.decided, average="macro"),
        "f1": sk.f1_score(a.truth, a.decided, average="macro"),
        "mcc": sk.matthews_corrcoef(a.truth, a.decided),
        "brier": sk.brier_score_loss(a.truth, a.scores, scale_by_half=False, labels=[0, 1, 2]),
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected, abs=1e-12)
    # Specificity of a class is the recall of the rest.
    of_rest = [sk.recall_score(a.truth != i, a.decided != i) for i in range(3)]
    assert found["specificity"].value == pytest.approx(np.mean(of_rest), abs=1e-12)
    assert set(found) == {*expected, "specificity", "ece"}
    assert all(i.low <= i.value <= i.high and i.low < i.high for i in found.values())


def test_a_class_that_is_singled_out_has_the_rates() -> None:
    a = kinds(positive=2)
    found = measure(a)
    assert found["sensitivity"].value == pytest.approx(sk.recall_score(a.truth == 2, a.decided == 2), abs=1e-12)
    assert found["precision"].value == pytest.approx(sk.precision_score(a.truth == 2, a.decided == 2), abs=1e-12)
    assert found["auroc"] == measure(kinds())["auroc"]
    evaluation = evaluate_answers(a, np.ones(150, bool))
    assert evaluation.roc is not None
    assert set(evaluation.kinds) == set(KINDS)
    assert evaluate_answers(kinds(), np.ones(150, bool)).roc is None


def test_every_figure_of_grades_is_scikit_learns() -> None:
    a = grades()
    found, referable = measure(a), a.truth >= 2
    expected = {
        "auroc": sk.roc_auc_score(referable, a.probability),
        "auprc": sk.average_precision_score(referable, a.probability),
        "accuracy": sk.accuracy_score(a.truth, a.decided),
        "kappa_quadratic": sk.cohen_kappa_score(a.truth, a.decided, weights="quadratic"),
        "mae": sk.mean_absolute_error(a.truth, a.decided),
        "sensitivity": sk.recall_score(referable, a.called),
        "specificity": sk.recall_score(~referable, ~a.called),
        "precision": sk.precision_score(referable, a.called),
        "f1": sk.f1_score(referable, a.called),
        "brier": sk.brier_score_loss(referable, a.probability),
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected, abs=1e-12)
    assert set(found) == {*expected, "ece"}


def test_the_error_of_the_class_decided_is_that_of_its_probability() -> None:
    """Four films at 0.9 of which three are right, four at 0.5 of which two are: (0.15 + 0) / 2."""
    top = np.repeat([0.9, 0.5], 4)
    scores = np.stack([top, (1 - top) / 2, (1 - top) / 2], axis=1)
    truth = np.array([0, 0, 0, 1, 0, 0, 1, 2])
    a = Answers(truth, np.zeros(8, np.intp), top, np.array(list("abcdefgh")), 0, 3, "one_of", scores)
    found = evaluate_answers(a, np.ones(8, bool))
    assert found.left_out["ece"].value == pytest.approx(0.075)
    assert [(b.predicted, b.observed) for b in found.bins] == [(0.5, 0.5), (pytest.approx(0.9), 0.75)]


def test_intervals_count_patients() -> None:
    a = kinds(60)
    copies = np.repeat(np.arange(60), 5)
    again = macro_auroc(a.truth[copies], a.scores[copies], a.patients[copies])
    once = macro_auroc(a.truth, a.scores, a.patients)
    assert (again.low, again.high) == pytest.approx((once.low, once.high), abs=1e-12)
    alone = macro_auroc(a.truth[copies], a.scores[copies])
    assert alone.high - alone.low < 0.6 * (once.high - once.low)


def test_the_bootstrap_covers_the_true_area() -> None:
    """Two normal distributions one deviation apart: the area is Phi(1 / sqrt 2) = 0.7602."""
    hits, runs = 0, 120
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        truth = np.arange(160) % 2
        score = rng.normal(size=160) + truth
        found = macro_auroc(truth, np.stack([-score, score], axis=1), draws=400)
        hits += found.low <= 0.7602 <= found.high
    # Binomial(120, 0.95): 105 is below its 0.1st percentile.
    assert hits >= 105


def test_edges() -> None:
    perfect = macro_auroc([0, 1, 2] * 10, np.eye(3)[[0, 1, 2] * 10])
    assert (perfect.value, perfect.high) == (1.0, 1.0)
    assert 0.6 < perfect.low < 1.0
    assert macro_auroc([0, 1, 1], [[0.2, 0.8, 0.0]] * 3).value == 0.5  # constant scores; a class that nobody has
    rates = macro_rates([0, 1, 2] * 10, [0, 1, 2] * 10, 3)
    assert rates["sensitivity"].low == wilson(30, 30).low
    assert grade_error([0, 4], [0, 4]).value == 0.0
    assert brier_kinds([0], [[1.0, 0.0, 0.0]]).value == 0.0
    assert brier_kinds([1], [[1.0, 0.0, 0.0]]).value == 2.0
    for truth, scores in (([0, 0], np.ones((2, 3))), ([0, 1], [[0.1, np.nan], [0.5, 0.5]]), ([0, 3], np.ones((2, 3)))):
        with pytest.raises(ValueError, match="must be"):
            macro_auroc(truth, scores)
    one = kinds(30)
    only = one.truth == 1
    found = measure(
        Answers(one.truth[only], one.decided[only], one.probability[only], one.patients[only], 0, 3, "one_of",
                one.scores[only])
    )  # fmt: skip
    assert "auroc" not in found
    assert found["accuracy"].n == only.sum()


def test_open_questions_are_counted_apart() -> None:
    right = np.array([True] * 8 + [False, False] + [True, True, False, False, False])
    left = np.array([1] * 10 + [2, 2, 3, 0, 2])
    found = undecided(right, left)
    assert found.share == wilson(5, 15)
    assert found.error_when_sure == wilson(2, 10)
    assert found.error_when_unsure == wilson(3, 5)
    assert undecided(right[:10], left[:10]).error_when_unsure is None


def test_refused_films_are_named_the_farthest_class_with_certainty() -> None:
    a, g = kinds(60), grades(60)
    answered = np.arange(60) % 4 != 0
    found = evaluate_answers(a, answered)
    assert found.wrong["accuracy"].value == pytest.approx((a.right & answered).sum() / 60)
    certain = np.eye(3)[np.where(a.truth == 0, 2, 0)]
    worst = np.where(answered[:, None], a.scores, certain)
    assert found.wrong["auroc"].value == pytest.approx(sk.roc_auc_score(a.truth, worst, multi_class="ovr"), abs=1e-12)
    assert found.wrong["brier"].value > found.left_out["brier"].value
    graded = evaluate_answers(g, answered)
    assert graded.wrong["sensitivity"].value == pytest.approx(
        (g.called & answered)[g.truth >= 2].sum() / (g.truth >= 2).sum()
    )
    assert graded.wrong["mae"].value > graded.left_out["mae"].value
    assert list(graded.left_out) == list(graded.titles)


def test_paired_differences_are_those_of_the_figures() -> None:
    a, b = kinds(seed=1), kinds(seed=2, signal=0.3)
    differences, one, other = figure_differences(a, b, draws=300), measure(a), measure(b)
    assert set(differences) == {"accuracy", "brier"}
    g, h = grades(seed=1), grades(seed=2, noise=2.0)
    graded, first, second = figure_differences(g, h, draws=300), measure(g), measure(h)
    assert {"kappa_quadratic", "mae", "sensitivity"} <= set(graded)
    for found, x, y in ((differences, one, other), (graded, first, second)):
        for name, interval in found.items():
            assert interval.value == pytest.approx(x[name].value - y[name].value, abs=1e-9), name
            assert interval.low <= interval.value <= interval.high


def test_the_macro_test_tells_models_apart_and_not_one_from_itself() -> None:
    a, b = kinds(seed=1), kinds(seed=2, signal=0.0)
    found = macro_auroc_test(a.truth, a.scores, b.scores, a.patients)
    assert found.difference.value == pytest.approx(found.a.value - found.b.value, abs=1e-12)
    assert found.difference.low > 0
    assert found.p == pytest.approx(2 / 2001)
    same = macro_auroc_test(a.truth, a.scores, a.scores, a.patients, draws=200)
    assert (same.difference.value, same.p) == (0.0, 1.0)
    assert headline_test(a, b, draws=200).a == macro_auroc(a.truth, a.scores, a.patients, draws=200)
    g, h = grades(seed=1), grades(seed=2)
    assert headline_test(g, h) == delong_test(g.labels, g.probability, h.probability, g.patients)


def test_of_two_classes_the_bootstrap_agrees_with_delong() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(300) % 2
    one, other = (rng.normal(size=300) + s * truth for s in (1.2, 0.9))
    drawn = macro_auroc_test(truth, np.stack([-one, one], 1), np.stack([-other, other], 1))
    exact = delong_test(truth, one, other)
    assert drawn.difference.value == pytest.approx(exact.difference.value, abs=1e-12)
    assert drawn.difference.low == pytest.approx(exact.difference.low, abs=0.01)
    assert drawn.p == pytest.approx(exact.p, abs=0.05)


def test_p_values_of_draws() -> None:
    draws = np.array([-1.0] + [1.0] * 98)
    assert bootstrap_p(draws) == pytest.approx(2 * 2 / 100)
    assert bootstrap_p(np.array([np.nan, 1.0])) == pytest.approx(2 / 2)
