from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medimg_core.imaging import Geometry
from medimg_core.inference.boxes import BoxRule, chance
from medimg_core.metrics.detection import average_precision
from medimg_core.training.boxes import measure
from medimg_core.training.boxes.answers import BoxAnswer, FoundBoxes, calibrated, found
from medimg_core.training.boxes.data import BoxRecord

TRUTH = (10.0, 10.0, 30.0, 30.0)
HALF = (14.0, 14.0, 26.0, 26.0)
"""Of the truth's area 36 %: its centre lies inside, its overlap is below a half."""


def record(i: int, *boxes: tuple[float, float, float, float]) -> BoxRecord:
    return BoxRecord("s", f"f{i}", Path(f"f{i}.png"), "val", f"p{i // 2}", boxes, {"side": "ab"[i % 2]})


def film(i: int, truth: list[tuple[float, ...]], boxes: list[tuple[float, ...]], z: list[float]) -> FoundBoxes:
    return FoundBoxes(record(i, *truth), np.array(boxes, np.float64).reshape(-1, 4), np.array(z, np.float64))  # type: ignore[arg-type]


def test_true_is_an_overlap_or_a_centre_and_each_finding_counts_once() -> None:
    away = (50.0, 50.0, 60.0, 60.0)
    assert film(0, [TRUTH], [TRUTH, away], [2, 1]).true.tolist() == [True, False]
    assert film(0, [TRUTH], [HALF], [2]).true.tolist() == [True]
    assert film(0, [TRUTH], [TRUTH, HALF], [2, 1]).true.tolist() == [True, False]
    # The surer one has its centre inside, the other half of the area: one finding, one true box.
    assert film(0, [TRUTH], [HALF, TRUTH], [2, 1]).true.tolist() == [True, False]


def some(n: int = 40) -> list[FoundBoxes]:
    """Every other film has a finding; boxes on it score higher than the false ones, with some exceptions."""
    rng = np.random.default_rng(0)
    films = []
    for i in range(n):
        truth = [TRUTH] if i % 2 else []
        boxes = [TRUTH, (50.0, 50.0, 60.0, 60.0)] if i % 2 else [(50.0, 50.0, 60.0, 60.0)]
        films.append(
            film(i, truth, boxes, sorted(rng.normal(0, 1, len(boxes)) + np.array([2.0, 0.0][: len(boxes)]))[::-1])
        )
    return films


def test_the_calibration_turns_scores_into_shares() -> None:
    films = some(400)
    rule = calibrated(films, BoxRule(slope=9.0, shift=9.0))
    p = np.concatenate([chance(f.z, rule) for f in films])
    true = np.concatenate([f.true for f in films])
    assert p.mean() == pytest.approx(true.mean(), abs=0.01)
    assert rule.slope > 0


def test_calibration_needs_both_kinds_of_boxes() -> None:
    with pytest.raises(ValueError, match="true"):
        calibrated([film(0, [TRUTH], [TRUTH], [1.0])], BoxRule())


def test_at_the_threshold_shown_there_are_at_most_so_many_false_boxes() -> None:
    films = some(200)
    rule = calibrated(films, BoxRule())
    for rate in (0.1, 0.25):
        threshold = measure.shown_from(films, rule, rate)
        shown = measure.shown(films, replace(rule, threshold=threshold))
        assert shown["false_boxes_per_image"] <= rate
        assert shown["false_boxes_per_image"] > rate - 0.02
    assert shown["found"]["n"] == 100
    # With room for many more false boxes, those that are hardly ever true are not shown.
    assert measure.shown_from(films, rule, 100.0) == measure.LEAST


def test_a_test_set_holds_counts_intervals_and_subgroups() -> None:
    films = some()
    rule = replace(calibrated(films, BoxRule()), threshold=0.5)
    said = measure.boxes_set("Drawn", films, rule, ("side",))
    assert (said["n"], said["with_finding"], said["boxes"], said["patients"], said["refused"]) == (40, 20, 20, 20, 0)
    assert said["metrics"]["ap50"]["low"] <= said["metrics"]["ap50"]["value"] <= said["metrics"]["ap50"]["high"]
    rates = [said["metrics"][f"sensitivity_at_{rate}"]["value"] for rate in ("0.125", "0.25", "0.5", "1", "2")]
    assert rates == sorted(rates)
    empty, full = said["subgroups"]
    assert empty == {"name": "side: a", "n": 20, "with_finding": 0, "boxes": 0, "patients": 20}
    alone = average_precision([film.image for film in films[1::2]], 0.5, draws=2).all_points
    assert full["ap50"]["value"] == pytest.approx(alone.value, abs=1e-5)
    rows = said["predictions"]
    assert sum(rows["boxes"]) == 20
    assert sum(rows["right"]) == round(said["shown"]["found"]["value"] * 20)
    assert sum(rows["shown"]) - sum(rows["right"]) == pytest.approx(said["shown"]["false_boxes_per_image"] * 40)


def test_a_set_without_findings_or_boxes_has_counts_alone() -> None:
    said = measure.boxes_set("Empty", [film(0, [], [], [])], BoxRule(threshold=0.5))
    assert (said["metrics"], said["calibration"], said["shown"]["found"]) == ({}, None, None)
    assert said["shown"]["films_without_finding_marked"]["value"] == 0


def answer(i: int, hot: tuple[int, int], probability: float) -> BoxAnswer:
    places = np.zeros((2, 16, 16, 6), np.float32)
    places[..., 0] = -9
    places[:, hot[0], hot[1]] = (0, 10, 10, 10, 10, 0)
    truth = [TRUTH] if i % 2 else []
    return BoxAnswer(record(i, *truth), Geometry.fit((64, 64), (64, 64), "squash"), places, probability)


def test_a_knob_is_turned_only_where_val_gains() -> None:
    # Both kinds of films score alike; only the classifier tells them apart.
    answers = [answer(i, (4, 4), 0.9 if i % 2 else 0.1) for i in range(20)]
    rule, tried = measure.choose(answers, BoxRule(trust=0.5), measure.variants(BoxRule(), image=True))
    assert rule == BoxRule(trust=0.5, image=0.05)
    assert {row["knob"] for row in tried} == {"trust", "suppress", "vote", "mirror", "image"}
    assert measure.precision(found(answers, rule), 0.5).value == pytest.approx(1.0)
