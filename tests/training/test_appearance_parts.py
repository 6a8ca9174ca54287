"""Registration, blending, opacity and finish of the appearance model, on figures known in closed form."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from medimg_core.training.appearance.blend import blend, random_fields, say
from medimg_core.training.appearance.films import match_tone, tone_quantiles
from medimg_core.training.appearance.finish import finish, to_stored
from medimg_core.training.appearance.limb import hand
from medimg_core.training.appearance.registration import (
    FINE,
    align,
    compose,
    cover,
    dense_step,
    local_norm,
    render,
    thumbnail,
    uncovered,
)
from medimg_core.types import FloatArray


def texture(shape: tuple[int, int], spacing: float = 9.0, seed: int = 0) -> FloatArray:
    field = random_fields(np.random.default_rng(seed), 1, shape, spacing)[0]
    return np.asarray(np.clip(0.5 + 0.15 * field, 0, 1), np.float32)


def test_cover_is_centred_and_as_large_as_fits() -> None:
    affine = cover((100, 300), (50, 100))
    np.testing.assert_allclose(affine, [[2, 0, 50], [0, 2, 0]])
    assert uncovered(affine, (100, 300), (50, 100)) == 0


def test_uncovered_is_the_share_that_sticks_out() -> None:
    affine = np.array([[1, 0, -20], [0, 1, 0]], np.float32)
    assert uncovered(affine, (100, 200), (100, 200)) == pytest.approx(0.1)


def test_align_finds_a_known_shift_and_scale() -> None:
    film = cv2.GaussianBlur(texture((240, 240), 30), (0, 0), 2)
    true = np.array([[2.1, 0, 14], [0, 1.9, 9]], np.float32)
    template = thumbnail(film, true, (96, 96))
    found, score = align(template, film, np.array([[2, 0, 10], [0, 2, 10]], np.float32))
    assert score > 0.995
    np.testing.assert_allclose(found, true, atol=0.1)


def test_align_says_when_it_diverges() -> None:
    start = np.array([[1, 0, 500], [0, 1, 500]], np.float32)  # the frame lies outside the film
    found, score = align(texture((60, 60)), texture((60, 60), seed=1), start)
    assert score == -1
    np.testing.assert_array_equal(found, start)


def test_render_with_a_flow_looks_up_the_displaced_place() -> None:
    film = np.tile(np.arange(80, dtype=np.float32), (60, 1))
    flow = np.zeros((30 * FINE, 40 * FINE, 2), np.float32)
    flow[..., 0] = 3  # units; the affine map makes them 2 pixels each
    out, inside = render(film, np.array([[2, 0, 0], [0, 2, 0]], np.float32), flow, (30, 40), 2)
    assert out[30, 20] == pytest.approx(2 * ((20 + 0.5) / 2 - 0.5 + 3), abs=0.02)
    assert inside[30, 20] == 1
    assert inside[30, -1] == 0


def test_constant_flows_add_up() -> None:
    a, b = np.full((20, 20, 2), 0.5, np.float32), np.full((20, 20, 2), (1.0, -2.0), np.float32)
    np.testing.assert_allclose(compose(a, b), a + b, atol=1e-6)


def test_dense_step_follows_a_smooth_shift() -> None:
    wide = cv2.GaussianBlur(texture((220, 240), 8), (0, 0), 1.5)
    target, moving = wide[10:-10, 10:-10], wide[10:-10, 6:-14]  # what is at x in the target is at x + 4 in moving
    flow = dense_step(local_norm(target, 8), local_norm(moving, 8), 8.0)
    middle = flow[60:-60, 60:-60]
    np.testing.assert_allclose(np.median(middle, axis=(0, 1)), [4 / FINE, 0], atol=0.15)


def test_blend_of_one_film_with_itself_is_that_film() -> None:
    film = texture((96, 90))
    stack = np.stack([film] * 4)
    mixed = blend(stack, np.ones_like(stack), np.full(4, 0.25, np.float32), np.random.default_rng(0), 3)
    np.testing.assert_allclose(mixed.pixels, film, atol=1e-5)
    assert mixed.shares.sum() == pytest.approx(1, abs=1e-5)


def test_blend_keeps_the_variance_of_fine_detail_where_an_average_halves_it() -> None:
    rng = np.random.default_rng(1)
    noise = 0.5 + 0.04 * rng.standard_normal((8, 192, 192)).astype(np.float32)
    mixed = blend(noise, np.ones_like(noise), np.full(8, 1 / 8, np.float32), rng, 4)
    average = noise.mean(axis=0)
    assert average.std() == pytest.approx(0.04 / np.sqrt(8), rel=0.03)
    # mean + sum v (x - mean) with |v| = 1 and sum v >= 1: variance between that of one film and a little above.
    assert 0.9 < mixed.pixels.std() / 0.04 < 1.25


def test_a_marker_in_one_film_has_no_say() -> None:
    films = np.stack([texture((90, 90))] * 5)
    films[2, 10:22, 10:22] = 1.0
    assert films[0, 10:22, 10:22].mean() < 0.75
    weights = say(films, np.ones_like(films), 3)
    assert weights[2, 16, 16] < 0.01
    assert weights[2, 70, 70] == pytest.approx(1, abs=0.01)


def test_random_fields_have_unit_deviation_and_the_asked_smoothness() -> None:
    field = random_fields(np.random.default_rng(0), 2, (200, 200), 40)
    np.testing.assert_allclose(field.std(axis=(1, 2)), 1, atol=1e-3)
    near = np.corrcoef(field[0][:, 4:].ravel(), field[0][:, :-4].ravel())[0, 1]
    far = np.corrcoef(field[0][:, 120:].ravel(), field[0][:, :-120].ravel())[0, 1]
    assert near > 0.95
    assert abs(far) < 0.5


def test_matched_tone_has_the_asked_quantiles_and_keeps_the_order() -> None:
    film = texture((200, 200), 20) ** 2
    tone = np.linspace(0.1, 0.9, 33, dtype=np.float32)
    out = match_tone(np.asarray(film, np.float32), tone)
    np.testing.assert_allclose(tone_quantiles(out), tone, atol=0.01)
    order = np.argsort(film.ravel(), kind="stable")
    assert (np.diff(out.ravel()[order]) >= -1e-6).all()


def test_finished_film_stays_in_range_and_is_repeatable() -> None:
    film = texture((120, 120), 30)
    once, again = (finish(film, 5, 0.5, ("R", 0.1, 0.2)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.min() >= 0
    assert once.max() <= 1
    assert once[14:24, 12:20].max() > film[14:24, 12:20].max()  # the side letter


def test_stored_values_leave_a_margin_on_both_ends() -> None:
    ends = np.array([[0.0, 1.0]], np.float32)
    np.testing.assert_array_equal(to_stored(ends, 10, inverted=False), [[51, 972]])
    np.testing.assert_array_equal(to_stored(ends, 10, inverted=True), [[972, 51]])


def test_the_drawn_hand_has_dark_surroundings_and_five_fingers() -> None:
    film = hand(384, 288, 0)
    assert np.median(film) < 0.02
    across = film[int(0.33 * 384)] > 0.3  # a row through the four fingers' first phalanges
    assert np.count_nonzero(np.diff(across.astype(int)) == 1) == 4
    assert film.max() > 0.7
