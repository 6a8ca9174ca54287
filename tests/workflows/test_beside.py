"""Results that rest on the slices beside an image are kept apart by those slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest

from medimg_core.catalog import ModelCard, read_card
from medimg_core.inference import predict
from medimg_core.inference.series_order import Where, neighbours
from medimg_core.types import Image
from medimg_core.workflows import diagnose as answering
from medimg_core.workflows import find as finding
from medimg_core.workflows.diagnose import answer_cache, diagnose
from medimg_core.workflows.find import find, find_cache
from model_folder import TINY_BOXES, TINY_OUTLINE, synthetic_film

FILM, BEFORE, AFTER, OTHER = (synthetic_film(seed, 0.4, age_years=4.0) for seed in (1, 2, 3, 4))


def looking(card: ModelCard, context: int = 1) -> ModelCard:
    assert card.places is not None
    return replace(card, places=replace(card.places, context=context))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What the model was asked about, in its order; the network itself, which takes one slice, sees that alone."""
    told: list[tuple[str, ...]] = []

    def spy(image: Image, *rest: object, beside: Sequence[Image] = (), **more: object) -> object:
        told.append(tuple(one.digest for one in (image, *beside)))
        return predict(image, looking(rest[0], 0), *rest[1:], **more)  # type: ignore[arg-type]

    for module in (finding, answering):
        monkeypatch.setattr(module, "predict", spy)
    return told


def test_an_outline_is_kept_by_the_neighbours_that_it_rests_on(asked: list[tuple[str, ...]]) -> None:
    kept, card = find_cache(), looking(read_card(TINY_OUTLINE))
    for beside in ((BEFORE, AFTER), (BEFORE, AFTER), (BEFORE, OTHER), (OTHER, AFTER), ()):
        find(FILM, card, beside=beside, kept=kept)
    wanted = [(BEFORE, AFTER), (BEFORE, OTHER), (OTHER, AFTER), ()]
    assert asked == [tuple(one.digest for one in (FILM, *beside)) for beside in wanted]
    find(FILM, card, beside=(BEFORE, replace(AFTER, digest="")), kept=kept)  # nothing tells its pixels
    assert len(kept) == 4


def test_an_answer_is_kept_by_the_neighbours_that_it_rests_on(asked: list[tuple[str, ...]]) -> None:
    kept, card = answer_cache(), looking(read_card(TINY_BOXES))
    for beside in ((BEFORE, AFTER), (BEFORE, AFTER), (BEFORE, OTHER), (AFTER, BEFORE), ()):
        diagnose(FILM, card, with_map=False, beside=beside, answers=kept)
    assert [len(one) for one in asked] == [3, 3, 3, 1]
    assert len(kept) == len(set(asked)) == 4
    diagnose(FILM, card, with_map=False, beside=(BEFORE, replace(AFTER, digest="")), answers=kept)
    assert len(kept) == 4


def test_a_model_that_looks_at_no_neighbours_is_asked_once(asked: list[tuple[str, ...]]) -> None:
    kept, card = find_cache(), read_card(TINY_OUTLINE)
    alone = find(FILM, card, kept=kept)
    assert find(FILM, card, beside=(BEFORE, AFTER), kept=kept).prediction.regions == alone.prediction.regions
    answers, boxing = answer_cache(), read_card(TINY_BOXES)
    diagnose(FILM, boxing, with_map=False, answers=answers)
    diagnose(FILM, boxing, with_map=False, beside=(BEFORE, AFTER), answers=answers)
    assert len(asked) == 2


def test_neighbours_do_not_depend_on_the_order_of_the_files() -> None:
    """Two slices at 5 mm, one of another plane among them, and one without a place."""
    slices = [
        Where(0.0, ("axial",), "first"),
        Where(5.0, ("axial",), "twice b"),
        Where(5.0, ("axial",), "twice a"),
        Where(10.0, ("axial",), "last"),
        Where(5.0, ("upright",), "alone"),
        Where(None, (), "nowhere"),
    ]
    wanted = {
        "first": ("first", "twice a"),
        "twice a": ("first", "last"),
        "twice b": ("first", "last"),
        "last": ("twice a", "last"),
        "alone": (),
        "nowhere": (),
    }
    for order in permutations(slices):
        pairs = neighbours(order)
        found = {one.digest: tuple(order[i].digest for i in pair) for one, pair in zip(order, pairs, strict=True)}
        assert found == wanted
