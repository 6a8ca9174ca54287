from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from series_folder import UPSIDE_DOWN, drawn_slice, drawn_stack, drawn_weights, series_model

from medimg_core.catalog import ModelCard
from medimg_core.errors import BadRequest, Cancelled, MedImgError
from medimg_core.inference import predict
from medimg_core.inference.series import SeriesAnswer, predict_series
from medimg_core.inference.series_network import forward, pool
from medimg_core.types import Image


@pytest.fixture(scope="module", params=["attention", "evidence", "recurrent", "maximum"])
def any_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return series_model(tmp_path_factory.mktemp("series") / "tiny_model", request.param)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    return series_model(tmp_path_factory.mktemp("series") / "tiny_model")


def said(images: list[Image], card: ModelCard, **options: object) -> SeriesAnswer:
    return predict_series(images, card, engine="litert", **options)  # type: ignore[arg-type]


def p_of(answer: SeriesAnswer) -> float:
    return answer.prediction.scores["pneumonia"]


def test_attention_does_not_know_the_order_and_a_gru_does() -> None:
    x = np.random.default_rng(1).normal(0, 1, (12, 25)).astype(np.float32)
    order = np.random.default_rng(2).permutation(12)
    for kind, same in (("attention", True), ("evidence", True), ("recurrent", False)):
        weights = drawn_weights(24, kind)
        straight, mixed = pool(x, weights), pool(x[order], weights)
        assert (abs(straight.logit - mixed.logit) < 1e-5) is same
        assert straight.weights.sum() == pytest.approx(1, abs=1e-5)
        if same:
            np.testing.assert_allclose(straight.weights[order], mixed.weights, atol=1e-6)


def test_a_recurrent_network_does_not_know_where_the_scan_began() -> None:
    x = np.random.default_rng(3).normal(0, 1, (9, 25)).astype(np.float32)
    weights = drawn_weights(24, "recurrent")
    up, down = pool(x, weights), pool(x[::-1], weights)
    assert up.logit == pytest.approx(down.logit, abs=1e-6)
    np.testing.assert_allclose(up.weights, down.weights[::-1], atol=1e-6)
    assert abs(forward(x, weights)[0] - forward(x[::-1], weights)[0]).max() > 1e-3


def test_a_long_series_is_asked_in_parts_that_each_span_it() -> None:
    x = np.random.default_rng(4).normal(0, 1, (10, 25)).astype(np.float32)
    weights = drawn_weights(24, "evidence")
    whole, long = pool(x, weights, 10), pool(np.repeat(x, 3, axis=0), weights, 10)
    assert long.logit == pytest.approx(whole.logit, abs=1e-5)
    assert long.weights.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(long.weights.reshape(10, 3).sum(axis=1), whole.weights, atol=1e-5)
    assert pool(np.repeat(x, 3, axis=0), weights).logit > whole.logit + 0.5


def test_one_positive_slice_is_found_and_counts_most(any_model: ModelCard) -> None:
    found = said(drawn_stack(10, (6,)), any_model)
    assert sum(found.counts) == pytest.approx(1)
    assert found.prediction.interval is not None
    assert len(found.slices) == 10
    if any_model.series is not None and any_model.series.kind != "recurrent":  # its weights are drawn at random
        assert found.prediction.decision == "pneumonia"
        assert found.ranked[0] == 6
        assert p_of(found) > p_of(said(drawn_stack(10), any_model)) + 0.3


def test_the_order_of_the_files_and_the_direction_of_the_scan_do_not_matter(any_model: ModelCard) -> None:
    stack = drawn_stack(8, (2,))
    straight = said(stack, any_model)
    assert straight.order == tuple(range(8))
    back = said(stack[::-1], any_model)
    assert p_of(back) == pytest.approx(p_of(straight), abs=1e-6)
    assert back.counts[::-1] == pytest.approx(straight.counts, abs=1e-6)
    feet_first = [replace(image, orientation=UPSIDE_DOWN) for image in stack]
    other = said(feet_first, any_model)
    assert other.order == straight.order
    assert p_of(other) == pytest.approx(p_of(straight), abs=1e-6)
    turned = [replace(image, position=(0.0, 0.0, -float(image.position[2]))) for image in stack if image.position]
    assert p_of(said(turned, any_model)) == pytest.approx(p_of(straight), abs=1e-6)


def test_doubled_slices_count_once_together(any_model: ModelCard) -> None:
    stack = drawn_stack(8, (2,))
    once, twice = said(stack, any_model), said([*stack, *stack], any_model)
    assert p_of(twice) == pytest.approx(p_of(once), abs=1e-6)
    assert sum(twice.counts) == pytest.approx(1)
    assert twice.counts[2] == pytest.approx(once.counts[2] / 2, abs=1e-6)
    assert any("8 slice positions occur more than once" in note for note in twice.notes)
    assert not any("two scans" in note for note in twice.notes)


def test_two_scans_of_one_stack_are_told(model: ModelCard) -> None:
    other = [replace(drawn_slice(i + 40), position=(0.0, 0.0, 5.0 * i)) for i in range(8)]
    notes = " ".join(said([*drawn_stack(8), *other], model).notes)
    assert "two scans of this stack may be mixed" in notes


def test_gaps_and_a_part_of_a_series_are_told(model: ModelCard) -> None:
    whole = said(drawn_stack(10), model)
    assert whole.notes == ()
    missing = said([image for i, image in enumerate(drawn_stack(10)) if i != 4], model)
    assert missing.notes == ("Gap: one slice seems to be missing between slices 4 and 5.",)
    downwards = [image for i, image in enumerate(drawn_stack(10)) if i != 2][::-1]
    assert said(downwards, model).notes == ("Gap: one slice seems to be missing between slices 7 and 8.",)
    half = " ".join(said(drawn_stack(4), model).notes)
    assert "Fewer slices (4)" in half
    assert "cover 20 mm, a whole one 40 mm or more" in half


def test_refused_and_unreadable_slices_have_no_weight(model: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = drawn_stack(8)
    stack[3] = replace(stack[3], for_processing=True)

    def failing(image: Image, *rest: object, **options: object) -> object:
        if image.instance == 6:
            raise MedImgError("Broken.", "Take another.")
        return predict(image, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("medimg_core.inference.series.predict", failing)
    found = said(stack, model)
    assert [i for i, weight in enumerate(found.counts) if math.isnan(weight)] == [3, 5]
    assert np.nansum(found.counts) == pytest.approx(1)
    assert found.slices[3] is not None
    assert found.slices[3].refused
    assert found.slices[5] is None
    assert found.notes == (  # no gap: both lie where they should
        "Slice 4 was refused by the input check and not counted.",
        "Slice 6 was unreadable and not counted.",
    )


def test_two_slices_are_no_series_but_keep_their_answers(model: ModelCard) -> None:
    found = said(drawn_stack(2, (0,)), model)
    assert found.prediction.refused
    assert found.prediction.scores == {}
    cause, step = found.prediction.gate.reasons
    assert cause.startswith("Only 2 of 2 slices can be used")
    assert "single slices" in step
    assert found.slices[0] is not None
    assert found.slices[0].decision == "pneumonia"
    assert all(math.isnan(weight) for weight in found.counts)
    assert said([], model).prediction.refused


def test_a_mixed_series_is_told(model: ModelCard) -> None:
    sagittal = [replace(drawn_slice(i), orientation=(0.0, 1.0, 0.0, 0.0, 0.0, -1.0)) for i in range(3)]
    found = said([*drawn_stack(6), *sagittal], model)
    assert "2 stacks" in found.notes[0]
    assert [math.isnan(weight) for weight in found.counts] == [False] * 6 + [True] * 3
    assert found.slices[8] is not None
    two = [replace(image, sex="F" if i < 3 else "M") for i, image in enumerate(drawn_stack(6))]
    refused = said(two, model)
    assert "more than one patient" in refused.prediction.gate.reasons[0]
    assert refused.slices[5] is not None
    assert refused.slices[5].scores


def test_pictures_without_a_place_keep_their_order(model: ModelCard) -> None:
    stack = [replace(image, position=None, orientation=None) for image in drawn_stack(6, (1,))]
    found = said([*stack, stack[1]], model)
    assert found.order[:3] == (0, 1, 6)
    assert p_of(found) == pytest.approx(p_of(said(stack, model)), abs=1e-6)


def test_it_can_be_stopped_between_slices(model: ModelCard) -> None:
    done: list[tuple[int, int]] = []
    with pytest.raises(Cancelled):
        said(drawn_stack(10), model, stopped=lambda: len(done) > 1, progress=lambda n, of: done.append((n, of)))
    assert done[0] == (1, 10)
    assert len(done) < 8


def test_a_model_without_series_says_so(tiny_model: ModelCard) -> None:
    with pytest.raises(BadRequest, match="no answer for a series"):
        said(drawn_stack(4), tiny_model)


def test_a_changed_network_is_refused(tmp_path: Path, damaged: Callable[[Path], None]) -> None:
    card = series_model(tmp_path / "tiny_model")
    damaged(card.folder / "series.npz")
    with pytest.raises(MedImgError, match="not the one that was released"):
        said(drawn_stack(4), card)


@pytest.fixture
def damaged() -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-1] + b"x")

    return change
