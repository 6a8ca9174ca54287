from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from medimg_core import catalog
from medimg_core.catalog import ModelCard
from medimg_core.errors import BadRequest, ModelUnavailable
from model_folder import MODELS, TINY_MODEL, copy_model, synthetic_film


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_model(TINY_MODEL, tmp_path / "tiny_model")


def test_a_card_says_what_the_network_takes(tiny_model: ModelCard) -> None:
    assert tiny_model.name == "tiny_model"
    assert (tiny_model.input.height, tiny_model.input.width, tiny_model.input.channels) == (64, 64, 3)
    assert tiny_model.class_ids == ("normal", "pneumonia")
    assert tiny_model.classes[tiny_model.positive].id == "pneumonia"
    assert [p.name for p in tiny_model.populations[0].operating_points] == ["rule_out", "balanced", "rule_in"]


def test_the_reference_carries_the_first_digits_of_the_file_hash(tiny_model: ModelCard) -> None:
    digest = hashlib.sha256((TINY_MODEL / "model.tflite").read_bytes()).hexdigest()
    assert tiny_model.ref.hash == digest[:8]


def test_only_folders_with_a_card_are_models(tmp_path: Path) -> None:
    copy_model(TINY_MODEL, tmp_path / "b")
    copy_model(TINY_MODEL, tmp_path / "a")
    (tmp_path / "notes").mkdir()
    assert [card.name for card in catalog.list_models(tmp_path)] == ["a", "b"]


def test_an_unknown_model_names_those_that_there_are(tiny_models: Path) -> None:
    with pytest.raises(ModelUnavailable, match="tiny_baseline, tiny_model"):
        catalog.open_model("tiny")


def test_an_empty_models_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="Installed models: none"):
        catalog.open_model("chest_xray_pneumonia", tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('version = "0.1.0"', 'version = "0.1.0'),
        ('version = "0.1.0"', ""),
        ("height = 64", ""),
        ("height = 64", "hight = 64"),
        ("rule_in = ", "rule_inn = "),
        ("temperature = ", "temperatur = "),
        ('id = "pneumonia"', 'ident = "pneumonia"'),
    ],
    ids=["no TOML", "no version", "no size", "misspelt size", "no rule-in", "no temperature", "class without id"],
)
def test_a_bad_card_is_a_sentence_and_no_trace(folder: Path, old: str, new: str) -> None:
    path = folder / "card.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ModelUnavailable) as caught:
        catalog.read_card(folder)
    assert caught.value.cause.startswith("The card of the model 'tiny_model' cannot be used")
    assert caught.value.remedy.startswith("Restore the folder")


def test_a_folder_without_a_card_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        catalog.read_card(tmp_path)


def test_a_card_that_changed_on_disk_is_read_again(folder: Path) -> None:
    before = catalog.read_card(folder).title
    path = folder / "card.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(before, "Another title"), encoding="utf-8")
    assert catalog.read_card(folder).title == "Another title"


def test_one_changed_bit_of_a_network_is_noticed(folder: Path) -> None:
    content = bytearray((folder / "model.tflite").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.tflite").write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"model\.tflite .* is not the one that was released"):
        catalog.read_verified(catalog.read_card(folder), "model.tflite")


def test_a_file_without_a_hash_is_not_trusted(folder: Path) -> None:
    (folder / "extra.npz").write_bytes(b"x")
    with pytest.raises(ModelUnavailable, match="not the one that was released"):
        catalog.read_verified(catalog.read_card(folder), "extra.npz")


def test_a_missing_network_is_named(folder: Path) -> None:
    (folder / "model.tflite").unlink()
    with pytest.raises(ModelUnavailable, match=r"lacks its file model\.tflite"):
        catalog.read_verified(catalog.read_card(folder), "model.tflite")


@pytest.mark.parametrize("damage", ["missing", "cut off"])
def test_damaged_hashes_make_the_model_unavailable(folder: Path, damage: str) -> None:
    path = folder / "hashes.json"
    if damage == "missing":
        path.unlink()
    else:
        path.write_text(path.read_text(encoding="utf-8")[:40], encoding="utf-8")
    with pytest.raises(ModelUnavailable, match=r"hashes\.json"):
        catalog.read_verified(catalog.read_card(folder), "model.tflite")


def test_hashes_cover_every_file_but_themselves(folder: Path) -> None:
    (folder / "extra.txt").write_text("new", encoding="utf-8")
    catalog.write_hashes(folder)
    table = json.loads((folder / "hashes.json").read_text(encoding="utf-8"))
    assert set(table) == {p.name for p in folder.iterdir()} - {"hashes.json"}
    assert table["extra.txt"] == hashlib.sha256(b"new").hexdigest()


@pytest.mark.parametrize(
    ("age", "view", "population"),
    [
        (1.0, None, "children"),
        (5.9, "PA", "children"),
        (18.0, "PA", "adults_pa"),
        (90.0, "AP", "adults_ap"),
        (40.0, "ap", "adults_ap"),
    ],
)
def test_age_and_view_of_the_header_tell_the_population(
    tiny_model: ModelCard, age: float, view: str | None, population: str
) -> None:
    chosen, known = tiny_model.population(synthetic_film(age_years=age, view=view))
    assert (chosen.id, known) == (population, True)


@pytest.mark.parametrize(("age", "view"), [(None, None), (0.5, "AP"), (6.0, "PA"), (17.9, "PA"), (40.0, None)])
def test_outside_every_population_the_default_is_not_called_known(
    tiny_model: ModelCard, age: float | None, view: str | None
) -> None:
    chosen, known = tiny_model.population(synthetic_film(age_years=age, view=view))
    assert (chosen.id, known) == ("children", False)


def test_the_reader_overrules_the_header(tiny_model: ModelCard) -> None:
    chosen, known = tiny_model.population(synthetic_film(age_years=3.0), "adults_pa")
    assert (chosen.id, known) == ("adults_pa", True)


def test_the_environment_names_another_models_folder(tiny_models: Path) -> None:
    assert catalog.models_folder() == MODELS
    assert replace(catalog.open_model("tiny_model"), folder=MODELS).name == "tiny_model"


def write_licence(folder: Path, licence: str, task: str = "classification") -> None:
    path = folder / "card.toml"
    text = path.read_text(encoding="utf-8").replace('licence = "open"', f'licence = "{licence}"')
    path.write_text(text.replace('task = "classification"', f'task = "{task}"'), encoding="utf-8")


def test_a_site_names_the_licences_that_it_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, licence, task in (
        ("a", "open", "classification"),
        ("b", "non-commercial", "classification"),
        ("router", "research-only", "gate"),
    ):
        write_licence(copy_model(TINY_MODEL, tmp_path / name), licence, task)

    def names() -> list[str]:
        return [card.name for card in catalog.list_models(tmp_path)]

    monkeypatch.delenv("MEDIMG_LICENCES", raising=False)
    assert names() == ["a", "b", "router"]
    monkeypatch.setenv("MEDIMG_LICENCES", "open, unverified")
    assert names() == ["a", "router"]  # the router gives no answers
    assert catalog.open_model("router", tmp_path).licence == "research-only"
    with pytest.raises(ModelUnavailable, match=r"licence of its data is non-commercial.*Choose another model"):
        catalog.open_model("b", tmp_path)
    monkeypatch.setenv("MEDIMG_LICENCES", "")
    assert names() == ["a", "b", "router"]
    monkeypatch.setenv("MEDIMG_LICENCES", "gratis")
    with pytest.raises(BadRequest, match="research-only"):
        catalog.list_models(tmp_path)


def test_a_damaged_card_hides_no_other(tmp_path: Path) -> None:
    copy_model(TINY_MODEL, tmp_path / "a")
    (copy_model(TINY_MODEL, tmp_path / "b") / "card.toml").write_text("version = ")
    assert [card.name for card in catalog.list_models(tmp_path)] == ["a"]
    (error,) = catalog.damaged_models(tmp_path)
    assert "'b'" in error.cause
