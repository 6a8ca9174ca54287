"""Drawn pictures by numbers: noise spectra, distances, Hounsfield units, speckle statistics, mirrored sides."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_core.training.phantoms.breast import Lesion, Mass, mammogram, ultrasound
from medimg_core.training.phantoms.chest import Nodule, chest_ct
from medimg_core.training.phantoms.head import Blood, Tumour, brain_mr, head_ct
from medimg_core.training.phantoms.leg import leg
from medimg_core.training.phantoms.retina import Eye, retina
from medimg_core.training.phantoms.sound import LOOKS, speckle
from medimg_core.training.phantoms.texture import clouds, ellipse, line, over, plane, soft

SIDE = 192


def at(pixels: np.ndarray, x: float, y: float, reach: int = 3) -> np.ndarray:
    """The pixels round a place given in shares of the side."""
    row, column = round(y * pixels.shape[0]), round(x * pixels.shape[1])
    return pixels[row - reach : row + reach + 1, column - reach : column + reach + 1]


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.5])
def test_the_spectrum_of_clouds_falls_as_asked(exponent: float) -> None:
    noise = clouds(np.random.default_rng(0), (256, 256), exponent)
    assert noise.mean() == pytest.approx(0, abs=1e-4)
    assert noise.std() == pytest.approx(1, abs=1e-4)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None])
    power = np.abs(np.fft.fft2(noise)) ** 2
    rings = np.array([4, 8, 16, 32, 64]) / 256
    mean = [power[(frequency > 0.9 * f) & (frequency < 1.1 * f)].mean() for f in rings]
    slope = np.polyfit(np.log(rings), np.log(mean), 1)[0]
    assert slope == pytest.approx(-2 * exponent, abs=0.25)


def test_distances_and_opacities_are_those_of_geometry() -> None:
    where = plane(100, 100)
    assert (where.x[0, 0], where.y[0, 0]) == (pytest.approx(0.005), pytest.approx(0.005))
    circle = ellipse(where, (0.5, 0.5), (0.2, 0.2))
    assert circle[50, 90] == pytest.approx(np.hypot(0.405, 0.005) - 0.2, abs=1e-5)
    turned = ellipse(where, (0.5, 0.5), (0.3, 0.1), 90.0)
    np.testing.assert_allclose(turned, ellipse(where, (0.5, 0.5), (0.1, 0.3)), atol=1e-5)
    stroke = line(where, [(0.2, 0.5), (0.8, 0.5)])
    assert stroke[20, 50] == pytest.approx(0.295, abs=1e-5)
    assert stroke[50, 95] == pytest.approx(np.hypot(0.155, 0.005), abs=1e-5)
    assert soft(np.zeros((1, 1), np.float32), 0.1)[0, 0] == 0.5
    assert soft(np.array([[-1.0, 1.0]], np.float32), 0.1).tolist() == [[1.0, pytest.approx(0.0, abs=1e-9)]]
    assert over(np.full((1, 1), 10.0, np.float32), 30.0, np.full((1, 1), 0.25, np.float32))[0, 0] == 15.0


def test_a_long_plane_keeps_squares_square() -> None:
    where = plane(200, 100)
    assert where.x[0, 1] - where.x[0, 0] == pytest.approx(where.y[1, 0] - where.y[0, 0])
    assert where.x.mean() == pytest.approx(0.5)


def test_a_head_has_the_hounsfield_units_of_its_tissues() -> None:
    lens = Blood((0.248, 0.44), (0.062, 0.15), 5.0)
    plain, bled = head_ct(4, SIDE), head_ct(4, SIDE, (lens,))
    np.testing.assert_array_equal(plain, head_ct(4, SIDE))
    assert np.median(plain[:10, :10]) == pytest.approx(-1000, abs=3)
    assert 22 < np.median(at(plain, 0.35, 0.60)) < 42  # white or grey matter (Kalender: 20 to 40)
    assert 900 < plain.max() < 1500
    assert np.median(at(plain, 0.5, 0.30, 40)[:, :]) < 45
    assert at(bled, 0.265, 0.44).mean() == pytest.approx(64, abs=8)  # fresh blood: 50 to 80
    assert at(bled, 0.70, 0.60, 12).mean() == pytest.approx(at(plain, 0.70, 0.60, 12).mean(), abs=1.5)


def test_a_ring_is_bright_round_a_dark_middle() -> None:
    tumour = Tumour((0.62, 0.40), (0.09, 0.09), 0.0, 0.6, 0.04, 0.002)
    shown = brain_mr(6, SIDE, tumour)
    middle, rim = at(shown, 0.62, 0.40).mean(), at(shown, 0.62 + 0.073, 0.40, 1).mean()
    assert middle < 0.25 < 0.5 < rim
    solid = brain_mr(6, SIDE, Tumour((0.62, 0.40), (0.09, 0.09), 0.0, 0.0, 0.04, 0.002))
    assert at(solid, 0.62, 0.40).mean() > 0.5


def test_a_chest_has_lungs_air_and_a_mass_that_ends() -> None:
    nodule = Nodule((0.31, 0.42, 0.0), 0.045, 0)
    middle, above = chest_ct(11, SIDE, (0.0, 0.06), nodule)
    (plain,) = chest_ct(11, SIDE, (0.0,), None)
    assert np.median(middle[:10, :10]) == pytest.approx(-1000, abs=20)
    assert at(middle, 0.31, 0.42, 1).mean() == pytest.approx(40, abs=30)
    assert np.median(at(above, 0.31, 0.42)) < -600
    lungs = plain[(plain > -950) & (plain < -750)]
    assert lungs.size > 0.08 * plain.size
    assert at(plain, 0.497, 0.50, 2).min() < -850  # the windpipe
    assert np.median(at(plain, 0.555, 0.58, 1)) == pytest.approx(42, abs=25)  # aorta
    assert plain.max() > 250


def test_vessels_run_on_from_slice_to_slice() -> None:
    near = chest_ct(11, SIDE, (0.0, 0.004), None)
    (other,) = chest_ct(12, SIDE, (0.0,), None)
    lung = (slice(70, 110), slice(50, 75))
    same = np.corrcoef(near[0][lung].ravel(), near[1][lung].ravel())[0, 1]
    assert same > 0.4
    assert same > np.corrcoef(near[0][lung].ravel(), other[lung].ravel())[0, 1] + 0.2


def test_speckle_has_the_moments_of_averaged_exponential_power() -> None:
    # Goodman: the power of one look is exponential (deviation = mean); n looks divide its variance by n.
    power = speckle(np.random.default_rng(1), np.full((400, 400), 3.0, np.float32), (1.5, 1.0))
    inner = power[20:-20, 20:-20]
    assert inner.mean() == pytest.approx(3.0, rel=0.03)
    assert inner.mean() / inner.std() == pytest.approx(np.sqrt(LOOKS), rel=0.05)


def test_a_lesion_is_dark_and_what_lies_behind_is_not() -> None:
    lesion = Lesion((0.5, 0.45), (0.10, 0.07), 0.0, 0.2, 0.0, 1.8)
    plain, shown = ultrasound(32, 200, 256, None), ultrasound(32, 200, 256, lesion)
    # Shares of the longer side, the middle of the picture at 0.5.
    row, column = round((0.45 - 0.5) * 256 + 100), 128
    inside = (slice(row - 8, row + 8), slice(column - 12, column + 12))
    behind = (slice(row + 32, row + 50), slice(column - 12, column + 12))
    assert shown[inside].mean() < plain[inside].mean() - 0.15
    assert shown[behind].mean() > plain[behind].mean() + 0.03


def test_mammograms_of_the_two_sides_are_mirrored() -> None:
    left = mammogram(41, SIDE, right=False, density=0.45, mass=Mass((0.42, 0.50), 0.045))
    right = mammogram(41, SIDE, right=True, density=0.45, mass=None)
    assert left[:, : round(0.15 * SIDE)].max() < 0.05  # no film beyond the chest wall
    assert right[:, -round(0.15 * SIDE) :].max() < 0.05
    assert left[: SIDE // 8, round(0.18 * SIDE) : round(0.28 * SIDE)].mean() > 0.6  # pectoral muscle
    assert right[: SIDE // 8, -round(0.28 * SIDE) : -round(0.18 * SIDE)].mean() > 0.6
    plain = mammogram(41, SIDE, right=False, density=0.45, mass=None)
    assert at(left, 0.42, 0.50, 4).mean() > at(plain, 0.42, 0.50, 4).mean() + 0.12


def test_a_broken_leg_differs_below_the_break_only() -> None:
    whole, broken = leg(51, 320, 200, broken=False), leg(51, 320, 200, broken=True)
    np.testing.assert_allclose(whole[:140], broken[:140], atol=1e-3)
    assert np.abs(whole[205:280, 60:140] - broken[205:280, 60:140]).max() > 0.1
    shaft = whole[140:150].mean(axis=0)  # wall, hollow, wall of the tibia
    wall = int(np.argmax(shaft))
    assert 90 < wall < 110
    assert shaft[wall] > shaft[wall - 12 : wall + 12].min() + 0.03  # brighter than the hollow beside it
    assert shaft[15:40].max() < 0.1  # air


@pytest.mark.parametrize("right", [True, False], ids=["right", "left"])
def test_the_disc_lies_on_the_side_of_the_nose(right: bool) -> None:
    photograph = retina(21, SIDE, Eye(right, 0.4))
    assert photograph.dtype == np.uint8
    assert photograph[:12, :12].max() == 0  # outside the field stop
    disc, opposite = (0.755, 0.245) if right else (0.245, 0.755)
    assert at(photograph, disc, 0.485).mean() > at(photograph, opposite, 0.485).mean() + 20
    red, green, blue = photograph[60:130, 60:130].reshape(-1, 3).mean(axis=0)
    assert red > green > blue


def test_cup_and_lesions_are_drawn_as_asked() -> None:
    narrow, wide = (retina(21, SIDE, Eye(True, cup)) for cup in (0.4, 0.85))
    pale = [int((eye[..., 2] > 125).sum()) for eye in (narrow, wide)]
    assert pale[1] > 2 * pale[0] > 0
    dotted = retina(21, SIDE, Eye(True, 0.4, (0, 10, 0)))
    spotted = retina(21, SIDE, Eye(True, 0.4, (0, 0, 30)))
    assert (dotted[..., 0].astype(int) < narrow[..., 0].astype(int) - 40).sum() > 20
    assert (spotted[..., 1].astype(int) > narrow[..., 1].astype(int) + 40).sum() > 20
