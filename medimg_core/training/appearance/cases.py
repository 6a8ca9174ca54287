"""The demo cases: who the invented people are, what their films show, and which seeds were chosen to show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from medimg_core.training.appearance.dicomfile import Header
from medimg_core.training.appearance.opacity import Site

Kind = Literal["film", "refused", "damaged"]
State = Literal["positive", "negative", "doubtful", "any"]


@dataclass(frozen=True, slots=True)
class Case:
    """One demo case.

    Attributes:
        stem: the file's name without ending; files are shown in this order.
        title, text: the words below the thumbnail, and one sentence more.
        kind: what the app does with it: answers, refuses, or cannot read.
        population: the appearance model behind it; empty for what is drawn or cut.
        seed: of the person, of the opacity and of the grain.
        site: an added opacity.
        expected: the answer of the shipped model that the case illustrates.
        marker: the side letter, `(text, x, y)` as shares of the film.
    """

    stem: str
    title: str
    text: str
    kind: Kind
    population: str
    seed: int
    header: Header
    expected: State = "any"
    site: Site | None = None
    marker: tuple[str, float, float] = ("R", 0.035, 0.11)


_ADULT_MM = 0.465
"""Median spacing of the adults' training films, on the finished films' grid. The children's films state none."""

_RIGHT_LOWER = Site(centre=(0.24, 0.50), size=(0.30, 0.28), strength=1.0)

CASES = (
    Case(
        "1_adult_pa_opacity",
        "Adult PA, opacity on the right",
        "A synthetic PA film with an opacity in the lower zone of the patient's right lung.",
        "film",
        "adult_pa",
        25,
        Header("Example^Ada", "DEMO-0001", "19620314", "20260105", "F", "PA", JPEG2000Lossless, spacing_mm=_ADULT_MM),
        "positive",
        _RIGHT_LOWER,
    ),
    Case(
        "2_adult_pa_clear",
        "Adult PA, clear lungs",
        "A synthetic PA film without an opacity.",
        "film",
        "adult_pa",
        24,
        Header("Example^Bruno", "DEMO-0002", "19710820", "20260105", "M", "PA", JPEGLSLossless, spacing_mm=_ADULT_MM),
        "negative",
    ),
    Case(
        "3_adult_pa_faint",
        "Adult PA, faint opacity",
        "A synthetic PA film with a faint opacity on the patient's right: a doubtful case.",
        "film",
        "adult_pa",
        29,
        Header(
            "Example^Clara",
            "DEMO-0003",
            "19550602",
            "20260106",
            "F",
            "PA",
            JPEG2000Lossless,
            spacing_mm=_ADULT_MM,
            digital=False,
        ),
        "doubtful",
        Site(centre=(0.27, 0.50), size=(0.20, 0.20), strength=0.5),
    ),
    Case(
        "4_child_pneumonia",
        "Child, pneumonia",
        "A synthetic film of a child, drawn from the model of films labelled pneumonia.",
        "film",
        "child_pneumonia",
        1,
        Header("Example^Dilan", "DEMO-0004", "20220911", "20260107", "M", "AP", JPEGLSLossless),
        "positive",
    ),
    Case(
        "5_child_clear",
        "Child, clear lungs",
        "A synthetic film of a child, drawn from the model of films labelled as showing no pneumonia.",
        "film",
        "child_clear",
        23,
        Header("Example^Elif", "DEMO-0005", "20230118", "20260107", "F", "AP", JPEG2000Lossless, digital=False),
        "negative",
    ),
    Case(
        "6_adult_ap",
        "Adult AP at the bedside",
        "A synthetic AP film, stored inverted (MONOCHROME1) as some detectors do.",
        "film",
        "adult_ap",
        28,
        Header(
            "Example^Felix",
            "DEMO-0006",
            "19480227",
            "20260108",
            "M",
            "AP",
            JPEGLSLossless,
            spacing_mm=_ADULT_MM,
            digital=False,
            inverted=True,
        ),
    ),
    Case(
        "7_hand",
        "A hand: refused",
        "A drawn film of a hand, to show how the app refuses what is not a chest film.",
        "refused",
        "",
        0,
        Header(
            "Example^Gina",
            "DEMO-0007",
            "19850505",
            "20260108",
            "F",
            "PA",
            JPEGLSLossless,
            body_part="HAND",
            spacing_mm=0.3,
        ),
        marker=("L", 0.06, 0.12),
    ),
    Case(
        "8_cut_off",
        "A damaged file",
        "The beginning of the first film's file, as an interrupted transfer leaves it.",
        "damaged",
        "",
        0,
        Header("Example^Ada", "DEMO-0001", "19620314", "20260105", "F", "PA", JPEG2000Lossless, spacing_mm=_ADULT_MM),
    ),
)
