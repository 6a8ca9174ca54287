"""The panel's words about a reader's measurements, against closed forms and numpy."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_core.types import Image, Spacing
from medimg_core.ui import measured
from medimg_core.ui.drawn import Annotation

RAMP = np.arange(40 * 60, dtype=np.float32).reshape(40, 60)
CT = Image(RAMP, "MONOCHROME2", "x", spacing=Spacing(0.5, 0.2, "PixelSpacing"), modality_units="HU", padding=615.0)


def drawn(kind: str, *points: tuple[float, float], image: int = 0) -> Annotation:
    return Annotation(kind, image, points)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (drawn("length", (10, 10), (25, 18)), "length **5 mm**"),  # 3 mm by 4 mm
        (drawn("angle", (10, 0), (0, 0), (10, 4)), "angle **45.0°**"),  # 2 mm by 2 mm
        (drawn("angle", (10, 0), (0, 0), (0, 4)), "angle **90.0°**"),
        (drawn("box", (30, 20), (10, 10)), "box **4 × 5 mm**"),
    ],
)
def test_lengths_and_angles_in_real_proportions(mark: Annotation, said: str) -> None:
    assert measured.sentence(mark, CT) == said


def test_ellipse_and_rectangle_against_numpy() -> None:
    y, x = np.mgrid[:40, :60] + 0.5
    round_ = (((x - 20) / 10) ** 2 + ((y - 15) / 5) ** 2 <= 1) & (RAMP != 615)
    ellipse, rectangle = drawn("ellipse", (10, 10), (30, 20)), drawn("rectangle", (10, 10), (30, 20))
    assert np.array_equal(measured.inside(ellipse, CT), RAMP[round_])
    assert measured.inside(rectangle, CT).size == 20 * 10 - 1
    mean, deviation = RAMP[round_].mean(), RAMP[round_].std()
    assert measured.sentence(ellipse, CT) == f"ellipse **15.7 mm²**, mean **{mean:.0f} HU**, SD {deviation:.0f}"
    assert measured.sentence(rectangle, CT).startswith("rectangle **20 mm²**")


@pytest.mark.parametrize("spacing", [None, Spacing(0.0, 0.0, "PixelSpacing")])
def test_without_a_spacing_pixels_are_the_unit(spacing: Spacing | None) -> None:
    film = Image(RAMP, "MONOCHROME2", "x", spacing=spacing)
    assert measured.sentence(drawn("length", (0, 0), (3, 4)), film) == "length **5 px**"


def test_where_the_spacing_is_that_of_the_detector_it_is_said() -> None:
    film = Image(RAMP, "MONOCHROME2", "x", spacing=Spacing(1.0, 1.0, "ImagerPixelSpacing"))
    assert measured.sentence(drawn("length", (0, 0), (3, 4)), film) == "length **5 mm** (at the detector)"


def test_only_what_was_drawn_on_the_image_and_the_first_few() -> None:
    marks = [drawn("length", (0, 0), (3, 4 + i)) for i in range(8)] + [drawn("box", (0, 0), (1, 1), image=1)]
    said = measured.line(marks, [CT, CT], 0)
    assert said.count("length") == 6
    assert said.endswith("; 2 more on the image")
    assert measured.line(marks, [CT, CT], 1).startswith("box")
    assert measured.line([], [CT], 0) == ""
