import numpy as np
import pytest
from sklearn import metrics as sk
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests

from medimg_core.metrics import (
    Answers,
    figure_differences,
    holm,
    mcnemar,
    mean_difference,
    paired_difference,
    sign_flip_test,
    wilson,
)
from medimg_core.types import Interval


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (5, 0), (12, 7), (3, 30), (121, 59), (900, 1000)])
def test_mcnemar_equals_statsmodels(only_a: int, only_b: int) -> None:
    a = np.repeat([True, False, True, False], [only_a, only_b, 40, 9])
    b = np.repeat([False, True, True, False], [only_a, only_b, 40, 9])
    found = mcnemar(a, b)
    assert (found.only_a, found.only_b) == (only_a, only_b)
    expected = sm_mcnemar([[40, only_a], [only_b, 9]], exact=True).pvalue if only_a + only_b else 1.0
    assert found.p == pytest.approx(expected, abs=1e-12)


def test_mcnemar_needs_the_same_films() -> None:
    with pytest.raises(ValueError, match="same films"):
        mcnemar([True], [True, False])


def test_holm_equals_statsmodels() -> None:
    p = [0.01, 0.04, 0.03, 0.005, 0.6]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)
    assert holm([]) == ()


def test_mean_difference_has_the_paired_standard_error() -> None:
    rng = np.random.default_rng(0)
    a = rng.random(500) < 0.9
    b = np.where(rng.random(500) < 0.8, a, rng.random(500) < 0.7)
    found = mean_difference(a, b, draws=4000)
    gap = a.astype(float) - b
    assert found.value == pytest.approx(gap.mean(), abs=1e-12)
    assert found.high - found.low == pytest.approx(2 * 1.96 * gap.std() / np.sqrt(500), rel=0.06)


def test_mean_difference_of_copied_films_is_that_of_the_films() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random(200) < 0.9, rng.random(200) < 0.8
    copied = mean_difference(a.repeat(3), b.repeat(3), np.arange(200).repeat(3), seed=5)
    single = mean_difference(a, b, seed=5)
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high), abs=1e-12)


def test_any_statistic_may_be_compared() -> None:
    values = np.arange(10.0)
    found = paired_difference(lambda w: w @ values / w.sum(axis=1), 10, draws=50)
    assert found.value == 4.5


def test_differences_of_all_figures_are_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 150)
    patients = np.array([f"p{i // 2}" for i in range(150)])

    def model(signal: float) -> Answers:
        p = np.clip(truth * signal + rng.random(150) * (1 - signal), 0, 1)
        return Answers(truth, (p >= 0.5).astype(np.intp), p, patients)

    a, b = model(0.5), model(0.3)
    found = figure_differences(a, b, draws=300)
    expected = {
        "accuracy": sk.accuracy_score(truth, a.decided) - sk.accuracy_score(truth, b.decided),
        "sensitivity": sk.recall_score(truth, a.decided) - sk.recall_score(truth, b.decided),
        "specificity": sk.recall_score(truth, a.decided, pos_label=0) - sk.recall_score(truth, b.decided, pos_label=0),
        "precision": sk.precision_score(truth, a.decided) - sk.precision_score(truth, b.decided),
        "f1": sk.f1_score(truth, a.decided) - sk.f1_score(truth, b.decided),
        "brier": sk.brier_score_loss(truth, a.probability) - sk.brier_score_loss(truth, b.probability),
    }
    assert {name: i.value for name, i in found.items()} == pytest.approx(expected, abs=1e-12)
    assert all(i.low < i.value < i.high for i in found.values())
    back = figure_differences(b, a, draws=300)
    assert back["f1"].low == pytest.approx(-found["f1"].high, abs=1e-12)


def test_figures_without_their_films_are_left_out() -> None:
    truth, p = np.zeros(6, np.intp), np.full(6, 0.1)
    a = Answers(truth, truth, p, np.array(list("abcdef")))
    assert set(figure_differences(a, a, draws=10)) == {"accuracy", "specificity", "brier"}


def test_models_that_agree_everywhere_may_still_differ() -> None:
    truth = np.repeat([0, 1], [30, 20])
    a = Answers(truth, truth, truth * 0.8 + 0.1, np.array([f"p{i}" for i in range(50)]))
    found = figure_differences(a, a, draws=20)
    assert found["sensitivity"] == Interval(0.0, -wilson(0, 20).high, wilson(0, 20).high, 20)
    assert found["specificity"].n == 30
    assert found["accuracy"].high == pytest.approx(0.0713, abs=5e-5)  # Wilson for 0 of 50


def test_random_signs_against_scipy() -> None:
    from scipy.stats import permutation_test

    draw = np.random.default_rng(3)
    for n in (6, 12, 60):
        gaps = draw.normal(0.3, 1, n)
        exact = permutation_test(
            (gaps,),
            np.sum,
            permutation_type="samples",
            vectorized=False,
            n_resamples=5000,
            rng=np.random.default_rng(1),
        )
        assert sign_flip_test(gaps) == pytest.approx(exact.pvalue, abs=1e-9 if n <= 12 else 0.02)
    assert sign_flip_test(np.zeros(40)) == 1.0
    assert sign_flip_test(np.full(5, 0.1)) == pytest.approx(2 / 2**5)
    with pytest.raises(ValueError, match="finite"):
        sign_flip_test([np.nan])
