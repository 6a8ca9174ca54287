from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score

from medimg_core.catalog import ModelCard, evaluation, list_models
from medimg_core.errors import BadRequest
from medimg_core.workflows.dashboard import dashboard, measured_sets

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
