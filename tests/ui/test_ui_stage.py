"""Which images may stand on the stage together: those of one patient, a prior known by its date."""

from __future__ import annotations

import numpy as np
import pytest

from medimg_core.types import Image, PatientHeader, Series, Study
from medimg_core.ui import stage, staged, words
from medimg_core.ui.drawn import Annotation, Viewed
from medimg_core.ui.session import Case


def image(name: str) -> Image:
    return Image(np.zeros((4, 4), np.float32), "MONOCHROME2", name)


def case(*headers: PatientHeader, chosen: int = 0) -> Case:
    series = (Series((image("a"),), description="CR chest"), Series((image("b"), image("c"))), Series((image("d"),)))
    return Case(Study(series), headers, chosen)


ANNA = PatientHeader("Doe^Anna", "1", "19600101", study_date="2020-01-02")
EARLIER = PatientHeader("Doe^Anna", "1", "19600101", study_date="2018-05-06")
BERT = PatientHeader("Roe^Bert", "2", "19700101", study_date="2020-01-02")


def test_another_patient_never_stands_beside() -> None:
    opened = case(ANNA, BERT, ANNA)
    images, stacks = staged.beside_film(opened, opened.study.images[0])
    assert [one.digest for one in images] == ["a", "a", "d"]
    assert [(one.title, one.first, one.count) for one in stacks] == [
        ("This image", 0, 1),
        ("1 CR chest", 1, 1),
        ("3 Image 4", 2, 1),
    ]
    other = case(ANNA, BERT, ANNA, chosen=2)
    assert [one.digest for one in staged.beside_film(other, other.study.images[2])[0]] == ["c", "b", "c"]


def test_a_prior_is_known_by_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = case(ANNA, EARLIER, BERT)
    assert [one.title for one in staged.beside_film(opened, opened.study.images[0])[1][1:]] == [
        "1 CR chest 2020-01-02",
        "2 Image 2 2018-05-06",
    ]
    monkeypatch.setenv("MEDIMG_HIDE_PATIENT", "1")
    assert staged.beside_film(opened, opened.study.images[0])[1][1].title == "1 CR chest"


def test_an_answer_says_which_image_it_belongs_to() -> None:
    opened = case(ANNA, ANNA, BERT, chosen=2)
    chosen = opened.study.images[2]
    images, stacks = staged.beside_film(opened, chosen)
    assert staged.same(images, chosen) == [0, 3]
    assert words.answered(staged.told_of(opened, stacks[1:])) == "The answer belongs to image 2 of 2 in 2 Image 2"
    alone = case(BERT, ANNA, BERT, chosen=1)
    said = words.answered(staged.told_of(alone, staged.beside_film(alone, alone.study.images[1])[1][1:]), mapped=True)
    assert said == "Answer and map belong to image 1 of 2"


def test_measurements_on_other_images_come_with_their_number() -> None:
    opened = case(ANNA, ANNA, BERT, chosen=2)
    images, stacks = staged.beside_film(opened, opened.study.images[2])
    seen = Viewed(tuple(Annotation("length", at, ((0, 0), (3, 0))) for at in (0, 1, 2, 3)))
    assert stage.measured_rows(seen, images, 0, stacks[1:]) == (
        ("Measured", "length **3 px**; length **3 px**"),  # on the film, and on the same in its series
        ("On 1 CR chest", "length **3 px**"),
        ("On image 1 of 2 in 2 Image 2", "length **3 px**"),
    )
    alone = stage.measured_rows(seen, [image(name) for name in "abcd"], 1)
    assert [title for title, _ in alone] == ["Measured", "On image 1 of 4", "On image 3 of 4", "On image 4 of 4"]


def test_a_film_alone_needs_no_choice() -> None:
    opened = case(ANNA, BERT, BERT)
    assert len(staged.beside_film(opened, opened.study.images[0])[1]) == 1


@pytest.mark.parametrize(
    ("shapes", "key"),
    [
        ([(300, 440)] * 2, "row-below"),
        ([(480, 480)] * 2, "row"),
        ([(440, 300)] * 4, "row-square"),
        ([(440, 200)] * 4, "row"),
        ([(300, 440)] * 3, "row"),
    ],
)
def test_several_images_stand_where_they_show_largest(shapes: list[tuple[int, int]], key: str) -> None:
    assert stage._arranged(shapes) == key
