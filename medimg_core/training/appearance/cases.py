"""The demo cases: who the invented people are, what their films show, and which seeds were chosen to show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless

from medimg_core.training.appearance.dicomfile import Header
from medimg_core.training.appearance.opacity import Site

Kind = Literal["film", "refused", "damaged"]
State = Literal["positive", "negative", "doubtful", "any"]


GROUP = "Chest film"
"""The heading that these cases stand under on the page Upload."""
MODELS = ("chest_xray_pneumonia",)
"""Whose question they are about."""


@dataclass(frozen=True, slots=True)
class Case:
    """One demo case.

    Attributes:
        stem: the file's name without ending; files are shown in this order.
        title, text: the words below the thumbnail, and one sentence more.
        kind: what the app does with it: answers, refuses, or cannot read.
        population: the appearance model behind it; empty for what is turned or cut.
        seed: of the person, of the opacity and of the grain.
        site: an added opacity.
        expected: the answer that the film deserves, or that it was chosen to illustrate (doubtful).
        marker: the side letter, `(text, x, y)` as shares of the film.
        spoils: stem of the film that is turned or cut off.
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
    spoils: str = ""


_ADULT_MM = 0.465
"""Median spacing of the adults' training films, on the finished films' grid. The children's films state none."""


def _adult(name: str, number: int, born: str, sex: str, view: str, syntax: UID, *, inverted: bool = False) -> Header:
    return Header(
        f"Example^{name}",
        f"DEMO-{number:04d}",
        born,
        "20260105",
        sex,
        view,
        syntax,
        spacing_mm=_ADULT_MM,
        digital=not inverted,
        inverted=inverted,
    )


def _child(name: str, number: int, born: str, sex: str, syntax: UID) -> Header:
    return Header(f"Example^{name}", f"DEMO-{number:04d}", born, "20260107", sex, "AP", syntax, digital=number % 2 == 0)


_ADA = _adult("Ada", 1, "19620314", "F", "PA", JPEG2000Lossless)

CASES = (
    Case(
        stem="1_adult_pa_opacity",
        title="Adult PA, opacity on the right",
        text="A synthetic PA film with an opacity in the lower zone of the patient's right lung.",
        kind="film",
        population="adult_pa",
        seed=31,
        header=_ADA,
        expected="positive",
        site=Site(centre=(0.25, 0.53), size=(0.25, 0.25), strength=1.0),
    ),
    Case(
        stem="2_adult_pa_clear",
        title="Adult PA, clear lungs",
        text="A synthetic PA film without an opacity.",
        kind="film",
        population="adult_pa",
        seed=32,
        header=_adult("Bruno", 2, "19710820", "M", "PA", JPEGLSLossless),
        expected="negative",
    ),
    Case(
        stem="3_adult_ap",
        title="Adult AP at the bedside",
        text="A synthetic AP film without an opacity, stored inverted (MONOCHROME1) as some detectors do.",
        kind="film",
        population="adult_ap",
        seed=20,
        header=_adult("Clara", 3, "19480227", "F", "AP", JPEGLSLossless, inverted=True),
    ),
    Case(
        stem="4_child_pneumonia",
        title="Child, pneumonia",
        text="A synthetic film of a child, drawn from the model of films labelled pneumonia.",
        kind="film",
        population="child_pneumonia",
        seed=17,
        header=_child("Dilan", 4, "20220911", "M", JPEGLSLossless),
        expected="positive",
    ),
    Case(
        stem="5_child_clear",
        title="Child, clear lungs",
        text="A synthetic film of a child, drawn from the model of films labelled as showing no pneumonia.",
        kind="film",
        population="child_clear",
        seed=23,
        header=_child("Elif", 5, "20230118", "F", JPEG2000Lossless),
        expected="negative",
    ),
    Case(
        stem="6_child_opacity",
        title="Child, opacity on the right",
        text="A synthetic film of a child with an opacity in the patient's right lung, on otherwise clear lungs.",
        kind="film",
        population="child_clear",
        seed=24,
        header=_child("Felix", 6, "20210625", "M", JPEGLSLossless),
        expected="doubtful",
        site=Site(centre=(0.29, 0.50), size=(0.32, 0.48), strength=1.3),
    ),
    Case(
        stem="7_turned",
        title="A film on its side: refused",
        text="The film of the child with clear lungs, turned by a quarter, to show what the app refuses and why.",
        kind="refused",
        population="",
        seed=0,
        header=_child("Gina", 8, "20230118", "F", JPEG2000Lossless),
        spoils="5_child_clear",
    ),
    Case(
        stem="8_cut_off",
        title="A damaged file",
        text="The beginning of the first film's file, as an interrupted transfer leaves it.",
        kind="damaged",
        population="",
        seed=0,
        header=_ADA,
        spoils="1_adult_pa_opacity",
    ),
)
