"""A detector learns drawn squares; its files agree; what is measured is what was found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medimg_core.imaging import prepare
from medimg_core.inference.boxes import BoxRule, found_boxes
from medimg_core.training.boxes.data import read_boxes, split_of
from medimg_core.training.boxes.recipe import read_box_recipe

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
    train_boxes(base / "recipe.toml", squares, base / "out", base / "work", lambda _, __: None)
    return base


def test_it_learns(trained: Path) -> None:
    told = json.loads((trained / "out" / "boxes.json").read_text(encoding="utf-8"))
    assert told["val"]["ap50"]["value"] > 0.7
    assert told["test"]["ap50"]["value"] > 0.7
    assert told["test"]["boxes"] == 12
    assert told["test"]["shown"]["found"]["value"] > 0.7
    assert set(told["test"]["subgroups"]) == {"side=left", "side=right"}
    assert 0 < told["places"]["threshold"] < 1


def test_a_finished_training_is_not_repeated(squares: Path, trained: Path) -> None:
    from medimg_core.training.boxes.data import load_boxes
    from medimg_core.training.boxes.loop import fit_boxes

    recipe = read_box_recipe(trained / "recipe.toml")
    val = load_boxes(split_of(read_boxes(squares, recipe), "val"), recipe, lambda _, __: None, trained / "work/cache")
    before = (trained / "work" / "round2" / "epochs.txt").read_text(encoding="utf-8")
    again = fit_boxes(recipe, val, val, trained / "work", lambda _, __: None)
    assert (trained / "work" / "round2" / "epochs.txt").read_text(encoding="utf-8") == before
    golden = np.load(trained / "out" / "boxes_golden.npz")
    said = np.asarray(again.built.model(golden["inputs"], training=False))
    np.testing.assert_allclose(said, golden["places"], atol=1e-3)


def test_both_files_say_the_golden_outputs(trained: Path) -> None:
    import keras

    from medimg_core.training.boxes.export import litert_places

    golden = np.load(trained / "out" / "boxes_golden.npz")
    litert = litert_places((trained / "out" / "boxes.tflite").read_bytes(), golden["inputs"])
    model = keras.saving.load_model(trained / "out" / "boxes.keras", compile=False)
    assert getattr(model, "optimizer", None) is None
    np.testing.assert_allclose(np.asarray(model(golden["inputs"])), golden["places"], atol=1e-4)
    assert np.abs(litert["places"] - golden["places"]).max() < 0.5
    assert litert["features"].shape == golden["features"].shape


def test_an_export_that_differs_is_refused(trained: Path) -> None:
    from medimg_core.training.boxes.export import check_places
    from medimg_core.training.export import ExportError

    golden = np.load(trained / "out" / "boxes_golden.npz")
    said = {name: golden[name] for name in ("places", "features")}
    check_places(said, said, float16=False)
    for changed in ({**said, "places": said["places"] + 1}, {**said, "features": said["features"] * np.nan}):
        for half in (True, False):
            with pytest.raises(ExportError):
                check_places(changed, said, float16=half)


def test_the_app_finds_what_the_training_measured(squares: Path, trained: Path) -> None:
    from medimg_core.training.boxes.export import litert_places

    recipe = read_box_recipe(squares / "recipe.toml")
    content = (trained / "out" / "boxes.tflite").read_bytes()
    near = []
    for record in split_of(read_boxes(squares, recipe), "test"):
        if record.boxes:
            x, geometry = prepare(record.image(), recipe.input)
            boxes, _ = found_boxes(litert_places(content, x[None])["places"][0], geometry, BoxRule())
            near.append(np.abs(boxes[0] - record.boxes[0]).max() if len(boxes) else np.inf)
    assert np.median(near) < 3
