from __future__ import annotations

import numpy as np
import pytest

from medimg_core.catalog import ModelCard
from medimg_core.explain import Verdict
from medimg_core.types import GateVerdict, Image, Interval, Note, PatientHeader, Spacing
from medimg_core.ui import chances, numerals, words


def image(**attributes: object) -> Image:
    return Image(np.zeros((30, 40), np.float32), "MONOCHROME2", "d" * 64, **attributes)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.84, "84\u00a0%"),
        (0.0004, "<0.1\u00a0%"),
        (0.0, "<0.1\u00a0%"),
        (0.004, "0.4\u00a0%"),
        (0.994, "99.4\u00a0%"),
        (1.0, ">99.9\u00a0%"),
        (0.5, "50\u00a0%"),
    ],
)
def test_percent_never_says_none_or_all(share: float, said: str) -> None:
    assert numerals.percent(share) == said


def test_a_range_whose_ends_read_the_same_is_said_once() -> None:
    assert numerals.percent_range(0.764, 0.899) == "76\u2060–\u206090\u00a0%"
    assert numerals.percent_range(0.9995, 1.0) == ">99.9\u00a0%"
    assert numerals.percent_range(0.997, 0.9999) == "99.7\u2060–\u2060100\u00a0%"
    assert numerals.percent_range(0.0001, 0.02) == "0\u2060–\u20602\u00a0%"


def test_figures_have_a_real_minus_sign() -> None:
    assert numerals.figure(-0.125) == "−0.12"
    assert numerals.counted(1204) == "n\u00a01,204"


def test_strip_shows_whose_image_it_is() -> None:
    header = PatientHeader("Doe^Jane", "ID-7", "1967-03-02", "2025-11-14 09:12", "", "PA")
    assert words.patient_strip(header, hidden=False, is_open=True) == [
        ("", "Doe, Jane"),
        ("ID", "ID-7"),
        ("Born", "1967-03-02 (58 y)"),
        ("Study", "2025-11-14 09:12"),
        ("View", "PA"),
    ]


def test_age_counts_the_birthday_not_the_year() -> None:
    header = PatientHeader("A", "", "1967-11-15", "2025-11-14")
    assert dict(words.patient_strip(header, hidden=False, is_open=True))["Born"] == "1967-11-15 (57 y)"


def test_an_unusable_birth_date_is_shown_as_it_is() -> None:
    header = PatientHeader("A", "", "67", "2025-11-14")
    assert dict(words.patient_strip(header, hidden=False, is_open=True))["Born"] == "67"


def test_hidden_strip_holds_nothing_of_the_header() -> None:
    header = PatientHeader("Doe^Jane", "ID-7", "1967-03-02", "2025-11-14", "L", "PA")
    said = str(words.patient_strip(header, hidden=True, is_open=True))
    assert not any(value in said for value in ("Doe", "ID-7", "1967", "2025", "PA"))


def test_strip_of_a_picture_says_that_there_is_no_patient() -> None:
    assert words.patient_strip(PatientHeader(), hidden=False, is_open=True) == [("", "No patient details in this file")]
    assert words.patient_strip(None, hidden=False, is_open=True) == [("", "No patient details were read.")]
    assert words.patient_strip(None, hidden=False, is_open=False) == [("", "No case is open.")]


def test_strip_names_a_side_but_not_that_a_part_is_unpaired() -> None:
    left, unpaired = PatientHeader("A", side="L", view="PA"), PatientHeader("A", side="U", view="PA")
    assert dict(words.patient_strip(left, hidden=False, is_open=True))["View"] == "PA left"
    assert dict(words.patient_strip(unpaired, hidden=False, is_open=True))["View"] == "PA"


def test_read_sentence_counts_films_and_failures() -> None:
    assert words.read_sentence([image(modality="DX")], 0) == "Read: one film."
    assert words.read_sentence([image(), image()], 1) == "Read: two images; one file could not be read."
    assert words.read_sentence([image(modality="CT")] * 13, 0) == "Read: 13 images."


def test_notes_are_said_once_and_end_with_a_stop() -> None:
    notes = [Note("read", "DICOM, CR"), Note("doubt", "No spacing."), Note("read", "DICOM, CR")]
    assert words.notes_of(notes, "read") == "DICOM, CR."


def test_corners_give_columns_before_rows() -> None:
    film = image(view="PA", body_part="CHEST", bits=12, spacing=Spacing(0.143, 0.143, "ImagerPixelSpacing"))
    assert words.corner(film) == "Chest PA\n40 × 30, 12 bit"
    assert words.spacing(film) == "0.143 mm per pixel (at the detector)"
    assert words.spacing(image()) == "no pixel spacing"
    assert words.spacing(image(spacing=Spacing(0.5, 0.25, "PixelSpacing"))) == "0.5 × 0.25 mm per pixel (calibrated)"


@pytest.mark.parametrize(
    ("cause", "sentence", "detail"),
    [
        (
            "The pixel data are cut off: the header promises 8 bytes, the file holds 4.",
            "This file could not be read: the pixel data are cut off.",
            "The header promises 8 bytes, the file holds 4.",
        ),
        ("This file is empty.", "This file is empty.", ""),
        ("This is a PDF, not an image. It has 3 pages.", "This is a PDF, not an image.", "It has 3 pages."),
    ],
)
def test_unreadable_files_say_the_cause_first(cause: str, sentence: str, detail: str) -> None:
    assert words.unreadable(cause) == (sentence, detail)


def test_position_names_the_points_on_both_sides(tiny_model: ModelCard) -> None:
    population = tiny_model.populations[0]
    out, balanced, rule_in = (population.point(n).threshold for n in ("rule_out", "balanced", "rule_in"))
    assert chances.position(out / 2, population).startswith("Below the rule-out operating point")
    assert chances.position((out + balanced) / 2, population).startswith("Between rule-out")
    assert "below rule-in" in chances.position((balanced + rule_in) / 2, population)
    assert "and above rule-in" in chances.position((rule_in + 1) / 2, population)
    assert chances.undecided((out + rule_in) / 2, population).endswith("Read it without the model.")


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        (("normal", "pneumonia"), "Undecided: this film fits pneumonia and no pneumonia alike."),
        (("pneumonia",), "Undecided: signs of pneumonia, too weak to rule it in."),
        (("normal",), "Undecided: few signs of pneumonia, too many to rule it out."),
        ((), "Undecided: this film is unlike films with and without pneumonia."),
    ],
)
def test_undecided_agrees_with_the_prediction_set(inside: tuple[str, ...], said: str) -> None:
    assert chances.undecided_sentence(inside, "pneumonia", "pneumonia") == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(84.2, "about 84 have"), (1.2, "about 1 has"), (0.3, "fewer than 1 has"), (99.8, "more than 99 have")],
)
def test_of_hundred_states_the_prevalence(count: float, said: str) -> None:
    text = chances.of_hundred(count, "pneumonia", 0.3)
    assert text == f"Of 100 such films with this score, {said} pneumonia, at a prevalence of 30\u00a0%."


NAMES = {"normal": "no pneumonia", "pneumonia": "pneumonia"}


def test_prediction_set_of_one_two_and_none() -> None:
    coverage = Interval(0.91, 0.88, 0.94, 412)
    one = chances.prediction_set(("normal",), NAMES, coverage)
    assert one.startswith("**no pneumonia** only.")
    assert "91\u00a0% of such sets held the truth (n\u00a0412)" in one
    assert "Neither can be left out" in chances.prediction_set(("normal", "pneumonia"), NAMES, None)
    assert chances.prediction_set((), NAMES, None).startswith("**Neither**")


def test_weak_strong_and_no_evidence() -> None:
    where = "in the lower third on the patient’s right"
    assert words.evidence(where, 0.92, 0.2, True) == f"Strongest {where}: 0.92 of the scale."
    assert words.evidence(where, 0.31, 0.2, True) == f"Weak, {where}: 0.31 of the scale."
    assert words.evidence(where, 0.11, 0.2, True).startswith("No positive evidence: the strongest point reaches 0.11")
    assert words.evidence("", 0.0, 0.2, True).startswith("No positive evidence. An empty map")
    assert words.evidence("", 0.0, 0.2, False).startswith("No positive evidence. An empty map is no proof")
    assert words.evidence(where, 0.05, 0.2, False) == f"Strongest {where}."


def test_second_model_says_why_it_disagrees() -> None:
    interval = Interval(0.57, 0.46, 0.68)
    said = words.second_model("Textbook CNN", 0.57, interval, agrees=False, fit=True, point=0.5)
    assert said == (
        "Textbook CNN: **57\u00a0% (46\u2060–\u206068)**, **disagrees**: above its operating point of 50\u00a0%."
    )
    assert words.second_model("B", 0.57, None, agrees=True, fit=True, point=0.5) == "B: **57\u00a0%**, agrees."
    assert words.second_model("B", 0.5, None, agrees=True, fit=False, point=None).endswith("not fit for use here.")


def test_input_check_in_its_three_states() -> None:
    assert words.input_check(GateVerdict(True), "").endswith("Accepted without reservation.")
    doubt = GateVerdict(True, ("The left edge is cut off.",), "chest_frontal")
    assert words.input_check(doubt, "View AP read from the header.") == (
        "Accepted with doubt. The left edge is cut off. View AP read from the header."
    )
    unchecked = GateVerdict(True, ("Not checked: no input check is installed for this model.",), "not_checked")
    assert words.input_check(unchecked, "") == "Not checked: no input check is installed for this model."


def test_source_of_age_and_view() -> None:
    assert words.source_of_patient(image(), None) == ""
    assert words.source_of_patient(image(view="AP"), None) == "View AP read from the header."
    assert words.source_of_patient(image(age_years=4.0), None) == "Age read from the header."
    assert words.source_of_patient(image(), "unknown") == "Age and view are not known."
    assert words.source_of_patient(image(), "children") == "Age and view as you told."


def test_ages_between_the_populations_were_not_studied(tiny_model: ModelCard) -> None:
    assert words.ages_not_studied(tiny_model) == "0 and 6–17"


@pytest.mark.parametrize(
    ("age", "told", "said"),
    [
        (12.3, None, "Not studied in patients of 12 years; do not rely on this result."),
        (0.2, None, "Not studied in patients below 1 year; do not rely on this result."),
        (None, "other_age", "Not studied at this age; do not rely on this result."),
    ],
)
def test_not_studied_names_the_age(age: float | None, told: str | None, said: str) -> None:
    assert words.not_studied(image(age_years=age), told) == said


def test_below_floor_quotes_the_floor_only_where_it_is_broken() -> None:
    assert "below the floor of 0.80" in words.below_floor(Interval(0.71, 0.62, 0.79))
    assert "0.80" not in words.below_floor(Interval(0.85, 0.8, 0.9))


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("Points better than chance: 0.76", "The map points better than chance: 0.76, against opacity boxes."),
        ("Points, but noisy: 0.55", "The map points, but noisy: 0.55, against opacity boxes."),
        (
            "Better than chance but coarse: 0.48",
            "The map is better than chance but coarse: 0.48, against opacity boxes.",
        ),
        ("Fails: same map. Not for location", "The map fails: same map. Not for location."),
    ],
)
def test_trust_in_a_map_is_a_sentence(verdict: str, said: str) -> None:
    assert words.trust(Verdict("full", verdict, measured=True, truth="opacity boxes")) == said


def test_trust_does_not_name_the_truth_twice() -> None:
    judged = Verdict("full", "Points better than chance: 1.00, n 354, the lung fields", True, "the lung fields")
    assert words.trust(judged) == "The map points better than chance: 1.00, n 354, the lung fields."


def test_trust_that_was_not_measured_is_said() -> None:
    assert words.trust(None) == "How well such maps point was not measured on images like this one."


def test_map_off_gives_the_reason() -> None:
    failing = Verdict("hollow", "Points no better than chance", measured=True)
    assert words.map_off(True, failing) == "Map off: it points no better than chance in this population"
    assert words.map_off(True, None) == "Map off: the model is not fit for use in this population"
    assert words.map_off(False, failing).endswith("not measured on these patients")


def test_no_sentence_shouts_begs_or_calls_a_film_normal() -> None:
    texts = [value for name, value in vars(words).items() if name.isupper() and isinstance(value, str)]
    assert len(texts) > 10
    for text in texts:
        assert "!" not in text
        assert not {"please", "ai", "normal", "healthy"} & set(text.lower().replace(".", " ").replace(",", " ").split())
