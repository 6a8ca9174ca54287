from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_masks import box, ellipse
from scipy import ndimage

from medimg_core.imaging.outline import (
    box_of,
    count_parts,
    fill,
    largest_part,
    polygons,
    ring_area,
    without_specks,
)


def noisy(seed: int, shape: tuple[int, int] = (40, 57)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(rng.normal(size=shape), (0, 0), 0.3 + 3 * rng.random())
    return smooth > np.quantile(smooth, rng.uniform(0.05, 0.95))


@pytest.mark.parametrize("seed", range(40))
def test_an_outline_filled_is_the_very_mask(seed: int) -> None:
    mask = noisy(seed)
    np.testing.assert_array_equal(fill(polygons(mask), mask.shape), mask)


def test_single_pixels_lines_and_full_pictures_come_back() -> None:
    for mask in (
        box((5, 6), 2, 3, 3, 4),
        box((5, 6), 0, 0, 6, 5),
        box((1, 1), 0, 0, 1, 1),
        box((9, 9), 0, 4, 9, 5),
        np.eye(7, dtype=bool),
        np.indices((6, 7)).sum(axis=0) % 2 == 0,
    ):
        np.testing.assert_array_equal(fill(polygons(mask), mask.shape), mask)


def test_nothing_has_no_outline() -> None:
    assert polygons(np.zeros((4, 5), bool)) == ()
    assert not fill((), (4, 5)).any()
    assert box_of(np.zeros((4, 5), bool)) is None
    assert not largest_part(np.zeros((4, 5), bool)).any()


def test_image_coordinates_begin_at_the_outer_corner() -> None:
    ring = polygons(box((5, 6), 2, 1, 3, 2))[0]
    np.testing.assert_allclose(ring.mean(axis=0), (2.5, 1.5))
    np.testing.assert_allclose((ring.min(axis=0), ring.max(axis=0)), ((2, 1), (3, 2)))
    assert box_of(box((9, 8), 2, 1, 5, 7)) == (2.0, 1.0, 5.0, 7.0)


def test_unsimplified_rings_hold_all_pixels_but_half_a_pixel_of_corners() -> None:
    mask = ellipse((90, 90), (45.2, 44.1), (30, 21), 25) & ~ellipse((90, 90), (45, 44), (9, 6), 70)
    part, hole = polygons(mask, 0.0)
    assert ring_area(part) > 0 > ring_area(hole)
    filled = ndimage.binary_fill_holes(mask)
    assert ring_area(part) == pytest.approx(filled.sum() - 0.5)
    assert -ring_area(hole) == pytest.approx((filled & ~mask).sum() - 0.5)


@pytest.mark.parametrize("radius", [3, 10, 40, 120])
def test_simplified_outlines_keep_their_area(radius: float) -> None:
    mask = ellipse((260, 260), (130.3, 129.6), (radius, radius))
    ring = polygons(mask)[0]
    assert abs(ring_area(ring) - mask.sum()) < 0.5 + 2 * np.pi * radius / 6
    assert len(ring) < 8 + len(polygons(mask, 0.0)[0]) / 2


def test_no_point_is_farther_than_half_a_pixel_from_the_pixel_edges() -> None:
    mask = noisy(3) & (np.indices((40, 57)).min(axis=0) > 0)
    fine = np.kron(mask, np.ones((16, 16), bool))
    edge = fine != ndimage.binary_erosion(fine)
    far = ndimage.distance_transform_edt(~edge) / 16
    for ring in polygons(mask):
        ahead = np.roll(ring, -1, axis=0)
        for share in np.linspace(0, 1, 9):
            x, y = ((ring + share * (ahead - ring)) * 16).astype(int).T
            assert far[y.clip(max=fine.shape[0] - 1), x.clip(max=fine.shape[1] - 1)].max() < 0.5 + 0.1


def test_fill_takes_pixels_by_their_centre() -> None:
    square = np.array([(0.6, 0.4), (3.4, 0.4), (3.4, 2.6), (0.6, 2.6)])
    np.testing.assert_array_equal(fill([square], (4, 5)), box((4, 5), 1, 0, 3, 3))
    np.testing.assert_array_equal(fill([square + np.array((-2, 1))], (4, 5)), box((4, 5), 0, 1, 1, 4))
    np.testing.assert_array_equal(fill([square[::-1]], (4, 5)), fill([square], (4, 5)))
    everything = np.array([(-9, -9), (99, -9), (99, 99), (-9, 99)])
    assert fill([everything], (4, 5)).all()
    assert not fill([everything + 200, np.zeros((2, 2))], (4, 5)).any()


def test_fill_agrees_with_a_test_of_every_centre() -> None:
    rng = np.random.default_rng(5)
    star = rng.uniform(2, 38, (11, 2)).round(3)
    y, x = np.mgrid[:40, :40] + 0.5
    inside = np.zeros((40, 40), bool)
    for (x0, y0), (x1, y1) in zip(star, np.roll(star, -1, axis=0), strict=True):
        inside ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    np.testing.assert_array_equal(fill([star], (40, 40)), inside)


def test_parts_join_at_corners() -> None:
    mask = np.zeros((8, 9), bool)
    mask[0, 0] = mask[1, 1] = mask[2, 2] = True
    mask[5:7, 5:7] = True
    mask[0, 8] = True
    assert count_parts(mask) == 3
    assert largest_part(mask).sum() == 4
    assert without_specks(mask, 3).sum() == 7
    assert without_specks(mask, 4).sum() == 4
    assert without_specks(mask, 5).sum() == 0
    assert len(polygons(mask)) == 3


def test_the_largest_ring_comes_first() -> None:
    mask = box((30, 30), 1, 1, 4, 4) | box((30, 30), 10, 10, 29, 29)
    assert [round(ring_area(ring)) > 100 for ring in polygons(mask)] == [True, False]
