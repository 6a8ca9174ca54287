"""One new person: drawn from a population's Gaussian, shaped and textured by films of many patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medimg_core.training.appearance.blend import blend
from medimg_core.training.appearance.model import Aligned, AppearanceModel
from medimg_core.training.appearance.registration import FINE, compose, normed_view, register, render
from medimg_core.types import FloatArray

CANDIDATES = 24
SOURCES = 8
ANCHOR_STEPS = (14.0, 10.0, 8.0)  # Gaussian of the flow, in pixels of the registration grid: coarse to fine
MEAN_STEPS = (8.0, 7.0)


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A synthetic film, the films behind it, and their shares of its detail (sum 1).

    `pixels` is float32 `[H, W]`, display values in [0, 1].
    """

    pixels: FloatArray
    sources: tuple[Aligned, ...]
    shares: FloatArray


def synthesise(model: AppearanceModel, seed: int) -> Person:
    """A film that shows nobody.

    A thumbnail is drawn from the Gaussian; the 24 films most like it, each of another patient, are registered to the
    likest; the 8 that then agree best are registered to their mean, moved to a random mean shape, and mixed.
    """
    rng = np.random.default_rng(seed)
    films = _candidates(model, model.draw(rng))
    films, flows = _common_shape(films, model.population.frame)
    flows = _random_shape(flows, rng)
    frame, scale = model.population.frame, model.population.scale
    views = [render(film.pixels, film.affine, flow, frame, scale) for film, flow in zip(films, flows, strict=True)]
    base = rng.dirichlet(np.full(len(films), 6.0)).astype(np.float32)
    mixed = blend(np.stack([v for v, _ in views]), np.stack([i for _, i in views]), base, rng, scale)
    return Person(mixed.pixels, tuple(films), mixed.shares)


def _candidates(model: AppearanceModel, drawn: FloatArray) -> list[Aligned]:
    """The films most like the drawn thumbnail, the likest first, one a patient."""
    chosen: dict[str, Aligned] = {}
    for i in np.argsort(-(model.features @ drawn)):
        film = model.films[i]
        if film.usable and film.patient not in chosen:
            chosen[film.patient] = film
        if len(chosen) == CANDIDATES:
            break
    return list(chosen.values())


def _common_shape(films: list[Aligned], frame: tuple[int, int]) -> tuple[list[Aligned], list[FloatArray]]:
    """Register to the first film, keep those that agree with it, register to their mean, centre the shapes."""
    rows, columns = frame[0] * FINE, frame[1] * FINE
    pairs = [(film.pixels, film.affine) for film in films]
    flows = [np.zeros((rows, columns, 2), np.float32) for _ in films]
    anchor = normed_view(*pairs[0], flows[0])
    for smooth in ANCHOR_STEPS:
        flows[1:] = register(anchor, pairs[1:], flows[1:], smooth)
    middle = (slice(rows // 10, rows - rows // 5), slice(columns // 10, columns - columns // 10))
    seen = [normed_view(*pair, flow)[middle].ravel() for pair, flow in zip(pairs, flows, strict=True)]
    best = np.argsort([-np.corrcoef(seen[0], s)[0, 1] for s in seen])[:SOURCES]
    films, pairs, flows = [films[i] for i in best], [pairs[i] for i in best], [flows[i] for i in best]
    for smooth in MEAN_STEPS:
        mean = np.mean([normed_view(*pair, flow) for pair, flow in zip(pairs, flows, strict=True)], axis=0)
        mean = np.asarray(mean / (mean.std() + 1e-6), np.float32)
        flows = register(mean, pairs, flows, smooth)
    return films, _centre(flows)


def _centre(flows: list[FloatArray]) -> list[FloatArray]:
    """Undo the mean flow: the frame then has the mean shape, nobody's."""
    mean = np.mean(flows, axis=0)
    return [compose(flow, -mean) for flow in flows]


def _random_shape(flows: list[FloatArray], rng: np.random.Generator) -> list[FloatArray]:
    """Move all films to one random mixture of their shapes."""
    mixture = rng.dirichlet(np.ones(len(flows))).astype(np.float32)
    shape = np.tensordot(mixture, np.stack(flows), axes=1).astype(np.float32) * np.float32(0.8)
    return [compose(flow, -shape) for flow in flows]
