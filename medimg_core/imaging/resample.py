"""One slice on the grid of another slice in a parallel plane, by the places that both state."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.types import FloatArray, Image

_SAME_PIXELS = 0.01
"""Grids that lie nearer to each other than this many pixels are one: positions are stored with rounding."""


def between(image: Image, grid: Image) -> NDArray[np.float64]:
    """Where the pixels of a grid lie on an image (DICOM PS3.3 C.7.6.2.1.1).

    Args:
        image, grid: both with position, orientation and spacing.

    Returns:
        float64 `[2, 3]`: `(column, row, 1)` of the grid to `(column, row)` of the image, pixel centres at whole
        numbers. The distance of the two planes is left out.
    """
    (along, down), corner = _axes(grid), np.asarray(grid.position)
    back = [axis / (axis @ axis) for axis in _axes(image)]
    shift = corner - np.asarray(image.position)
    return np.array([[axis @ along, axis @ down, axis @ shift] for axis in back])


def _axes(image: Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps in mm from a pixel to the next in its row, and in its column."""
    assert image.orientation is not None
    assert image.spacing is not None
    along, down = np.asarray(image.orientation[:3]), np.asarray(image.orientation[3:])
    return along * image.spacing.column_mm, down * image.spacing.row_mm


def middle(image: Image) -> NDArray[np.float64]:
    """The middle of an image in the patient's coordinates, mm, float64 `[3]`."""
    along, down = _axes(image)
    rows, columns = image.shape
    return np.asarray(image.position) + (columns - 1) / 2 * along + (rows - 1) / 2 * down


def same_grid(image: Image, grid: Image) -> bool:
    """Whether the pixels of both lie on top of each other."""
    if image.shape != grid.shape:
        return False
    rows, columns = grid.shape
    corners = np.array([[0, columns - 1, 0, columns - 1], [0, 0, rows - 1, rows - 1], [1, 1, 1, 1]])
    return bool(np.abs(between(image, grid) @ corners - corners[:2]).max() < _SAME_PIXELS)


def resample(values: FloatArray, image: Image, grid: Image, outside: float = 0.0) -> FloatArray:
    """Values on the pixels of an image, brought to a grid: bilinear, smoothed first where the grid is coarser.

    Args:
        values: float32 `[H, W]` on the grid of `image`.
        outside: value where the image does not reach.

    Returns:
        float32 with the shape of `grid`; `values` itself where both grids are the same.
    """
    if same_grid(image, grid):
        return values
    matrix = between(image, grid)
    columns, rows = np.maximum(np.abs(matrix[:, :2]).sum(axis=1), 1)  # pixels of the image a pixel of the grid
    if max(rows, columns) > 1:
        values = np.asarray(
            cv2.GaussianBlur(values, (0, 0), sigmaX=max((columns - 1) / 2, 1e-3), sigmaY=max((rows - 1) / 2, 1e-3)),
            np.float32,
        )
    return _warped(values, matrix, grid, outside)


def covered(image: Image, grid: Image) -> float:
    """Share of a grid's pixels, 0 to 1, that lie on an image."""
    return float(_warped(np.ones(image.shape, np.float32), between(image, grid), grid, 0.0).mean())


def _warped(values: FloatArray, matrix: NDArray[np.float64], grid: Image, outside: float) -> FloatArray:
    flags, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (grid.shape[1], grid.shape[0])
    warped = cv2.warpAffine(values, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=outside)
    return np.asarray(warped, np.float32)
