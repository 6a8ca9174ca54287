"""Every model folder of the release, and the two of the tests, keep the same contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from model_contract import check_all, check_golden, check_head

from medimg_core.catalog import list_models, read_card, write_hashes
from medimg_core.inference.pool import load
from model_folder import MODELS, TINY_MODEL, copy_model

SHIPPED = Path(__file__).resolve().parents[2] / "models"
FOLDERS = sorted(path.parent for base in (SHIPPED, MODELS) for path in base.glob("*/card.toml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_a_model_folder_keeps_the_contract(folder: Path) -> None:
    check_all(read_card(folder))


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_the_keras_engine_keeps_it_too(folder: Path) -> None:
    card = read_card(folder)
    runtime = load(card, "keras")
    check_golden(card, runtime)
    check_head(card, runtime)


def test_all_shipped_models_together_stay_below_150_mb() -> None:
    files = [file for card in list_models(SHIPPED) for file in card.folder.iterdir()]
    assert sum(file.stat().st_size for file in files) < 150 * 2**20


def test_the_contract_notices_another_network(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "other")
    with np.load(folder / "golden.npz") as golden:
        arrays = dict(golden)
    arrays["logits"] = arrays["logits"] + np.float32(0.5)
    np.savez_compressed(folder / "golden.npz", **arrays)
    write_hashes(folder)
    with pytest.raises(AssertionError):
        check_all(read_card(folder))
