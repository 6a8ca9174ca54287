import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from medimg_core.metrics import brier, ece, ece_null_95, reliability


def calibrated(n: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.random(n)
    return rng.random(n) < p, p


def test_brier_equals_scikit_learn_and_its_interval_the_standard_error() -> None:
    y, p = calibrated()
    found = brier(y, p, draws=4000)
    assert found.value == pytest.approx(brier_score_loss(y, p), abs=1e-12)
    error = ((p - y) ** 2).std() / np.sqrt(y.size)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_reliability_equals_scikit_learn() -> None:
    y, p = calibrated()
    observed, predicted = calibration_curve(y, p, n_bins=10, strategy="quantile")
    bins = reliability(y, p)
    assert [b.observed for b in bins] == pytest.approx(observed, abs=1e-12)
    assert [b.predicted for b in bins] == pytest.approx(predicted, abs=1e-12)
    assert [b.n for b in bins] == [100] * 10
    assert all(b.low < b.observed < b.high for b in bins)


def test_ece_by_hand() -> None:
    """Two bins of two: |0.2 - 0.5| and |0.8 - 1.0|, each half of the films."""
    assert ece([0, 1, 1, 1], [0.1, 0.3, 0.7, 0.9], bins=2, draws=50).value == pytest.approx(0.25, abs=1e-12)


def test_ece_is_the_weighted_gap_of_the_reliability_curve() -> None:
    y, p = calibrated(997)
    gap = sum(b.n * abs(b.predicted - b.observed) for b in reliability(y, p)) / 997
    assert ece(y, p, draws=50).value == pytest.approx(gap, abs=1e-12)


def test_equal_probabilities_share_a_bin_whatever_the_order() -> None:
    y, p = calibrated()
    coarse = p.round(1)
    shuffled = np.random.default_rng(3).permutation(y.size)
    assert ece(y, coarse, draws=20).value == pytest.approx(
        ece(y[shuffled], coarse[shuffled], draws=20).value, abs=1e-12
    )
    assert len(reliability([0, 1, 1], [0.5, 0.5, 0.5])) == 1


def test_null_of_one_bin_is_a_binomial_percentile() -> None:
    """Ten films at 0.5: |K - 5| / 10 with K binomial; P(|K - 5| >= 3) = 0.109, P(>= 4) = 0.021, so 0.3."""
    assert ece_null_95(np.full(10, 0.5), draws=20_000) == pytest.approx(0.3, abs=1e-12)


def test_null_holds_95_of_100_calibrated_models() -> None:
    rng = np.random.default_rng(9)
    p = rng.beta(0.5, 0.5, size=400)
    limit = ece_null_95(p, seed=1)
    below = [ece(rng.random(400) < p, p, draws=1).value < limit for _ in range(1000)]
    assert 0.93 <= np.mean(below) <= 0.97
    assert ece_null_95(p, seed=1) == limit


def test_an_overconfident_model_exceeds_the_null() -> None:
    y, p = calibrated()
    sharp = 1 / (1 + np.exp(-4 * np.log(p / (1 - p))))
    assert ece(y, sharp, draws=200).low > ece_null_95(sharp)


def test_ece_interval_of_a_calibrated_model_reaches_zero() -> None:
    y, p = calibrated()
    found = ece(y, p)
    assert found.low < 0.005
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("p", [[0.1, 1.2], [0.1, np.nan], [0.1]])
def test_what_is_no_probability_is_refused(p: list[float]) -> None:
    with pytest.raises(ValueError, match=r"between 0 and 1|one length"):
        brier([0, 1], p)
