"""Which models answer for an image, and what is said when none does."""

from __future__ import annotations

from pathlib import Path

import pytest

from medimg_core.catalog import write_hashes
from medimg_core.errors import ModelUnavailable
from medimg_core.imaging.quality import measure
from medimg_core.inference import gate
from medimg_core.inference.gate_network import Impression, Limits
from medimg_core.inference.kinds import FOREIGN, KNOWN
from medimg_core.workflows.route import accepted, models, route
from model_folder import TINY_BASELINE, TINY_MODEL, copy_model, synthetic_film

TAKES = {"a_chest": "chest_frontal", "b_grade": "fundus", "c_other_eye": "fundus", "d_head": "head_ct"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four models of three kinds, a baseline that takes everything, and a router."""
    for name, kind in TAKES.items():
        _card(copy_model(TINY_MODEL, tmp_path / name), "classification", f'["{kind}"]')
    _card(copy_model(TINY_BASELINE, tmp_path / "baseline"), "classification", "[]")
    _card(copy_model(TINY_MODEL, tmp_path / "router"), "gate", "[]")
    return tmp_path


def _card(folder: Path, task: str, takes: str) -> None:
    path = folder / "card.toml"
    text = path.read_text(encoding="utf-8").replace('task = "classification"', f'task = "{task}"\ngate = "router"')
    path.write_text(text.replace('takes = ["chest_frontal"]', f"takes = {takes}"), encoding="utf-8")
    write_hashes(folder)


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Puts a kind and its share in the place of the network's."""

    def put(kind: str, share: float = 0.9, distance: float = 1.0) -> None:
        gate._seen.clear()
        rest = {name: 0.0 for name in (*KNOWN, *FOREIGN)}
        shares = {**rest, "photo": 1 - share, kind: share}
        seen = Impression(shares, dict.fromkeys(KNOWN, distance), measure(synthetic_film()))
        monkeypatch.setattr(gate, "impression", lambda image, card: seen)
        monkeypatch.setattr(gate, "limits", lambda card, of: Limits(0.6, 0.7, 2.0, 1.5))

    yield put
    gate._seen.clear()


def test_those_that_take_the_kind_answer(sees, folder: Path) -> None:  # type: ignore[no-untyped-def]
    sees("chest_frontal")
    found = route(synthetic_film(), folder)
    assert [card.name for card in found.cards] == ["a_chest"]
    assert (found.first.name, found.verdict.kind, found.what) == ("a_chest", "chest_frontal", "a frontal chest film")
    sees("head_ct")
    assert [card.name for card in route(synthetic_film(), folder).cards] == ["d_head"]


def test_two_models_may_answer_for_one_kind(sees, folder: Path) -> None:  # type: ignore[no-untyped-def]
    sees("fundus")
    found = route(synthetic_film(), folder)
    # A grey picture is no photograph of the retina, whatever the network says.
    assert found.cards == ()
    assert "grey" in found.verdict.reasons[-1]


def test_a_known_kind_without_a_model_is_told_as_such(sees, folder: Path) -> None:  # type: ignore[no-untyped-def]
    sees("mammogram")
    found = route(synthetic_film(), folder)
    assert found.cards == ()
    assert found.verdict.reasons == (
        "It is a mammogram; no model for such images is installed, or none that this site allows.",
    )
    assert gate.headline(found.verdict) == "Not analysed: this is a mammogram."


@pytest.mark.parametrize(
    ("kind", "share", "distance", "told", "first"),
    [
        ("photo", 1.0, 1.0, "photo", None),
        ("head_ct", 0.55, 1.0, "unsure", "d_head"),
        ("head_ct", 0.9, 2.5, "unlike", "d_head"),
    ],
)
def test_a_refusal_is_told_by_the_nearest_model(  # type: ignore[no-untyped-def]
    sees, folder: Path, kind: str, share: float, distance: float, told: str, first: str | None
) -> None:
    sees(kind, share, distance)
    found = route(synthetic_film(), folder)
    assert (found.cards, found.verdict.passed, found.verdict.kind, found.what) == ((), False, told, "")
    assert first in (None, found.first.name)


def test_a_header_decides_between_models(sees, folder: Path) -> None:  # type: ignore[no-untyped-def]
    sees("head_ct", 0.5)
    found = route(synthetic_film(modality="CT"), folder)
    assert found.first.name == "d_head"  # it looked, where the others only read the header
    assert found.verdict.kind == "unsure"


def test_without_a_router_every_model_may_answer(tmp_path: Path) -> None:
    for name in ("a", "b"):
        copy_model(TINY_MODEL, tmp_path / name)
    found = route(synthetic_film(), tmp_path)
    assert [card.name for card in found.cards] == ["a", "b"]
    assert found.verdict.kind == "not_checked"
    assert found.what == ""


def test_baselines_and_the_router_are_never_asked(folder: Path) -> None:
    assert [card.name for card in models(folder)] == list(TAKES)


def test_what_is_accepted_names_every_kind_once(folder: Path) -> None:
    told = accepted(folder)
    assert told.count("retina") == 1
    for kind in set(TAKES.values()):
        assert KNOWN[kind].accepted in told


def test_no_model_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="No model is installed"):
        route(synthetic_film(), tmp_path)
