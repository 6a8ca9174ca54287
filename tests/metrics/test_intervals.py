import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from medimg_core.metrics import mean_interval, median_interval, proportion, wilson
from medimg_core.metrics.intervals import bootstrap, resampled_weights


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    interval = wilson(successes, n)
    assert interval.value == successes / n
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (3, 7), (500, 500), (92, 100)])
def test_wilson_equals_statsmodels(successes: int, n: int) -> None:
    interval = wilson(successes, n)
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-12)


def test_a_proportion_of_separate_patients_is_wilsons() -> None:
    hits = [True] * 15 + [False] * 133
    assert proportion(hits) == wilson(15, 148)
    assert proportion(hits, groups=range(148)) == wilson(15, 148)


def test_copies_of_a_film_bring_no_certainty() -> None:
    hits = np.array([True] * 15 + [False] * 133)
    repeated = proportion(np.repeat(hits, 4), np.repeat(np.arange(148), 4))
    single = wilson(15 / 148 * 147, 147)  # the effective size is patients - 1
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high), abs=1e-12)
    assert repeated.n == 592


def test_all_right_counts_patients() -> None:
    interval = proportion([True] * 40, np.repeat(np.arange(20), 2))
    assert (interval.low, interval.high) == pytest.approx((1 - 0.1611, 1.0), abs=5e-5)


def test_opposite_films_of_a_patient_do_not_widen_beyond_n() -> None:
    """Within-patient disagreement makes the design effect fall below 1; more than n films are never claimed."""
    assert proportion([True, False] * 30, np.repeat(np.arange(30), 2)) == wilson(30, 60)


def test_no_trials_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        proportion([])
    with pytest.raises(ValueError, match="patients"):
        proportion([True, False], groups=["a"])


def test_resampling_keeps_patients_together_and_their_number() -> None:
    groups = np.array(["a", "b", "b", "c", "c", "c"])
    blocks = np.concatenate(list(resampled_weights(6, groups, 500, seed=3)))
    assert blocks.shape == (500, 6)
    assert (blocks[:, 1] == blocks[:, 2]).all()
    assert (blocks[:, 3] == blocks[:, 5]).all()
    assert (blocks[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_bootstrap_of_a_mean_has_the_known_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=400)
    draws = bootstrap(lambda w: w @ values / w.sum(axis=1), 400, None, draws=4000, seed=1)
    assert draws.std() == pytest.approx(values.std() / 20, rel=0.03)
    again = bootstrap(lambda w: w @ values / w.sum(axis=1), 400, None, draws=4000, seed=1)
    assert (draws == again).all()


def test_a_mean_is_that_of_the_values_with_the_error_of_the_patients() -> None:
    rng = np.random.default_rng(4)
    of_patient = rng.normal(size=300)
    found = mean_interval(of_patient.repeat(3), np.arange(300).repeat(3), draws=4000)
    assert found.value == pytest.approx(of_patient.mean(), abs=1e-12)
    assert found.high - found.low == pytest.approx(2 * 1.96 * of_patient.std() / np.sqrt(300), rel=0.05)
    assert found.n == 900


def test_shares_that_agree_get_wilsons_interval_over_the_patients() -> None:
    found = mean_interval(np.ones(12), np.repeat(np.arange(6), 2), share=True)
    assert (found.low, found.high, found.n) == (wilson(6, 6).low, 1.0, 12)
    one = mean_interval([0.8, 0.6], ["a", "a"], share=True)
    assert (one.value, one.low) == pytest.approx((0.7, wilson(0.7, 1).low))
    assert mean_interval([3.0, 3.0]).low == 3.0


@pytest.mark.parametrize(("values", "share"), [([], False), ([np.inf], False), ([np.nan], True), ([1.1], True)])
def test_a_mean_needs_numbers(values: list[float], share: bool) -> None:
    with pytest.raises(ValueError, match=r"finite|between"):
        mean_interval(values, share=share)


def test_a_median_counts_patients_and_takes_infinity() -> None:
    values = np.array([3.0, 1.0, 2.0, np.inf, 4.0])
    found = median_interval(values)
    assert found is not None
    assert (found.value, found.n) == (3.0, 5)
    assert 1.0 <= found.low <= 3.0 <= found.high
    weighted = median_interval(np.array([1.0, 1.0, 5.0, 5.0]), np.array(["a", "a", "b", "b"]), draws=500)
    assert weighted is not None
    assert (weighted.value, weighted.low, weighted.high) == (3.0, 1.0, 5.0)
    assert median_interval(np.array([1.0, np.inf, np.inf])) is None
    with pytest.raises(ValueError, match="numbers"):
        median_interval(np.array([np.nan]))
