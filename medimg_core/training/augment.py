"""Random changes of a training film: geometry (film and mask together) and intensity (film only).

Works on display values, before `imaging.normalise`. One channel is enough for grey films; colour keeps its three.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core.training.recipe import Augment
from medimg_core.types import FloatArray, MaskArray

_MARKERS = ("R", "L", "PORTABLE", "AP", "PA", "SUPINE", "R", "L", "UPRIGHT", "RT", "D", "1")


def augment(
    grid: FloatArray, mask: MaskArray | None, how: Augment, rng: np.random.Generator
) -> tuple[FloatArray, MaskArray | None]:
    """Draw one changed film.

    Args:
        grid: float32 `[H, W, C]` in [0, 1].
        mask: bool `[H, W]`, moved along with the film.
        how: ranges and probabilities.
        rng: the only source of chance.

    Returns:
        float32 `[H, W, C]` in [0, 1] and the moved mask.
    """
    matrix = affine(grid.shape[0], grid.shape[1], how, rng)
    x = _warp(grid, matrix, cv2.INTER_LINEAR)
    moved = None if mask is None else _warp(mask.astype(np.uint8), matrix, cv2.INTER_NEAREST).astype(np.bool_)
    if rng.random() < how.flip:
        x = x[:, ::-1]
        moved = None if moved is None else moved[:, ::-1]
    if how.flip_rows and rng.random() < how.flip_rows:
        x = x[::-1]
        moved = None if moved is None else moved[::-1]
    x = intensity(np.ascontiguousarray(x), how, rng)
    if rng.random() < how.markers:
        x = _draw_marker(x, rng)
    if rng.random() < how.erase:
        x = _erase(x, rng)
    return np.ascontiguousarray(x, dtype=np.float32), moved


def affine(height: int, width: int, how: Augment, rng: np.random.Generator) -> FloatArray:
    """From the film to the changed one, 2 x 3, round the centre: rotation, zoom, stretch of the columns, shift."""
    angle = rng.uniform(-how.rotate_degrees, how.rotate_degrees)
    scale = rng.uniform(*how.zoom)
    stretch = rng.uniform(1 - how.stretch, 1 + how.stretch)
    centre = np.array([width / 2 - 0.5, height / 2 - 0.5])
    shift = rng.uniform(-how.shift, how.shift, 2) * (width, height)
    radians = np.deg2rad(angle)
    turn = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]]) * scale
    turn[0] *= stretch
    return np.asarray(np.column_stack([turn, centre + shift - turn @ centre]), np.float32)


def _warp(array: NDArray[Any], matrix: FloatArray, interpolation: int) -> NDArray[Any]:
    height, width = array.shape[:2]
    out = cv2.warpAffine(array, matrix, (width, height), flags=interpolation, borderMode=cv2.BORDER_CONSTANT)
    return out.reshape(array.shape)  # OpenCV drops a single channel


def intensity(x: FloatArray, how: Augment, rng: np.random.Generator) -> FloatArray:
    """Gamma, contrast, tint, brightness, blur, sharpening and noise of a film float32 `[H, W, C]` in [0, 1]."""
    x = x ** np.float32(np.exp(rng.normal(0, how.gamma)))
    x = (x - np.float32(0.5)) * np.float32(np.exp(rng.normal(0, how.contrast))) + np.float32(0.5)
    if how.tint:
        x = x * np.exp(rng.normal(0, how.tint, x.shape[-1])).astype(np.float32)
    x = np.clip(x + np.float32(rng.normal(0, how.brightness)), 0, 1)
    if rng.random() < how.blur:
        x = np.asarray(cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.2)), np.float32).reshape(x.shape)
    if rng.random() < how.sharpen:
        # Unsharp mask: an original of many pixels, averaged down, is sharper than a stored film made larger.
        soft = np.asarray(cv2.GaussianBlur(x, (0, 0), rng.uniform(0.6, 1.5)), np.float32).reshape(x.shape)
        x = np.clip(x + np.float32(rng.uniform(0.3, 2.0)) * (x - soft), 0, 1)
    if rng.random() < how.noise:
        x = np.clip(x + rng.normal(0, rng.uniform(0.005, 0.035), x.shape).astype(np.float32), 0, 1)
    return x


def _erase(x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """One rectangle of one grey level (random erasing, Zhong et al., AAAI 2020)."""
    height, width = x.shape[:2]
    rows, columns = (int(rng.integers(side // 10, side // 4 + 1)) for side in (height, width))
    top, left = int(rng.integers(0, height - rows)), int(rng.integers(0, width - columns))
    x[top : top + rows, left : left + columns] = rng.random()
    return x


def _draw_marker(x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A side marker or a word near the border, so that neither says anything about the label."""
    height, width = x.shape[:2]
    text = _MARKERS[int(rng.integers(len(_MARKERS)))]
    scale = rng.uniform(0.25, 0.7) * height / 192 * (0.6 if len(text) > 3 else 1.2)
    thickness = int(rng.integers(1, 3))
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    left = int(rng.integers(2, max(3, width // 5)))
    if rng.random() < 0.5:
        left = max(0, width - left - wide)
    top = int(rng.integers(high + 2, height // 3 + high)) if rng.random() < 0.8 else height - 4
    canvas = np.zeros((height, width), np.uint8)  # OpenCV 5 draws text on 8-bit arrays only
    cv2.putText(canvas, text, (left, top), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thickness, cv2.LINE_AA)
    ink = canvas[..., None].astype(np.float32) / 255
    level = np.float32(rng.uniform(0.6, 1.0) if rng.random() < 0.85 else rng.uniform(0, 0.2))
    return np.asarray(x * (1 - ink) + level * ink, np.float32)
