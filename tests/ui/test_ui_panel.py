from __future__ import annotations

import itertools
import re

from medimg_core.types import Interval, OperatingPoint
from medimg_core.ui.panel import Figure, Figures, Panel, axis, html

POINTS = (OperatingPoint("rule_out", 0.12), OperatingPoint("balanced", 0.41), OperatingPoint("rule_in", 0.78))


def test_panel_has_the_order_of_the_design() -> None:
    panel = Panel(
        "evidence",
        "Signs of pneumonia.",
        "Above the balanced operating point.",
        Interval(0.84, 0.76, 0.9),
        "pneumonia",
        POINTS,
        "Of 100 such films",
        (("Prediction set", "**pneumonia** only."),),
    )
    page = html(panel)
    order = ["Signs of", "Above the", "84\u00a0%", "76\u2060–\u206090", "mi-axis", "Of 100", "<b>pneumonia</b> only."]
    places = [page.index(part) for part in order]
    assert places == sorted(places)
    assert "<div class='mi mi-answer evidence'>" in page


def test_text_cannot_become_markup() -> None:
    page = html(Panel("none", "<script>alert(1)</script>", rows=(("<b>", "a < b"),)))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "a &lt; b" in page


def test_a_panel_without_a_number_has_no_axis() -> None:
    assert "mi-axis" not in html(Panel("stop", "Not analysed."))


def test_axis_places_value_interval_and_points() -> None:
    drawn = axis(Interval(0.38, 0.27, 0.5), POINTS)
    assert "class='range' style='left:27.0%;width:23.0%'" in drawn
    assert "class='dot' style='left:38.0%'" in drawn
    assert [float(x) for x in re.findall(r"class='point' style='left:([\d.]+)%'", drawn)] == [12.0, 41.0, 78.0]
    assert "38%, 95 % interval 27% to 50%" in drawn


def test_names_of_near_points_do_not_write_over_each_other() -> None:
    near = (OperatingPoint("rule_out", 0.01), OperatingPoint("balanced", 0.05), OperatingPoint("rule_in", 0.07))
    places = [float(x) for x in re.findall(r"<em style='left:([\d.]+)%'>", axis(Interval(0.5, 0.4, 0.6), near))]
    assert len(places) == 3
    assert places[0] >= 7
    assert all(b - a >= 13 for a, b in itertools.pairwise(places))


def test_figures_carry_their_intervals() -> None:
    figures = Figures("Children · test set, n\u00a0624", (Figure("AUROC", Interval(0.97, 0.96, 0.98)),))
    page = html(Panel("none", "x", rows=(("Patients like this", figures),)))
    assert "<b>0.97</b><span>0.96\u2060–\u20600.98</span>" in page
    assert "n\u00a0624" in page
