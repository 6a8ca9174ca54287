"""An opacity of the lung, modelled on those that experts boxed in the adults' training films.

Consolidated lung approaches the brightness of soft tissue. So an opacity is a field `a` in [0, 1] that moves a film
towards that level: `y + a (level - y)` where the film is darker than it. Heart, ribs and chest wall stay as they are,
and rib contrast shrinks inside the opacity as it does on real films. `a` is a mixture of the fields measured in the
boxes of several films, moved to one place; their medium-fine texture is mixed in with the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from medimg_core.training.appearance.blend import random_fields
from medimg_core.training.appearance.films import Film
from medimg_core.training.appearance.model import AppearanceModel
from medimg_core.training.appearance.registration import align, cover
from medimg_core.types import FloatArray

SOURCES = 4
_LEVEL_QUANTILE = 0.62  # of the template: about the brightness of the heart


@dataclass(frozen=True, slots=True, eq=False)
class Boxed:
    """One expert box with its surroundings, in the frame of the population (units).

    Attributes:
        pixels: float32 `[H, W]`, the film with the population's tone.
        affine: float32 `[2, 3]`, from units to film pixels.
        centre, size: of the box, `(x, y)` in units.
        patient: the patient's number in the data set.
    """

    pixels: FloatArray
    affine: FloatArray
    centre: FloatArray
    size: FloatArray
    patient: str


@dataclass(frozen=True, slots=True)
class Site:
    """Where an opacity goes and how dense it is.

    Attributes:
        centre: `(x, y)` as a share of the frame; small x is the patient's right.
        size: width and height as a share of the frame.
        strength: 1.0 is as dense as measured.
    """

    centre: tuple[float, float]
    size: tuple[float, float]
    strength: float


def boxed(model: AppearanceModel, films: Sequence[Film]) -> tuple[Boxed, ...]:
    """All expert opacity boxes of the films, larger than 12 units either way, in the model's frame."""
    found = []
    for film in films:
        boxes = [b for b in json.loads(film.row["boxes"] or "[]") if b[4] == "opacity"]
        if not boxes:
            continue
        toned, _ = model.locate(film.pixels)
        affine, score = align(model.template, toned, cover(toned.shape, model.population.frame))
        if score < 0.7:
            continue
        back = cv2.invertAffineTransform(affine)
        for x0, y0, x1, y1, _ in boxes:
            corners = np.array([[x0, y0, 1], [x1, y1, 1]], np.float32) @ back.T
            size = np.asarray(np.abs(corners[1] - corners[0]), np.float32)
            if size.min() >= 12:
                found.append(Boxed(toned, affine, np.asarray(corners.mean(axis=0), np.float32), size, film.patient))
    return tuple(found)


def add_opacity(
    pixels: FloatArray, model: AppearanceModel, boxes: Sequence[Boxed], site: Site, seed: int
) -> FloatArray:
    """Add one opacity to a synthetic film.

    Args:
        pixels: float32 `[H, W]` in the model's frame, display values in [0, 1].

    Returns:
        the film with the opacity, same shape.
    """
    rng = np.random.default_rng(seed)
    scale = model.population.scale
    columns, rows = model.population.frame[1], model.population.frame[0]
    centre = np.array([site.centre[0] * columns, site.centre[1] * rows], np.float32)
    size = np.array([site.size[0] * columns, site.size[1] * rows], np.float32)
    level = float(np.quantile(model.template, _LEVEL_QUANTILE))
    weights = rng.dirichlet(np.full(SOURCES, 3.0)).astype(np.float32)
    density, texture = np.zeros_like(pixels), np.zeros_like(pixels)
    for weight, box in zip(weights, _one_a_patient(boxes, rng), strict=True):
        seen = _moved(box, centre, size, pixels.shape, scale)
        smooth = cv2.GaussianBlur(seen, (0, 0), 3.0 * scale)
        lung = float(np.quantile(model.template[rows // 4 : rows // 2], 0.15))
        density += weight * np.clip((smooth - lung) / (level - lung), 0, 1)
        texture += weight / np.linalg.norm(weights) * (cv2.GaussianBlur(seen, (0, 0), 0.5 * scale) - smooth)
    edge = _soft_ellipse(pixels.shape, centre * scale, size * scale, rng)
    amount = edge * np.clip(site.strength * density, 0, 0.9)
    raised = pixels + amount * np.maximum(level - pixels, 0)
    return np.asarray(np.clip(raised + amount * np.float32(0.6) * texture * (pixels < level + 0.1), 0, 1), np.float32)


def _one_a_patient(boxes: Sequence[Boxed], rng: np.random.Generator) -> list[Boxed]:
    chosen: dict[str, Boxed] = {}
    for i in rng.permutation(len(boxes)):
        chosen.setdefault(boxes[i].patient, boxes[i])
    return list(chosen.values())[:SOURCES]


def _moved(box: Boxed, centre: FloatArray, size: FloatArray, shape: tuple[int, int], scale: int) -> FloatArray:
    """The boxed film so that its box fills the site; mirrored where it comes from the other lung."""
    stretch = box.size / size
    other_side = (box.centre[0] < shape[1] / scale / 2) != (centre[0] < shape[1] / scale / 2)
    stretch = stretch * np.array([-1 if other_side else 1, 1], np.float32)
    to_units = np.diag(stretch / scale).astype(np.float32)
    offset = box.centre - stretch * centre
    linear = box.affine[:, :2] @ to_units
    shift = box.affine[:, :2] @ offset + box.affine[:, 2]
    matrix = np.column_stack([linear, shift]).astype(np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(box.pixels, matrix, shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101))


def _soft_ellipse(shape: tuple[int, int], centre: FloatArray, size: FloatArray, rng: np.random.Generator) -> FloatArray:
    """1 in the middle of the site, falling to 0 outside of it along a ragged edge."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    radius = np.sqrt(((x - centre[0]) / (0.5 * size[0])) ** 2 + ((y - centre[1]) / (0.5 * size[1])) ** 2)
    ragged = radius + np.float32(0.16) * random_fields(rng, 1, shape, float(size.min()) * 0.3)[0]
    return np.asarray(1 / (1 + np.exp((ragged - np.float32(0.95)) / np.float32(0.13))), np.float32)
