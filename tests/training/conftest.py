"""Drawn films as a data folder: a bright blob in a chest is the finding."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from drawn_manifest import draw_film, write_manifest


@pytest.fixture(scope="session")
def drawn_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the set `drawn`: 60 films of 60 patients, 40 train, 10 val, 10 test."""
    base = tmp_path_factory.mktemp("data")
    (base / "drawn" / "images").mkdir(parents=True)
    (base / "drawn" / "masks").mkdir()
    rows: list[dict[str, object]] = []
    for i in range(60):
        positive = i % 2 == 1
        film, mask = draw_film(i, positive)
        cv2.imwrite(str(base / "drawn" / "images" / f"f{i}.png"), film)
        cv2.imwrite(str(base / "drawn" / "masks" / f"f{i}.png"), mask)
        rows.append(
            {
                "id": f"f{i}",
                "file": f"images/f{i}.png",
                "split": "train" if i < 40 else "val" if i < 50 else "test",
                "patient": f"p{i}",
                "label": "pneumonia" if positive else "normal",
                "mask": f"masks/f{i}.png",
                "view": "PA" if i % 4 < 2 else "AP",
                "width": 72,
                "height": 60,
            }
        )
    write_manifest(base / "drawn", rows)
    return base


RECIPE = """
name = "drawn"
seed = 3
[input]
height = 32
width = 32
[network]
architecture = "small_resnet"
dropout = 0.1
[[data]]
set = "drawn"
column = "label"
targets = { normal = 0.0, pneumonia = 1.0 }
mask = "mask"
[loss]
smoothing = 0.04
evidence = 0.1
[schedule]
batch = 8
head_epochs = 0
epochs = 2
peak_rate = 3e-3
warmup_steps = 3
[augment]
rotate_degrees = 5.0
zoom = [0.95, 1.05]
flip = 0.5
[card]
version = "0.0.1"
title = "Drawn blobs"
task = "classification"
modality = "CR"
baseline = false
licence = "open"
default_population = "drawn"
[[card.classes]]
id = "normal"
title = "No blob"
meaning = "No blob."
[[card.classes]]
id = "pneumonia"
title = "Blob"
meaning = "A blob."
[[card.populations]]
id = "drawn"
title = "Drawn films"
set = "drawn"
[card.text]
intended_use = "Finds blobs on drawn films."
limits = ["Drawn films only."]
"""


@pytest.fixture
def drawn_recipe(tmp_path: Path) -> Path:
    """A small recipe for `drawn_set`."""
    path = tmp_path / "drawn.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path
