from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from medimg_core.catalog import evaluation, read_card, read_verified
from medimg_core.errors import BadTable, Cancelled
from medimg_core.training.recipe import read_recipe
from medimg_core.training.train import gather, golden_inputs, train
from model_folder import TINY_BOXES, copy_model

pytestmark = pytest.mark.slow  # trains


def quiet(what: str, share: float) -> None:
    del what, share


def test_a_recipe_becomes_a_model_folder(drawn_set: Path, drawn_recipe: Path, tmp_path: Path) -> None:
    told: list[str] = []
    folder = tmp_path / "models" / "drawn"
    content = train(drawn_recipe, drawn_set, folder, lambda what, share: told.append(what), tmp_path / "work")
    assert {"Training", "Exporting"} <= set(told)
    card = read_card(folder)
    assert (card.name, card.head, card.cam_layer) == ("drawn", "pooled", "stage4_out")
    for file in ("model.keras", "model.tflite", "head.npz", "golden.npz", "evaluation.json"):
        assert read_verified(card, file)
    stored = evaluation(card)
    assert stored == json.loads(json.dumps(content))
    measured = stored["test_sets"]["drawn"]
    assert (measured["n"], measured["positives"]) == (10, 5)
    assert measured["saliency"]["cam"]["n"] == 5
    # Behind a pooled head Grad-CAM is CAM divided by the number of places: stride 16 of 32 pixels, 2 x 2.
    assert stored["saliency_scales"]["cam"] == pytest.approx(4 * stored["saliency_scales"]["gradcam"], rel=1e-3)
    with (tmp_path / "work" / "log.csv").open() as stream:
        assert [row["epoch"] for row in csv.DictReader(stream)] == ["1", "2"]
    assert list((tmp_path / "work" / "tensorboard").rglob("events*"))


def test_a_stopped_training_goes_on_where_it_was(drawn_set: Path, drawn_recipe: Path, tmp_path: Path) -> None:
    def stop_in_second_epoch(what: str, share: float) -> None:
        if what == "Training" and share >= 0.5:
            raise Cancelled

    work = tmp_path / "work"
    copy_model(TINY_BOXES, tmp_path / "m")  # boxes beside an older answer
    with pytest.raises(Cancelled):
        train(drawn_recipe, drawn_set, tmp_path / "m", stop_in_second_epoch, work)
    assert len((work / "log.csv").read_text().splitlines()) == 2
    train(drawn_recipe, drawn_set, tmp_path / "m", quiet, work)
    assert [line.split(",")[0] for line in (work / "log.csv").read_text().splitlines()] == ["epoch", "1", "2"]
    # The boxes are still there, with their figures; in the patients of the new answer they were not measured.
    before, after = read_card(TINY_BOXES), read_card(tmp_path / "m")
    assert after.places == before.places
    assert after.places is not None
    assert not after.places.fit_in(after.default_population)
    assert evaluation(after)["places"] == evaluation(before)["places"]
    assert read_verified(after, "boxes.tflite") == read_verified(before, "boxes.tflite")
    assert read_verified(after, "model.tflite") != read_verified(before, "model.tflite")


def test_films_of_ones_own_without_patients_or_split(drawn_set: Path, drawn_recipe: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(drawn_set / "drawn" / "images", own / "images")
    lines = ["id,file,label"] + [f"{i},images/f{i}.png,{'pneumonia' if i % 2 else 'normal'}" for i in range(60)]
    (own / "manifest.csv").write_text("\n".join(lines))
    folder = tmp_path / "models" / "mine"
    train(drawn_recipe, own, folder, quiet, tmp_path / "work")
    card = read_card(folder)
    assert card.default_population == "own"
    (limit,) = card.text["limits"]
    assert "42 films of 42 patients" in limit
    assert "far too few to rely on" in limit
    assert evaluation(card)["test_sets"]["own"]["n"] == 9


def test_a_split_with_one_class_is_a_sentence(drawn_recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "manifest.csv").write_text("id,file,split,patient,label,mask\na,x,train,p,normal,\n")
    with pytest.raises(BadTable, match="train does not hold films of both classes"):
        gather(read_recipe(drawn_recipe), tmp_path)


def test_golden_inputs_are_standardised_and_seeded(drawn_recipe: Path) -> None:
    spec = read_recipe(drawn_recipe).input
    x = golden_inputs(spec, 3)
    assert x.shape == (2, 32, 32, 3)
    assert np.abs(x).max() <= np.float32(1.6)
    np.testing.assert_allclose(x.mean(axis=(1, 2, 3)), 0, atol=0.05)
    np.testing.assert_array_equal(x, golden_inputs(spec, 3))
