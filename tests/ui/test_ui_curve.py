"""The area curve of a clip as HTML."""

from __future__ import annotations

import math

from medimg_core.inference.measures import Phases
from medimg_core.ui.curve import html


def test_the_curve_names_its_phases_and_its_unit() -> None:
    page = html([3.0, 2.0, 1.0, 2.0, 3.0], Phases(0, 2), "cm²", 10.0)
    assert "ED, frame 1" in page
    assert "ES, frame 3" in page
    assert "30 cm²" in page
    assert page.count("class='line'") == 1


def test_names_of_near_frames_keep_clear_of_each_other() -> None:
    areas = [5.0] * 31
    page = html(areas, Phases(1, 9), "cm²", 1.0)
    assert "<em class='l' style='left:3.33%'>ED" in page
    assert "<em class='l' style='left:30.00%'>ES" in page
    page = html(areas, Phases(12, 21), "cm²", 1.0)
    assert "<em class='r' style='left:40.00%'>ED" in page
    assert "<em class='l' style='left:70.00%'>ES" in page
    page = html(areas, Phases(6, 20), "cm²", 1.0)
    assert page.count("<em class='c'") == 2


def test_gaps_stay_and_nothing_is_drawn_of_nothing() -> None:
    page = html([3.0, 2.0, math.nan, 2.0, 3.0], None, "px²", 1.0)
    assert page.count("class='line'") == 2
    assert "ED" not in page
    assert html([math.nan, 2.0], None, "px²", 1.0) == ""
