from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from medimg_core.catalog import ModelCard, evaluation, list_models, read_card, write_hashes
from medimg_core.errors import BadRequest, BadTable
from medimg_core.metrics import cohen_kappa, macro_auroc
from medimg_core.workflows.dashboard import by_question, dashboard, measured_sets
from model_folder import FORMS, copy_model

TINY = Path(__file__).resolve().parent.parent / "data"


@pytest.fixture(scope="module")
def cards() -> list[ModelCard]:
    return sorted(list_models(TINY), key=lambda card: card.baseline)


def test_figures_equal_scikit_learn_on_the_stored_predictions(cards: list[ModelCard]) -> None:
    board = dashboard(cards, "children")
    rows = evaluation(cards[0])["test_sets"]["children"]["predictions"]
    model = board.models[0]
    assert model.roc.auroc.value == pytest.approx(roc_auc_score(rows["label"], rows["probability"]), abs=1e-9)
    decided = [int(decision == "pneumonia") for decision in rows["decision"]]
    np.testing.assert_array_equal(model.confusion, confusion_matrix(rows["label"], decided))
    assert model.point_roc == pytest.approx(
        (model.confusion[0, 1] / model.confusion[0].sum(), model.confusion[1, 1] / model.confusion[1].sum())
    )


def test_a_pair_counts_only_films_that_both_answered(cards: list[ModelCard]) -> None:
    board = dashboard(cards, "children")
    pair = board.pairs[0]
    assert pair.n == board.n
    difference = board.models[0].roc.auroc.value - board.models[1].roc.auroc.value
    assert pair.auroc.difference.value == pytest.approx(difference, abs=1e-9)
    rights = [
        {key for key, label, decision in zip(rows["id"], rows["label"], rows["decision"], strict=True)
         if (decision == "pneumonia") == (label == 1)}
        for rows in (evaluation(card)["test_sets"]["children"]["predictions"] for card in cards)
    ]  # fmt: skip
    assert (pair.right.only_a, pair.right.only_b) == (len(rights[0] - rights[1]), len(rights[1] - rights[0]))


def test_a_second_call_is_the_same_object(cards: list[ModelCard]) -> None:
    assert dashboard(cards, "children") is dashboard(cards, "children")


def test_one_model_alone_has_no_pairs(cards: list[ModelCard]) -> None:
    assert dashboard(cards[:1], "children").pairs == ()


def test_an_unmeasured_test_set_is_named(cards: list[ModelCard]) -> None:
    with pytest.raises(BadRequest, match="children"):
        dashboard(cards, "elsewhere")
    assert measured_sets([]) == {}


def with_rival(tmp_path: Path, name: str) -> list[ModelCard]:
    """A model and a copy of it that answers every seventh film with the next class."""
    one = read_card(copy_model(FORMS / name, tmp_path / name))
    other = read_card(copy_model(FORMS / name, tmp_path / "rival"))
    content = json.loads((other.folder / "evaluation.json").read_text())
    rows = content["test_sets"]["drawn"]["predictions"]
    for i in range(0, len(rows["id"]), 7):
        rows["probabilities"][i] = rows["probabilities"][i][-1:] + rows["probabilities"][i][:-1]
        number = one.class_ids.index(rows["decision"][i])
        rows["decision"][i] = one.class_ids[(number + 1) % len(one.classes)]
    (other.folder / "evaluation.json").write_text(json.dumps(content))
    write_hashes(other.folder)
    return [one, other]


def test_several_kinds_are_compared_by_their_mean_area(tmp_path: Path) -> None:
    pair = with_rival(tmp_path, "tiny_kinds")
    board = dashboard(pair, "drawn")
    assert (board.form, board.classes, board.positive) == ("one_of", ("clear", "bright", "dark"), "clear")
    rows = [evaluation(card)["test_sets"]["drawn"]["predictions"] for card in pair]
    for model, said in zip(board.models, rows, strict=True):
        decided = [board.classes.index(name) for name in said["decision"]]
        np.testing.assert_array_equal(model.matrix, confusion_matrix(said["label"], decided))
        assert model.confusion.sum() == model.matrix.sum() == board.n
        assert set(model.kinds) == set(board.classes)
        assert model.roc.auroc == model.kinds["clear"].auroc
        assert sum(b.n * b.observed for b in model.bins) == pytest.approx(np.trace(model.matrix))
    (found,) = board.pairs
    areas = [macro_auroc(said["label"], said["probabilities"]).value for said in rows]
    assert found.auroc.difference.value == pytest.approx(areas[0] - areas[1], abs=1e-9)
    assert found.auroc.p < 0.01
    assert (found.test, found.kappa) == ("bootstrap of the mean area", None)
    assert found.right.only_a == 14  # every seventh of 96 films


def test_grades_are_compared_by_area_and_kappa(tmp_path: Path) -> None:
    pair = with_rival(tmp_path, "tiny_grades")
    board = dashboard(pair, "drawn")
    rows = [evaluation(card)["test_sets"]["drawn"]["predictions"] for card in pair]
    assert (board.form, board.positive) == ("grade", "marked")
    referable = np.array(rows[0]["label"]) >= 2
    p = np.array(rows[0]["probabilities"])[:, 2:].sum(axis=1)
    assert board.models[0].roc.auroc.value == pytest.approx(roc_auc_score(referable, p), abs=1e-9)
    point = pair[0].populations[0].point().threshold
    np.testing.assert_array_equal(board.models[0].confusion, confusion_matrix(referable, p >= point))
    kappas = [cohen_kappa(said["label"], [board.classes.index(d) for d in said["decision"]], 4).value for said in rows]
    (found,) = board.pairs
    assert found.kappa is not None
    assert found.kappa.value == pytest.approx(kappas[0] - kappas[1], abs=1e-9)
    assert found.kappa.low > 0


def test_models_of_different_questions_are_not_compared(cards: list[ModelCard]) -> None:
    others = list_models(FORMS)
    assert [tuple(c.name for c in group) for group in by_question([*cards, *others])] == [
        ("tiny_model", "tiny_baseline"),
        ("tiny_grades",),
        ("tiny_kinds",),
    ]
    assert measured_sets(others) == {}
    with pytest.raises(BadTable, match="different classes: tiny_grades tells none"):
        dashboard(others, "drawn")
