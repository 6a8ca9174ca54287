import numpy as np
import pytest
from sklearn import metrics as sk

from medimg_core.metrics import METRICS, Answers, measure


def answers(n: int = 200) -> Answers:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, n)
    p = np.clip(truth * 0.3 + rng.random(n) * 0.7, 0, 1)
    return Answers(truth, (p >= 0.5).astype(np.intp), p, np.array([f"p{i // 2}" for i in range(n)]))


def test_every_figure_is_scikit_learns() -> None:
    a = answers()
    found = measure(a)
    assert list(found) == [m.name for m in METRICS]
    expected = {
        "auroc": sk.roc_auc_score(a.truth, a.probability),
        "auprc": sk.average_precision_score(a.truth, a.probability),
        "accuracy": sk.accuracy_score(a.truth, a.decided),
        "sensitivity": sk.recall_score(a.truth, a.decided),
        "specificity": sk.recall_score(a.truth, a.decided, pos_label=0),
        "precision": sk.precision_score(a.truth, a.decided),
        "f1": sk.f1_score(a.truth, a.decided),
        "kappa_quadratic": sk.cohen_kappa_score(a.truth, a.decided, weights="quadratic"),
        "mcc": sk.matthews_corrcoef(a.truth, a.decided),
        "brier": sk.brier_score_loss(a.truth, a.probability),
    }
    assert {name: found[name].value for name in expected} == pytest.approx(expected, abs=1e-12)
    assert all(i.low <= i.value <= i.high and i.low < i.high for i in found.values())


def test_the_positive_class_may_be_the_first() -> None:
    a = answers()
    turned = measure(Answers(1 - a.truth, 1 - a.decided, a.probability, a.patients, positive=0))
    assert turned == measure(a)


def test_one_class_leaves_out_what_needs_two() -> None:
    a = answers()
    only = a.truth == 0
    found = measure(Answers(a.truth[only], a.decided[only], a.probability[only], a.patients[only]))
    assert set(found) == {"accuracy", "specificity", "brier", "ece", "precision", "f1"}
    assert measure(Answers(a.truth[:0], a.decided[:0], a.probability[:0], a.patients[:0])) == {}


def test_three_classes_have_an_accuracy_over_all() -> None:
    a = Answers(
        np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2]), np.array([0.1, 0.9, 0.6, 0.4]), np.array(list("abcd")), 1, 3
    )
    found = measure(a)
    assert found["accuracy"].value == 0.75
    assert found["sensitivity"].value == 1.0
    assert found["kappa_quadratic"].value == pytest.approx(
        sk.cohen_kappa_score(a.truth, a.decided, weights="quadratic"), abs=1e-12
    )
