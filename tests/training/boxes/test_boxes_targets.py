from __future__ import annotations

import numpy as np
import pytest

from medimg_core.imaging import Geometry
from medimg_core.inference.boxes import BoxRule, found_boxes
from medimg_core.training.boxes.targets import targets_of
from medimg_core.types import FloatArray

BOXES = np.array([[20, 30, 44, 50], [70, 8, 82, 30], [10, 80, 19, 89]], np.float32)


def perfect(boxes: FloatArray, stride: int, side: int = 128) -> FloatArray:
    """The `places` of a network that says exactly what it was taught."""
    made = targets_of(boxes, (side // stride, side // stride), stride)
    heat = np.clip(made.heat, 1e-4, 1 - 1e-4)
    places = np.zeros((*heat.shape, 6), np.float32)
    places[..., 0], places[..., 1:5] = np.log(heat / (1 - heat)), made.sides
    return places


@pytest.mark.parametrize("stride", [4, 8])
def test_decoding_undoes_the_assignment(stride: int) -> None:
    geometry = Geometry.fit((128, 128), (128, 128), "squash")
    found, z = found_boxes(perfect(BOXES, stride), geometry, BoxRule(trust=0.0))
    order = np.lexsort((found[:, 0],))
    np.testing.assert_allclose(found[order], BOXES[np.argsort(BOXES[:, 0])], atol=0.02)
    assert (z > 5).all()


def test_decoding_undoes_the_assignment_through_a_letterbox() -> None:
    geometry = Geometry.fit((200, 100), (128, 128), "letterbox")
    source = np.array([[30, 40, 70, 90]], np.float32)
    from medimg_core.inference.boxes import to_model

    lowered = to_model(source, geometry).astype(np.float32)
    found, _ = found_boxes(perfect(lowered, 4), geometry, BoxRule(trust=0.0))
    np.testing.assert_allclose(found, source, atol=0.02)


def test_every_box_has_one_top_and_its_own_weight() -> None:
    made = targets_of(BOXES, (32, 32), 4)
    assert (made.heat == 1).sum() == len(BOXES)
    areas = np.prod(BOXES[:, 2:] - BOXES[:, :2], axis=1)
    assert made.weight.sum() == pytest.approx(np.log(areas).sum(), rel=1e-5)
    assert (made.sides[made.weight > 0] > 0).all()
    assert (made.sides[made.weight == 0] == 0).all()


def test_where_hills_meet_the_cell_answers_for_the_smaller_box() -> None:
    both = np.array([[28, 28, 36, 36], [0, 0, 64, 64]], np.float32)
    made = targets_of(both, (16, 16), 4)
    np.testing.assert_allclose(made.sides[8, 8], [6, 6, 2, 2])


def test_no_box_no_heat_and_ignored_places_do_not_count() -> None:
    none = np.zeros((0, 4), np.float32)
    made = targets_of(none, (16, 16), 4, ignored=np.array([[0, 0, 8, 8]], np.float32))
    assert not made.heat.any()
    assert not made.weight.any()
    assert made.counted[0, 0] == 0
    assert made.counted[8, 8] == 1
