"""Make `tests/data_boxes/tiny_boxes` anew: `python tests/make_tiny_boxes.py`, two minutes.

`tiny_model` with a detector of some ten thousand weights beside it, which boxes the blob of drawn films: trained,
exported and measured by `train`, as any recipe of boxes. Clear blobs stand for children; those of adults are so faint
that the boxes are not fit for use there. As in `make_tiny_model.py`, every text says that it is a synthetic example.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np

from medimg_core.catalog import write_hashes
from medimg_core.training.train import train
from model_folder import TINY_BOXES, TINY_MODEL, film_masks, film_pixels

SPLITS = {"train": (0, 300), "val": (10_000, 90), "test": (20_000, 120)}
"""Split -> first seed, and how many films."""

RECIPE = """
name = "tiny_boxes"
task = "boxes"
seed = 7
every = 14
[input]
height = 64
width = 64
channels = 3
fit = "squash"
normalisation = "standardise"
[network]
architecture = "mobilenet"
weights = "none"
cut = "conv_pw_3_relu"
dropout = 0.0
[decoder]
bottom = 16
widths = [16]
skips = ["conv_pw_1_relu"]
turns = [1]
[data]
set = "blobs"
label = "lesion"
[schedule]
batch = 16
epochs = 14
peak_rate = 4e-3
warmup_steps = 20
[augment]
flip = 0.5
flip_rows = 0.5
[card]
title = "Lesion"
subgroups = ["field"]
[[card.populations]]
id = "children"
title = "Drawn films, clear blobs (synthetic example)"
where = { group = ["children"] }
[[card.populations]]
id = "adults_pa"
title = "Drawn films, faint blobs (synthetic example)"
where = { group = ["adults_pa"] }
"""


def row(folder: Path, split: str, seed: int) -> dict[str, str]:
    """Draw one film: every other one shows a blob, in test those of every third patient a faint one."""
    adult = split == "test" and seed // 2 % 3 == 2
    clear = 0.2 + 0.3 * ((seed * 7919) % 97) / 97
    strength = 0.0 if seed % 2 == 0 else 0.05 if adult else clear
    pixels, place = film_pixels(seed, strength)
    cv2.imwrite(str(folder / f"{seed}.png"), pixels.astype(np.uint8))
    rows, columns = np.nonzero(film_masks(seed, strength)["lesion"])
    sides = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if rows.size else []
    return {
        "id": f"drawn{seed}",
        "file": f"{seed}.png",
        "split": split,
        "patient": f"drawn{seed // 2}",
        "boxes": json.dumps([[*map(int, sides), "lesion"]] if sides else []),
        "group": "adults_pa" if adult else "children",
        "field": "left" if place[1] < pixels.shape[1] / 2 else "right",
    }


def make() -> None:
    """Draw, train, export, measure."""
    shutil.rmtree(TINY_BOXES, ignore_errors=True)
    shutil.copytree(TINY_MODEL, TINY_BOXES)
    card = (TINY_BOXES / "card.toml").read_text(encoding="utf-8")
    card = card.replace('"Tiny Model (synthetic example)"', '"Tiny Boxes (synthetic example)"')
    (TINY_BOXES / "card.toml").write_text(card.replace('second_opinion = "tiny_baseline"\n', ""), encoding="utf-8")
    write_hashes(TINY_BOXES)
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        (base / "blobs").mkdir()
        rows = [row(base / "blobs", split, first + i) for split, (first, n) in SPLITS.items() for i in range(n)]
        with (base / "blobs" / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        (base / "recipe.toml").write_text(RECIPE, encoding="utf-8")
        os.environ["MEDIMG_MODELS"] = str(TINY_BOXES.parent)
        content = train(base / "recipe.toml", base, TINY_BOXES, lambda what, share: None, base / "work")
    for name, test_set in content["places"]["test_sets"].items():
        print(name, test_set["n"], test_set["metrics"]["ap50"], test_set["shown"]["threshold"])
    print(content["places"]["cost"])


if __name__ == "__main__":
    make()
