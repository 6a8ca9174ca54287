import numpy as np
import pytest
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint

from medimg_core.metrics import cohen_kappa, confusion_matrix, matthews, rates


def answers(classes: int = 2, n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    return truth, np.where(rng.random(n) < 0.7, truth, rng.integers(0, classes, n))


def test_matrix_equals_scikit_learn() -> None:
    truth, decided = answers(4)
    assert (confusion_matrix(truth, decided, 4) == sk.confusion_matrix(truth, decided)).all()


@pytest.mark.parametrize(("truth", "decided"), [([0, 2], [0, 1]), ([0, -1], [0, 1]), ([0], [0, 1])])
def test_class_numbers_outside_are_refused(truth: list[int], decided: list[int]) -> None:
    with pytest.raises(ValueError, match="class numbers"):
        confusion_matrix(truth, decided, 2)


def test_rates_equal_scikit_learn_and_wilson() -> None:
    truth, decided = answers()
    found = rates(truth, decided)
    assert found.accuracy.value == pytest.approx(sk.accuracy_score(truth, decided), abs=1e-12)
    assert found.sensitivity is not None
    assert found.specificity is not None
    assert found.precision is not None
    assert found.f1 is not None
    assert found.sensitivity.value == pytest.approx(sk.recall_score(truth, decided), abs=1e-12)
    assert found.specificity.value == pytest.approx(sk.recall_score(truth, decided, pos_label=0), abs=1e-12)
    assert found.precision.value == pytest.approx(sk.precision_score(truth, decided), abs=1e-12)
    assert found.f1.value == pytest.approx(sk.f1_score(truth, decided), abs=1e-12)
    positive = int(truth.sum())
    right = int((truth & decided).sum())
    expected = proportion_confint(right, positive, method="wilson")
    assert (found.sensitivity.low, found.sensitivity.high) == pytest.approx(expected, abs=1e-9)
    union = int((truth | decided).sum())
    low, high = proportion_confint(right, union, method="wilson")
    assert (found.f1.low, found.f1.high) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)), abs=1e-9)


def test_rates_without_a_class_say_none() -> None:
    only_negative = rates([0, 0, 0], [0, 0, 0])
    assert only_negative.accuracy.value == 1.0
    assert only_negative.sensitivity is None
    assert only_negative.precision is None
    assert only_negative.f1 is None
    with pytest.raises(ValueError, match="no rows"):
        rates([], [])


def test_rates_of_repeated_patients_are_less_certain() -> None:
    truth, decided = answers()
    copied = rates(truth.repeat(3), decided.repeat(3), np.arange(200).repeat(3))
    single = rates(truth, decided)
    assert copied.accuracy.value == single.accuracy.value
    assert copied.accuracy.low == pytest.approx(single.accuracy.low, abs=1e-3)
    assert rates(truth.repeat(3), decided.repeat(3)).accuracy.low > single.accuracy.low + 0.01


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_kappa_and_matthews_equal_scikit_learn(classes: int) -> None:
    truth, decided = answers(classes)
    kappa = cohen_kappa(truth, decided, classes, draws=200)
    assert kappa.value == pytest.approx(sk.cohen_kappa_score(truth, decided, weights="quadratic"), abs=1e-12)
    coefficient = matthews(truth, decided, classes, draws=200)
    assert coefficient.value == pytest.approx(sk.matthews_corrcoef(truth, decided), abs=1e-12)
    assert kappa.low < kappa.value < kappa.high
    assert coefficient.low < coefficient.value < coefficient.high


def test_kappa_of_cohens_own_kind_of_table() -> None:
    """Fleiss, Statistical Methods for Rates and Proportions (1981), the 2 x 2 case 20/5/10/15: kappa 0.40."""
    truth = np.repeat([0, 0, 1, 1], [20, 5, 10, 15])
    decided = np.repeat([0, 1, 0, 1], [20, 5, 10, 15])
    assert cohen_kappa(truth, decided, draws=50).value == pytest.approx(0.4, abs=1e-12)


def test_kappa_interval_has_the_known_width() -> None:
    """Large-sample error of kappa (Fleiss, Cohen and Everitt 1969), as statsmodels has it."""
    from statsmodels.stats.inter_rater import cohens_kappa

    truth, decided = answers(n=600)
    error = cohens_kappa(confusion_matrix(truth, decided)).std_kappa
    interval = cohen_kappa(truth, decided, draws=4000)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_no_error_is_not_certainty() -> None:
    truth = np.repeat([0, 1], [10, 10])
    for figure in (cohen_kappa(truth, truth, draws=50), matthews(truth, truth, draws=50)):
        assert (figure.value, figure.high) == (1.0, 1.0)
        assert figure.low == pytest.approx(1 - 0.1611 / 0.5, abs=1e-4)  # Wilson for 0 errors of 20


def test_one_class_only_agrees_by_chance() -> None:
    assert cohen_kappa([1, 1, 1], [1, 1, 1], draws=20).value == 0.0
    assert matthews([1, 1, 0], [1, 1, 1], draws=20).value == 0.0
