"""A drawn set with masks: bright discs (structure 1) with a dark core (structure 2), and pictures without either."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

RECIPE = """
name = "discs"
task = "outline"
seed = 3

[input]
height = 64
width = 64
channels = 3
fit = "squash"
normalisation = "standardise"

[network]
architecture = "mobilenet_v2"
weights = "none"
cut = "block_6_expand_relu"
dropout = 0.1

[decoder]
bottom = 24
widths = [24, 16]
skips = ["block_3_expand_relu", "block_1_expand_relu"]

[[structures]]
id = "disc"
values = [1, 2]

[[structures]]
id = "core"
values = [2]
where = { site = ["a"] }

[data]
set = "discs"
draws = 64
answer = "label"
targets = { none = 0, disc = 1 }

[loss]
answer = 0.3

[schedule]
batch = 8
epochs = 6
peak_rate = 3e-3
warmup_steps = 10

[augment]
rotate_degrees = 20
elastic = 0.01
flip = 0.5

[card]
version = "1.0.0"
title = "Discs"
task = "outline"
modality = "OT"
baseline = false
licence = "open"
default_population = "all"
positive = 1
measure = "lesion"
shortcuts = ["width"]

[[card.structures]]
id = "disc"
title = "Disc"

[[card.structures]]
id = "core"
title = "Core"

[[card.classes]]
id = "none"
title = "None"
meaning = "No disc."

[[card.classes]]
id = "disc"
title = "Disc"
meaning = "A disc."

[[card.populations]]
id = "all"
title = "Drawn"
set = "discs"

[card.text]
intended_use = "Tests."
population = "Drawn pictures."
not_for = ["anything else"]
truth = "As drawn."
data = "Drawn."
training = "In a test."
limits = ["Drawn."]
"""


def write_set(data: Path, n: int = 40, size: int = 72) -> Path:
    """Write `data/discs` with `n` pictures, half of them with a disc; returns the recipe's file."""
    folder = data / "discs"
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rng = np.random.default_rng(5)
    rows = []
    for i in range(n):
        picture = rng.normal(90, 12, (size, size))
        mask = np.zeros((size, size), np.uint8)
        if i % 2:
            centre, radius = rng.integers(24, size - 24, 2), int(rng.integers(12, 18))
            cv2.circle(mask, [int(c) for c in centre], radius, 1, -1)
            cv2.circle(mask, [int(c) for c in centre], radius // 2, 2, -1)
            picture += 90 * (mask == 1) - 60 * (mask == 2)
        cv2.imwrite(str(folder / f"images/p{i}.png"), np.clip(picture, 0, 255).astype(np.uint8))
        cv2.imwrite(str(folder / f"masks/p{i}.png"), mask)
        split = "test" if i >= 0.8 * n else "val" if i >= 0.55 * n else "train"
        rows.append(
            {
                "id": f"p{i}",
                "file": f"images/p{i}.png",
                "split": split,
                "patient": f"q{i // 2}",
                "label": "disc" if i % 2 else "none",
                "mask": f"masks/p{i}.png" if i % 2 else "",
                "site": "a" if i % 4 else "b",
                "slice": i % 2,
                "spacing_mm": "0.5",
            }
        )
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    recipe = data / "discs.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    return recipe
