"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from medimg_core.catalog import ModelCard, read_card
from model_folder import MODELS, TINY_BASELINE, TINY_MODEL

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real data sets, beside the checkout."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the data sets of ../shared are not here")
    return folder


@pytest.fixture
def tiny_model() -> ModelCard:
    """A small network with a pooled head that finds a blob on drawn films (`model_folder.synthetic_film`)."""
    return read_card(TINY_MODEL)


@pytest.fixture
def tiny_baseline() -> ModelCard:
    """A small network with max pooling and a flattened head, for the same drawn films."""
    return read_card(TINY_BASELINE)


@pytest.fixture
def tiny_models(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Makes `tiny_model` (second opinion: `tiny_baseline`) the installed models; returns their folder."""
    monkeypatch.setenv("MEDIMG_MODELS", str(MODELS))
    return MODELS
