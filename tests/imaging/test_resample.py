"""A slice on another slice's grid: shifts, coarser and finer pixels, turned axes, places outside."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_core.imaging.resample import between, covered, middle, resample, same_grid
from medimg_core.types import Image, Spacing

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def grid(
    shape: tuple[int, int],
    mm: float,
    corner: tuple[float, float] = (0.0, 0.0),
    orientation: tuple[float, float, float, float, float, float] = AXIAL,
) -> Image:
    pixels = np.zeros(shape, np.float32)
    return Image(
        pixels, "MONOCHROME2", "", spacing=Spacing(mm, mm, ""), position=(*corner, 0.0), orientation=orientation
    )


def ramp(image: Image) -> np.ndarray:
    """3 x + 5 y of every pixel's place, mm: linear, so that bilinear values are exact."""
    assert image.position is not None
    assert image.spacing is not None
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    x, y = image.position[0] + columns * image.spacing.column_mm, image.position[1] + rows * image.spacing.row_mm
    return (3 * x + 5 * y).astype(np.float32)


@pytest.mark.parametrize(
    ("fine", "corner"), [(1.0, (0.0, 0.0)), (1.0, (2.5, -1.25)), (0.5, (0.0, 0.0))], ids=["same", "shifted", "finer"]
)
def test_values_stay_at_their_places(fine: float, corner: tuple[float, float]) -> None:
    image, wanted = grid((60, 80), fine, (-10.0, -10.0)), grid((10, 12), 1.0, corner)
    found = resample(ramp(image), image, wanted)
    np.testing.assert_allclose(found, ramp(wanted), atol=2e-3)


def test_the_same_grid_gives_the_values_themselves() -> None:
    image, again = grid((6, 7), 0.9, (3.0, 4.0)), grid((6, 7), 0.9, (3.004, 4.0))
    values = ramp(image)
    assert resample(values, image, again) is values
    assert not same_grid(image, grid((6, 7), 0.9, (3.1, 4.0)))
    assert not same_grid(image, grid((6, 8), 0.9, (3.0, 4.0)))


def test_turned_axes_are_turned_back() -> None:
    image = grid((6, 8), 1.0, (7.0, 5.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0))  # from the far corner backwards
    values = np.arange(48, dtype=np.float32).reshape(6, 8)
    np.testing.assert_allclose(resample(values, image, grid((6, 8), 1.0)), values[::-1, ::-1], atol=1e-5)


def test_what_lies_outside_is_told() -> None:
    image, wanted = grid((10, 10), 1.0), grid((10, 10), 1.0, (5.0, 0.0))
    assert covered(image, wanted) == pytest.approx(0.5)
    found = resample(np.full((10, 10), 9.0, np.float32), image, wanted, outside=-1.0)
    assert (found[:, :5] == 9).all()
    assert (found[:, 5:] == -1).all()


def test_a_coarser_grid_takes_means_and_not_single_pixels() -> None:
    image = grid((80, 80), 0.25)
    checks = (np.indices((80, 80)).sum(axis=0) % 2).astype(np.float32)
    found = resample(checks, image, grid((12, 12), 1.0, (4.0, 4.0)))
    np.testing.assert_allclose(found, 0.5, atol=0.02)


def test_rows_and_columns_are_not_exchanged() -> None:
    image = Image(
        np.zeros((4, 6), np.float32), "MONOCHROME2", "", spacing=Spacing(2.0, 1.0, ""), position=(0.0, 0.0, 7.0),
        orientation=AXIAL,
    )  # fmt: skip
    assert middle(image) == pytest.approx([2.5, 3.0, 7.0])
    np.testing.assert_allclose(between(image, grid((4, 6), 1.0, (1.0, 2.0))), [[1, 0, 1], [0, 0.5, 1]])
