"""Boxes beside an answer: their chance, the mark of their own, what a reader moves or removes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace

import pydicom
import pytest
from streamlit.testing.v1 import AppTest
from test_ui_pages import diagnosis, start, text, viewers

from drawn_films import dicom_film
from medimg_core.catalog import read_card
from medimg_core.inference.places import Box
from medimg_core.types import Region
from medimg_core.ui import corrected, findings, regions, saving
from medimg_core.ui.panel import rows_html
from medimg_core.ui.session import Workspace
from medimg_core.workflows.find import Found, correct, find, without
from model_folder import BOXES, TINY_BOXES, synthetic_film

FILM = synthetic_film(3, 0.4)
SURE, UNSURE = (
    Region("box", "lesion", 0.62, box=(20.0, 30.0, 60.0, 70.0)),
    Region("box", "lesion", 0.07, box=(100.5, 30.25, 120.0, 50.0)),
)


@pytest.fixture(params=["children", "adults_pa"])
def population(request: pytest.FixtureRequest) -> str:
    """One in which the boxes are fit for use and one in which they are not; the answer is in both."""
    return str(request.param)


def boxed(population: str = "children", *boxes: Region) -> Found:
    """What the small model finds, with boxes that are known."""
    found = find(FILM, read_card(TINY_BOXES), population)
    assert found.population.fit_for_use
    return replace(found, prediction=replace(found.prediction, regions=boxes or (SURE, UNSURE)))


def told(*boxes: Box) -> dict[str, object]:
    rings = [[[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]] for x0, y0, x1, y1 in boxes]
    listed = [{"kind": "box", "rings": ring} for ring in rings]
    return {"image": 0, "model": "tiny_boxes", "structure": "lesion", "regions": listed}


def read(found: Found, *boxes: Box) -> tuple[Region, ...]:
    said = corrected.read(told(*boxes), [FILM], {"tiny_boxes": found})
    assert said is not None
    return said[2]


def lines(found: Found) -> Sequence[tuple[str, str]]:
    return [(line["words"], line["colour"]) for line in regions.lines(found, 0)]


def row(found: Found, name: str) -> str:
    said = rows_html(tuple(one for one in findings.short_rows(found) if one[0] == name))
    return said.replace("\u00a0", " ").replace("\u2060", "")


def test_every_box_has_its_number_and_chance_and_grey_ones_say_why(population: str) -> None:
    found = boxed(population)
    mark = "" if found.fit_for_use else ", not fit for use"
    assert [words.replace("\u00a0", " ") for words, _ in lines(found)] == [
        f"1 Lesion 62 %{mark}",
        f"2 Lesion 7 %{mark}",
    ]
    grey = {colour == "#9EA4A9" for _, colour in lines(found)}
    assert grey == {not found.fit_for_use}
    assert [words.replace("\u00a0", " ") for words, _ in lines(boxed(population, SURE))] == [f"Lesion 62 %{mark}"]
    assert (regions.legend([found])[0]["colour"] == "#9EA4A9") is not found.fit_for_use


def test_the_panel_quotes_figures_or_says_that_they_are_too_low(population: str) -> None:
    found = boxed(population)
    assert found.figures is not None
    ap50 = found.figures.metrics["ap50"]
    name = "Boxes" if found.fit_for_use else "Each box"
    assert ("<b>62 %</b>" in row(found, name)) is found.fit_for_use
    assert "62 %" in row(found, name)
    if found.fit_for_use:
        assert f"AP50 {ap50.value:.2f} ({ap50.low:.2f}–{ap50.high:.2f})" in row(found, "Boxes")
        assert "have a box at 0.5 false boxes an image" in row(found, "Boxes")
        assert not findings.summary(found).startswith("not fit")
    else:
        assert "Not fit for use" not in row(found, "Each box")
        assert "do not rely on these boxes." in row(found, "Boxes")
        assert f"AP50 {ap50.value:.2f}" in row(found, "Boxes")
        assert "below the floor of 0.40" in row(found, "Boxes")
        assert findings.summary(found).startswith("not fit for use: two boxes")


def test_what_was_not_measured_is_not_fit() -> None:
    card = read_card(TINY_BOXES)
    assert card.places is not None
    unknown = replace(card, places=replace(card.places, fit_for_use={}))
    found = find(FILM, unknown, "adults_ap")
    assert not found.fit_for_use
    assert "They were not measured in these patients." in row(found, "Boxes")


def test_a_moved_box_is_the_readers_and_the_other_stays_the_models() -> None:
    found = boxed()
    moved = (25.0, 30.0, 65.0, 70.0)
    left = read(found, moved, (100.5, 30.25, 120.004, 50.0))
    assert left[1] is UNSURE
    after = correct(found, {"lesion": left})
    assert [words.replace("\u00a0", " ") for words, _ in lines(after)] == ["1 Lesion, corrected by you", "2 Lesion 7 %"]
    assert [line["by"] for line in regions.lines(after, 0)] == ["reader", "model"]
    assert [line["score"] for line in regions.lines(after, 0)] == [None, 0.07]
    assert after.removed == (SURE,)
    assert "by you" in row(after, "Boxes")
    assert "own one box removed or moved" in row(after, "Boxes")
    # A second correction begins with what is shown, not with what the model said.
    assert read(after, moved, UNSURE.box or moved) == left


def test_the_readers_box_is_not_grey_where_the_models_are() -> None:
    found = boxed("adults_pa")
    after = correct(found, {"lesion": read(found, (25.0, 30.0, 65.0, 70.0), UNSURE.box or (0, 0, 1, 1))})
    (own, model) = lines(after)
    assert own == ("1 Lesion, corrected by you", regions.COLOURS[0])
    assert model[1] == "#9EA4A9"


def test_a_likely_box_beside_an_answer_that_sees_nothing_is_a_doubt(population: str) -> None:
    clear = find(synthetic_film(4, 0.0), read_card(TINY_BOXES), population)
    assert clear.prediction.decision == "normal"
    with_box = [replace(clear, prediction=replace(clear.prediction, regions=(box,))) for box in (SURE, UNSURE)]
    said = [findings.disagreement(one) for one in with_box]
    assert ("likelier a lesion than not" in said[0]) is clear.fit_for_use
    assert said[1] == ""
    assert findings.disagreement(boxed(population)) == ""


def test_boxes_are_removed_one_by_one_and_come_back() -> None:
    found = boxed()
    one = correct(found, {"lesion": without(found, SURE)})
    assert one.shown == (UNSURE,)
    none = correct(found, {"lesion": without(one, UNSURE)})
    assert none.shown == ()
    assert none.removed == (SURE, UNSURE)
    assert "No lesion was boxed." in row(none, "Boxes")
    assert [entry["state"] for entry in regions.legend([none])] == ["missing"]
    assert correct(none, {}).shown == (SURE, UNSURE)


def test_a_line_drawn_by_hand_becomes_a_box() -> None:
    drawn = told() | {"regions": [{"kind": "outline", "rings": [[[10, 10], [40, 12], [38, 30], [12, 28]]]}]}
    said = corrected.read(drawn, [FILM], {"tiny_boxes": boxed()})
    assert said is not None
    (region,) = said[2]
    assert (region.kind, region.box, region.mask) == ("box", (10.0, 10.0, 40.0, 30.0), None)


def test_exports_say_what_was_removed_and_what_is_not_fit(population: str) -> None:
    found = boxed(population)
    after = correct(found, {"lesion": without(found, SURE)})
    space = Workspace()
    saving.row([after], space)
    (key,) = space.saves
    table = list(csv.DictReader(io.StringIO(saving.make("csv", key, space, {}).decode())))
    assert [(line["by"], line["score"]) for line in table if line["row_type"] == "region"] == [
        ("model", "0.07"),
        ("model, removed by reader", "0.62"),
    ]
    assert ("not fit for use" in table[0]["note"]) is not found.fit_for_use
    seg = pydicom.dcmread(io.BytesIO(saving.make("seg", key, space, {})))
    (segment,) = seg.SegmentSequence
    assert segment.SegmentDescription == ("box" if found.fit_for_use else "box, not fit for use")
    space.close()


# ---- pages ------------------------------------------------------------------------------------------------------
@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    return start(monkeypatch, BOXES)


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label.startswith(label)).click().run()


def test_a_box_is_removed_on_the_page_and_brought_back(app: AppTest) -> None:
    diagnosis(app, dicom_film(3, 0.4))
    assert "Chance that it is true" in text(app)
    (viewer,) = viewers(app)
    count = len(viewer["regions"])
    assert count
    for _ in range(count):
        press(app, "Remove")
    assert "No lesion was boxed." in text(app)
    assert viewers(app)[0]["regions"] == []
    press(app, "Reset to the model’s boxes")
    assert len(viewers(app)[0]["regions"]) == count


def test_boxes_that_are_not_fit_are_grey_beside_an_answer_that_is(app: AppTest) -> None:
    diagnosis(app, dicom_film(3, 0.4, age="040Y", view="PA"))
    page = text(app)
    assert "probability of pneumonia" in page
    assert "do not rely on these boxes" in page
    (viewer,) = viewers(app)
    assert {line["colour"] for line in viewer["regions"]} == {"#9EA4A9"}


def test_the_card_has_both_marks(app: AppTest) -> None:
    app.switch_page("pages/model_cards.py").run()
    page = text(app)
    assert "fit for use in 2 of 3 populations; boxes fit for use in 1 of 3 populations" in page
    app.radio[0].set_value("tiny_boxes").run()
    page = text(app)
    assert "AP at half overlap" in page
    assert "Sensitivity at 0.5 false boxes an image" in page
    assert "of 100 findings a box is shown on" in page
