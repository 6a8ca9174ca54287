"""`python -m medimg_core.training.series NAME --data DIR --work DIR`: give a slice model its answer for series."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from medimg_core.catalog import models_folder
from medimg_core.training.recipe import read_recipe
from medimg_core.training.series.export import choose, export, prepare, tried


def main() -> None:
    """Everything, from the recipe of the slice model to its folder; prints the figures of the cross-validation."""
    parser = argparse.ArgumentParser(prog="python -m medimg_core.training.series")
    parser.add_argument("name")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="for features and fold networks, outside the tree")
    options = parser.parse_args()
    recipe = read_recipe(Path("recipes") / f"{options.name}.toml")

    def progress(what: str, share: float) -> None:
        sys.stderr.write(f"{what}: {share:.0%}\n")

    ready = prepare(recipe, models_folder() / options.name, options.data, options.work / options.name, progress)
    found = tried(ready, recipe.seed, progress)
    for one in found:
        area, gap = one.test.a, one.test.difference
        sys.stdout.write(
            f"{one.name}: AUROC {area.value:.3f} ({area.low:.3f} to {area.high:.3f}), against the maximum "
            f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f}), p {one.test.p:.3g}\n"
        )
    sys.stdout.write(f"Chosen: {choose(found).name}\n")
    test = export(ready, found, recipe.seed)["test"]
    area, gap = test["metrics"]["auroc"], test["difference"]
    sys.stdout.write(f"Test: AUROC {area}, against the maximum {gap}\n")


if __name__ == "__main__":
    main()
