"""Random changes of a film and its structures together: geometry with elastic deformation, then intensity.

Intensity changes are those of `training.augment`.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.training.augment import affine, intensity
from medimg_core.training.recipe import Augment
from medimg_core.types import FloatArray


def augment_outline(
    grid: FloatArray, places: FloatArray, how: Augment, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw one changed film.

    Args:
        grid: float32 `[H, W, C]` in [0, 1], C a multiple of the channels of one slice.
        places: float32 `[H, W, K]` in [0, 1], moved along.

    Returns:
        Both, changed; new arrays.
    """
    where = displacement(grid.shape[0], grid.shape[1], how, rng)
    x, moved = _remap(grid, where), _remap(places, where)
    if rng.random() < how.flip:
        x, moved = x[:, ::-1], moved[:, ::-1]
    if how.flip_rows and rng.random() < how.flip_rows:
        x, moved = x[::-1], moved[::-1]
    return intensity(np.ascontiguousarray(x), how, rng), np.ascontiguousarray(moved)


def displacement(height: int, width: int, how: Augment, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Where each pixel comes from: columns and rows, float32 `[H, W]` each."""
    inverse = cv2.invertAffineTransform(affine(height, width, how, rng))
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x = inverse[0, 0] * columns + inverse[0, 1] * rows + inverse[0, 2]
    y = inverse[1, 0] * columns + inverse[1, 1] * rows + inverse[1, 2]
    if how.elastic:
        knots = rng.normal(0, how.elastic, (5, 5, 2)).astype(np.float32)
        bent = cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)
        x, y = x + bent[..., 0] * width, y + bent[..., 1] * height
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _remap(array: FloatArray, where: tuple[FloatArray, FloatArray]) -> NDArray[Any]:
    """OpenCV moves up to four channels at once."""
    parts = [
        cv2.remap(array[..., k : k + 3], *where, cv2.INTER_LINEAR).reshape(*array.shape[:2], -1)
        for k in range(0, array.shape[-1], 3)
    ]
    return np.concatenate(parts, axis=-1)
