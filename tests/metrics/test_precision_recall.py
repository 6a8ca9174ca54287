import numpy as np
import pytest
from sklearn import metrics as sk

from medimg_core.metrics import auprc, pr_curve, wilson


def films(n: int = 250, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.3
    return y, (y + rng.normal(size=n)).round(1)


def test_area_and_curve_equal_scikit_learn() -> None:
    y, s = films()
    curve = pr_curve(y, s, draws=100)
    precision, recall, thresholds = sk.precision_recall_curve(y, s)
    assert curve.auprc.value == pytest.approx(sk.average_precision_score(y, s), abs=1e-12)
    assert curve.precision == pytest.approx(precision[:-1][::-1], abs=1e-12)
    assert curve.recall == pytest.approx(recall[:-1][::-1], abs=1e-12)
    assert (curve.thresholds == thresholds[::-1]).all()
    assert curve.prevalence == y.mean()


def test_weighted_draws_equal_scikit_learn_on_repeated_films() -> None:
    """The interval's ends are percentiles of areas of films drawn with replacement, by patient."""
    y, s = films(60)
    patients = np.arange(60) // 2
    rng = np.random.default_rng(0)
    counts = rng.multinomial(30, np.full(30, 1 / 30), size=300)[:, patients]
    areas = [sk.average_precision_score(np.repeat(y, c), np.repeat(s, c)) for c in counts]
    interval = auprc(y, s, patients, draws=300, seed=0)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.percentile(areas, (2.5, 97.5))), abs=1e-9)


def test_perfect_ranking_counts_the_positives() -> None:
    interval = auprc([1] * 9 + [0] * 20, np.arange(29, 0, -1))
    assert (interval.value, interval.low, interval.high) == (1.0, wilson(9, 9).low, 1.0)
