from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medimg_core.catalog import Calibration, Population
from medimg_core.training.data import Record
from medimg_core.training.measure import (
    Answer,
    Pointing,
    fit_for_use,
    measured_set,
    saliency_scales,
    shortcuts,
    truth_mask,
)
from medimg_core.types import OperatingPoint

PEOPLE = Population(
    "all",
    "All",
    "all",
    Calibration(),
    (OperatingPoint("rule_out", 0.2), OperatingPoint("balanced", 0.5), OperatingPoint("rule_in", 0.8)),
    {"no": 0.6, "yes": 0.6},
    0.5,
    True,
)


@pytest.fixture
def answers(tmp_path: Path) -> list[Answer]:
    """Eight films whose figures are easy by hand: one positive below, one negative above the balanced point."""
    (tmp_path / "film").write_bytes(b"film")
    logits = [-3.0, -2.0, -1.0, 1.0, -1.5, 1.5, 2.0, 3.0]
    found = []
    for i, logit in enumerate(logits):
        record = Record(
            "s",
            f"id{i}",
            tmp_path / "film",
            "test",
            f"p{i}",
            float(i >= 4),
            1.0,
            True,
            "",
            boxes=((0, 0, 2, 2),) if i >= 4 else (),
            view="AP" if i in (3, 5, 6, 7) else "PA",
            shape=(10, 100 + i),
        )
        pointing = {"cam": Pointing(float(i != 4), 0.5, 0.1, 0.0)} if i >= 4 else {}
        found.append(Answer(record, logit, 0.001, {"cam": float(i)}, pointing))
    return found


def test_figures_by_hand(answers: list[Answer]) -> None:
    measured = measured_set("Eight films", answers, PEOPLE, ("no", "yes"))
    figures = {name: interval["value"] for name, interval in measured["metrics"].items()}
    # Of 16 pairs the positive at -1.5 loses to -1 and to 1: 14 of 16.
    assert figures["auroc"] == pytest.approx(14 / 16)
    assert figures["accuracy"] == figures["sensitivity"] == figures["specificity"] == 0.75
    assert figures["precision"] == figures["f1"] == 0.75
    p = 1 / (1 + np.exp(-np.array([a.logit for a in answers])))
    assert figures["brier"] == pytest.approx(((p - (np.arange(8) >= 4)) ** 2).mean(), abs=1e-5)
    assert measured["operating_points"]["rule_in"]["sensitivity"]["value"] == 0.75
    assert measured["operating_points"]["rule_in"]["specificity"]["value"] == 1.0
    # A class is left out above 0.6: p(1.0) = 0.73 leaves "no" out of a negative, p(-1.5) = 0.18 "yes" of a positive.
    assert measured["conformal"]["coverage"]["value"] == 0.75
    assert measured["conformal"]["mean_size"] == 1.0
    assert (measured["n"], measured["positives"], measured["patients"]) == (8, 4, 8)
    assert measured["predictions"]["decision"] == ["no", "no", "no", "yes", "no", "yes", "yes", "yes"]
    assert measured["predictions"]["label"] == [0, 0, 0, 0, 1, 1, 1, 1]


def test_saliency_is_a_mean_over_films_with_a_truth(answers: list[Answer]) -> None:
    row = measured_set("Eight films", answers, PEOPLE, ("no", "yes"))["saliency"]["cam"]
    assert row["n"] == 4
    assert row["pointing_game"]["value"] == 0.75
    assert row["energy_inside"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert row["random"]["value"] == row["area"]["value"] == 0.1
    assert row["centre"]["value"] == 0.0
    assert saliency_scales(answers)["cam"] == pytest.approx(6.93)  # 99th percentile of 0..7


def test_shortcuts_count_in_the_better_direction(answers: list[Answer]) -> None:
    found = {s["name"].split()[0]: s["auroc"]["value"] for s in shortcuts([a.record for a in answers])}
    assert found["view"] == 0.75  # three of four positives AP, one of four negatives
    assert found["width"] == 1.0
    reverse = {s["name"].split()[0]: s["auroc"] for s in shortcuts([a.record for a in answers][::-1])}
    assert reverse["width"]["value"] == 1.0
    assert all(s["low"] <= s["value"] <= s["high"] for s in reverse.values())


@pytest.mark.parametrize(("area", "alone", "fit"), [(0.79, 0.5, False), (0.85, 0.7, True), (0.85, 0.9, False)])
def test_fit_for_use_needs_the_floor_and_more_than_a_shortcut(area: float, alone: float, fit: bool) -> None:
    measured = {"metrics": {"auroc": {"value": area}}, "shortcuts": [{"name": "view", "auroc": {"value": alone}}]}
    assert fit_for_use(measured) is fit


def test_boxes_as_a_truth_on_the_stored_grid(answers: list[Answer]) -> None:
    mask = truth_mask(answers[5].record, (4, 5))
    assert mask is not None
    assert mask.sum() == 4
    assert mask[:2, :2].all()
    assert truth_mask(answers[0].record, (4, 5)) is None
