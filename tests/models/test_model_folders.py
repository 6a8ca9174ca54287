"""Every model folder of the release, and those of the tests, keep the same contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from places_contract import check_places_golden

from medimg_core.catalog import list_models, read_card, write_hashes
from medimg_core.inference.pool import load
from model_contract import FLOAT32, check_all, check_golden, check_head
from model_folder import BOXES, FORMS, MODELS, OUTLINES, TINY_BOXES, TINY_MODEL, TINY_OUTLINE, copy_model

SHIPPED = Path(__file__).resolve().parents[2] / "models"
FOLDERS = sorted(path.parent for base in (SHIPPED, MODELS, FORMS, OUTLINES, BOXES) for path in base.glob("*/card.toml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_a_model_folder_keeps_the_contract(folder: Path) -> None:
    check_all(read_card(folder), shipped=folder.parent == SHIPPED)


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
def test_the_keras_engine_keeps_it_too(folder: Path) -> None:
    card = read_card(folder)
    if card.answers:
        runtime = load(card, "keras")
        check_golden(card, runtime, FLOAT32)
        check_head(card, runtime)
    if card.places is not None:
        check_places_golden(card, load(card, "keras", card.places.network), float16=False)


def test_all_shipped_models_together_stay_below_150_mb() -> None:
    files = [file for card in list_models(SHIPPED) for file in card.folder.iterdir()]
    assert sum(file.stat().st_size for file in files) < 150 * 2**20


def test_models_of_ct_name_the_window_of_their_training() -> None:
    found = {card.name: card.input.window for card in list_models(SHIPPED) if card.modality == "CT"}
    named = {name: (window.centre, window.width) for name, window in found.items() if window is not None}
    assert named == {"lung_ct_cancer": (-600, 1500), "brain_ct_haemorrhage": (40, 80), "lung_nodule": (-400, 1600)}
    assert len(named) == len(found)


def other_logits(folder: Path) -> None:
    with np.load(folder / "golden.npz") as golden:
        arrays = dict(golden)
    arrays["logits"] = arrays["logits"] + np.float32(1e-3)
    np.savez_compressed(folder / "golden.npz", **arrays)


def other_places(folder: Path) -> None:
    with np.load(folder / "golden.npz") as golden:
        arrays = dict(golden)
    arrays["places"] = arrays["places"] + np.float32(0.1)
    np.savez_compressed(folder / "golden.npz", **arrays)


def no_dice(folder: Path) -> None:
    content = json.loads((folder / "evaluation.json").read_text())
    content["places"]["test_sets"]["drawn"]["predictions"]["dice"].pop()
    (folder / "evaluation.json").write_text(json.dumps(content))


def one_more_true_box(folder: Path) -> None:
    content = json.loads((folder / "evaluation.json").read_text())
    content["places"]["test_sets"]["children"]["predictions"]["boxes"][0] += 1
    (folder / "evaluation.json").write_text(json.dumps(content))


def card_text(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / "card.toml").read_text(encoding="utf-8")
        assert old in text
        (folder / "card.toml").write_text(text.replace(old, new), encoding="utf-8")

    return change


def no_shortcuts(folder: Path) -> None:
    content = json.loads((folder / "evaluation.json").read_text())
    for test_set in content["test_sets"].values():
        test_set["shortcuts"] = []
    (folder / "evaluation.json").write_text(json.dumps(content))


def one_step_less(folder: Path) -> None:
    before, last = (folder / "card.toml").read_text(encoding="utf-8").rsplit("[[populations.steps]]", 1)
    after = last[last.index("[populations.statements") :]
    (folder / "card.toml").write_text(before + after, encoding="utf-8")


FAULTS: dict[str, tuple[Path, Callable[[Path], None]]] = {
    "another network": (TINY_MODEL, other_logits),
    "no shortcuts": (TINY_MODEL, no_shortcuts),
    "unknown licence": (TINY_MODEL, card_text('licence = "open"', 'licence = "free"')),
    "no words": (TINY_MODEL, card_text('population = "Drawn films, no patients."', 'population = " "')),
    "a class without limit": (FORMS / "tiny_kinds", card_text("conformal = { clear", "conformal = { other")),
    "a step too few": (FORMS / "tiny_grades", one_step_less),
    "a logit that nobody has": (FORMS / "tiny_grades", card_text("output = 1\n", "output = 3\n")),
    "other places": (TINY_OUTLINE, other_places),
    "a film without its Dice": (TINY_OUTLINE, no_dice),
    "a structure that the command line does not know": (TINY_OUTLINE, card_text('id = "lesion"', 'id = "thing"')),
    "a family of measures that there is not": (TINY_OUTLINE, card_text('measure = "lesion"', 'measure = "horse"')),
    "a mark that the figures do not bear": (TINY_BOXES, card_text("adults_pa = false", "adults_pa = true")),
    "a true box that nobody counted": (TINY_BOXES, one_more_true_box),
    "boxes without their files": (TINY_BOXES, card_text('network = "boxes"', 'network = "other"')),
    "a kind that there is not": (FORMS / "tiny_kinds", card_text('"chest_frontal"', '"horse"')),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_contract_notices(fault: str, tmp_path: Path) -> None:
    source, damage = FAULTS[fault]
    folder = copy_model(source, tmp_path / "other")
    write_hashes(folder)
    check_all(read_card(folder), shipped=False)
    damage(folder)
    write_hashes(folder)
    with pytest.raises(AssertionError):
        check_all(read_card(folder), shipped=False)
