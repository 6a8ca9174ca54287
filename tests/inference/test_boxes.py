from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medimg_core.catalog import PlacesCard, Structure
from medimg_core.imaging import Geometry
from medimg_core.inference.boxes import (
    MOST,
    BoxRule,
    chance,
    find_boxes,
    found_boxes,
    mean_places,
    mirrored,
    regions,
    suppress,
    to_model,
    to_source,
)
from medimg_core.types import InputSpec

SQUASH = Geometry.fit((64, 64), (64, 64), "squash")


def empty(cells: int = 16) -> np.ndarray:
    places = np.zeros((cells, cells, 6), np.float32)
    places[..., 0] = -9
    return places


def with_cell(row: int, column: int, logit: float, sides: tuple[float, ...]) -> np.ndarray:
    places = empty()
    places[row, column] = (logit, *sides, 0)
    return places


@pytest.mark.parametrize("fit", ["squash", "letterbox", "crop"])
def test_boxes_come_back_from_the_grid(fit: str) -> None:
    geometry = Geometry.fit((313, 211), (384, 320), fit)  # type: ignore[arg-type]
    boxes = np.array([[0, 0, 211, 313], [10.5, 20.25, 40, 33]])
    np.testing.assert_allclose(to_source(to_model(boxes, geometry), geometry), boxes, atol=1e-9)
    if fit == "squash":
        np.testing.assert_allclose(to_model(boxes[:1], geometry), [[0, 0, 320, 384]], atol=1e-9)


def test_a_cell_tells_a_box_round_its_centre() -> None:
    found, z = found_boxes(with_cell(3, 5, 2.0, (4, 6, 8, 10)), SQUASH, BoxRule(trust=0.0))
    np.testing.assert_allclose(found, [[18, 8, 30, 24]])
    np.testing.assert_allclose(z, [2.0])


def test_trust_weighs_heat_and_expected_overlap() -> None:
    places = with_cell(3, 5, 2.0, (4, 6, 8, 10))
    places[3, 5, 5] = -1.0
    _, z = found_boxes(places, SQUASH, BoxRule(trust=0.5))
    heat, overlap = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(1.0))
    raw = np.sqrt(heat * overlap)
    np.testing.assert_allclose(z, [np.log(raw / (1 - raw))], rtol=1e-6)


def test_boxes_are_cut_to_the_picture_and_left_out_beyond_it() -> None:
    geometry = Geometry.fit((64, 32), (64, 64), "letterbox")  # the film fills columns 16 to 48
    places = with_cell(0, 4, 2.0, (9, 9, 9, 9))
    places[8, 0] = (3.0, 2, 2, 2, 2, 0)
    found, _ = found_boxes(places, geometry, BoxRule(trust=0.0))
    np.testing.assert_allclose(found, [[0, 0, 11, 11]])


def test_nothing_is_found_where_nothing_is_hot() -> None:
    boxes, z = found_boxes(empty(), SQUASH, BoxRule(trust=0.0))
    assert boxes.shape == (0, 4)
    assert z.shape == (0,)
    assert regions(empty(), SQUASH, BoxRule(trust=0.0)) == ()


def test_doubles_are_dropped_and_neighbours_kept() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [8, 0, 18, 10]], np.float64)
    z = np.array([3.0, 2.0, 1.0, 0.0])
    kept, left = suppress(boxes, z, 0.5)
    np.testing.assert_array_equal(kept, boxes[[0, 2, 3]])
    np.testing.assert_array_equal(left, [3.0, 1.0, 0.0])


def test_a_vote_moves_the_kept_box_towards_the_dropped_one() -> None:
    boxes, z = np.array([[0, 0, 10, 10], [2, 0, 12, 10]], np.float64), np.array([0.0, 0.0])
    kept, _ = suppress(boxes, z, 0.5, vote=0.6)
    np.testing.assert_allclose(kept, [[1, 0, 11, 10]])


def test_the_mirror_of_a_mirror_is_the_film() -> None:
    places = with_cell(3, 5, 2.0, (4, 6, 8, 10))
    np.testing.assert_array_equal(mirrored(mirrored(places)), places)
    found, _ = found_boxes(mirrored(places), SQUASH, BoxRule(trust=0.0))
    np.testing.assert_allclose(found, [[64 - 30, 8, 64 - 18, 24]])
    np.testing.assert_array_equal(mean_places(places, places), places)


def test_chances_follow_score_calibration_and_classifier() -> None:
    rule = BoxRule(slope=2.0, shift=-1.0)
    np.testing.assert_allclose(chance([0.5], rule), [0.5])
    joined = BoxRule(slope=1.0, shift=0.0, image=0.5)
    np.testing.assert_allclose(chance([0.0], joined, 0.8), [2 / 3])
    with pytest.raises(ValueError, match="classifier"):
        chance([0.0], joined)


def test_a_card_gives_label_calibration_and_threshold() -> None:
    card = PlacesCard(
        kind="boxes",
        network="boxes",
        input=InputSpec(64, 64),
        structures=(Structure("fracture", "Fracture", threshold=0.4, quality=(-1.0, 0.5)),),
    )
    places = with_cell(3, 5, 4.0, (4, 6, 8, 10))
    places[3, 5, 5] = 4.0
    places[12, 12] = (1.0, 4, 4, 4, 4, 1.0)
    (region,) = find_boxes(places, card, SQUASH)
    assert region.kind == "box"
    assert region.label == "fracture"
    assert region.box == (18, 8, 30, 24)
    assert region.score == pytest.approx(1 / (1 + np.exp(-1.0)))
    joined = replace(card, answer_weight=1.0)
    region, _ = find_boxes(places, joined, SQUASH, 1 / (1 + np.exp(-1.0)))
    assert region.score == pytest.approx(1 / (1 + np.exp(-1.5)))


def test_no_film_gets_more_boxes_than_can_be_looked_at() -> None:
    places = empty(32)
    places[..., 0], places[..., 1:5] = 1.0, 1.0
    found, z = found_boxes(places, Geometry.fit((128, 128), (128, 128), "squash"), BoxRule(trust=0.0))
    assert len(found) == MOST
    assert (np.diff(z) <= 0).all()
