"""Bringing films of different people into one frame: affine first, then dense.

Positions are counted in units of the population's frame (`Population.frame`). A film enters through its affine map
`[2, 3]` from units `(x, y, 1)` to film pixels; a flow is float32 `[h, w, 2]`, the displacement `(x, y)` in units on
a grid of `FINE` points a unit, that says where in the affine frame the value of a place is found.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from medimg_core.types import FloatArray

FINE = 2
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 25, 1e-4)


def local_norm(pixels: FloatArray, sigma: float) -> FloatArray:
    """Subtract the local mean and divide by the local deviation (Gaussian, `sigma` pixels); exposure drops out."""
    centred = pixels - cv2.GaussianBlur(pixels, (0, 0), sigma)
    deviation = np.sqrt(cv2.GaussianBlur(centred * centred, (0, 0), sigma)) + np.float32(0.02)
    return np.asarray(centred / deviation, np.float32)


def cover(shape: tuple[int, int], frame: tuple[int, int]) -> FloatArray:
    """The affine map that lays the frame centred over a film, as large as fits inside it."""
    step = min(shape[0] / frame[0], shape[1] / frame[1])
    left, top = (shape[1] - step * frame[1]) / 2, (shape[0] - step * frame[0]) / 2
    return np.array([[step, 0, left], [0, step, top]], np.float32)


def thumbnail(pixels: FloatArray, affine: FloatArray, frame: tuple[int, int]) -> FloatArray:
    """The film in the frame at one pixel a unit; what lies outside repeats the film's edge."""
    blurred = cv2.GaussianBlur(pixels, (0, 0), max(float(affine[0, 0]) * 0.5, 0.1))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(blurred, affine, frame[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)


def align(template: FloatArray, pixels: FloatArray, start: FloatArray) -> tuple[FloatArray, float]:
    """Refine an affine map so that the film agrees with the template.

    Evangelidis and Psarakis, PAMI 30 (2008) 1858 (ECC): the correlation coefficient is maximised.

    Returns:
        the map and the correlation; `start` and -1 where the iteration diverges.
    """
    step = max(float(start[0, 0]), 1e-3)
    small = cv2.resize(pixels, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
    # The centre of a small pixel lies half a small pixel from the film's edge, not half a film pixel.
    shift = np.array([[0, 0, (step - 1) / 2], [0, 0, (step - 1) / 2]], np.float32)
    try:
        score, found = cv2.findTransformECC(
            template, small, (start - shift) / step, cv2.MOTION_AFFINE, _STOP, np.ones(small.shape, np.uint8), 5
        )
    except cv2.error:  # OpenCV's only way to say that it did not converge
        return start, -1.0
    return np.asarray(found * step + shift, np.float32), float(score)


def uncovered(affine: FloatArray, shape: tuple[int, int], frame: tuple[int, int]) -> float:
    """How far the frame sticks out of the film at its worst corner, as a share of the film's side."""
    rows, columns = frame
    corners = np.array([[0, 0, 1], [columns, 0, 1], [0, rows, 1], [columns, rows, 1]], np.float32) @ affine.T
    size = np.array([shape[1], shape[0]], np.float32)
    return float(max((np.maximum(-corners, corners - size) / size).max(), 0.0))


def render(
    pixels: FloatArray, affine: FloatArray, flow: FloatArray, frame: tuple[int, int], scale: int, cubic: bool = True
) -> tuple[FloatArray, FloatArray]:
    """A film in the frame at `scale` pixels a unit, moved by `flow`.

    Returns:
        float32 `[rows * scale, columns * scale]`, and 1.0 where the place lies inside the film, else 0.0.
    """
    rows, columns = frame[0] * scale, frame[1] * scale
    moved = cv2.resize(flow, (columns, rows), interpolation=cv2.INTER_CUBIC)
    grid_y, grid_x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    x = (grid_x + np.float32(0.5)) / scale - np.float32(0.5) + moved[..., 0]
    y = (grid_y + np.float32(0.5)) / scale - np.float32(0.5) + moved[..., 1]
    film_x = affine[0, 0] * x + affine[0, 1] * y + affine[0, 2]
    film_y = affine[1, 0] * x + affine[1, 1] * y + affine[1, 2]
    method = cv2.INTER_LANCZOS4 if cubic else cv2.INTER_LINEAR
    out = cv2.remap(pixels, film_x, film_y, method, borderMode=cv2.BORDER_REPLICATE)
    height, width = pixels.shape
    inside = (film_x >= 0) & (film_y >= 0) & (film_x <= width - 1) & (film_y <= height - 1)
    return np.asarray(out, np.float32), inside.astype(np.float32)


def compose(flow: FloatArray, first: FloatArray) -> FloatArray:
    """The flow that moves by `first` and then by `flow`: `first(p) + flow(p + first(p))`."""
    rows, columns = first.shape[:2]
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    x, y = x + first[..., 0] * FINE, y + first[..., 1] * FINE
    return np.asarray(first + cv2.remap(flow, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _bytes(normed: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.clip(128 + 45 * normed, 0, 255).astype(np.uint8)


def dense_step(target: FloatArray, moving: FloatArray, smooth: float) -> FloatArray:
    """A smooth flow from `target` to `moving` (both locally normalised, `FINE` pixels a unit).

    Kroeger et al., ECCV 2016 (DIS optical flow), then a Gaussian of `smooth` pixels, so that ribs follow ribs but
    no vessel is bent into another.
    """
    engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    engine.setFinestScale(1)
    engine.setVariationalRefinementIterations(10)
    engine.setVariationalRefinementAlpha(40.0)
    flow = engine.calc(_bytes(target), _bytes(moving), np.zeros((*target.shape, 2), np.float32)) / np.float32(FINE)
    return np.asarray(cv2.GaussianBlur(flow, (0, 0), smooth), np.float32)


def register(
    target: FloatArray, films: Sequence[tuple[FloatArray, FloatArray]], flows: Sequence[FloatArray], smooth: float
) -> list[FloatArray]:
    """One step of every film towards the target.

    Args:
        target: locally normalised, `FINE` pixels a unit.
        films: pixels and affine map of each.
        flows: where they stand.
    """
    moved = []
    for (pixels, affine), flow in zip(films, flows, strict=True):
        seen = normed_view(pixels, affine, flow)
        moved.append(compose(flow, dense_step(target, seen, smooth)))
    return moved


def normed_view(pixels: FloatArray, affine: FloatArray, flow: FloatArray) -> FloatArray:
    """The locally normalised film in the frame, `FINE` pixels a unit."""
    frame = (flow.shape[0] // FINE, flow.shape[1] // FINE)
    return local_norm(render(pixels, affine, flow, frame, FINE, cubic=False)[0], 4.0 * FINE)
