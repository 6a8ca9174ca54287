"""What enters a network: closed forms, and golden values of synthetic files so that nothing drifts."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from medimg_core.imaging import model_grid, normalise, prepare, window_round
from medimg_core.types import Image, InputSpec, Spacing, Window

SPEC = InputSpec(64, 64)


def pattern(rows: int = 180, columns: int = 150) -> np.ndarray:
    """A synthetic film of integers: two dark fields, a ramp and a fine texture; the same on every machine."""
    y, x = np.mgrid[0:rows, 0:columns]
    grey = 60 + (y * 90) // rows + ((x * 7 + y * 13) % 11) * 4
    for centre in (columns // 3, 2 * columns // 3):
        inside = (x - centre) ** 2 * 36 + (y - rows // 2) ** 2 * 9 < rows * columns
        grey = np.where(inside, grey // 2, grey)
    return grey.astype(np.uint8)


def picture(pixels: np.ndarray) -> Image:
    return Image(np.ascontiguousarray(pixels), "RGB", digest="")


def film(pixels: np.ndarray, **fields: object) -> Image:
    return Image(np.asarray(pixels, np.float32), "MONOCHROME2", digest="", **fields)


def test_standardise_is_its_formula_and_ignores_exposure() -> None:
    grid = np.random.default_rng(0).random((64, 64, 3), np.float32)
    x = normalise(grid, SPEC)
    expected = np.clip((grid - grid.mean()) / (grid.std() + 1e-3) / 2.2, -1.6, 1.6)
    np.testing.assert_allclose(x, expected, atol=1e-6)
    dimmer = normalise(grid * np.float32(0.5) + np.float32(0.2), SPEC)
    np.testing.assert_allclose(dimmer, x, atol=5e-3)  # the 1e-3 in the divisor is all that is left


def test_standardise_clips_and_takes_each_picture_by_itself() -> None:
    batch = np.zeros((2, 10, 10, 1), np.float32)
    batch[0, 0, 0] = 1
    batch[1] = np.random.default_rng(0).random((10, 10, 1))
    x = normalise(batch, SPEC)
    assert x[0, 0, 0, 0] == np.float32(1.6)
    np.testing.assert_array_equal(x[1], normalise(batch[1], SPEC))


def test_a_blank_picture_standardises_to_zero() -> None:
    x, _ = prepare(film(np.full((30, 40), 17)), SPEC)
    np.testing.assert_array_equal(x, 0)


def test_other_normalisations() -> None:
    grid = np.array([[[0.0], [0.25], [1.0]]], np.float32)
    np.testing.assert_array_equal(normalise(grid, InputSpec(1, 3, 1, normalisation="zero_to_one")), grid)
    mapped = normalise(grid, InputSpec(1, 3, 1, normalisation="minus_one_to_one"))
    np.testing.assert_array_equal(mapped.ravel(), [-1.0, -0.5, 1.0])


def test_grey_repeats_and_colour_stays() -> None:
    grid, _ = model_grid(film(pattern()), SPEC)
    assert grid.shape == (64, 64, 3)
    np.testing.assert_array_equal(grid[..., 0], grid[..., 2])
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 255
    colour, _ = model_grid(picture(red), SPEC)
    np.testing.assert_array_equal(colour[0, 0], [1, 0, 0])
    grey, _ = model_grid(picture(red), InputSpec(64, 64, channels=1))
    np.testing.assert_allclose(grey, 0.299, atol=1e-6)


def test_a_grey_picture_stored_as_colour_is_the_same_film() -> None:
    pixels = pattern()
    stored = np.stack([pixels, pixels + 1, pixels], axis=-1)  # what WebP and JPEG leave
    as_colour, _ = model_grid(picture(stored), SPEC)
    as_grey, _ = model_grid(film(pixels), SPEC)
    np.testing.assert_array_equal(as_colour[..., 0], as_colour[..., 1])
    np.testing.assert_allclose(as_colour, as_grey + 0.587 / 255, atol=1e-6)


def test_polarity_and_window_come_before_the_grid() -> None:
    pixels = pattern().astype(np.float32) * 16
    window = Window(1500, 2000, "LINEAR_EXACT")
    shown, _ = model_grid(film(pixels, bits=12, modality="DX", windows=(window,)), SPEC)
    inverse = Image(pixels, "MONOCHROME1", digest="", bits=12, modality="DX", windows=(window,))
    np.testing.assert_allclose(model_grid(inverse, SPEC)[0], 1 - shown, atol=1e-6)
    clipped = np.clip((pixels - 500) / 2000, 0, 1)
    expected = cv2.resize(clipped, (64, 64), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(shown[..., 0], expected, atol=1e-6)


def test_the_window_of_a_card_is_for_hounsfield_units_and_overrides_the_files() -> None:
    spec = replace(SPEC, window=Window(-400, 1600, "LINEAR_EXACT"))
    hounsfield = np.repeat(np.linspace(-1400, 600, 64, dtype=np.float32)[:, None], 64, axis=1)
    slice_ = film(hounsfield, bits=12, modality="CT", modality_units="HU", windows=(Window(40, 400),))
    np.testing.assert_allclose(
        model_grid(slice_, spec)[0][..., 0], np.clip((hounsfield + 1200) / 1600, 0, 1), atol=1e-6
    )
    # A grey picture has no such units: its window was burned in.
    exported = film(np.clip((hounsfield + 1350) / 1500, 0, 1) * 255)
    np.testing.assert_array_equal(model_grid(exported, spec)[0], model_grid(exported, SPEC)[0])


def test_film_as_12_bit_dicom_and_as_8_bit_picture_are_alike() -> None:
    pixels = pattern()
    deep = film(pixels.astype(np.float32) * 16, bits=12, modality="DX", windows=(Window(2040, 4080, "LINEAR_EXACT"),))
    np.testing.assert_allclose(prepare(deep, SPEC)[0], prepare(film(pixels), SPEC)[0], atol=2e-5)


@pytest.mark.parametrize("extension", [".png", ".bmp", ".tiff"])
def test_golden_values_from_the_bytes_of_a_synthetic_file(extension: str) -> None:
    """Written once from an independent computation in float64: exact area averages, then the formula."""
    encoded = cv2.imencode(extension, pattern())[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
    x, geometry = prepare(picture(decoded), SPEC)
    assert geometry.scale == (64 / 180, 64 / 150)
    expected = _independent(pattern())
    np.testing.assert_allclose(x[..., 0], expected, atol=2e-5)
    golden = {(0, 0): GOLDEN[0], (31, 21): GOLDEN[1], (40, 60): GOLDEN[2], (63, 63): GOLDEN[3]}
    for place, value in golden.items():
        assert x[(*place, 1)] == pytest.approx(value, abs=2e-5)


GOLDEN = (-0.312606, -0.499468, 0.394526, 0.744506)


def _independent(pixels: np.ndarray) -> np.ndarray:
    """Area averages by matrices of overlaps, standardised; no OpenCV."""
    rows, columns = _overlaps(pixels.shape[0], 64), _overlaps(pixels.shape[1], 64)
    grid = rows @ (pixels / 255.0) @ columns.T
    return np.clip((grid - grid.mean()) / (grid.std() + 1e-3) / 2.2, -1.6, 1.6)


def _overlaps(source: int, target: int) -> np.ndarray:
    edges = np.arange(target + 1) * source / target
    pixel = np.arange(source)
    shared = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.clip(shared, 0, None) / (source / target)


def test_an_original_and_its_small_copy_give_one_input() -> None:
    copy = np.random.default_rng(3).integers(0, 256, (60, 80)).astype(np.float32)
    original = np.kron(copy, np.ones((4, 4), np.float32))
    spec = InputSpec(24, 24, 1, normalisation="zero_to_one", long_side=80)
    small, large = (model_grid(Image(p, "MONOCHROME2", digest=""), spec) for p in (copy, original))
    np.testing.assert_allclose(large[0], small[0], atol=1e-6)
    assert large[1].source == (240, 320)


def test_smoothing_keeps_a_plain_film_and_the_sum_of_a_point() -> None:
    spec = InputSpec(21, 21, 1, normalisation="zero_to_one", smoothing=0.8)
    plain = Image(np.full((21, 21), 51, np.float32), "MONOCHROME2", digest="")
    np.testing.assert_allclose(model_grid(plain, spec)[0], 0.2, atol=1e-6)
    pixels = np.zeros((21, 21), np.float32)
    pixels[10, 10] = 255
    grid = model_grid(Image(pixels, "MONOCHROME2", digest=""), spec)[0][..., 0]
    assert grid.sum() == pytest.approx(1, abs=1e-5)
    assert grid[10, 11] / grid[10, 10] == pytest.approx(np.exp(-1 / (2 * 0.8**2)), rel=1e-3)


def test_a_part_of_a_picture_fills_the_grid_and_goes_on_beyond_the_edge() -> None:
    pixels = np.arange(40 * 60, dtype=np.float32).reshape(40, 60)
    image = Image(pixels, "MONOCHROME2", "d", windows=(Window(1200.0, 2400.0, "LINEAR_EXACT"),))
    spec = InputSpec(20, 20, channels=1, normalisation="zero_to_one")
    x, geometry = prepare(image, spec, (10, 20, 20, 20))
    assert np.allclose(x[..., 0], pixels[10:30, 20:40] / 2400, atol=1e-6)
    assert geometry.to_source(np.array([[0.0, 0.0], [19.0, 19.0]])).tolist() == [[10, 20], [29, 39]]
    beyond, moved = prepare(image, spec, (-5, 50, 20, 20))
    assert np.allclose(beyond[:5, :10, 0], pixels[0, 50:60] / 2400, atol=1e-6)
    assert np.allclose(beyond[5:, 10:, 0], (pixels[:15, 59:] / 2400), atol=1e-6)
    raised = moved.raise_map(np.eye(20, dtype=np.float32))
    assert raised.shape == (40, 60)
    assert raised[0, 55] == pytest.approx(1)


def test_a_window_in_millimetres_needs_a_spacing() -> None:
    image = Image(np.zeros((100, 100), np.float32), "MONOCHROME2", "d", spacing=Spacing(0.5, 2.0, "typed"))
    assert window_round(image, (50, 50), 20) == (30, 45, 40, 10)
    with pytest.raises(ValueError, match="known spacing"):
        window_round(replace(image, spacing=None), (50, 50), 20)
