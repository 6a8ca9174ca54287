"""The measures of reference masks against the reference figures of three data sets."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from drawn_masks import image, region
from PIL import Image as Picture

from medimg_core.inference.measures import ejection_fraction, measure
from medimg_core.types import MaskArray, Region, Spacing

pytestmark = [pytest.mark.shared, pytest.mark.slow]


def rows(folder: Path, *splits: str) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] in splits]


def values(folder: Path, row: dict[str, str]) -> np.ndarray:
    with Picture.open(folder / row["mask"]) as picture:
        return np.asarray(picture)


def measured(kind: str, label: str, mask: MaskArray, spacing: Spacing) -> dict[str, float]:
    return {m.name: m.value for m in measure(kind, [region(label, mask)], image(mask.shape, spacing), {})}


def test_head_circumference_of_the_true_masks(shared: Path) -> None:
    folder = shared / "data" / "fetal_head"
    errors = []
    for row in rows(folder, "val", "test"):
        side = float(row["spacing_mm"])
        found = measured("fetal_head", "head", values(folder, row).astype(bool), Spacing(side, side, "manifest"))
        errors.append(found["head_circumference"] - float(row["hc_mm"]))
    # OpenCV draws its filled ellipses about a third of a pixel too large all around: hence the bias.
    assert len(errors) > 200
    assert np.abs(errors).mean() < 0.7
    assert np.std(errors) < 0.4


def frame(folder: Path, row: dict[str, str]) -> list[Region]:
    mask = values(folder, row)
    return [region("left_ventricle", mask == 1), region("left_atrium", mask == 3)]


def test_ejection_fraction_of_the_true_masks(shared: Path) -> None:
    folder = shared / "data" / "cardiac_ultrasound"
    pairs: defaultdict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for row in rows(folder, "val", "test"):
        pairs[row["patient"]][row["phase"]] = row
    true, reference, ours = [], [], []
    for pair in pairs.values():
        ed, es = pair["ED"], pair["ES"]
        side = float(ed["spacing_mm"])
        picture = image(values(folder, ed).shape, Spacing(side, side, "manifest"))
        done = ejection_fraction(frame(folder, ed), frame(folder, es), picture, {})
        found = {m.name: m.value for m in done.measurements}
        assert 5 < found["end_systolic_volume"] < found["end_diastolic_volume"] < 300
        true.append(float(ed["ef"]))
        reference.append(float(ed["ef_masks_4ch"]))
        ours.append(found["ejection_fraction"])
    # One plane against the biplane figure of the hospital costs about 7 points; area-length of the same masks little.
    assert len(ours) > 100
    assert np.abs(np.subtract(ours, true)).mean() < 8
    assert np.corrcoef(ours, true)[0, 1] > 0.8
    assert np.abs(np.subtract(ours, reference)).mean() < 2.5


def test_diameters_of_the_true_nodules(shared: Path) -> None:
    folder = shared / "data" / "lung_nodule"
    long, short, true = [], [], []
    for row in rows(folder, "val", "test"):
        if row["main_slice"] != "1":
            continue
        column, line = map(float, row["spacing_mm"].split("x"))
        mask = values(folder, row).astype(bool)
        found = measured("lesion", "nodule", mask, Spacing(line, column, "manifest"))
        assert found["perpendicular_diameter"] <= found["longest_diameter"]
        long.append(found["longest_diameter"])
        short.append(found["perpendicular_diameter"])
        true.append(float(row["diameter_mm"]))
    # `diameter_mm` follows the sphere of the nodule's volume (r 0.99): the long axis lies above, the short one near it.
    assert len(true) > 200
    assert np.corrcoef(long, true)[0, 1] > 0.9
    assert np.corrcoef(short, true)[0, 1] > 0.9
    assert np.abs(np.subtract(short, true)).mean() < 1.5
