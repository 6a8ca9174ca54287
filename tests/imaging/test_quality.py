"""Figures of a picture's grey levels, on pictures whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_core.imaging.quality import coloured, contrast, grey_levels, margin, measure, missing, thin
from medimg_core.types import Image, Window


def film(pixels: np.ndarray, **fields: object) -> Image:
    return Image(np.asarray(pixels, np.float32), "MONOCHROME2", digest="", **fields)


def ramp(rows: int = 100, columns: int = 256) -> np.ndarray:
    return np.tile(np.arange(columns, dtype=np.float32) * 255 / (columns - 1), (rows, 1))


def test_a_ramp_has_every_level_once() -> None:
    quality = measure(film(ramp()))
    assert quality.levels == 256
    assert quality.commonest == pytest.approx(1 / 256)
    assert quality.clipped == pytest.approx(6 / 256)
    assert quality.contrast == pytest.approx(251 / 255, abs=1e-4)
    assert 0 < quality.margin < 0.03  # the columns within two levels of the edge
    assert quality.coloured == 0
    assert quality.missing == 0
    assert quality.shorter == 100
    assert quality.aspect == 2.56


@pytest.mark.parametrize("level", [0.0, 100.0, 255.0])
def test_a_blank_picture(level: float) -> None:
    quality = measure(film(np.full((80, 60), level)))
    assert quality.contrast == 0
    assert quality.levels == 1
    assert quality.commonest == 1
    assert quality.margin == 1


def test_a_blank_16_bit_picture_stays_blank_under_the_automatic_window() -> None:
    assert measure(film(np.full((80, 60), 1234.0), bits=16, modality="DX")).contrast == 0


def test_single_stray_pixels_make_no_contrast() -> None:
    pixels = np.zeros((100, 100), np.uint8)
    pixels[0, :50] = 255  # half a per cent
    assert contrast(pixels) == 0
    pixels[:2] = 255
    assert contrast(pixels) == 1


def test_margin_is_what_lies_outside_the_content() -> None:
    pixels = np.zeros((100, 100), np.uint8)
    pixels[20:70, 10:90] = np.random.default_rng(0).integers(0, 256, (50, 80))
    assert margin(pixels) == pytest.approx(1 - 0.5 * 0.8)
    pixels[40:50] = 0  # a stripe between two pictures is no margin
    assert margin(pixels) == pytest.approx(1 - 0.5 * 0.8)


def test_colour_is_a_visible_difference_between_channels() -> None:
    pixels = np.zeros((10, 10, 3), np.uint8)
    pixels[..., 1] = 2  # what compression leaves
    assert coloured(Image(pixels.copy(), "RGB", digest="")) == 0
    pixels[:3, :, 1] = 128
    assert coloured(Image(pixels, "RGB", digest="")) == pytest.approx(0.3)
    assert coloured(film(pixels[..., 1])) == 0


def test_missing_counts_padding_and_what_is_no_number() -> None:
    pixels = np.zeros((10, 10), np.float32)
    pixels[0] = -2000
    pixels[1] = np.nan
    assert missing(film(pixels)) == pytest.approx(0.1)
    assert missing(film(pixels, padding=-2000.0)) == pytest.approx(0.2)


def test_levels_are_those_on_display() -> None:
    """Values outside the window are all black or all white."""
    pixels = ramp() * 16
    inside = measure(film(pixels, bits=12, modality="DX", windows=(Window(2040, 4080, "LINEAR_EXACT"),)))
    narrow = measure(film(pixels, bits=12, modality="DX", windows=(Window(2040, 16, "LINEAR_EXACT"),)))
    assert inside.levels == 256
    assert narrow.clipped > 0.99
    assert narrow.levels <= 3


def test_grey_levels_follow_the_display() -> None:
    assert grey_levels(film(np.array([[0, 51], [255, 300]]))).tolist() == [[0, 51], [255, 255]]
    white_low = Image(np.array([[0.0, 255.0]], np.float32), "MONOCHROME1", digest="")
    assert grey_levels(white_low).tolist() == [[255, 0]]
    red = Image(np.array([[[255, 0, 0]]], np.uint8), "RGB", digest="")
    assert grey_levels(red).tolist() == [[76]]  # 0.299 of 255


def test_thinning_keeps_the_shorter_side_and_changes_no_small_picture() -> None:
    small = film(ramp(500, 700))
    assert thin(small) is small
    large = thin(film(ramp(2000, 3000)))
    assert large.shape == (400, 600)
    np.testing.assert_array_equal(large.pixels, ramp(2000, 3000)[::5, ::5])


def test_figures_do_not_depend_on_the_size() -> None:
    quality = []
    for side in (400, 2000):
        y, x = np.mgrid[0:side, 0:side] / side
        quality.append(measure(film(np.clip(300 * np.hypot(y - 0.5, x - 0.5), 0, 255))))
    assert quality[0].contrast == pytest.approx(quality[1].contrast, abs=0.01)
    assert quality[0].clipped == pytest.approx(quality[1].clipped, abs=0.005)
    assert quality[0].shorter == 400
    assert quality[1].shorter == 2000
