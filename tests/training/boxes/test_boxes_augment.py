from __future__ import annotations

import cv2
import numpy as np
import pytest

from medimg_core.training.boxes.augment import augment_boxes, clipped, flipped, mirrored, moved, window
from medimg_core.training.recipe import Augment

BOXES = np.array([[10, 20, 30, 28], [40, 5, 50, 45]], np.float32)


def drawn(boxes: np.ndarray, side: int = 64) -> np.ndarray:
    film = np.zeros((side, side, 1), np.float32)
    for x0, y0, x1, y1 in boxes.astype(int):
        film[y0:y1, x0:x1] = 1
    return film


def bounds(film: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(film[..., 0] > 0.5)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def test_flips_move_boxes_as_they_move_pixels() -> None:
    for box in BOXES:
        film = drawn(box[None])
        np.testing.assert_array_equal(mirrored(box[None], 64)[0], bounds(film[:, ::-1]))
        np.testing.assert_array_equal(flipped(box[None], 64)[0], bounds(film[::-1]))
        np.testing.assert_array_equal(mirrored(mirrored(box[None], 64), 64)[0], box)


@pytest.mark.parametrize("turned", ["corners", "ellipse"])
def test_quarter_turns_shifts_and_scales_are_exact(turned: str) -> None:
    quarter = np.array([[0, 1, 0], [-1, 0, 63]], np.float32)  # (x, y) -> (y, 63 - x), of pixel centres
    np.testing.assert_allclose(moved(BOXES[:1], quarter, turned)[0], [20, 34, 28, 54], atol=1e-4)
    scaled = np.array([[2, 0, 3.5], [0, 0.5, -1.25]], np.float32)  # half pixels stay half pixels: 2 x + 3 of edges
    np.testing.assert_allclose(moved(BOXES[:1], scaled, turned)[0], [23, 9, 63, 13], atol=1e-4)


def test_a_turned_box_encloses_its_corners() -> None:
    matrix = cv2.getRotationMatrix2D((31.5, 31.5), 30, 1.0)
    x0, y0, x1, y1 = BOXES[0]
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]) - 0.5
    where = corners @ matrix[:, :2].T + matrix[:, 2] + 0.5
    np.testing.assert_allclose(moved(BOXES[:1], matrix)[0], [*where.min(0), *where.max(0)], atol=1e-4)


def test_the_ellipse_of_a_circle_does_not_grow_when_turned() -> None:
    matrix = cv2.getRotationMatrix2D((31.5, 31.5), 45, 1.0)
    box = np.array([[22, 22, 42, 42]], np.float32)
    np.testing.assert_allclose(moved(box, matrix, "ellipse"), box, atol=1e-4)
    grown = moved(box, matrix)
    assert grown[0, 2] - grown[0, 0] == pytest.approx(20 * np.sqrt(2), abs=1e-3)


def test_film_and_boxes_move_together() -> None:
    how = Augment(rotate_degrees=20, zoom=(0.8, 1.2), stretch=0.1, shift=0.1, flip=0.5, flip_rows=0.5)
    for seed in range(30):
        box = np.array([[24, 28, 38, 36]], np.float32)
        film, placed = augment_boxes(drawn(box), box, how, np.random.default_rng(seed))
        # A rectangle fills its corners: the enclosing box is the drawn one's, but for the smoothing of its tips.
        assert np.abs(bounds(film) - placed[0]).max() < 2.0


def test_zeros_change_nothing() -> None:
    film, placed = augment_boxes(drawn(BOXES), BOXES, Augment(), np.random.default_rng(0))
    np.testing.assert_allclose(film, drawn(BOXES), atol=1e-6)
    np.testing.assert_allclose(placed, BOXES, atol=1e-5)


def test_squares_show_a_box_whole_and_stay_inside() -> None:
    rng = np.random.default_rng(1)
    edge = np.array([[0, 0, 9, 7]], np.float32), np.array([[55, 50, 64, 64]], np.float32), BOXES[:1]
    for boxes in edge:
        for _ in range(50):
            top, left = window((64, 64), boxes, 32, rng)
            assert 0 <= top <= 32
            assert 0 <= left <= 32
            whole, cut = clipped(boxes - np.float32([left, top, left, top]), (32, 32))
            assert len(whole) == 1
            assert not len(cut)


def test_a_box_larger_than_the_square_fills_it() -> None:
    top, left = window((64, 64), np.array([[5, 5, 60, 60]], np.float32), 32, np.random.default_rng(0))
    assert 5 <= top <= 28
    assert 5 <= left <= 28


def test_clipping_tells_what_is_left_from_what_is_not() -> None:
    boxes = np.array([[-2, 0, 10, 10], [-8, 0, 4, 10], [-20, 0, -5, 10]], np.float32)
    whole, cut = clipped(boxes, (32, 32))
    np.testing.assert_array_equal(whole, [[0, 0, 10, 10]])
    np.testing.assert_array_equal(cut, [[0, 0, 4, 10]])
