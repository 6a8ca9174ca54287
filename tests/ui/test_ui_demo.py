from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drawn_films import cut_off_film, dicom_film, write_demos
from medimg_core.ui import demo

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "demo_cases"


def test_titles_come_from_the_table_and_else_from_the_file(tmp_path: Path) -> None:
    write_demos(tmp_path)
    assert [(d.path.name, d.title, d.whole) for d in demo.demos(tmp_path)] == [
        ("1_opacity.dcm", "Opacity, right", True),
        ("2_clear.dcm", "2 clear", True),
    ]
    assert demo.demos(tmp_path / "nowhere") == ()


def test_thumbnail_keeps_the_shape_on_black(tmp_path: Path) -> None:
    film = tmp_path / "tall.dcm"
    film.write_bytes(dicom_film(size=(600, 300)))
    small = np.frombuffer(demo.thumbnail(film), np.uint8).reshape(demo.THUMB)
    lit = np.flatnonzero(small.max(axis=0) > 20)
    assert lit[0] == pytest.approx((demo.THUMB[1] - demo.THUMB[0] / 2) / 2, abs=1)
    assert lit.size == pytest.approx(demo.THUMB[0] / 2, abs=1)


def test_thumbnail_of_a_damaged_file_is_black(tmp_path: Path) -> None:
    film = tmp_path / "cut.dcm"
    film.write_bytes(cut_off_film())
    assert demo.thumbnail(film) == bytes(demo.THUMB[0] * demo.THUMB[1])


def test_at_least_six_shipped_films_open_and_are_marked_synthetic() -> None:
    readings = {d.title: (d, demo.open_demo(d)) for d in demo.demos(SHIPPED)}
    whole = [reading for d, reading in readings.values() if d.whole]
    assert len(whole) >= 6
    assert all(image.synthetic for reading in whole for image in reading.study.images)
    assert all(len(reading.study.images) == 1 for reading in whole)
    assert all(reading.study.failures for d, reading in readings.values() if not d.whole)
