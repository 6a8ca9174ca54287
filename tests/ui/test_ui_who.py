from __future__ import annotations

import numpy as np
import pytest

from medimg_core.catalog import ModelCard
from medimg_core.types import Image
from medimg_core.ui import who


def film(age: float | None = None, view: str | None = None) -> Image:
    return Image(np.zeros((4, 4), np.float32), "MONOCHROME2", "x", age_years=age, view=view)


@pytest.mark.parametrize(
    ("age", "view", "asked"),
    [
        (None, None, ["children", "adults_pa", "adults_ap", "other_age", "unknown"]),
        (None, "PA", ["children", "adults_pa", "other_age", "unknown"]),
        (67.0, None, ["adults_pa", "adults_ap", "unknown"]),
        (67.0, "PA", []),
        (4.0, None, []),
        (12.0, None, []),
        (0.5, "AP", []),
        (67.0, "LL", []),
    ],
)
def test_only_what_the_header_leaves_open_is_asked(
    tiny_model: ModelCard, age: float | None, view: str | None, asked: list[str]
) -> None:
    assert [choice.id for choice in who.question(tiny_model, film(age, view))] == asked


def test_other_ages_are_named(tiny_model: ModelCard) -> None:
    titles = {choice.id: choice.title for choice in who.question(tiny_model, film())}
    assert titles["other_age"] == "Another age (0 and 6–17 years)"


def test_only_a_population_chooses_a_calibration(tiny_model: ModelCard) -> None:
    assert who.chosen_population(tiny_model, "adults_ap") == "adults_ap"
    assert who.chosen_population(tiny_model, who.UNKNOWN) is None
    assert who.chosen_population(tiny_model, None) is None
