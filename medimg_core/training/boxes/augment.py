"""Random changes of a film and its boxes together: geometry, then intensity (`training.augment`)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.training.augment import affine, intensity
from medimg_core.training.boxes.data import Boxes
from medimg_core.training.recipe import Augment
from medimg_core.types import FloatArray

_SEEN = 0.6
"""Least share of a box's area that must stay in the picture for it to be looked for; below it is nobody's fault."""


def moved(boxes: Boxes, matrix: NDArray[Any], turned: str = "corners") -> Boxes:
    """Upright boxes round moved ones.

    Args:
        boxes: float32 `[n, 4]`, edges in pixels.
        matrix: `[2, 3]`, affine map between pixel-centre coordinates, as OpenCV takes it.
        turned: `corners` encloses the four corners, `ellipse` the ellipse inside the box (see `BoxData`). Without
            rotation the two agree.

    Returns:
        float32 `[n, 4]`, not clipped.
    """
    turn, shift = np.asarray(matrix, np.float64)[:, :2], np.asarray(matrix, np.float64)[:, 2]
    b = np.asarray(boxes, np.float64).reshape(-1, 4)
    centre, half = (b[:, :2] + b[:, 2:]) / 2 - 0.5, (b[:, 2:] - b[:, :2]) / 2
    centre = centre @ turn.T + shift + 0.5
    parts = half[:, None, :] * np.abs(turn)[None]
    reach = parts.sum(axis=-1) if turned == "corners" else np.sqrt((parts**2).sum(axis=-1))
    return np.concatenate([centre - reach, centre + reach], axis=1).astype(np.float32)


def mirrored(boxes: Boxes, width: int) -> Boxes:
    """Boxes of the picture `[:, ::-1]`, which is `width` pixels wide."""
    return np.asarray(boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (width, 0, width, 0), np.float32)


def flipped(boxes: Boxes, height: int) -> Boxes:
    """Boxes of the picture `[::-1]`, which is `height` pixels high."""
    return np.asarray(boxes[:, [0, 3, 2, 1]] * (1, -1, 1, -1) + (0, height, 0, height), np.float32)


def augment_boxes(
    grid: FloatArray, boxes: Boxes, how: Augment, rng: np.random.Generator, turned: str = "corners"
) -> tuple[FloatArray, Boxes]:
    """Draw one changed film.

    Args:
        grid: float32 `[H, W, C]` in [0, 1].
        boxes: float32 `[n, 4]` in pixels of the grid, moved along.

    Returns:
        float32 `[H, W, C]` in [0, 1], and float32 `[n, 4]`, not clipped.
    """
    height, width = grid.shape[:2]
    matrix = affine(height, width, how, rng)
    x = cv2.warpAffine(grid, matrix, (width, height), flags=cv2.INTER_LINEAR).reshape(grid.shape)
    placed = moved(boxes, matrix, turned)
    if rng.random() < how.flip:
        x, placed = x[:, ::-1], mirrored(placed, width)
    if how.flip_rows and rng.random() < how.flip_rows:
        x, placed = x[::-1], flipped(placed, height)
    return intensity(np.ascontiguousarray(x), how, rng), placed


def window(shape: tuple[int, int], boxes: Boxes, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Top and left of a square of a picture `shape`; with boxes one that shows a box of chance as whole as it can."""
    room = np.array(shape) - side
    if not len(boxes):
        top, left = rng.integers(0, room + 1)
        return int(top), int(left)
    x0, y0, x1, y1 = (float(v) for v in boxes[int(rng.integers(len(boxes)))])
    where = []
    for near, far, free in ((y0, y1, room[0]), (x0, x1, room[1])):
        # The square may begin anywhere from where it just reaches the far edge to the near edge itself.
        low, high = np.clip(np.sort([far - side, near]), 0, free)
        where.append(int(np.clip(round(rng.uniform(low, high)), 0, free)))
    return where[0], where[1]


def clipped(boxes: Boxes, shape: tuple[int, int]) -> tuple[Boxes, Boxes]:
    """Boxes cut to a picture `shape`: those that are still to be found, and those of which too little is left.

    Boxes wholly outside are in neither.
    """
    inside = np.clip(boxes, 0, np.array([shape[1], shape[0], shape[1], shape[0]], np.float32))
    area = np.prod(inside[:, 2:] - inside[:, :2], axis=1)
    share = area / np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 1e-6)
    return inside[share >= _SEEN], inside[(share < _SEEN) & (area > 0)]
