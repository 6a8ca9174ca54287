"""What the viewer is told about real series: order, distances, millimetres, time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medimg_core.io import read_study
from medimg_core.types import Series
from medimg_core.ui.tokens import Tokens
from medimg_core.ui.viewer_data import stack_films

pytestmark = [pytest.mark.shared, pytest.mark.slow]


@pytest.fixture
def owner() -> Iterator[Tokens]:
    made = Tokens()
    yield made
    made.release()


def read(folder: Path) -> Series:
    study = read_study([(path.name, path.read_bytes()) for path in sorted(folder.glob("*.dcm"))])[0]
    (series,) = study.series
    return series


@pytest.mark.parametrize(
    ("folder", "count", "distance", "column_mm"),
    [
        ("lung_ct_dicom_series/ct_a", 24, 4.0, 1.367),
        ("lung_ct_dicom_series/ct_b", 20, 1.6, 0.645),  # feet first
        ("dicom_series/mr_liver", 18, 8.75, 1.5625),
    ],
)
def test_slices_in_order_of_their_place(
    shared: Path, owner: Tokens, folder: str, count: int, distance: float, column_mm: float
) -> None:
    series = read(shared / "data" / folder)
    films: list[dict[str, Any]] = stack_films(series.images, owner)
    places = [film["at"] for film in films]
    assert len(films) == count
    assert np.allclose(np.diff(places), distance, atol=0.01)
    assert films[0]["mm"][1] == pytest.approx(column_mm, rel=1e-2)
    assert len({(film["kind"], film["slope"], film["intercept"]) for film in films}) == 1  # one table of greys


def test_the_windows_of_ct_are_offered_once(shared: Path, owner: Tokens) -> None:
    films = stack_films(read(shared / "data" / "lung_ct_dicom_series" / "ct_a").images, owner)
    assert [preset["title"] for preset in films[0]["presets"]] == [
        "Default",
        "Lung",
        "Mediastinum",
        "Bone",
        "Brain",
        "Auto",
    ]
    assert all(film["presets"] is None for film in films[1:])


@pytest.mark.parametrize(("folder", "count"), [("us_echo_cine", 14), ("us_echo_cine_small", 30)])
def test_a_cine_has_frames_and_their_time(shared: Path, owner: Tokens, folder: str, count: int) -> None:
    series = read(shared / "data" / "dicom_series" / folder)
    films = stack_films(series.images, owner)
    assert (series.kind, len(films)) == ("frames", count)
    assert series.images[0].frame_ms == pytest.approx(33.3, abs=1)
    assert {(film["kind"], film["at"]) for film in films} == {("rgb", None)}
    # The small one's calibration speaks of a box that leaves the image: no millimetres then.
    assert (films[0]["mm"] is None) == (folder == "us_echo_cine_small")


def test_a_spacing_of_zero_offers_no_millimetres(shared: Path, owner: Tokens) -> None:
    path = shared / "data" / "dicom_series" / "cr_chest" / "half_lossless_jls.dcm"
    study = read_study([(path.name, path.read_bytes())])[0]
    (film,) = stack_films(study.images, owner)
    assert (film["mm"], film["spacing"]) == (None, "no pixel spacing")
