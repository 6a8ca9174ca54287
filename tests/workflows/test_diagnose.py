from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medimg_core.catalog import ModelCard, evaluation, read_card
from medimg_core.errors import ModelUnavailable
from medimg_core.inference import Answer, answer, predict
from medimg_core.types import GateVerdict, Image, ModelRef, OperatingPoint, Prediction, SaliencyMap
from medimg_core.workflows import diagnose as workflow
from medimg_core.workflows.diagnose import answer_cache, diagnose, place, state_of
from medimg_core.workflows.explain import MapCache
from medimg_core.workflows.route import models
from model_folder import MODELS, TINY_BASELINE, TINY_MODEL, copy_model, film_pixels, synthetic_film

REFUSED = GateVerdict(False, ("It is a drawing.",), "document")


@pytest.fixture(autouse=True)
def _fresh(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIMG_ENGINE", "litert")
    workflow.ANSWERS.clear()


def child(seed: int, strength: float) -> Image:
    return synthetic_film(seed, strength, age_years=4.0)


# ---- the state ---------------------------------------------------------------------------------------------------
def prediction(p: float, inside: tuple[str, ...]) -> Prediction:
    return Prediction(
        ModelRef("m", "1", "0"), {"normal": 1 - p, "pneumonia": p}, GateVerdict(True), prediction_set=inside
    )


BOTH, POSITIVE, NEGATIVE = ("normal", "pneumonia"), ("pneumonia",), ("normal",)


@pytest.mark.parametrize(
    ("p", "inside", "state"),
    [
        (0.90, POSITIVE, "positive"),
        (0.80, POSITIVE, "positive"),
        (0.79, POSITIVE, "doubtful"),
        (0.90, BOTH, "doubtful"),
        (0.90, (), "doubtful"),
        (0.90, NEGATIVE, "doubtful"),
        (0.50, POSITIVE, "doubtful"),
        (0.20, NEGATIVE, "doubtful"),
        (0.19, NEGATIVE, "negative"),
        (0.19, BOTH, "doubtful"),
        (0.19, (), "doubtful"),
        (0.01, POSITIVE, "doubtful"),
    ],
)
def test_an_answer_needs_both_the_points_and_the_set(
    tiny_model: ModelCard, p: float, inside: tuple[str, ...], state: str
) -> None:
    points = (OperatingPoint("rule_out", 0.2), OperatingPoint("balanced", 0.4), OperatingPoint("rule_in", 0.8))
    population = replace(tiny_model.populations[0], operating_points=points)
    assert state_of(prediction(p, inside), tiny_model, population) == state


def test_what_is_not_fit_for_use_is_said_whatever_the_score(tiny_model: ModelCard) -> None:
    population = replace(tiny_model.populations[0], fit_for_use=False)
    assert state_of(prediction(0.999, POSITIVE), tiny_model, population) == "unfit"
    assert state_of(prediction(0.999, POSITIVE), tiny_model, tiny_model.populations[0], studied=False) == "unfit"


def test_a_refusal_comes_before_everything(tiny_model: ModelCard) -> None:
    refused = Prediction(ModelRef("m", "1", "0"), {}, REFUSED)
    population = replace(tiny_model.populations[0], fit_for_use=False)
    assert state_of(refused, tiny_model, population, studied=False) == "refused"


# ---- the whole answer --------------------------------------------------------------------------------------------
def test_a_clear_blob_is_a_positive_answer_with_its_place() -> None:
    found = diagnose(child(5, 0.4))
    assert (found.state, found.population.id, found.known, found.studied) == ("positive", "children", True, True)
    assert found.card.name == "tiny_model"
    # Seed 5 draws the blob in the middle third of the field on the right of the picture: the patient's left.
    row, column = film_pixels(5, 0.4)[1]
    assert 60 <= row < 120
    assert column > 119
    assert found.place == "in the middle third on the patient’s left"
    assert found.map is not None
    assert (found.map.method, found.map.target, found.map.values.shape) == ("cam", "pneumonia", (180, 220))


def test_no_blob_is_a_negative_answer_with_the_map_for_the_positive_class() -> None:
    found = diagnose(child(5, 0.0))
    assert found.state == "negative"
    assert found.map is not None
    assert found.map.target == "pneumonia"
    assert found.map.maximum < diagnose(child(5, 0.05)).map.maximum  # type: ignore[union-attr]


def test_a_faint_blob_is_undecided() -> None:
    assert diagnose(child(3, 0.05)).state == "doubtful"


def test_of_a_hundred_such_films_as_many_as_the_probability_says() -> None:
    found = diagnose(child(3, 0.05))
    assert found.of_hundred is not None
    assert found.of_hundred.count == 100 * found.prediction.scores["pneumonia"]
    assert found.of_hundred.low < found.of_hundred.count < found.of_hundred.high
    assert found.of_hundred.prevalence == 0.5


def test_the_figures_are_those_of_the_patients_own_population(tiny_model: ModelCard) -> None:
    measured = evaluation(tiny_model)["test_sets"]["adults_pa"]
    found = diagnose(synthetic_film(5, 0.4, age_years=60.0, view="PA"))
    assert found.population.id == "adults_pa"
    assert found.figures is not None
    assert found.figures.title == measured["title"]
    assert (found.figures.n, found.figures.positives) == (80, 40)
    assert found.figures.metrics["auroc"].value == measured["metrics"]["auroc"]["value"]
    assert found.figures.metrics["auroc"].n == 80
    assert found.figures.coverage is not None


def test_the_second_model_is_asked_and_keeps_its_own_calibration() -> None:
    found = diagnose(child(5, 0.4))
    assert found.second is not None
    assert found.second_card is not None
    assert found.second.model.name == found.second_card.name == "tiny_baseline"
    assert found.second.scores == predict(child(5, 0.4), read_card(TINY_BASELINE)).prediction.scores


def test_the_baseline_itself_has_no_second_model() -> None:
    found = diagnose(child(5, 0.4), "tiny_baseline")
    assert (found.second, found.second_card) == (None, None)
    assert found.map is not None
    assert found.map.method == "gradcam"


def test_a_population_that_is_not_fit_gets_no_map_and_no_hundred() -> None:
    found = diagnose(synthetic_film(5, 0.4, age_years=60.0, view="AP"))
    assert found.state == "unfit"
    assert (found.map, found.of_hundred, found.place) == (None, None, "")
    assert found.figures is not None
    assert found.prediction.scores


@pytest.mark.parametrize("age", [0.5, 6.0, 17.0])
def test_ages_that_were_not_studied_quote_no_figures(age: float) -> None:
    found = diagnose(synthetic_film(5, 0.4, age_years=age))
    assert (found.state, found.studied, found.known) == ("unfit", False, False)
    assert found.figures is None


@pytest.mark.parametrize("attributes", [{}, {"age_years": 50.0}, {"view": "PA"}])
def test_what_the_header_leaves_open_is_not_called_outside(attributes: dict[str, object]) -> None:
    found = diagnose(synthetic_film(5, 0.4, **attributes))
    assert (found.studied, found.known) == (True, False)


def test_a_view_that_fits_no_age_is_outside() -> None:
    assert not diagnose(synthetic_film(5, 0.4, age_years=50.0, view="LLO"), "tiny_baseline").studied


def test_the_reader_tells_the_population() -> None:
    found = diagnose(synthetic_film(5, 0.4), population="adults_ap")
    assert (found.population.id, found.known, found.state) == ("adults_ap", True, "unfit")


def test_a_refused_image_is_shown_to_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer.gate, "check", lambda image, card: REFUSED)
    monkeypatch.setattr(answer, "runtime_for", lambda *_: pytest.fail("a network was asked"))
    found = diagnose(child(5, 0.4))
    assert found.state == "refused"
    assert (found.map, found.second, found.of_hundred) == (None, None, None)
    assert found.prediction.gate.reasons == ("It is a drawing.",)


def test_without_a_map_none_is_made() -> None:
    assert diagnose(child(5, 0.4), with_map=False).map is None


def test_a_missing_second_model_is_left_out(tmp_path: Path) -> None:
    card = read_card(copy_model(TINY_MODEL, tmp_path / "tiny_model"))
    found = diagnose(child(5, 0.4), card)
    assert found.state == "positive"
    assert found.second is None


def test_a_changed_model_gives_no_answer(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "tiny_model")
    with (folder / "model.tflite").open("ab") as stream:
        stream.write(b"\0")
    (folder / "hashes.json").write_text(
        (folder / "hashes.json").read_text().replace('"model.tflite": "', '"model.tflite": "0')
    )
    with pytest.raises(ModelUnavailable, match="not the one that was released"):
        diagnose(child(5, 0.4), read_card(folder))


# ---- repeated questions ------------------------------------------------------------------------------------------
@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    asked: list[str] = []
    original: Callable[..., Answer] = workflow.predict

    def count(image: Image, card: ModelCard, *rest: object, **options: object) -> Answer:
        asked.append(card.name)
        return original(image, card, *rest, **options)

    monkeypatch.setattr(workflow, "predict", count)
    return asked


def test_the_same_film_runs_no_network_again(counted: list[str]) -> None:
    first, second = diagnose(child(5, 0.4)), diagnose(child(5, 0.4))
    assert counted == ["tiny_model", "tiny_baseline"]
    assert first.answer is second.answer
    np.testing.assert_array_equal(first.map.values, second.map.values)  # type: ignore[union-attr]


def test_the_same_pixels_of_another_patient_are_another_question(counted: list[str]) -> None:
    diagnose(child(5, 0.4))
    found = diagnose(synthetic_film(5, 0.4, age_years=60.0, view="AP"))
    assert found.prediction.population == "adults_ap"
    assert len(counted) == 4


def test_what_the_gate_reads_is_part_of_the_question() -> None:
    assert diagnose(child(5, 0.4)).state == "positive"
    assert diagnose(replace(child(5, 0.4), modality="CT")).state == "refused"


def test_an_image_without_a_digest_is_never_kept(counted: list[str]) -> None:
    for _ in range(2):
        diagnose(replace(child(5, 0.4), digest=""), "tiny_baseline")
    assert counted == ["tiny_baseline", "tiny_baseline"]


def test_a_session_may_keep_its_own_results(counted: list[str]) -> None:
    own, maps = answer_cache(), MapCache()
    diagnose(child(5, 0.4), answers=own, maps=maps)
    assert (len(own), len(maps), len(workflow.ANSWERS)) == (2, 1, 0)
    diagnose(child(5, 0.4))
    assert len(counted) == 4


def test_the_cache_counts_the_arrays_of_an_answer() -> None:
    own = answer_cache()
    diagnose(child(5, 0.4), "tiny_baseline", with_map=False, answers=own)
    arrays = 64 * 64 * 3 * 4 + 16 * 16 * 8 * 4 + 4
    assert arrays <= own.nbytes <= arrays + 8192


# ---- words of place ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        (0, 0, "in the upper third on the patient’s right"),
        (29, 99, "in the upper third on the patient’s left"),
        (45, 20, "in the middle third on the patient’s right"),
        (89, 50, "in the lower third, near the midline"),
    ],
)
def test_sides_are_the_patients(row: int, column: int, words: str) -> None:
    values = np.zeros((90, 100), np.float32)
    values[row, column] = 1.0
    assert place(saliency(values)) == words


def test_a_map_without_evidence_has_no_place() -> None:
    assert place(saliency(np.full((9, 9), -1.0, np.float32))) == ""


def saliency(values: np.ndarray) -> SaliencyMap:
    return SaliencyMap(
        values=values,
        grid=values,
        method="cam",
        target="pneumonia",
        layer="cam",
        model=ModelRef("m", "1", "0"),
        scale=1.0,
        signed=False,
    )


# ---- which model answers -----------------------------------------------------------------------------------------
def test_baselines_and_input_checks_are_never_routed_to(tmp_path: Path) -> None:
    copy_model(TINY_BASELINE, tmp_path / "a_baseline")
    copy_model(TINY_MODEL, tmp_path / "b_model")
    gate = copy_model(TINY_MODEL, tmp_path / "a_gate") / "card.toml"
    gate.write_text(
        gate.read_text(encoding="utf-8").replace('task = "classification"', 'task = "gate"'), encoding="utf-8"
    )
    assert [card.name for card in models(tmp_path)] == ["b_model"]
    assert [card.name for card in models()] == ["tiny_model"]
    assert models()[0].folder == MODELS / "tiny_model"


def test_no_model_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="No model is installed"):
        models(tmp_path)
