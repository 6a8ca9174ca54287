from __future__ import annotations

import numpy as np
import pytest

from medimg_core.training.augment import augment
from medimg_core.training.recipe import Augment

GRID = np.linspace(0, 1, 32 * 32, dtype=np.float32).reshape(32, 32, 1)
MASK = np.zeros((32, 32), bool)
MASK[8:16, 4:12] = True
EVERYTHING = Augment(12, (0.8, 1.2), 0.1, 0.1, 0.3, 0.2, 0.1, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5)


def test_zeros_change_nothing() -> None:
    x, mask = augment(GRID, MASK, Augment(), np.random.default_rng(0))
    np.testing.assert_allclose(x, GRID, atol=1e-6)
    assert mask is not None
    assert (mask == MASK).all()


def test_a_flip_mirrors_film_and_mask_alike() -> None:
    x, mask = augment(GRID, MASK, Augment(flip=1.0), np.random.default_rng(0))
    np.testing.assert_allclose(x, GRID[:, ::-1], atol=1e-6)
    assert mask is not None
    assert (mask == MASK[:, ::-1]).all()


def test_a_shift_moves_film_and_mask_by_the_same_vector() -> None:
    film = np.repeat(MASK[..., None], 1, axis=-1).astype(np.float32)
    x, mask = augment(film, MASK, Augment(shift=0.2, rotate_degrees=10), np.random.default_rng(4))
    assert mask is not None
    where, centre = np.argwhere(x[..., 0] > 0.5).mean(axis=0), np.argwhere(mask).mean(axis=0)
    np.testing.assert_allclose(where, centre, atol=0.3)
    assert np.abs(centre - np.argwhere(MASK).mean(axis=0)).max() > 1


def test_zoom_scales_the_area_by_its_square() -> None:
    _, mask = augment(GRID, MASK, Augment(zoom=(0.5, 0.5)), np.random.default_rng(0))
    assert mask is not None
    assert mask.sum() == pytest.approx(MASK.sum() / 4, abs=4)


def test_everything_stays_in_range_and_is_repeatable() -> None:
    for channels in (1, 3):
        film = np.repeat(GRID, channels, axis=-1)
        for seed in range(20):
            x, _ = augment(film, None, EVERYTHING, np.random.default_rng(seed))
            again, _ = augment(film, None, EVERYTHING, np.random.default_rng(seed))
            assert x.shape == film.shape
            assert x.dtype == np.float32
            assert 0 <= x.min() <= x.max() <= 1
            np.testing.assert_array_equal(x, again)


def test_markers_stand_near_a_border_and_do_not_cover_the_chest() -> None:
    black = np.zeros((192, 192, 1), np.float32)
    inked = np.zeros((192, 192), bool)
    for seed in range(200):
        x, _ = augment(black, None, Augment(markers=1.0), np.random.default_rng(seed))
        assert (x > 0).any()
        inked |= x[..., 0] > 0.3
    assert inked[:, :60].any()
    assert inked[:, -60:].any()
    assert not inked[110:150, 60:130].any()


def test_blur_softens_edges_and_sharpen_raises_them() -> None:
    edge = np.where(np.arange(32) < 16, 0.4, 0.6).astype(np.float32)[None, :, None].repeat(32, axis=0)

    def steepest(how: Augment) -> float:
        return float(np.abs(np.diff(augment(edge, None, how, np.random.default_rng(1))[0][..., 0], axis=1)).max())

    assert steepest(Augment()) == pytest.approx(0.2)
    assert steepest(Augment(blur=1.0)) < 0.15
    assert steepest(Augment(sharpen=1.0)) > 0.22
