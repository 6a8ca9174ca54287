"""From a drawn set to a model folder, and what the folder then says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from outline_set import write_set

from medimg_core.catalog import read_card
from medimg_core.inference.places import look
from medimg_core.metrics import dice
from medimg_core.training.data import read_image
from medimg_core.training.train import train


@pytest.mark.slow
def test_a_recipe_becomes_a_folder_that_outlines(tmp_path: Path) -> None:
    recipe = write_set(tmp_path)
    out = tmp_path / "models" / "discs"
    content = train(recipe, tmp_path, out, lambda what, share: None, tmp_path / "work")
    card = read_card(out)
    places = card.places
    assert places is not None
    assert card.form == "yes_no"
    assert [s.id for s in places.structures] == ["disc", "core"]
    stored = json.loads((out / "evaluation.json").read_text())
    assert stored == content
    assert stored["test_sets"]["all"]["n"] == 8
    measured = stored["places"]["test_sets"]["all"]
    assert (measured["n"], measured["patients"]) == (8, 4)
    assert measured["structures"]["disc"]["with"] == 4
    assert measured["structures"]["core"]["n"] == 6  # not outlined at site b

    # Asked again from the stored file, a film has the Dice that the evaluation counted.
    film = read_image(tmp_path / "discs/images/p33.png")
    truth = read_image(tmp_path / "discs/masks/p33.png").pixels[..., 0] > 0
    found = look(film, card)
    mask = next((r.mask for r in found.regions if r.label == "disc"), None)
    known = measured["predictions"]["dice"][measured["predictions"]["id"].index("p33")][0]
    assert dice(truth, np.zeros_like(truth) if mask is None else mask) == pytest.approx(known, abs=1e-4)
    assert all(0 <= r.score <= 1 for r in found.regions)
    assert np.isfinite(found.forward.logits).all()
