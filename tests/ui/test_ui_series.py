"""The answer for a series on the pages: its words, the slices that counted, what stops it, what is asked once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from series_folder import UPSIDE_DOWN, drawn_stack, series_model, slice_file
from streamlit.testing.v1 import AppTest
from test_ui_pages import start, text, upload, viewers

from medimg_core.catalog import ModelCard
from medimg_core.inference import series as asking
from medimg_core.types import GateVerdict, Image, Interval, OperatingPoint, PatientHeader, Prediction, Series, Study
from medimg_core.ui import drawn, outlined, panel, series_words, session, study
from medimg_core.ui.jobs import Jobs
from medimg_core.ui.session import Case
from medimg_core.ui.staged import Staged
from medimg_core.workflows.series import RankedSlice, SeriesDiagnosis, SeriesFigures, describe

AUROC = Interval(0.9, 0.8, 0.97, 16)
FIGURES = SeriesFigures(
    "Drawn series", 16, 7, {"auroc": AUROC}, Interval(0.95, 0.85, 0.99, 16), Interval(-0.05, -0.1, 0.0, 16), 0.04
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return series_model(tmp_path_factory.mktemp("series") / "tiny_model")


def found(card: ModelCard, p: float, inside: tuple[str, ...], **changed: Any) -> SeriesDiagnosis:
    """A made answer to four slices, of which the third was refused."""
    said = Prediction(
        card.ref,
        {"normal": 1 - p, "pneumonia": p},
        GateVerdict(True, (), "series"),
        decision="pneumonia" if p >= 0.5 else "normal",
        positive="pneumonia",
        interval=Interval(p, p - 0.1, p + 0.1),
        operating_point=OperatingPoint("balanced", 0.5),
        prediction_set=inside,
    )
    answer = asking.SeriesAnswer(said, (0.1, 0.6, float("nan"), 0.3), (said, said, None, said), (0, 1, 3), ())
    return replace(describe(answer, card), figures=FIGURES, **changed)


def said(found: SeriesDiagnosis) -> str:
    told = panel.html(series_words.panel(found, (0.0, 5.0, 10.0, -15.0)))
    return told.replace("\u00a0", " ").replace("\u2060", "")


# ---- words ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("p", "inside", "sentence", "below"),
    [
        (0.8, ("pneumonia",), "Signs of pneumonia in this series.", "Above the operating point (50 %)."),
        (0.2, ("normal",), "No sign of pneumonia in this series; other findings", "Below the operating point"),
        (0.6, ("normal", "pneumonia"), "Undecided: this series fits pneumonia and no pneumonia", "Read it without"),
        (0.6, (), "Undecided: this series is unlike series with and without pneumonia.", "Above the operating"),
    ],
)
def test_the_sentence_of_a_series(
    model: ModelCard, p: float, inside: tuple[str, ...], sentence: str, below: str
) -> None:
    told = said(found(model, p, inside))
    assert sentence in told
    assert below in told
    assert f"Of 100 such series with this score, about {100 * p:.0f} have pneumonia, at a prevalence of 50 %." in told
    assert f"95 % interval {100 * p - 10:.0f}–{100 * p + 10:.0f} %" in told


def test_an_unfit_answer_gives_no_hundred(model: ModelCard) -> None:
    told = said(found(model, 0.8, ("pneumonia",), state="unfit"))
    assert "Not fit for use on series; do not rely on this result." in told
    assert "Of 100 such" not in told


def test_the_heaviest_slices_are_links_with_place_weight_and_own_probability(model: ModelCard) -> None:
    told = said(found(model, 0.8, ("pneumonia",)))
    assert "<tr><td><a href='#slice-2' aria-label='Show slice 2 on the stage'>2</a></td><td class=n>5.0 mm</td>" in told
    assert "<td class=n><b>60 %</b></td><td class=n>80 % (70–90)</td>" in told
    assert "−15.0 mm" in told
    assert "#slice-1'" not in told  # 60 and 30 % hold 80 already
    assert "Two slices of 3 hold 90 % of the weight." in told
    assert "nearly alike" not in told
    even = tuple(RankedSlice(i, 1 / 30, None, None) for i in range(30))
    alike = panel.html(series_words.panel(found(model, 0.8, ("pneumonia",), slices=even), (None,) * 30))
    assert "Six slices of 30 hold 20\u00a0% of the weight. All count nearly alike." in alike
    without = panel.html(series_words.panel(found(model, 0.8, ("pneumonia",)), (None,) * 4))
    assert "mm</td>" not in without


def test_what_was_measured_stands_with_its_number_and_against_the_highest_slice(model: ModelCard) -> None:
    told = said(found(model, 0.8, ("pneumonia",)))
    assert "Drawn series, n 16, 7 with pneumonia" in told
    assert "The highest slice alone: AUROC 0.95 (0.85–0.99)." in told
    assert "Paired difference −0.05 (−0.10–0.00), p 0.04: within chance." in told
    worse = replace(FIGURES, difference=Interval(-0.05, -0.1, -0.01, 16))
    assert series_words.against_maximum(worse).endswith("worse.")
    better = replace(FIGURES, difference=Interval(0.05, 0.01, 0.1, 16))
    assert "+0.05" in series_words.against_maximum(better)
    assert series_words.against_maximum(better).endswith("better.")


def test_a_refusal_says_cause_and_next_step_and_no_number(model: ModelCard) -> None:
    few = asking.predict_series(drawn_stack(2), model, engine="litert")
    told = said(describe(few, model))
    assert "No answer for this series." in told
    assert "Only 2 of 2 slices can be used, and an answer for a series needs 3 or more. Read the answers to" in told
    assert "probability" not in told


def test_doubts_head_the_rows(model: ModelCard) -> None:
    rows = series_words.panel(found(model, 0.8, ("pneumonia",), notes=("Gap.",)), (None,) * 4).rows
    assert rows[0] == ("Doubts", "Gap.")
    assert "Input check" not in [title for title, _ in rows]  # the third slice was refused, the others without doubt


def test_how_many_slices_passed(model: ModelCard) -> None:
    one = found(model, 0.8, ("pneumonia",))
    sure = one.prediction
    unsure = replace(sure, gate=GateVerdict(True, ("It differs from most pictures.",), "lung_ct"))

    def checked(*slices: Prediction | None) -> object:
        answered = replace(one, answer=replace(one.answer, slices=slices))
        return dict(series_words.panel(answered, (None,) * 4).rows).get("Input check")

    assert checked(sure, sure, sure, sure) == "All 4 slices were accepted."
    assert checked(sure, unsure, unsure, sure) == "All 4 slices were accepted, 2 of them with doubt."
    assert checked(sure, unsure, None, sure) == "1 of the 3 accepted slices passed with doubt."


def test_the_slices_that_counted_are_few(model: ModelCard) -> None:
    even = tuple(RankedSlice(i, 1 / 30, None, None) for i in range(30))
    assert len(found(model, 0.8, ("pneumonia",), slices=even).counted) == 6
    one = (RankedSlice(4, 1.0, None, None), RankedSlice(0, 0.0, None, None), RankedSlice(1, None, None, None))
    assert [own.index for own in found(model, 0.8, ("pneumonia",), slices=one).counted] == [4]


# ---- what is kept, and what gives way ---------------------------------------------------------------------------
def test_a_stopped_series_goes_on_where_it_was(model: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    predict = asking.predict

    def counting(image: Image, *rest: Any, **options: Any) -> Any:
        asked.append(image.digest)
        return predict(image, *rest, **options)

    monkeypatch.setattr(asking, "predict", counting)
    kept: dict[tuple[object, ...], asking.Slice] = {}
    stack = drawn_stack(9, (4,))

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise asking.Cancelled

    with pytest.raises(asking.Cancelled):
        asking.predict_series(stack, model, progress=stop, kept=kept, engine="litert")
    whole = asking.predict_series(stack, model, kept=kept, engine="litert")
    assert sorted(asked) == sorted(image.digest for image in stack)
    assert not any(
        isinstance(value, np.ndarray) and value.size > 100 for one in kept.values() for value in (one.features,)
    )
    monkeypatch.undo()
    assert whole.prediction.scores == asking.predict_series(stack, model, engine="litert").prediction.scores


def test_work_gives_way_to_a_series_that_has_begun() -> None:
    jobs, going, begun, over = Jobs(), threading.Event(), threading.Event(), threading.Event()

    def slow(progress: Callable[[float], None]) -> None:
        progress(0.5)
        begun.set()
        going.wait(20)

    jobs.start("a", "A", slow, "series")
    assert begun.wait(20)
    waiting = threading.Thread(target=lambda: (jobs.give_way("series"), over.set()))
    waiting.start()
    assert not over.is_set()
    going.set()
    assert over.wait(20)


# ---- the reader's way from slice to slice -----------------------------------------------------------------------
def test_another_slice_of_the_series_takes_over_what_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, Any] = {}
    monkeypatch.setattr(session.st, "session_state", state)
    several = (Series(tuple(drawn_stack(3)), "slices"), Series(tuple(drawn_stack(1))))
    state["case"] = Case(Study(several), (PatientHeader(), PatientHeader()), told={0: "children"}, models={0: "other"})
    session.go_to(2)
    case = state["case"]
    assert (case.chosen, case.who, case.model) == (2, "children", "other")
    session.go_to(3)
    assert (state["case"].chosen, state["case"].who, state["case"].model) == (3, None, None)


def test_a_box_on_another_slice_makes_the_page_speak_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, Any] = {}
    reruns: list[int] = []
    monkeypatch.setattr(session.st, "session_state", state)
    monkeypatch.setattr(outlined.st, "rerun", lambda: reruns.append(state["case"].chosen))
    monkeypatch.setattr(outlined.service, "waits_for_box", lambda image, case: image.position != (0.0, 0.0, 0.0))
    stack = drawn_stack(4)
    state["case"] = case = Case(Study((Series(tuple(stack), "slices"),)), (PatientHeader(),), chosen=1)
    shown = Staged(stack, [0, 1, 2, 3], [], in_series=True)
    here, there = (drawn.Annotation("box", at, ((1, 1), (9, 9))) for at in (1, 3))
    outlined.follow_box(case, drawn.Viewed((here,)), shown)
    assert reruns == []
    outlined.follow_box(case, drawn.Viewed((here, there)), shown)
    assert (reruns, state["case"].boxes) == ([3], {3: (1, 1, 9, 9)})
    session.go_to(1)
    outlined.follow_box(state["case"], drawn.Viewed((here, there)), shown)  # known already: the reader went back
    outlined.follow_box(state["case"], drawn.Viewed((there,)), shown)
    assert reruns == [3]
    nobody = drawn.Annotation("box", 0, ((1, 1), (9, 9)))  # no model waits for a box there
    outlined.follow_box(state["case"], drawn.Viewed((nobody,)), shown)
    assert reruns == [3]


@pytest.mark.parametrize(("told", "at"), [(1, 1), (2, None), (-1, None), (True, None), ("1", None), (None, None)])
def test_where_the_reader_rests_is_checked(told: object, at: int | None) -> None:
    assert drawn.read(None, drawn_stack(2), told).at == at
    assert drawn.read({"marks": []}, drawn_stack(2), told).at == at


# ---- the pages --------------------------------------------------------------------------------------------------
@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, model: ModelCard) -> AppTest:
    """The app with the model that answers series; the page Upload does not ask about its images by itself."""
    monkeypatch.setattr(study, "line", lambda *_: study.Line("drawn"))
    return start(monkeypatch, model.folder.parent)


def slices(tmp_path: Path, count: int, positive: int | None = None, **header: object) -> list[bytes]:
    told = {"PatientAge": "004Y", "ViewPosition": "AP", "PatientName": "Doe^Jane", **header}
    files = (slice_file(tmp_path / f"{i}.dcm", i, 0.4 if i == positive else 0.0, **told) for i in range(count))
    return [file.read_bytes() for file in files]


def diagnosis(app: AppTest, *files: bytes) -> AppTest:
    upload(app, *files)
    app.switch_page("pages/diagnosis.py").run()
    return settled(app)


def settled(app: AppTest) -> AppTest:
    """Run the page again until the series has its answer."""
    for _ in range(60):
        if not any(button.key == "cancel-series" for button in app.button):
            return app
        app.run()
    raise AssertionError("the series was not answered")


def test_the_series_is_answered_above_its_slice(app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = text(diagnosis(app, *slices(tmp_path, 9, positive=5)))
    places = [
        page.index(words) for words in ("9 slices: asked about pneumonia", "Slices that counted", "This slice, 1 of 9")
    ]
    assert places == sorted(places)
    assert page.index("Signs of pneumonia in this series.") < page.index("No sign of pneumonia; other findings")
    shown = viewers(app)[0]
    assert shown["counted"]["slices"][0] == 5
    assert shown["counted"]["evidence"] is True
    assert sum(shown["counted"]["weights"]) == pytest.approx(1)
    assert (shown["wanted"], shown["series"][0]["count"], shown["mapped"]) == (0, 9, [0])

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("asked again")

    monkeypatch.setattr(asking, "predict", never)
    app.selectbox[0].set_value(5).run()
    page = text(app)
    assert "This slice, 6 of 9" in page
    assert "Signs of pneumonia in this series." in page
    other = viewers(app)[0]
    assert (other["id"], other["wanted"], other["mapped"]) == (shown["id"], 5, [5])
    assert [image["url"] for image in other["images"]] == [image["url"] for image in shown["images"]]


def test_upload_and_diagnosis_show_the_same_pixels(app: AppTest, tmp_path: Path) -> None:
    upload(app, *slices(tmp_path, 4))
    before = [image["url"] for image in viewers(app)[0]["images"]]
    app.switch_page("pages/diagnosis.py").run()
    assert [image["url"] for image in viewers(app)[0]["images"]] == before


def test_half_a_series_is_answered_with_doubt(app: AppTest, tmp_path: Path) -> None:
    page = text(diagnosis(app, *slices(tmp_path, 4)))
    assert "Doubts Only a part of an examination: the slices cover 20 mm" in page
    assert "Fewer slices (4)" in page


def test_a_gap_and_a_double_of_a_scan_feet_first_are_told_and_answered(app: AppTest, tmp_path: Path) -> None:
    files = slices(tmp_path, 10, positive=6, ImageOrientationPatient=list(UPSIDE_DOWN), PatientPosition="FFS")
    page = text(diagnosis(app, *files[:4], files[2], *files[5:]))
    assert "Signs of pneumonia in this series." in page
    assert "One slice position occurs more than once; slices of one position count once together." in page
    # The stage begins at the head, where the planes face: slice 5 of it is the last one before the gap.
    assert "Gap: one slice seems to be missing between slices 5 and 6." in page
    assert len(viewers(app)[0]["images"]) == 10


def test_two_patients_get_no_common_answer_and_their_slices_stand(app: AppTest, tmp_path: Path) -> None:
    files = [slices(tmp_path, i + 1, PatientSex="FM"[i % 2])[i] for i in range(6)]
    page = text(diagnosis(app, *files))
    assert "No answer for this series. These slices are of more than one patient: sex or age in their headers" in page
    assert "This slice, 1 of 6" in page
    assert "No sign of pneumonia; other findings are not assessed." in page
    assert viewers(app)[0]["counted"] is None


def test_two_slices_are_no_series(app: AppTest, tmp_path: Path) -> None:
    page = text(diagnosis(app, *slices(tmp_path, 2)))
    assert "Slices that counted" not in page
    assert "series" not in page.replace("Series", "")


def test_a_series_can_be_stopped_and_go_on(app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free, predict = threading.Event(), asking.predict

    def held(*given: Any, **options: Any) -> Any:
        free.wait(60)
        return predict(*given, **options)

    monkeypatch.setattr(asking, "predict", held)
    upload(app, *slices(tmp_path, 6))
    app.switch_page("pages/diagnosis.py").run()
    assert "Asking all 6 slices." in text(app)
    assert "This slice, 1 of 6" in text(app)
    assert "No sign of pneumonia; other findings are not assessed." in text(app)
    app.button(key="cancel-series").click().run()
    free.set()
    page = text(settled(app))
    assert "No answer for this series. Stopped after" in page
    app.button(key="series-again").click().run()
    assert "Slices that counted" in text(settled(app))
