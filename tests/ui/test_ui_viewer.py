"""What goes to the viewer's browser side and what comes back from it, without a browser."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from medimg_core.types import Image, Region, Spacing
from medimg_core.ui import drawn, pixels, tokens
from medimg_core.ui.tokens import Tokens
from medimg_core.ui.viewer_data import film, outlines, stack_films

SHAPE = (20, 30)
IMAGES = [Image(np.zeros(SHAPE, np.float32), "MONOCHROME2", "x")]
BOX: dict[str, Any] = {"kind": "box", "image": 0, "points": [[10, 12], [4, 18.5]]}
VIEW = {
    "image": 0,
    "centre": 40,
    "width": 400,
    "zoom": 2,
    "x": 0.5,
    "y": 0.25,
    "turn": 3,
    "flip": True,
    "inverted": False,
}


@pytest.fixture
def owner() -> Iterator[Tokens]:
    made = Tokens()
    yield made
    made.release()


def test_annotations_and_view_arrive_as_types() -> None:
    found = drawn.read({"marks": [BOX], "view": VIEW}, IMAGES)
    assert found.boxes == found.annotations == (drawn.Annotation("box", 0, ((10.0, 12.0), (4.0, 18.5))),)
    assert found.boxes[0].box == (4.0, 12.0, 10.0, 18.5)
    region = found.boxes[0].region("mine")
    assert (region.kind, region.label, region.box) == ("box", "mine", (4.0, 12.0, 10.0, 18.5))
    assert found.view == drawn.ViewState(0, 40.0, 400.0, 2.0, 0.5, 0.25, 3, True, False)


@pytest.mark.parametrize(
    "spoiled",
    [
        {"kind": "arrow"},
        {"image": 1},
        {"image": -1},
        {"image": 0.5},
        {"image": True},
        {"points": [[1, 2]]},
        {"points": [[1, 2], [3]]},
        {"points": [[1, 2], [31, 4]]},
        {"points": [[1, 2], [3, math.nan]]},
        {"points": [[1, 2], [3, "4"]]},
        {"points": "no"},
        {"kind": ["box"]},
    ],
)
def test_what_does_not_fit_the_images_is_left_out(spoiled: dict[str, Any]) -> None:
    assert drawn.read({"marks": [{**BOX, **spoiled}, BOX]}, IMAGES).annotations == (
        drawn.Annotation("box", 0, ((10.0, 12.0), (4.0, 18.5))),
    )


@pytest.mark.parametrize("told", [None, [], "x", {"marks": 3}, {"marks": [None, 4]}, {"view": {"image": 0}}])
def test_anything_may_come_from_a_browser(told: Any) -> None:
    assert drawn.read(told, IMAGES) == drawn.Viewed()


@pytest.mark.parametrize("spacing", [None, Spacing(0.0, 0.0, "PixelSpacing"), Spacing(0.5, 0.0, "PixelSpacing")])
def test_a_spacing_of_zero_is_none(owner: Tokens, spacing: Spacing | None) -> None:
    image = Image(np.zeros(SHAPE, np.float32), "MONOCHROME2", "x", spacing=spacing)
    entry = film(image, owner, pixels.encoding(image))
    assert (entry["mm"], entry["aspect"], entry["spacing"]) == (None, 1.0, "no pixel spacing")


def test_anisotropic_pixels_keep_their_proportions(owner: Tokens) -> None:
    image = Image(np.zeros(SHAPE, np.float32), "MONOCHROME2", "x", spacing=Spacing(1.2, 0.4, "ImagerPixelSpacing"))
    entry = film(image, owner, pixels.encoding(image))
    assert entry["aspect"] == pytest.approx(3.0)
    assert entry["source"] == "at the detector"


def test_slices_of_a_stack_have_tokens_of_their_own_that_die_with_the_case(owner: Tokens) -> None:
    images = [Image(np.full(SHAPE, i, np.float32), "MONOCHROME2", f"slice-{i}") for i in range(3)]
    urls = [entry["url"] for entry in stack_films(images, owner)]
    assert len(set(urls)) == 3
    served = [tokens.find(url.rsplit("/", 1)[1]) for url in urls]
    assert all(one is not None and len(one.make({})) == 20 * 30 * 2 for one in served)
    owner.release()
    assert all(tokens.find(url.rsplit("/", 1)[1]) is None for url in urls)


def area(points: list[list[float]]) -> float:
    x, y = np.array(points).T
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def test_outlines_of_boxes_polygons_and_masks() -> None:
    (box,) = outlines(Region("box", "a", 0.5, box=(1, 2, 5, 8)), 3)
    assert (box["image"], box["kind"], area(box["points"])) == (3, "box", 24.0)
    triangle = ((0.0, 0.0), (4.0, 0.0), (0.0, 3.0))
    (line,) = outlines(Region("outline", "a", 0.5, polygon=triangle), 0)
    assert area(line["points"]) == 6.0
    mask = np.zeros(SHAPE, bool)
    mask[2:10, 3:19] = mask[15:18, 1:5] = True
    mask[4:6, 5:9] = False
    lines = outlines(Region("mask", "a", 0.5, mask=mask), 0)
    assert [one["area"] for one in lines] == [16 * 8 - 8, 12]
    assert [area(one["points"]) for one in lines] == pytest.approx(
        [(16 - 1 / 3) * (8 - 1 / 3), (4 - 1 / 3) * (3 - 1 / 3)]
    )
    assert outlines(Region("point", "a", 0.5), 0) == []


def test_the_function_shows_a_study_beside_its_prior() -> None:
    def page() -> None:
        import numpy as np
        import streamlit as st

        from medimg_core.types import Image, Region, Series, Study
        from medimg_core.ui.viewer import Layer, viewer

        def study(count: int, name: str) -> Study:
            images = (Image(np.zeros((8, 9), np.float32), "MONOCHROME2", f"{name}{i}") for i in range(count))
            return Study((Series(tuple(images), "frames"),))

        found = Layer("cam", "x", np.zeros((2, 2), np.float32), None, 0.0, True, (2, 2))
        box = Region("box", "opacity", 0.5, box=(1, 1, 4, 4))
        st.text(repr(viewer(study(3, "now"), [found, box], key="a", prior=study(2, "prior"))))

    app = AppTest.from_function(page).run(timeout=30)
    assert not app.exception
    assert app.text[0].value == repr(drawn.Viewed())
