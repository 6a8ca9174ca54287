"""From logits to regions and measurements: drawn logits whose outlines are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medimg_core.catalog import PlacesCard, Structure
from medimg_core.errors import BadRequest
from medimg_core.imaging import Geometry
from medimg_core.inference.places import LEAST, _averaged, _window, expected_dice, find, measured, sigmoid
from medimg_core.inference.runtime import Forward
from medimg_core.types import FloatArray, Image, InputSpec, Region, Spacing

SPEC = InputSpec(64, 64)


def card(*structures: Structure, **fields: object) -> PlacesCard:
    return PlacesCard("outline", "model", SPEC, structures, **fields)  # type: ignore[arg-type]


def forward(*layers: FloatArray) -> Forward:
    return Forward(np.zeros(0, np.float32), np.zeros((4, 4, 1), np.float32), np.stack(layers, axis=-1))


def disc(row: float, column: float, radius: float, height: float = 6.0, side: int = 32) -> FloatArray:
    """Logits on the network's grid: `height` in the middle, falling by 2 a cell, zero on the rim."""
    y, x = np.mgrid[:side, :side] + 0.5
    return np.clip(2 * (radius - np.hypot(y - row, x - column)), -8, height).astype(np.float32)


WHOLE = Geometry.fit((128, 256), (64, 64), "squash")


def picture(spacing: Spacing | None = None, shape: tuple[int, int] = (128, 256)) -> Image:
    return Image(np.zeros(shape, np.float32), "MONOCHROME2", "d", spacing=spacing)


def test_a_disc_on_the_grid_is_an_ellipse_on_a_wide_picture() -> None:
    (region,) = find(forward(disc(16, 16, 8)), card(Structure("a", "A")), WHOLE)
    assert region.mask is not None
    assert region.mask.shape == (128, 256)
    # A cell is 4 rows high and 8 columns wide.
    assert region.mask.sum() == pytest.approx(np.pi * 32 * 64, rel=0.02)
    assert region.box == pytest.approx((64, 32, 192, 96), abs=3)
    assert len(region.polygon) > 10


def test_nothing_above_the_threshold_is_no_region() -> None:
    assert find(forward(np.full((32, 32), -3.0, np.float32)), card(Structure("a", "A")), WHOLE) == ()


def test_the_threshold_is_a_probability() -> None:
    areas = []
    for threshold in (0.2, 0.5, 0.9):
        (region,) = find(forward(disc(16, 16, 8)), card(Structure("a", "A", threshold=threshold)), WHOLE)
        assert region.mask is not None
        areas.append(int(region.mask.sum()))
    assert areas[0] > areas[1] > areas[2]


def test_specks_and_second_parts_go_where_the_card_says_so() -> None:
    two = np.maximum(disc(16, 8, 5), disc(16, 26, 2.5))
    counts = []
    for structure in (Structure("a", "A"), Structure("a", "A", single=True), Structure("a", "A", smallest=0.05)):
        (region,) = find(forward(two), card(structure), WHOLE)
        assert region.mask is not None
        counts.append(int(region.mask[:, 180:].sum()))
    assert counts[0] > 0
    assert counts[1:] == [0, 0]


def test_a_pixel_belongs_to_the_likelier_of_two_that_exclude_each_other() -> None:
    both = forward(disc(16, 12, 8), disc(16, 20, 8))
    parts = (Structure("a", "A"), Structure("b", "B"), Structure("all", "Both", of=("a", "b")))
    loose, tight = (find(both, card(*parts, exclusive=exclusive), WHOLE) for exclusive in (False, True))
    masks = [{r.label: r.mask for r in found} for found in (loose, tight)]
    assert (masks[0]["a"] & masks[0]["b"]).any()  # type: ignore[operator]
    # Where both are at their highest neither is likelier: the rest is divided.
    shared = masks[1]["a"] & masks[1]["b"]  # type: ignore[operator]
    assert shared.sum() < (masks[0]["a"] & masks[0]["b"]).sum() / 2  # type: ignore[operator]
    assert ((masks[1]["a"] | masks[1]["b"]) == masks[1]["all"]).all()  # type: ignore[operator]


def test_a_union_may_stand_before_its_parts() -> None:
    parts = (Structure("all", "Both", of=("a", "b")), Structure("a", "A"), Structure("b", "B"))
    found = find(forward(disc(16, 8, 5), disc(16, 24, 5)), card(*parts), WHOLE)
    assert [r.label for r in found] == ["all", "a", "b"]


def test_an_ellipse_closes_a_dent() -> None:
    dented = disc(16, 16, 9)
    dented[14:18, 20:] = -8
    plain, fitted = (
        find(forward(dented), card(Structure("a", "A", ellipse=ellipse)), WHOLE)[0].mask for ellipse in (False, True)
    )
    assert plain is not None
    assert fitted is not None
    assert not plain[64, 190]
    assert fitted[64, 180]


def test_outside_the_window_nothing_was_looked_at() -> None:
    geometry = Geometry.part((128, 256), (64, 64), (-10, 40, 64, 64))
    (region,) = find(forward(np.full((32, 32), 5.0, np.float32)), card(Structure("a", "A")), geometry)
    assert region.mask is not None
    assert region.box == (40, 0, 104, 54)
    assert region.mask.sum() == 54 * 64


def test_quality_is_a_line_of_the_dice_that_the_network_expects() -> None:
    chance = np.zeros((20, 20), np.float32)
    chance[5:15, 5:15] = 0.8
    chance[0, 0] = 0.05  # far away and small: not its own
    assert expected_dice(chance, chance > 0.5) == pytest.approx(2 * 80 / (80 + 100))
    assert expected_dice(np.zeros((3, 3), np.float32), np.zeros((3, 3), np.bool_)) == 0
    plain, fitted = (
        find(forward(disc(16, 16, 8)), card(Structure("a", "A", quality=quality)), WHOLE)[0].score
        for quality in ((0.0, 1.0), (-0.5, 1.5))
    )
    assert fitted == pytest.approx(1.5 * plain - 0.5)


def test_an_image_and_its_mirror_image_are_averaged() -> None:
    one, other = forward(disc(16, 10, 6)), forward(disc(16, 10, 6)[:, ::-1])
    assert np.allclose(_averaged(one, other, card()), one.places)  # type: ignore[arg-type]
    assert _averaged(replace(one, places=None), other, card()) is None


def test_an_outline_that_is_expected_to_be_wrong_is_shown_and_not_measured() -> None:
    mask = np.zeros((128, 256), np.bool_)
    mask[10:50, 20:60] = True
    for score, count in ((LEAST, 3), (LEAST - 0.01, 0)):
        region = Region("outline", "lesion", score, mask=mask)
        assert len(measured([region], picture(Spacing(0.5, 0.5, "typed")), card(measure="lesion"))) == count
    assert measured([], picture(), card()) == ()


ROUND_A_BOX = card(Structure("a", "A"), window_mm=32.0)


def test_the_window_is_a_square_in_millimetres_round_the_box() -> None:
    image = picture(Spacing(0.5, 0.8, "PixelSpacing"))
    assert _window(image, ROUND_A_BOX, (90, 50, 110, 70)) == (28, 80, 64, 40)
    # Without spacing it is as large as the box asks for.
    assert _window(picture(), ROUND_A_BOX, (90, 50, 110, 70)) == (35, 75, 50, 50)
    # A small picture is taken round its middle.
    assert _window(picture(Spacing(0.5, 0.5, "typed"), (80, 90)), ROUND_A_BOX, None) == (8, 13, 64, 64)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((300, 10, 320, 30), "outside the image, which has 256 columns and 128 rows."),
        ((-20, -20, -5, -5), "outside the image"),
        ((255.5, 10, 300, 30), "outside the image"),  # half a pixel of it lies inside
        ((10, 10, 10, 30), "The box is empty: it is less than a pixel wide or high."),
        ((40, 10, 20, 30), "The box is empty"),
    ],
)
def test_a_box_outside_the_image_is_a_sentence(box: tuple[float, float, float, float], said: str) -> None:
    with pytest.raises(BadRequest, match=said) as raised:
        _window(picture(), ROUND_A_BOX, box)
    assert raised.value.remedy.startswith("Draw it round what should be outlined, or give x0,y0,x1,y1")


def test_of_a_box_that_reaches_beyond_the_image_the_part_inside_counts() -> None:
    image = picture(Spacing(1.0, 1.0, "typed"))
    assert _window(image, ROUND_A_BOX, (-40, -10, 20, 30)) == _window(image, ROUND_A_BOX, (0, 0, 20, 30))


def test_a_large_picture_needs_a_box() -> None:
    for image in (picture(), picture(Spacing(1.0, 1.0, "PixelSpacing"), (512, 512))):
        with pytest.raises(BadRequest, match="no box was given"):
            _window(image, ROUND_A_BOX, None)


def test_sigmoid_of_the_extremes_is_finite() -> None:
    assert sigmoid(np.array([-1e9, 0, 1e9], np.float32)).tolist() == pytest.approx([0, 0.5, 1], abs=1e-6)
