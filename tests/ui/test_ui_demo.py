from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drawn_films import cut_off_film, dicom_film, write_demos
from medimg_core.ui import demo

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "demo_cases"


def test_titles_come_from_the_table_and_else_from_the_file(tmp_path: Path) -> None:
    write_demos(tmp_path)
    assert [(d.key, d.title, d.whole) for d in demo.demos(tmp_path)] == [
        ("1_opacity", "Opacity, right", True),
        ("2_clear", "2 clear", True),
    ]
    assert demo.demos(tmp_path / "nowhere") == ()
    assert demo.groups(demo.demos(tmp_path)) == ()
    assert demo.of_group(demo.demos(tmp_path), None) == demo.demos(tmp_path)


def test_the_table_sets_order_and_headings_and_joins_files(tmp_path: Path) -> None:
    for name in ("1_head", "2_eye_left", "2_eye_right", "3_found"):
        (tmp_path / f"{name}.dcm").write_bytes(dicom_film(synthetic=True))
    (tmp_path / "cases.toml").write_text(
        '[2_eye]\nfiles = ["2_eye_right.dcm", "2_eye_left.dcm"]\ntitle = "Both eyes"\ngroup = "Retina"\n'
        '[1_head]\ntitle = "Head"\ngroup = "Head CT"\n'
        '[4_absent]\ntitle = "No file"\ngroup = "Nothing"\n',
        encoding="utf-8",
    )
    cases = demo.demos(tmp_path)
    assert [d.title for d in cases] == ["Both eyes", "Head", "3 found"]
    assert demo.groups(cases) == ("Retina", "Head CT")
    assert [d.title for d in demo.of_group(cases, "Head CT")] == ["Head"]
    assert [d.title for d in demo.of_group(cases, "no such heading")] == ["Both eyes", "3 found"]
    assert len(demo.open_demo(cases[0]).study.images) == 2


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


def test_the_shipped_cases_open_and_are_marked_synthetic() -> None:
    cases = demo.demos(SHIPPED)
    readings = [(d, demo.open_demo(d)) for d in cases]
    assert sum(len(d.paths) for d in cases) == len(list(SHIPPED.glob("*.dcm")))
    assert all(image.synthetic for _, reading in readings for image in reading.study.images)
    assert all(len(reading.study.images) >= len(d.paths) for d, reading in readings if d.whole)  # a cine has frames
    assert all(reading.study.failures for d, reading in readings if not d.whole)
    assert not any(reading.study.failures for d, reading in readings if d.whole)


def test_the_shipped_cases_stand_under_headings_chest_films_first() -> None:
    cases = demo.demos(SHIPPED)
    headings = demo.groups(cases)
    assert headings[0] == "Chest film"
    assert len(headings) >= 7
    assert len(demo.of_group(cases, "Chest film")) == 8
    assert sum(len(demo.of_group(cases, heading)) for heading in headings) == len(cases)
