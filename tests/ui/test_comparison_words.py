from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from medimg_core.catalog import list_models
from medimg_core.types import Interval
from medimg_core.ui import cards, charts, comparison
from medimg_core.workflows.dashboard import Dashboard, dashboard

TINY = Path(__file__).resolve().parent.parent / "data"


@pytest.fixture(scope="module")
def board() -> Dashboard:
    return dashboard(sorted(list_models(TINY), key=lambda card: card.baseline), "children")


def text_of(html: str) -> str:
    parts: list[str] = []
    parser = HTMLParser()
    parser.handle_data = parts.append  # type: ignore[method-assign]
    parser.feed(html)
    return "".join(parts)


def with_difference(board: Dashboard, value: float, low: float, high: float) -> Dashboard:
    pair = board.pairs[0]
    test = replace(pair.auroc, difference=Interval(value, low, high), p=0.002)
    return replace(board, pairs=(replace(pair, auroc=test),))


def test_an_interval_over_zero_is_no_winner(board: Dashboard) -> None:
    said = text_of(comparison.verdict(with_difference(board, 0.02, -0.01, 0.05)))
    assert "cannot be told apart" in said
    assert "0.02 (−0.01 to 0.05)" in said


def test_the_better_model_is_named_whichever_comes_first(board: Dashboard) -> None:
    first, second = (model.name for model in board.models)
    assert text_of(comparison.verdict(with_difference(board, 0.08, 0.03, 0.13))).startswith(f"{first} is the better")
    assert text_of(comparison.verdict(with_difference(board, -0.08, -0.13, -0.03))).startswith(
        f"{second} is the better"
    )


def test_below_the_floor_is_said(board: Dashboard) -> None:
    model = replace(board.models[0], metrics=board.models[0].metrics | {"auroc": Interval(0.71, 0.62, 0.79)})
    said = text_of(comparison.verdict(replace(board, models=(model, *board.models[1:]))))
    assert "not fit for use here: 0.71 is below the floor of 0.80" in said


def test_tables_hold_every_film_once(board: Dashboard) -> None:
    for model in board.models:
        assert int(model.confusion.sum()) == board.n
    said = text_of(comparison.tables(board))
    assert "DeLong" in said
    assert "McNemar" in said


def test_charts_draw_every_model(board: Dashboard) -> None:
    for draw in (charts.roc, charts.precision_recall, charts.calibration, charts.cost):
        names = {trace.name for trace in draw(board).data}
        assert {model.name for model in board.models} <= names
    assert charts.forest(board).data[0].x[0] == board.models[0].metrics["auroc"].value


def test_a_card_says_what_it_is_not_for_and_its_licence() -> None:
    card = next(card for card in list_models(TINY) if not card.baseline)
    assert "any film of a patient" in text_of(cards.words(card))
    facts = text_of(cards.facts(card))
    assert "not fit for use" in facts
    assert "Licence class open" in facts
