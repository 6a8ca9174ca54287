"""The exact map from the source grid to the model grid and back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.types import Fit, FloatArray


@dataclass(frozen=True, slots=True)
class Geometry:
    """An axis-aligned affine map between pixel-centre coordinates of two grids.

    `model = (source + 0.5) * scale + offset - 0.5`, separately for rows and columns. The half pixels keep the
    outer edges of both grids together, whatever the two sizes.

    Attributes:
        source: rows and columns of the image as read.
        model: rows and columns of the network's input.
        scale: model pixels per source pixel (row, column).
        offset: position of the source's outer edge on the model grid (row, column), negative when cropped.
        window: top, left, rows and columns of the part of the source that fills the model grid; None takes the whole
            source. It may reach beyond the source, whose edge values then go on.
    """

    source: tuple[int, int]
    model: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float]
    window: tuple[int, int, int, int] | None = None

    @classmethod
    def fit(cls, source: tuple[int, int], model: tuple[int, int], fit: Fit) -> Geometry:
        """Choose scale and offset for `squash`, `letterbox` or `crop`."""
        rows, columns = model[0] / source[0], model[1] / source[1]
        if fit == "squash":
            return cls(source, model, (rows, columns), (0.0, 0.0))
        scale = min(rows, columns) if fit == "letterbox" else max(rows, columns)
        offset = ((model[0] - source[0] * scale) / 2, (model[1] - source[1] * scale) / 2)
        return cls(source, model, (scale, scale), offset)

    @classmethod
    def part(cls, source: tuple[int, int], model: tuple[int, int], window: tuple[int, int, int, int]) -> Geometry:
        """Fill the model grid with one part of the source: top, left, rows and columns in whole source pixels."""
        top, left, rows, columns = window
        scale = (model[0] / rows, model[1] / columns)
        return cls(source, model, scale, (-top * scale[0], -left * scale[1]), window)

    def to_model(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map `(row, column)` points `[N, 2]` from the source to the model grid."""
        return (np.asarray(points, np.float64) + 0.5) * self.scale + self.offset - 0.5

    def to_source(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """The inverse of `to_model`."""
        return (np.asarray(points, np.float64) + 0.5 - self.offset) / self.scale - 0.5

    def lower(self, pixels: NDArray[np.float32]) -> FloatArray:
        """Resample a source-grid array `[H, W]` or `[H, W, C]` to the model grid; outside the source is zero.

        Shrinking averages over areas (OpenCV INTER_AREA), so that no detail is aliased.
        """
        if self.window is not None:
            return _resized(_cut(pixels, self.window), self.model)
        size = (max(1, round(self.source[0] * self.scale[0])), max(1, round(self.source[1] * self.scale[1])))
        resized = _resized(pixels, size)
        if size == self.model:
            return resized
        out = np.zeros((*self.model, *pixels.shape[2:]), np.float32)
        top, left = round(self.offset[0]), round(self.offset[1])
        rows, columns = min(size[0] + min(top, 0), self.model[0]), min(size[1] + min(left, 0), self.model[1])
        window = resized[max(-top, 0) : max(-top, 0) + rows, max(-left, 0) : max(-left, 0) + columns]
        out[max(top, 0) : max(top, 0) + rows, max(left, 0) : max(left, 0) + columns] = window
        return out

    def raise_map(self, values: NDArray[np.float32]) -> FloatArray:
        """Raise a map computed on any grid that covers the model input to the source grid.

        Args:
            values: float32 `[h, w]`; its outer edges are those of the model input (feature maps of `same` networks).

        Returns:
            float32 `[H, W]` on the source grid, bilinear between the map's cell centres, edge values held.
        """
        grid_rows, grid_columns = values.shape
        to_grid = (grid_rows / self.model[0], grid_columns / self.model[1])
        scale = (self.scale[0] * to_grid[0], self.scale[1] * to_grid[1])
        offset = (self.offset[0] * to_grid[0], self.offset[1] * to_grid[1])
        if offset == (0.0, 0.0) and self.source[0] >= grid_rows and self.source[1] >= grid_columns:
            # The whole grid covers the whole source: cv2.resize uses the same half-pixel convention, ten times faster.
            return np.asarray(cv2.resize(values, self.source[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        rows = (np.arange(self.source[0]) + 0.5) * scale[0] + offset[0] - 0.5
        columns = (np.arange(self.source[1]) + 0.5) * scale[1] + offset[1] - 0.5
        where = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
        raised = cv2.remap(values, where[0], where[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(raised, np.float32)


def _resized(pixels: NDArray[np.float32], size: tuple[int, int]) -> FloatArray:
    """Resize to rows and columns; one axis may shrink while the other grows: each by its own rule."""
    source = (pixels.shape[0], pixels.shape[1])
    shrunk = (min(size[0], source[0]), min(size[1], source[1]))
    resized = pixels
    if shrunk != source:
        resized = np.asarray(cv2.resize(resized, shrunk[::-1], interpolation=cv2.INTER_AREA), np.float32)
    if size != shrunk:
        resized = np.asarray(cv2.resize(resized, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(resized, np.float32)


def _cut(pixels: NDArray[np.float32], window: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """A part of an array; beyond its edges the nearest value."""
    top, left, rows, columns = window
    i = np.clip(np.arange(top, top + rows), 0, pixels.shape[0] - 1)
    j = np.clip(np.arange(left, left + columns), 0, pixels.shape[1] - 1)
    return np.ascontiguousarray(pixels[i[:, None], j[None, :]])
