import numpy as np
import pytest
from scipy import stats

from medimg_core.metrics import (
    bland_altman,
    concordance,
    grade_error,
    mean_absolute_error,
    proportion,
    within_tolerance,
)

# Peak expiratory flow, l/min, first readings: Bland and Altman, Lancet 327 (1986) 307, table.
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]

# Cardiac output, several pairs of a patient: Bland and Altman, Stat Methods Med Res 8 (1999) 135, table 4.
CARDIAC = {
    1: ([7.83, 7.42, 7.89, 7.12, 7.88], [6.57, 5.62, 6.90, 6.57, 6.35]),
    2: ([6.16, 7.26, 6.71, 6.54], [4.06, 4.29, 4.26, 4.09]),
    3: ([4.75, 5.24, 4.86, 4.78, 6.05, 5.42], [4.71, 5.50, 5.08, 5.02, 6.01, 5.67]),
    4: ([4.21, 3.61, 3.72, 3.87, 3.92], [4.14, 4.20, 4.61, 4.68, 5.04]),
    5: ([3.13, 2.98, 2.85, 3.17, 3.09, 3.12], [3.03, 2.86, 2.77, 2.46, 2.32, 2.43]),
    6: ([5.92, 6.42, 5.92, 6.27], [5.90, 5.81, 5.70, 5.76]),
    7: ([7.13, 6.62, 6.58, 6.93], [5.09, 4.63, 4.61, 5.09]),
    8: ([4.54, 4.81, 5.11, 5.29, 5.39, 5.57], [4.72, 4.61, 4.36, 4.20, 4.36, 4.20]),
    9: ([4.48, 4.92, 3.97], [3.17, 3.12, 2.96]),
    10: ([4.22, 4.65, 4.74, 4.44, 4.50], [4.35, 4.62, 3.16, 3.53, 3.53]),
    11: ([6.78, 6.07, 6.52, 6.42, 6.41, 5.76], [7.20, 6.09, 7.00, 7.10, 7.40, 6.80]),
    12: ([5.06, 4.72, 4.90, 4.80, 4.90, 5.10], [4.50, 4.20, 3.80, 3.80, 4.20, 4.50]),
}


def test_peak_flow_of_1986() -> None:
    found = bland_altman(MINI, LARGE)
    assert (found.n, found.patients) == (17, 17)
    assert (round(found.bias.value, 1), round(found.sd, 1)) == (-2.1, 38.8)
    # The paper multiplies the rounded figures by 2, and later papers by 1.96.
    low, high = found.bias.value - 2 * found.sd, found.bias.value + 2 * found.sd
    assert (low, high) == pytest.approx((-79.7, 75.5), abs=0.1)
    assert (found.lower.value, found.upper.value) == pytest.approx((low + 0.04 * found.sd, high - 0.04 * found.sd))
    assert (found.bias.low, found.bias.high) == pytest.approx((-22.0, 17.8), abs=0.1)
    # -114.3 to -45.1 and 40.9 to 110.1 around limits at 2 sd, with 3 for 1 + 1.96^2 / 2: widths agree to 2 %.
    assert found.lower.high - found.lower.low == pytest.approx(114.3 - 45.1, rel=0.02)
    assert found.upper.high - found.upper.low == pytest.approx(110.1 - 40.9, rel=0.02)


def test_blood_pressure_of_1999() -> None:
    """From the published summary: 85 patients, mean -16.29, sd 19.61 mmHg."""
    gaps = np.random.default_rng(0).normal(size=85)
    gaps = (gaps - gaps.mean()) / gaps.std(ddof=1) * 19.61 - 16.29
    found = bland_altman(np.zeros(85), gaps)
    assert (found.lower.value, found.upper.value) == pytest.approx((-54.7, 22.1), abs=0.06)
    assert (found.bias.low, found.bias.high) == pytest.approx((-20.5, -12.1), abs=0.06)
    # Published with 1.96 where Student's t is 1.99.
    assert (found.lower.low, found.lower.high) == pytest.approx((-61.9, -47.5), abs=0.15)
    assert (found.upper.low, found.upper.high) == pytest.approx((14.9, 29.3), abs=0.15)


def test_cardiac_output_of_2007() -> None:
    """J Biopharm Stat 17 (2007) 571, section 3: several pairs of a patient, the true value varies."""
    rv = np.concatenate([pair[0] for pair in CARDIAC.values()])
    ic = np.concatenate([pair[1] for pair in CARDIAC.values()])
    patients = np.repeat(list(CARDIAC), [len(pair[0]) for pair in CARDIAC.values()])
    found = bland_altman(ic, rv, patients)
    assert (found.n, found.patients) == (60, 12)
    assert found.bias.value == pytest.approx(0.6021667, abs=1e-7)
    assert found.sd == pytest.approx(0.99062408, abs=1e-7)
    assert (found.lower.value, found.upper.value) == pytest.approx((-1.3394565, 2.5437899), abs=2e-7)
    shuffled = np.random.default_rng(0).permutation(60)
    assert bland_altman(ic[shuffled], rv[shuffled], patients[shuffled]).sd == pytest.approx(found.sd, abs=1e-12)


def test_closed_form_of_separate_patients() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 40))
    found = bland_altman(x, y)
    gaps = y - x
    low, high = stats.t.interval(0.95, 39, gaps.mean(), stats.sem(gaps))
    assert (found.bias.low, found.bias.high) == pytest.approx((low, high), abs=1e-9)
    error = gaps.std(ddof=1) * np.sqrt(1 / 40 + 1.96**2 / (2 * 39))
    low, high = stats.t.interval(0.95, 39, gaps.mean() + 1.96 * gaps.std(ddof=1), error)
    assert (found.upper.low, found.upper.high) == pytest.approx((low, high), abs=1e-9)
    assert bland_altman(x, y, np.arange(40)) == found
    back = bland_altman(y, x)
    assert (back.lower.value, back.lower.low) == pytest.approx((-found.upper.value, -found.upper.high), abs=1e-12)


def test_intervals_hold_the_limit_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    patients = np.arange(15).repeat(rng.integers(1, 6, 15))
    held = np.zeros(3)
    for _ in range(800):
        gaps = 2.0 + (rng.normal(size=15) * 0.6)[patients] + rng.normal(size=patients.size) * 0.8
        found = bland_altman(np.zeros_like(gaps), gaps, patients)
        for i, (interval, true) in enumerate([(found.bias, 2.0), (found.lower, 0.04), (found.upper, 3.96)]):
            held[i] += interval.low <= true <= interval.high
    assert (held / 800 > 0.92).all()
    assert (held / 800 < 0.985).all()


def test_copies_of_a_measurement_bring_no_certainty() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 25))
    once, often = bland_altman(x, y), bland_altman(x.repeat(4), y.repeat(4), np.arange(25).repeat(4))
    assert often.sd == pytest.approx(once.sd, abs=1e-12)
    assert (often.bias.low, often.upper.high) == pytest.approx((once.bias.low, once.upper.high), abs=1e-12)


def test_patients_who_differ_less_than_their_own_pairs() -> None:
    """No variance between patients is seen; none below zero is added."""
    gaps = np.tile([-1.0, 1.0], 6)
    found = bland_altman(np.zeros(12), gaps, np.repeat(np.arange(6), 2))
    assert found.sd == pytest.approx(np.sqrt(2))
    assert found.bias.value == found.bias.low == 0.0


def test_constant_differences() -> None:
    found = bland_altman([1.0, 2.0, 4.0], [1.5, 2.5, 4.5])
    assert found.sd == 0.0
    assert found.lower.value == found.upper.value == found.upper.high == 0.5


def test_mean_absolute_error_is_the_mean_of_sizes() -> None:
    rng = np.random.default_rng(3)
    t, d, patients = rng.integers(0, 5, 80), rng.integers(0, 5, 80), np.arange(80) // 2
    found = mean_absolute_error(t, d, patients)
    assert found == grade_error(t, d, patients)
    assert found.value == np.abs(t - d).mean()


def test_share_within_a_tolerance() -> None:
    assert within_tolerance(MINI, LARGE, 24) == proportion(np.abs(np.subtract(LARGE, MINI)) <= 24)
    # 0.1 + 0.2 is 0.30000000000000004: rounding puts nobody outside.
    assert within_tolerance([0.1, 0.0], [0.1 + 0.2, 0.21], 0.2).value == 0.5
    with pytest.raises(ValueError, match="tolerance"):
        within_tolerance([1], [1], -1)


def test_concordance_is_correlation_without_bias_and_scale() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=200) * 40 + 1e6
    y = x + rng.normal(size=200) * 15 + 10
    found = concordance(x, y)
    r = np.corrcoef(x, y)[0, 1]
    bias_and_scale = 2 / (x.std() / y.std() + y.std() / x.std() + (x.mean() - y.mean()) ** 2 / (x.std() * y.std()))
    assert found.value == pytest.approx(r * bias_and_scale, abs=1e-9)
    assert found.low < found.value < found.high
    assert concordance(y, x).value == pytest.approx(found.value, abs=1e-12)
    assert concordance(x, x).value == pytest.approx(1.0, abs=1e-9)
    assert concordance([1, 2, 3], [3, 2, 1]).value == -1.0
    with pytest.raises(ValueError, match="all equal"):
        concordance([2, 2], [2, 2])


@pytest.mark.parametrize("figure", [bland_altman, mean_absolute_error, concordance])
def test_what_cannot_be_measured(figure) -> None:
    with pytest.raises(ValueError, match="two patients"):
        figure([1.0], [2.0])
    with pytest.raises(ValueError, match="two patients"):
        figure([1.0, 3.0], [2.0, 2.0], ["a", "a"])
    for wrong in (([1.0, 2.0], [1.0]), ([], []), ([1.0, np.nan], [1.0, 2.0])):
        with pytest.raises(ValueError, match=r"one length|finite"):
            figure(*wrong)
