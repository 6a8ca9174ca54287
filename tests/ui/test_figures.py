from __future__ import annotations

import pytest

from medimg_core.types import Interval
from medimg_core.ui import figures


@pytest.mark.parametrize(
    ("value", "plus", "text"),
    [
        (0.081, False, "0.08"),
        (-0.081, False, "−0.08"),
        (0.081, True, "+0.08"),
        (-0.001, True, "0.00"),
        (0, True, "0.00"),
    ],
)
def test_signs(value: float, plus: bool, text: str) -> None:
    assert figures.signed(value, plus=plus) == text


def test_interval_has_an_en_dash_without_spaces() -> None:
    assert figures.interval(Interval(0.824, 0.756, 0.881)) == "0.82 (0.76–0.88)"


def test_small_p_values_are_not_zero() -> None:
    assert figures.p_value(0.0002) == "p\u00a0<\u00a00.001"
    assert figures.p_value(0.0123) == "p\u00a00.012"
    assert figures.count(1204) == "n\u00a01,204"
