from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from medimg_core.catalog import ModelCard, read_card, write_hashes
from medimg_core.errors import ModelUnavailable
from medimg_core.inference.engine import Engine
from medimg_core.inference.pool import RuntimePool, runtime_for
from model_folder import TINY_MODEL, copy_model


@dataclass
class Loaded:
    card: ModelCard
    engine: str
    nbytes: int = 100


class Loader:
    def __init__(self) -> None:
        self.names: list[str] = []
        self.fail = False
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, card: ModelCard, engine: Engine, network: str = "model") -> Loaded:
        self.names.append(card.name)
        assert self.go_on.wait(10)
        if self.fail:
            raise ModelUnavailable("Broken.", "Restore it.")
        return Loaded(card, engine)


@pytest.fixture
def cards(tmp_path: Path) -> list[ModelCard]:
    return [read_card(copy_model(TINY_MODEL, tmp_path / name)) for name in "abc"]


def test_a_network_is_loaded_once(cards: list[ModelCard]) -> None:
    loader = Loader()
    pool = RuntimePool(1000, loader)
    assert pool.get(cards[0], "litert") is pool.get(cards[0], "litert")
    assert loader.names == ["a"]


def test_sessions_that_ask_at_once_wait_for_one_loading(cards: list[ModelCard]) -> None:
    loader = Loader()
    loader.go_on.clear()
    pool = RuntimePool(1000, loader)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(pool.get, cards[0], "litert") for _ in range(8)]
        loader.go_on.set()
        found = {id(future.result(10)) for future in asked}
    assert len(found) == 1
    assert loader.names == ["a"]


def test_the_one_used_longest_ago_leaves_first(cards: list[ModelCard]) -> None:
    loader = Loader()
    pool = RuntimePool(250, loader)
    a, b, c = cards
    for card in (a, b, a, c):
        pool.get(card, "litert")
    assert pool.names() == ("a", "c")
    assert pool.nbytes == 200
    pool.get(b, "litert")
    assert loader.names == ["a", "b", "c", "b"]


def test_what_has_grown_since_it_was_loaded_counts(cards: list[ModelCard]) -> None:
    pool = RuntimePool(250, Loader())
    a, b, _ = cards
    pool.get(a, "litert")
    grown = pool.get(b, "litert")
    grown.nbytes = 200  # type: ignore[misc]
    assert pool.names() == ("a", "b")
    pool.get(b, "litert")
    assert pool.names() == ("b",)


def test_a_network_above_the_limit_still_answers(cards: list[ModelCard]) -> None:
    pool = RuntimePool(50, Loader())
    pool.get(cards[0], "litert")
    pool.get(cards[1], "litert")
    assert pool.names() == ("b",)


def test_a_failure_reaches_who_asked_and_is_tried_again(cards: list[ModelCard]) -> None:
    loader = Loader()
    loader.fail = True
    pool = RuntimePool(1000, loader)
    with pytest.raises(ModelUnavailable, match="Broken"):
        pool.get(cards[0], "litert")
    assert pool.names() == ()
    loader.fail = False
    assert pool.get(cards[0], "litert").card.name == "a"
    assert loader.names == ["a", "a"]


def test_a_folder_exported_anew_is_another_network(cards: list[ModelCard]) -> None:
    loader = Loader()
    pool = RuntimePool(1000, loader)
    pool.get(cards[0], "litert")
    (cards[0].folder / "model.tflite").write_bytes(b"another")
    write_hashes(cards[0].folder)
    pool.get(read_card(cards[0].folder), "litert")
    assert loader.names == ["a", "a"]


def test_engines_are_kept_apart(cards: list[ModelCard]) -> None:
    pool = RuntimePool(1000, Loader())
    assert pool.get(cards[0], "litert").engine == "litert"
    assert pool.get(cards[0], "keras").engine == "keras"
    assert pool.names() == ("a", "a")


def test_clearing_forgets_all(cards: list[ModelCard]) -> None:
    pool = RuntimePool(1000, Loader())
    pool.get(cards[0], "litert")
    pool.clear()
    assert (pool.names(), pool.nbytes) == ((), 0)


def test_the_pool_of_the_process_serves_equal_cards_with_one_network(tiny_model: ModelCard) -> None:
    assert runtime_for(tiny_model, "litert") is runtime_for(replace(tiny_model, title="reworded"), "litert")
