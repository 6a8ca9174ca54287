import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn import metrics as sk

from medimg_core.metrics import auroc, delong_test, roc_curve
from medimg_core.types import Interval


def films(n: int = 300, seed: int = 0, ties: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two correlated scores, rounded so that ties occur."""
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.4
    shared = rng.normal(size=n)
    a, b = y * 1.2 + shared, y * 0.8 + 0.6 * shared + 0.8 * rng.normal(size=n)
    return (y, a.round(1), b.round(1)) if ties else (y, a, b)


def kernel(y: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The Mann-Whitney kernel of every pair, written out: `[m, n]`."""
    pairs = s[y][:, None] - s[~y][None, :]
    return (pairs > 0) + 0.5 * (pairs == 0)


def delong_by_hand(y: np.ndarray, scores: list[np.ndarray]) -> np.ndarray:
    """DeLong 1988, equations 5 to 8, with all pairs."""
    kernels = [kernel(y, s) for s in scores]
    s10 = np.cov([k.mean(axis=1) for k in kernels])
    s01 = np.cov([k.mean(axis=0) for k in kernels])
    return np.atleast_2d(s10 / y.sum() + s01 / (~y).sum())


def test_area_equals_scikit_learn_with_ties() -> None:
    y, a, _ = films()
    assert auroc(y, a).value == pytest.approx(sk.roc_auc_score(y, a), abs=1e-12)


def test_interval_is_delongs_on_the_logit_scale() -> None:
    y, a, _ = films()
    area = sk.roc_auc_score(y, a)
    error = np.sqrt(delong_by_hand(y, [a])[0, 0]) / (area * (1 - area))
    logit = np.log(area / (1 - area))
    expected = 1 / (1 + np.exp(-(logit + np.array([-1, 1]) * norm.ppf(0.975) * error)))
    found = auroc(y, a)
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-9)
    assert found.n == 300


def test_paired_test_equals_the_formulae() -> None:
    y, a, b = films()
    covariance = delong_by_hand(y, [a, b])
    difference = sk.roc_auc_score(y, a) - sk.roc_auc_score(y, b)
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = delong_test(y, a, b)
    assert found.difference.value == pytest.approx(difference, abs=1e-12)
    assert found.difference.low == pytest.approx(difference - norm.ppf(0.975) * error, abs=1e-9)
    assert found.p == pytest.approx(2 * norm.sf(abs(difference / error)), abs=1e-9)
    assert found.a == auroc(y, a)
    assert found.b == auroc(y, b)
    swapped = delong_test(y, b, a)
    assert swapped.difference.value == -found.difference.value
    assert swapped.p == pytest.approx(found.p, abs=1e-12)


def test_a_model_against_itself_has_p_one() -> None:
    y, a, _ = films()
    same = delong_test(y, a, a)
    assert same.difference == Interval(0.0, 0.0, 0.0, 300)
    assert same.p == 1.0


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_of_films_change_nothing_when_patients_are_given(copies: int) -> None:
    """Obuchowski's variance of films copied k times is the variance of the films themselves."""
    y, a, b = films(120)
    patients = np.repeat(np.arange(120), copies)
    many = delong_test(y.repeat(copies), a.repeat(copies), b.repeat(copies), patients)
    one = delong_test(y, a, b)
    assert many.p == pytest.approx(one.p, abs=1e-9)
    assert (many.a.low, many.a.high) == pytest.approx((one.a.low, one.a.high), abs=1e-9)
    blind = delong_test(y.repeat(copies), a.repeat(copies), b.repeat(copies))
    assert blind.a.low > many.a.low


def test_patients_with_films_of_both_classes_follow_obuchowski() -> None:
    y, a, _ = films(200, seed=4)
    patients = np.random.default_rng(1).integers(0, 70, 200)
    pairs = kernel(y, a)
    area = pairs.mean()
    ten, one = np.zeros(200), np.zeros(200)
    ten[y], one[~y] = pairs.mean(axis=1) - area, pairs.mean(axis=0) - area
    sums = np.array([[ten[patients == k].sum(), one[patients == k].sum()] for k in np.unique(patients)])
    m, n = y.sum(), (~y).sum()
    i, i10, i01 = len(sums), len(np.unique(patients[y])), len(np.unique(patients[~y]))
    s10 = i10 / ((i10 - 1) * m) * (sums[:, 0] ** 2).sum()
    s01 = i01 / ((i01 - 1) * n) * (sums[:, 1] ** 2).sum()
    s11 = i / (i - 1) * (sums[:, 0] * sums[:, 1]).sum()
    error = np.sqrt(s10 / m + s01 / n + 2 * s11 / (m * n)) / (area * (1 - area))
    expected = 1 / (1 + np.exp(-(np.log(area / (1 - area)) - norm.ppf(0.975) * error)))
    assert auroc(y, a, patients).low == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("m", "n"), [(10, 10), (1, 5), (60, 139)])
def test_a_perfect_area_has_newcombes_interval(m: int, n: int) -> None:
    y = np.arange(m + n) < m
    found = auroc(y, y.astype(float))
    star = (m + n) / 2 - 1

    def excess(t: float) -> float:
        variance = t * (1 - t) / (m * n) * (1 + star * (1 - t) / (2 - t) + star * t / (1 + t))
        return (1 - t) ** 2 - norm.ppf(0.975) ** 2 * variance

    assert found.value == found.high == 1.0
    assert found.low == pytest.approx(brentq(excess, 1e-6, 1 - 1e-9), abs=1e-9)
    reversed_area = auroc(y, -y.astype(float))
    assert (reversed_area.value, reversed_area.low) == (0.0, 0.0)
    assert reversed_area.high == pytest.approx(1 - found.low, abs=0.02)


def test_a_constant_score_is_one_half() -> None:
    y = np.arange(40) < 15
    found = auroc(y, np.zeros(40))
    assert found.value == 0.5
    assert 0.0 < found.low < 0.4
    assert 0.6 < found.high < 1.0


def test_the_interval_covers_the_true_area_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    y = np.arange(120) < 50
    truth = norm.cdf(1.8 / np.sqrt(2))
    intervals = [auroc(y, rng.normal(size=120) + 1.8 * y) for _ in range(1500)]
    covered = np.mean([i.low <= truth <= i.high for i in intervals])
    assert 0.935 <= covered <= 0.97


def test_curve_equals_scikit_learn() -> None:
    y, a, _ = films()
    fpr, tpr, thresholds = sk.roc_curve(y, a, drop_intermediate=False)
    curve = roc_curve(y, a, draws=50)
    assert curve.fpr == pytest.approx(fpr, abs=1e-12)
    assert curve.tpr == pytest.approx(tpr, abs=1e-12)
    assert (curve.thresholds == thresholds).all()
    assert curve.auroc == auroc(y, a)


def test_band_holds_the_curve_and_the_true_curve_mostly() -> None:
    y, a, _ = films(400, seed=2, ties=False)
    curve = roc_curve(y, a, draws=400)
    last = np.append(np.diff(curve.fpr) > 0, True)
    inside = np.interp(curve.grid, curve.fpr[last], curve.tpr[last])
    assert (curve.low <= inside + 1e-12).all()
    assert (curve.high >= inside - 1e-12).all()
    truth = norm.cdf(norm.ppf(curve.grid[1:-1]) + 1.2)
    assert np.mean((curve.low[1:-1] <= truth) & (truth <= curve.high[1:-1])) > 0.9


def test_band_of_a_perfect_curve_has_a_width() -> None:
    y = np.arange(30) < 12
    curve = roc_curve(y, y.astype(float), draws=100)
    assert curve.low[0] == pytest.approx(0.7575, abs=5e-5)  # Wilson, 12 of 12
    assert (curve.high == 1.0).all()


@pytest.mark.parametrize("scores", [[0.1, np.nan], [0.1], [[0.1, 0.2]]])
def test_bad_scores_are_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match=r"finite|one length"):
        auroc([0, 1], scores)


def test_one_class_has_no_area() -> None:
    with pytest.raises(ValueError, match="both classes"):
        auroc([1, 1, 1], [0.1, 0.2, 0.3])
