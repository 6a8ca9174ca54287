"""Answers that are no yes or no: what their sentences, bars and rows say."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from medimg_core.catalog import ModelCard, read_card
from medimg_core.metrics import rates
from medimg_core.types import Interval, Prediction, Statement
from medimg_core.ui import forms, naming
from medimg_core.ui.panel import Bar, Panel, html
from medimg_core.workflows.diagnose import TestFigures, Undecided, is_finding, state_of
from model_folder import FORMS, TINY_MODEL


@pytest.fixture
def kinds() -> ModelCard:
    return read_card(FORMS / "tiny_kinds")


@pytest.fixture
def grades() -> ModelCard:
    return read_card(FORMS / "tiny_grades")


def prediction(card: ModelCard, decision: str, inside: tuple[str, ...]) -> Prediction:
    from medimg_core.types import GateVerdict

    return Prediction(card.ref, {decision: 1.0}, GateVerdict(True), decision, decision, prediction_set=inside)


def test_an_answer_of_several_stands_where_the_set_holds_it_alone(kinds: ModelCard, grades: ModelCard) -> None:
    home = kinds.populations[0]
    assert state_of(prediction(kinds, "bright", ("bright",)), kinds, home) == "positive"
    assert state_of(prediction(kinds, "bright", ("bright", "dark")), kinds, home) == "doubtful"
    assert state_of(prediction(kinds, "bright", ("bright",)), kinds, replace(home, fit_for_use=False)) == "unfit"
    assert state_of(prediction(grades, "none", ("none",)), grades, grades.populations[0]) == "negative"
    assert state_of(prediction(grades, "slight", ("slight",)), grades, grades.populations[0]) == "positive"


def test_a_class_named_normal_is_no_finding(kinds: ModelCard) -> None:
    plain = replace(
        kinds, classes=tuple(replace(c, id=i) for c, i in zip(kinds.classes, ("normal", "a", "b"), strict=True))
    )
    assert [is_finding(plain, name) for name in plain.class_ids] == [False, True, True]


def test_a_headline_names_the_kind_or_the_grade(kinds: ModelCard, grades: ModelCard) -> None:
    assert forms.decided(kinds, "dark") == ("Dark blob.", "Drawn as: dark.")
    assert forms.decided(grades, "marked") == ("Grade 2: marked blob.", "Drawn as: marked.")
    normal = replace(kinds, classes=(replace(kinds.classes[0], title="Normal"), *kinds.classes[1:]))
    assert forms.decided(normal, "clear") == ("Drawn as: clear.", "")


def test_not_sure_says_between_what(kinds: ModelCard, grades: ModelCard) -> None:
    said, more = forms.not_sure(kinds, ("clear", "dark"), "dark")
    assert said == "Not sure: clear blob or dark blob."
    assert more == "Likeliest is dark blob. Read it without the model."
    assert forms.not_sure(grades, ("slight", "marked"), "marked")[0] == "Not sure: grade 1 or 2."
    assert forms.not_sure(kinds, kinds.class_ids, "dark")[0] == "Not sure: no kind can be left out."


def test_prediction_sets_quote_their_measured_coverage(grades: ModelCard) -> None:
    said = forms.prediction_set(grades, ("slight", "marked"), Interval(0.91, 0.86, 0.94, 200))
    assert said.startswith("**Grade 1 or 2**: none of them can be left out.")
    assert "91\u00a0% (86\u2060–\u206094, n\u00a0200) of such sets held the truth." in said


def test_not_sure_has_its_own_rate_of_errors() -> None:
    found = Undecided(Interval(0.24, 0.2, 0.29, 300), Interval(0.04, 0.02, 0.07), Interval(0.31, 0.2, 0.44))
    said = forms.undecided(found, naming.SLICE)
    assert said == (
        "On 24 (20–29) of 100 slices. It errs in 4 (2–7) when sure and in 31 (20–44) when not, of 100, n\u00a0300."
    )
    assert forms.undecided(Undecided(Interval(0, 0, 0.02, 9), None, None), naming.FILM).endswith("films, n\u00a09.")


def test_what_was_called_so_and_what_was_found_come_from_the_decisions(kinds: ModelCard) -> None:
    truth, called = np.array([1, 1, 1, 0, 0, 0]), np.array([1, 1, 0, 1, 0, 0])
    figures = TestFigures("t", 6, 3, 6, {}, None, called=rates(truth, called))
    said = forms.called(kinds, "dark", figures, naming.PICTURE)
    assert re.match(r"Of 100 pictures called dark blob, 67 \(\d+–\d+\) were \(n\u00a03\);", said)
    assert re.search(r"of 100 that are, 67 \(\d+–\d+\) are found \(n\u00a03\)\.$", said)


def test_a_statement_quotes_probability_interval_and_threshold(grades: ModelCard) -> None:
    card = grades.statements[0]
    claimed = forms.statement(card, Statement("referable", 0.83, Interval(0.83, 0.76, 0.9), 0.41))
    assert (
        claimed == "**Referable**: probability 83\u00a0% (76\u2060–\u206090), at or above the threshold of 41\u00a0%."
    )
    denied = forms.statement(card, Statement("referable", 0.1, None, 0.41))
    assert denied == "**Not referable**: probability of referable 10\u00a0%, below the threshold of 41\u00a0%."


def test_figures_of_a_statement_are_one_line() -> None:
    line = forms.statement_figures({"auroc": Interval(0.9, 0.8, 0.95, 50), "sensitivity": Interval(0.7, 0.6, 0.8, 50)})
    assert line == "AUROC 0.90 (0.80\u2060–\u20600.95), sensitivity 0.70 (0.60\u2060–\u20600.80), n\u00a050."
    assert forms.statement_figures({}) == ""


def test_small_changes_are_told_in_one_line() -> None:
    assert forms.spread(0.712, 0.831, 8) == (
        "Small changes of the picture move it between 71\u00a0% and 83\u00a0% (8 variants)."
    )
    assert "leave it at 71" in forms.spread(0.711, 0.712, 8)


def test_bars_show_every_class_with_its_interval() -> None:
    bars = (
        Bar("Glioma", Interval(0.62, 0.5, 0.7), chosen=True, inside=True),
        Bar("Meningioma", Interval(0.38, 0.3, 0.5), inside=True),
        Bar("<i>", Interval(0.0, 0.0, 0.0)),
    )
    page = html(Panel("doubt", "Not sure.", number=Interval(0.62, 0.5, 0.7), condition="glioma", bars=bars))
    assert "mi-axis" not in page
    assert re.findall(r"class='bar ([\w ]*)'", page) == ["chosen inside", "inside", ""]
    assert "<i style='width:62.0%'>" in page
    assert "50\u2060–\u206070\u00a0%" in page
    assert "&lt;i&gt;" in page


def test_words_for_models_of_every_form(kinds: ModelCard, grades: ModelCard) -> None:
    chest = read_card(TINY_MODEL)
    assert naming.subject(chest) == "pneumonia"
    assert naming.subject(kinds) == "tiny Kinds (synthetic example)"
    assert naming.subject(replace(grades, title="Retinopathy on a photograph")) == "the grade of retinopathy"
    assert naming.titles(grades)["marked"] == "2 marked blob"
    classes = zip(chest.classes, ("normal", "abnormal"), strict=True)
    abnormal = replace(chest, classes=tuple(replace(c, id=i) for c, i in classes))
    assert naming.names(abnormal) == {"normal": "no abnormality", "abnormal": "an abnormality"}


@pytest.mark.parametrize(
    ("licences", "mark"),
    [
        (["open"], ""),
        (["open", "unverified"], "Data: terms not verified. Check them before any use beyond testing."),
        (["unverified", "research-only"], "Data: research only. Not for a product."),
        (["non-commercial", "open"], "Data: non-commercial. Not for a product."),
    ],
)
def test_the_strictest_licence_is_the_mark(kinds: ModelCard, licences: list[str], mark: str) -> None:
    assert naming.licence_mark(*(replace(kinds, licence=licence) for licence in licences)) == mark
