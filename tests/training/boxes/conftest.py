"""Drawn films with boxes as a data folder: bright squares on noise are the findings."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn_manifest import write_manifest

RECIPE = """
name = "drawn_boxes"
seed = 5
every = 3
again = [[2, 0.5]]
[input]
height = 48
width = 48
fit = "letterbox"
[network]
architecture = "mobilenet"
cut = "conv_pw_3_relu"
dropout = 0.0
[decoder]
bottom = 16
widths = [16]
skips = ["conv_pw_1_relu"]
turns = [1]
[data]
set = "squares"
label = "square"
draws = 192
[schedule]
batch = 8
epochs = 3
peak_rate = 4e-3
warmup_steps = 10
[augment]
flip = 0.5
flip_rows = 0.5
[card]
title = "Square"
subgroups = ["side"]
[[card.populations]]
id = "children"
title = "Drawn squares"
[[card.tests]]
id = "left"
title = "Squares of the left side"
population = "children"
where = { side = ["left"] }
"""


def draw(rng: np.random.Generator, count: int) -> tuple[np.ndarray, list[list[object]]]:
    film = rng.integers(40, 90, (48, 40), np.uint8)
    boxes: list[list[object]] = []
    for _ in range(count):
        high, wide = (int(v) for v in rng.integers(7, 13, 2))
        top, left = int(rng.integers(0, 48 - high)), int(rng.integers(0, 40 - wide))
        film[top : top + high, left : left + wide] = rng.integers(200, 240)
        boxes.append([left, top, left + wide, top + high, "square"])
    # Twice the size of the grid: the input check takes no picture below 64 pixels.
    twice = np.repeat(np.repeat(film, 2, axis=0), 2, axis=1)
    return twice, [[*(2 * side for side in box[:4]), box[4]] for box in boxes]  # type: ignore[operator]


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the set `squares` (64 train, 24 val, 24 test films, half of them empty) and a recipe."""
    base = tmp_path_factory.mktemp("boxes")
    (base / "squares" / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for i in range(112):
        film, boxes = draw(rng, i % 2)
        cv2.imwrite(str(base / "squares" / "images" / f"f{i}.png"), film)
        rows.append(
            {
                "id": f"f{i}",
                "file": f"images/f{i}.png",
                "split": "train" if i < 64 else "val" if i < 88 else "test",
                "patient": f"p{i // 2}",
                "boxes": json.dumps(boxes) if boxes else "",
                "side": "left" if i % 4 < 2 else "right",
            }
        )
    write_manifest(base / "squares", rows)
    (base / "recipe.toml").write_text(RECIPE, encoding="utf-8")
    return base
