import numpy as np
import pytest
from sklearn import metrics as sk

from medimg_core.metrics import Answers, evaluate_answers, measure


def films(n: int = 120) -> Answers:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, n)
    p = np.clip(truth * 0.4 + rng.random(n) * 0.6, 0, 1)
    return Answers(truth, (p >= 0.5).astype(np.intp), p, np.array([f"p{i}" for i in range(n)]))


def test_without_refusals_both_ways_agree() -> None:
    found = evaluate_answers(films(), np.ones(120, bool))
    assert found.left_out == found.wrong == measure(films())
    assert (found.n, found.unanswered, found.patients) == (120, 0, 120)
    assert found.positives == films().truth.sum()
    assert (found.confusion == sk.confusion_matrix(films().truth, films().decided)).all()
    assert found.roc is not None
    assert found.roc.auroc == found.left_out["auroc"]
    assert sum(b.n for b in found.bins) == 120


def test_unanswered_films_are_wrong_or_left_out() -> None:
    a = films()
    answered = np.arange(120) % 5 != 0
    found = evaluate_answers(a, answered)
    assert found.unanswered == 24
    assert found.left_out["accuracy"].value == pytest.approx((a.truth == a.decided)[answered].mean())
    assert found.wrong["accuracy"].value == pytest.approx(((a.truth == a.decided) & answered).sum() / 120)
    assert found.left_out["auroc"].value == pytest.approx(
        sk.roc_auc_score(a.truth[answered], a.probability[answered]), abs=1e-12
    )
    worst = np.where(answered, a.probability, 1 - a.truth)
    assert found.wrong["auroc"].value == pytest.approx(sk.roc_auc_score(a.truth, worst), abs=1e-12)
    assert found.wrong["sensitivity"].value < found.left_out["sensitivity"].value
    assert found.wrong["specificity"].value < found.left_out["specificity"].value
    assert found.confusion.sum() == 96


def test_what_stands_in_an_unanswered_row_does_not_matter() -> None:
    a = films()
    answered = np.arange(120) % 3 != 0
    blank = Answers(a.truth, np.where(answered, a.decided, 0), np.where(answered, a.probability, 0.0), a.patients)
    assert evaluate_answers(a, answered).wrong == evaluate_answers(blank, answered).wrong


def test_nothing_answered() -> None:
    found = evaluate_answers(films(), np.zeros(120, bool))
    assert found.left_out == {}
    assert (found.wrong["accuracy"].value, found.wrong["auroc"].value) == (0.0, 0.0)
    assert (found.roc, found.pr, found.bins, found.ece_null_95) == (None, None, (), None)


def test_grades_refused_count_as_the_farthest_grade() -> None:
    truth = np.array([0, 1, 2, 3, 4])
    a = Answers(truth, truth, np.full(5, 0.5), np.array(list("abcde")), positive=4, classes=5)
    found = evaluate_answers(a, np.zeros(5, bool))
    assert found.wrong["kappa_quadratic"].value == pytest.approx(
        sk.cohen_kappa_score(truth, [4, 4, 0, 0, 0], weights="quadratic"), abs=1e-12
    )
