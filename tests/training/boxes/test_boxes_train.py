"""A detector learns drawn squares; its files agree; what is measured is what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medimg_core.catalog import read_card, read_verified
from medimg_core.errors import BadRequest, ModelUnavailable
from medimg_core.training import places
from medimg_core.training.boxes.data import read_boxes, split_of
from medimg_core.training.boxes.recipe import read_box_recipe
from medimg_core.workflows.find import find
from model_folder import TINY_MODEL, TINY_OUTLINE, copy_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    from medimg_core.training.boxes.train import train_boxes

    base = tmp_path_factory.mktemp("trained")
    keras.utils.set_random_seed(1)
    body = keras.applications.MobileNet(input_shape=(48, 48, 3), include_top=False, weights=None, alpha=0.5)
    # Statistics of the films for the untrained body: with its slow memory, few steps would not reach them.
    for layer in body.layers:
        layer.momentum = 0.0
    body(np.random.default_rng(0).normal(0, 0.5, (8, 48, 48, 3)).astype(np.float32), training=True)
    body.save_weights(base / "body.weights.h5")
    recipe = (squares / "recipe.toml").read_text(encoding="utf-8")
    (base / "recipe.toml").write_text(
        recipe.replace("[network]", f'[network]\nweights = "{base}/body.weights.h5"'), encoding="utf-8"
    )
    copy_model(TINY_MODEL, base / "out")
    train_boxes(base / "recipe.toml", squares, base / "out", lambda _, __: None, base / "work")
    return base


def told_by(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    return content


def test_it_learns(trained: Path) -> None:
    said = told_by(trained / "out")["places"]
    test = said["test_sets"]["children"]
    assert said["val"]["metrics"]["ap50"]["value"] > 0.7
    assert test["metrics"]["ap50"]["value"] > 0.7
    assert (test["n"], test["patients"], test["with_finding"], test["boxes"], test["refused"]) == (24, 12, 12, 12, 0)
    assert said["test_sets"]["left"]["n"] == 12
    assert test["shown"]["found"]["value"] > 0.7
    assert [row["name"] for row in test["subgroups"]] == ["side: left", "side: right"]
    assert sum(test["predictions"]["right"]) == round(test["shown"]["found"]["value"] * 12)
    assert said["cost"]["keras_bytes"] == (trained / "out" / "boxes.keras").stat().st_size


def test_the_answer_beside_stays_as_it_was(trained: Path) -> None:
    before, after = read_card(TINY_MODEL), read_card(trained / "out")
    assert (after.classes, after.populations, after.input) == (before.classes, before.populations, before.input)
    content = told_by(trained / "out")
    assert {key: content[key] for key in content if key != "places"} == told_by(TINY_MODEL)
    for file in ("model.keras", "model.tflite", "golden.npz", "head.npz"):
        assert read_verified(after, file) == (TINY_MODEL / file).read_bytes()


def test_the_card_says_how_boxes_are_read_and_for_whom_they_are_fit(trained: Path) -> None:
    places = read_card(trained / "out").places
    assert places is not None
    assert (places.kind, places.network, places.structures[0].id) == ("boxes", "boxes", "square")
    assert 0 < places.structures[0].threshold < 1
    assert places.fit_for_use == {"children": True}
    assert not places.fit_in("adults_pa")  # nothing was measured there


def test_a_new_answer_keeps_the_boxes(trained: Path) -> None:
    table, figures = places.beside(trained / "out")
    assert table["places"]["network"] == "boxes"
    assert figures["places"] == told_by(trained / "out")["places"]
    assert places.beside(TINY_MODEL) == ({}, {})
    assert places.beside(TINY_OUTLINE) == ({}, {})  # its one network is the one that is trained anew


def test_boxes_that_lean_on_the_answer_are_not_fit_after_a_new_one(trained: Path, tmp_path: Path) -> None:
    folder = copy_model(trained / "out", tmp_path / "leaning")
    text = (folder / "card.toml").read_text(encoding="utf-8")
    weight = f"answer_weight = {read_card(folder).places.answer_weight}"  # type: ignore[union-attr]
    assert weight in text
    (folder / "card.toml").write_text(text.replace(weight, "answer_weight = 0.2"), encoding="utf-8")
    assert places.beside(folder)[0]["places"]["fit_for_use"] == {}


def test_weights_from_elsewhere_become_the_same_folder(squares: Path, trained: Path, tmp_path: Path) -> None:
    from medimg_core.training.boxes.train import export_weights

    out = copy_model(TINY_MODEL, tmp_path / "out")
    weights = trained / "work" / "round2" / "last.weights.h5"
    content = export_weights(trained / "recipe.toml", weights, squares, out, lambda _, __: None)
    for key in ("test_sets", "val"):
        assert content["places"][key] == told_by(trained / "out")["places"][key]
    with pytest.raises(ModelUnavailable, match="not those of the network"):
        export_weights(trained / "recipe.toml", tmp_path / "none.h5", squares, out, lambda _, __: None)


def test_a_folder_without_an_answer_is_refused_first(squares: Path, tmp_path: Path) -> None:
    from medimg_core.training.boxes.train import train_boxes

    for out in (tmp_path / "nothing", TINY_OUTLINE):
        with pytest.raises(ModelUnavailable, match="stands beside one"):
            train_boxes(squares / "recipe.toml", squares, out, lambda _, __: None, tmp_path / "work")
    text = (squares / "recipe.toml").read_text(encoding="utf-8")
    (tmp_path / "short.toml").write_text(text[: text.index("[card]")], encoding="utf-8")
    with pytest.raises(BadRequest, match="lacks title and populations"):
        train_boxes(tmp_path / "short.toml", squares, TINY_MODEL, lambda _, __: None, tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_finished_training_is_not_repeated(squares: Path, trained: Path) -> None:
    from medimg_core.training.boxes.data import load_boxes
    from medimg_core.training.boxes.loop import fit_boxes

    recipe = read_box_recipe(trained / "recipe.toml")
    val = load_boxes(split_of(read_boxes(squares, recipe), "val"), recipe, lambda _, __: None, trained / "work/films")
    before = (trained / "work" / "round2" / "epochs.txt").read_text(encoding="utf-8")
    again = fit_boxes(recipe, val, val, trained / "work", lambda _, __: None)
    assert (trained / "work" / "round2" / "epochs.txt").read_text(encoding="utf-8") == before
    golden = np.load(trained / "out" / "golden_boxes.npz")
    said = np.asarray(again.built.model(golden["inputs"], training=False))
    np.testing.assert_allclose(said, golden["places"], atol=1e-3)


def test_both_files_say_the_golden_outputs(trained: Path) -> None:
    import keras

    from medimg_core.training.boxes.export import litert_places

    golden = np.load(trained / "out" / "golden_boxes.npz")
    litert = litert_places((trained / "out" / "boxes.tflite").read_bytes(), golden["inputs"])
    model = keras.saving.load_model(trained / "out" / "boxes.keras", compile=False)
    assert getattr(model, "optimizer", None) is None
    np.testing.assert_allclose(np.asarray(model(golden["inputs"])), golden["places"], atol=1e-4)
    assert np.abs(litert["places"] - golden["places"]).max() < 0.5
    assert litert["features"].shape == golden["features"].shape


def test_an_export_that_differs_is_refused(trained: Path) -> None:
    from medimg_core.training.boxes.export import check_places
    from medimg_core.training.export import ExportError

    golden = np.load(trained / "out" / "golden_boxes.npz")
    said = {name: golden[name] for name in ("places", "features")}
    check_places(said, said, float16=False)
    for changed in ({**said, "places": said["places"] + 1}, {**said, "features": said["features"] * np.nan}):
        for half in (True, False):
            with pytest.raises(ExportError):
                check_places(changed, said, float16=half)


def test_the_app_finds_what_the_training_measured(squares: Path, trained: Path) -> None:
    recipe = read_box_recipe(squares / "recipe.toml")
    card, near, shown = read_card(trained / "out"), [], []
    for record in split_of(read_boxes(squares, recipe), "test"):
        boxes = find(record.image(), card, "children").shown
        shown.append(len(boxes))
        if record.boxes:
            near.append(np.abs(np.subtract(boxes[0].box, record.boxes[0])).max() if boxes else np.inf)
    assert np.median(near) < 3
    assert shown == told_by(trained / "out")["places"]["test_sets"]["children"]["predictions"]["shown"]
