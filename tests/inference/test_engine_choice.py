from __future__ import annotations

from pathlib import Path

import pytest

from medimg_core.errors import BadRequest
from medimg_core.inference import engine


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    return tmp_path / "gpus"


def test_a_device_of_the_driver_is_visible(driver: Path) -> None:
    assert engine.gpu_visible({}, driver)
    assert engine.gpu_visible({"CUDA_VISIBLE_DEVICES": "0"}, driver)


@pytest.mark.parametrize("hidden", ["", "-1", " "])
def test_a_hidden_device_is_not(driver: Path, hidden: str) -> None:
    assert not engine.gpu_visible({"CUDA_VISIBLE_DEVICES": hidden}, driver)


def test_no_driver_or_no_device_is_no_gpu(tmp_path: Path) -> None:
    assert not engine.gpu_visible({}, tmp_path / "absent")
    assert not engine.gpu_visible({}, tmp_path)


@pytest.mark.parametrize(
    ("gpu", "tensorflow", "chosen"), [(True, True, "keras"), (True, False, "litert"), (False, True, "litert")]
)
def test_auto_follows_the_machine(monkeypatch: pytest.MonkeyPatch, gpu: bool, tensorflow: bool, chosen: str) -> None:
    monkeypatch.delenv("MEDIMG_ENGINE", raising=False)
    monkeypatch.setattr(engine, "gpu_visible", lambda: gpu)
    monkeypatch.setattr(engine, "has_tensorflow", lambda: tensorflow)
    assert engine.choose_engine() == chosen


def test_the_environment_overrules_the_machine_and_the_caller_overrules_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "has_tensorflow", lambda: True)
    monkeypatch.setenv("MEDIMG_ENGINE", "keras")
    assert engine.choose_engine() == "keras"
    assert engine.choose_engine("litert") == "litert"


def test_an_unknown_engine_names_the_known_ones() -> None:
    with pytest.raises(BadRequest, match="auto, litert, keras"):
        engine.choose_engine("onnx")


def test_keras_without_tensorflow_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "has_tensorflow", lambda: False)
    with pytest.raises(BadRequest, match="needs TensorFlow"):
        engine.choose_engine("keras")
