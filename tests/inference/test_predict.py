from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from medimg_core.catalog import ModelCard, StatementCard
from medimg_core.errors import MedImgError
from medimg_core.imaging import prepare
from medimg_core.inference import Forward, predict, predict_batch, runtime_for
from medimg_core.inference.answer import _resting
from medimg_core.inference.litert import LiteRTRuntime
from medimg_core.inference.places import LEAST
from medimg_core.types import GateVerdict, Image, Region, Statement
from model_folder import synthetic_film

REFUSED = GateVerdict(False, ("It is a drawing.",), "document", MappingProxyType({}))


def test_a_clear_blob_is_found_and_its_absence_too(tiny_model: ModelCard) -> None:
    found = predict(synthetic_film(3, 0.4, age_years=4.0), tiny_model, engine="litert").prediction
    assert (found.decision, found.prediction_set, found.population) == ("pneumonia", ("pneumonia",), "children")
    missing = predict(synthetic_film(3, 0.0), tiny_model, engine="litert").prediction
    assert (missing.decision, missing.prediction_set) == ("normal", ("normal",))
    assert not missing.refused


def test_the_scores_follow_from_the_logit(tiny_model: ModelCard) -> None:
    answer = predict(synthetic_film(4, 0.05), tiny_model, engine="litert")
    assert answer.forward is not None
    curve = tiny_model.population()[0].calibration
    z = float(answer.forward.logits[0]) / curve.temperature + curve.shift
    assert answer.prediction.scores["pneumonia"] == pytest.approx(1 / (1 + np.exp(-z)), rel=1e-6)
    assert sum(answer.prediction.scores.values()) == pytest.approx(1.0)
    spread = answer.prediction.interval
    assert spread is not None
    assert spread.value == answer.prediction.scores["pneumonia"]
    assert 0 < spread.low < spread.value < spread.high < 1


def test_a_statement_read_in_an_outline_needs_one_to_rely_on(tiny_model: ModelCard) -> None:
    questions = (
        StatementCard("dense", "Dense", "Thin", "", 1, structure="nodule"),
        StatementCard("old", "Old", "New", "", 2),
    )
    card = replace(tiny_model, statements=questions)
    told = (Statement("dense", 0.8, None, 0.5), Statement("old", 0.2, None, 0.5))
    for regions, kept in (
        ((Region("outline", "nodule", LEAST),), told),
        ((Region("outline", "nodule", LEAST - 0.01), Region("outline", "lung", 0.9)), told[1:]),
        ((), told[1:]),
    ):
        assert _resting(told, card, regions) == kept


def test_the_answer_keeps_what_a_map_needs(tiny_model: ModelCard) -> None:
    film = synthetic_film(5, 0.4)
    answer = predict(film, tiny_model, engine="litert")
    x, geometry = prepare(film, tiny_model.input)
    assert answer.x is not None
    assert answer.forward is not None
    np.testing.assert_array_equal(answer.x, x)
    assert answer.geometry == geometry
    assert answer.forward.features.shape == (8, 8, 24)


def test_the_decision_is_made_at_the_balanced_point(tiny_model: ModelCard) -> None:
    film = synthetic_film(5, 0.05)
    p = predict(film, tiny_model, engine="litert").prediction.scores["pneumonia"]
    for threshold, decision in ((p, "pneumonia"), (np.nextafter(p, 1), "normal")):
        points = tuple(
            replace(point, threshold=float(threshold)) for point in tiny_model.populations[0].operating_points
        )
        card = replace(tiny_model, populations=(replace(tiny_model.populations[0], operating_points=points),))
        found = predict(film, card, engine="litert").prediction
        assert (found.decision, found.operating_point) == (decision, points[1])


def test_the_reader_or_the_header_choose_the_population(tiny_model: ModelCard) -> None:
    film = synthetic_film(2, 0.3, age_years=60.0, view="AP")
    assert predict(film, tiny_model, engine="litert").prediction.population == "adults_ap"
    assert predict(film, tiny_model, "adults_pa", engine="litert").prediction.population == "adults_pa"


def test_a_refused_image_reaches_no_network(tiny_model: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medimg_core.inference.answer.gate.check", lambda image, card: REFUSED)
    monkeypatch.setattr("medimg_core.inference.answer.runtime_for", lambda *_: pytest.fail("a network was asked"))
    answer = predict(synthetic_film(), tiny_model)
    assert answer.prediction.refused
    assert (answer.prediction.scores, answer.prediction.decision, answer.prediction.prediction_set) == ({}, None, ())
    assert (answer.forward, answer.x, answer.geometry) == (None, None, None)
    assert answer.prediction.gate.reasons == ("It is a drawing.",)


def test_a_verdict_that_is_known_is_not_asked_for_again(tiny_model: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medimg_core.inference.answer.gate.check", lambda image, card: pytest.fail("asked again"))
    assert predict(synthetic_film(), tiny_model, verdict=REFUSED).prediction.refused
    passed = GateVerdict(True)
    assert predict(synthetic_film(), tiny_model, engine="litert", verdict=passed).prediction.gate is passed


def test_a_network_that_answers_nan_gives_a_sentence(tiny_model: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = Forward(np.full(1, np.nan, np.float32), np.zeros((8, 8, 24), np.float32))
    monkeypatch.setattr(LiteRTRuntime, "predict", lambda self, x: empty)
    with pytest.raises(MedImgError, match="values that are no numbers"):
        predict(synthetic_film(), tiny_model, engine="litert")


def test_a_batch_gives_the_single_answers_in_order(tiny_model: ModelCard) -> None:
    films = [synthetic_film(seed, 0.02 * seed) for seed in range(12)]
    single = [predict(film, tiny_model, engine="litert").prediction.scores for film in films]
    batch = [a.prediction.scores for a in predict_batch(iter(films), tiny_model, engine="litert")]
    assert batch == single


def test_a_batch_reads_only_a_few_ahead(tiny_model: ModelCard) -> None:
    read = 0

    def films() -> Iterator[Image]:
        nonlocal read
        for seed in range(20):
            read += 1
            yield synthetic_film(seed)

    answers = predict_batch(films(), tiny_model, engine="litert")
    next(answers)
    assert read == 4
    answers.close()
    assert read == 4


def test_an_error_while_reading_ends_the_batch_with_that_error(tiny_model: ModelCard) -> None:
    def films() -> Iterator[Image]:
        yield synthetic_film(0)
        raise MedImgError("The second is damaged.", "Leave it out.")

    with pytest.raises(MedImgError, match="second is damaged"):
        list(predict_batch(films(), tiny_model, engine="litert"))


def test_no_images_no_answers(tiny_model: ModelCard) -> None:
    assert list(predict_batch((), tiny_model)) == []


def test_the_network_stays_loaded_between_predictions(tiny_model: ModelCard) -> None:
    predict(synthetic_film(), tiny_model, engine="litert")
    before = runtime_for(tiny_model, "litert")
    predict(synthetic_film(1), tiny_model, engine="litert")
    assert runtime_for(tiny_model, "litert") is before
