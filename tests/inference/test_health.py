from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from medimg_core.inference import health
from model_folder import MODELS, TINY_MODEL, copy_model


def test_a_whole_installation_is_well(tiny_models: Path) -> None:
    state = health()
    assert state.ok
    assert [(m.name, m.fault) for m in state.models] == [("tiny_baseline", ""), ("tiny_model", "")]
    assert state.models[1].version == "0.1.0"
    assert len(state.models[1].hash) == 8
    assert state.versions["numpy"] == version("numpy")


def test_the_engine_that_auto_means_is_named(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIMG_ENGINE", "litert")
    assert health().engine == "litert"


@pytest.mark.parametrize("file", ["model.tflite", "model.keras", "head.npz", "card.toml", "evaluation.json"])
def test_every_file_of_a_model_is_checked(tmp_path: Path, file: str) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "tiny_model")
    assert health(tmp_path).ok
    with (folder / file).open("ab") as stream:
        stream.write(b"\n")
    state = health(tmp_path)
    assert not state.ok
    assert file in state.models[0].fault


def test_a_missing_file_is_named_and_the_others_are_still_checked(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "broken")
    copy_model(TINY_MODEL, tmp_path / "whole")
    (folder / "model.tflite").unlink()
    state = health(tmp_path)
    assert not state.ok
    assert [bool(m.fault) for m in state.models] == [True, False]
    assert "lacks its file model.tflite" in state.models[0].fault


def test_a_card_that_cannot_be_read_is_a_fault_and_no_error(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "broken")
    (folder / "card.toml").write_text("title = ", encoding="utf-8")
    state = health(tmp_path)
    assert state.models[0].fault.startswith("The card of the model 'broken' cannot be used")


def test_a_repaired_folder_is_well_again(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "tiny_model")
    (folder / "model.tflite").write_bytes(b"x")
    assert not health(tmp_path).ok
    (folder / "model.tflite").write_bytes((MODELS / "tiny_model" / "model.tflite").read_bytes())
    assert health(tmp_path).ok


def test_no_models_is_not_well(tmp_path: Path) -> None:
    assert not health(tmp_path).ok
