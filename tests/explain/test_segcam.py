"""Seg-Grad-CAM: which pixels are asked about, maps known in closed form, and LiteRT against TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from medimg_core import explain
from medimg_core.catalog import ModelCard, read_card
from medimg_core.errors import BadRequest
from medimg_core.explain.registry import Query
from medimg_core.explain.segcam import lowered, structure_of, structure_weights
from medimg_core.imaging import Geometry
from medimg_core.inference.places import look
from medimg_core.inference.pool import load
from medimg_core.inference.runtime import Forward
from medimg_core.types import FloatArray, Region
from model_folder import TINY_MODEL, TINY_OUTLINE, synthetic_film

CARD = read_card(TINY_OUTLINE)
SQUARE = Geometry.fit((8, 8), (8, 8), "squash")


class Upward:
    """Places are the sum of the two feature maps, doubled in size: gradients are numbers of pixels."""

    engine, head, nbytes = "numpy", None, 0

    def __init__(self, card: ModelCard = CARD) -> None:
        self.card = card

    def places_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        features = x[::2, ::2, :2]
        places = np.repeat(np.repeat(features.sum(axis=-1, keepdims=True), 2, axis=0), 2, axis=1)
        total = weights.sum(axis=-1).reshape(4, 2, 4, 2).sum(axis=(1, 3))
        gradient = np.repeat(total[..., None], 2, axis=-1).astype(np.float32)
        return Forward(np.zeros(0, np.float32), features, np.repeat(places, 2, axis=-1)), gradient


def region(name: str, rows: slice, columns: slice) -> Region:
    mask = np.zeros((8, 8), np.bool_)
    mask[rows, columns] = True
    return Region("outline", name, 1.0, mask=mask)


def places(**changes: Any) -> ModelCard:
    assert CARD.places is not None
    return replace(CARD, places=replace(CARD.places, **changes))


def test_the_pixels_asked_about_are_those_of_the_outline() -> None:
    weights = structure_weights(CARD, "lesion", [region("lesion", slice(2, 6), slice(0, 4))], SQUARE, (4, 4, 2))
    assert weights[..., 0].sum() == 0
    assert weights[..., 1].nonzero()[0].tolist() == [1, 1, 2, 2]
    assert weights[..., 1].nonzero()[1].tolist() == [0, 1, 0, 1]


def test_without_an_outline_all_pixels_are_asked_about() -> None:
    weights = structure_weights(CARD, "lesion", [region("lungs", slice(0, 4), slice(0, 4))], SQUARE, (4, 4, 2))
    assert (weights[..., 0].sum(), weights[..., 1].sum()) == (0, 16)


def test_a_structure_made_of_others_asks_for_those_that_were_found() -> None:
    assert CARD.places is not None
    both = replace(CARD.places.structures[0], id="both", of=("lungs", "lesion"))
    card = places(structures=(*CARD.places.structures, both))
    one, two = region("lungs", slice(0, 4), slice(0, 8)), region("lesion", slice(4, 8), slice(0, 2))
    weights = structure_weights(card, "both", [one, two], SQUARE, (4, 4, 2))
    assert (weights[..., 0].sum(), weights[..., 1].sum()) == (8, 2)
    weights = structure_weights(card, "both", [one], SQUARE, (4, 4, 2))
    assert (weights[..., 0].sum(), weights[..., 1].sum()) == (8, 0)
    assert structure_weights(card, "both", [], SQUARE, (4, 4, 2)).sum() == 32


def test_a_structure_smaller_than_a_cell_keeps_the_fullest_one() -> None:
    mask = np.zeros((64, 64), np.bool_)
    mask[33, 17] = True
    fine = Geometry.fit((64, 64), (32, 32), "squash")
    assert np.argwhere(lowered(mask, fine, (8, 8))).tolist() == [[4, 2]]
    assert not lowered(np.zeros((64, 64), np.bool_), fine, (8, 8)).any()


@pytest.mark.parametrize("card", [CARD, places(kind="boxes"), read_card(TINY_MODEL)])
def test_an_unknown_structure_is_told(card: ModelCard) -> None:
    with pytest.raises(BadRequest, match=r"lesion|outlines nothing"):
        structure_of(card, "lesions")


def test_both_maps_in_closed_form() -> None:
    x = np.random.default_rng(0).normal(0, 1, (8, 8, 3)).astype(np.float32)
    weights = np.zeros((8, 8, 2), np.float32)
    weights[0:4, 0:4, 1] = 1  # four cells of the features, four pixels each
    total = x[::2, ::2, :2].sum(axis=-1)
    near = np.zeros((4, 4), np.float32)
    near[:2, :2] = 4

    def grid(name: str, card: ModelCard = CARD) -> FloatArray:
        return explain.compute(name, Query(Upward(card), x, weights), SQUARE, target="lesion", card=CARD).grid

    np.testing.assert_allclose(grid("seg_gradcam"), np.maximum(total, 0), atol=1e-6)  # 16 / 16 pixels at each place
    np.testing.assert_allclose(grid("seg_hirescam"), np.maximum(total * near, 0), atol=1e-5)
    # Both looks of a mirrored network ask about the same pixels and see the same features here.
    for name in ("seg_gradcam", "seg_hirescam"):
        np.testing.assert_allclose(grid(name, places(mirror=True)), _mirrored(name, total, near), atol=1e-5)


def _mirrored(name: str, total: FloatArray, near: FloatArray) -> FloatArray:
    # The mirror image takes every second column from the other end: columns 7, 5, 3, 1.
    x = np.random.default_rng(0).normal(0, 1, (8, 8, 3)).astype(np.float32)
    other = x[::2, ::-1, :2][:, ::2].sum(axis=-1)[:, ::-1]
    mean = (total + other) / 2
    return np.maximum(mean if name == "seg_gradcam" else mean * near, 0)


def test_a_map_of_a_shipped_kind_stays_within_what_was_looked_at() -> None:
    card, film = places(window_mm=40.0), replace(synthetic_film(3, 0.4), spacing=None)
    found = look(film, card, box=(60.0, 40.0, 100.0, 80.0))
    assert found.forward.places is not None
    weights = structure_weights(card, "lesion", found.regions, found.geometry, found.forward.places.shape)
    runtime = load(CARD, "litert")
    made = explain.compute("seg_gradcam", Query(runtime, found.x, weights), found.geometry, target="lesion", card=card)
    assert made.values.shape == film.shape
    assert made.values[10:110, 30:130].any()
    assert not made.values[:, 135:].any()
    assert not made.values[115:].any()


@pytest.mark.slow
def test_maps_on_litert_are_those_of_tensorflow() -> None:
    card = read_card(TINY_OUTLINE)
    engines = [load(card, "litert"), load(card, "keras")]
    for seed in range(4):
        film = synthetic_film(seed, 0.4)
        found = look(film, card)
        assert found.forward.places is not None
        for target in ("lungs", "lesion"):
            weights = structure_weights(card, target, found.regions, found.geometry, found.forward.places.shape)
            for name in ("seg_gradcam", "seg_hirescam"):
                one, two = (
                    explain.compute(name, Query(runtime, found.x, weights), found.geometry, target=target, card=card)
                    for runtime in engines
                )
                assert one.layer == "bottom"
                np.testing.assert_allclose(one.grid, two.grid, atol=1e-4 * max(float(two.grid.max()), 1e-6))
