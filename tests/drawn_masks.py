"""Masks with closed forms: what a circle, an ellipse or a rectangle covers by its pixel centres."""

from __future__ import annotations

import numpy as np

from medimg_core.types import Image, MaskArray, Region, Spacing


def ellipse(
    shape: tuple[int, int],
    centre: tuple[float, float],
    axes: tuple[float, float],
    degrees: float = 0.0,
    row_mm: float = 1.0,
    column_mm: float = 1.0,
) -> MaskArray:
    """Half `axes` in mm, the first at `degrees` from the rows' direction downwards; `centre` (x, y) in pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    dx, dy = (x - centre[0]) * column_mm, (y - centre[1]) * row_mm
    turn = np.radians(degrees)
    u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    return np.asarray((u / axes[0]) ** 2 + (v / axes[1]) ** 2 <= 1)


def box(shape: tuple[int, int], x0: int, y0: int, x1: int, y1: int) -> MaskArray:
    mask = np.zeros(shape, np.bool_)
    mask[y0:y1, x0:x1] = True
    return mask


def region(label: str, mask: MaskArray) -> Region:
    return Region("mask", label, 0.9, mask=mask.copy())


def image(shape: tuple[int, int], spacing: Spacing | None = None) -> Image:
    return Image(np.zeros(shape, np.float32), "MONOCHROME2", digest="0" * 64, spacing=spacing)
