"""What every model folder that outlines or boxes must keep: its golden places, and regions that lie in the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from medimg_core import catalog
from medimg_core.catalog import PLACES_FLOORS, ModelCard, PlacesCard
from medimg_core.inference.measures import kinds
from medimg_core.inference.places import look
from medimg_core.inference.runtime import Runtime
from medimg_core.types import FloatArray, Image, Region, Spacing

FLOAT32 = 1e-3
"""Largest difference of a logit from the exported network's, relative to the largest (at least 1)."""

FLOAT16_MEAN, FLOAT16_DICE = 2e-3, 0.98
"""With 16-bit weights: largest mean difference of a probability, least Dice between both outlines of drawn blobs."""

FLOAT32_COSINE, FLOAT16_COSINE = 0.9999, 0.99
"""Least cosine between the gradient at the bottom and TensorFlow's; rounding puts single ReLUs beyond their kink."""

FLOAT16_SCORE = 2e-3
"""With 16-bit weights: largest difference of the score of a box."""

FLOAT16_SIDE = 0.5
"""With 16-bit weights: largest difference of a side of a box, in pixels of the input."""

LABELS = {"lung_right", "lung_left", "lungs", "heart", "left_ventricle", "myocardium", "left_atrium", "head", "tumour"}
LABELS |= {"lesion", "nodule", "fracture", "microaneurysm", "haemorrhage", "hard_exudate", "soft_exudate", "optic_disc"}
UNITS = {"", "mm", "mm2", "ml", "px", "px2", "%", "weeks"}


def golden_file(places: PlacesCard) -> str:
    """The golden inputs and outputs of the network that outlines."""
    return "golden.npz" if places.network == "model" else f"golden_{places.network}.npz"


def check_places_files(card: ModelCard) -> None:
    """The network that outlines has its own files where it is not the one that answers."""
    places = _places(card)
    needed = {f"{places.network}.keras", f"{places.network}.tflite", golden_file(places)}
    assert needed <= set(catalog.hashes(card))


def check_places_card(card: ModelCard) -> None:
    """What the card says about structures, measures and truth is possible."""
    places = _places(card)
    ids = [structure.id for structure in places.structures]
    assert len(set(ids)) == len(ids) >= 1
    assert set(ids) <= LABELS
    assert all(structure.title for structure in places.structures)
    own = {structure.id for structure in places.outputs}
    for structure in places.structures:
        assert 0 < structure.threshold < 1
        assert 0 <= structure.smallest < 0.1
        assert set(structure.of) <= own
        assert structure.truth.side in ("", "left", "right")
        assert structure.truth.side or not structure.truth.sideless
    assert places.measure in ("", *kinds())
    assert places.context in (0, 1)
    assert places.window_mm >= 0
    for fit in places.errors.values():
        assert set(fit) == {"bias", "sd", "relative"}
        assert fit["sd"] >= 0
    if places.kind == "boxes":
        assert len(places.structures) == 1
        assert not places.measure
        assert 0 <= places.trust < 1
        assert 0 < places.suppress < 1
        assert 0 < places.vote <= 1
    assert set(places.fit_for_use) <= {population.id for population in card.populations}
    if not card.answers:
        assert {p.id: p.fit_for_use for p in card.populations} == {p.id: places.fit_in(p.id) for p in card.populations}


def check_places_evaluation(card: ModelCard) -> None:
    """Test sets of the places: every figure inside its interval, a row for every image, the mark as the figures say."""
    places, block = _places(card), catalog.evaluation(card)["places"]
    assert block["test_sets"]
    if not card.answers:
        assert {p.test_set for p in card.populations} <= set(block["test_sets"])
    _check_intervals(block["test_sets"])
    _check_fitness(card, block["test_sets"])
    if places.kind == "boxes":
        for test_set in block["test_sets"].values():
            _check_boxes(test_set)
        return
    _check_saliency(block.get("saliency", {}), {structure.id for structure in places.structures})
    for test_set in block["test_sets"].values():
        assert 0 <= test_set["refused"] <= test_set["n"]
        # A structure that nobody outlined in these films has no figures.
        assert set(test_set["structures"]) <= {structure.id for structure in places.structures}
        assert test_set["structures"]
        rows = test_set["predictions"]
        assert {len(column) for column in rows.values()} == {test_set["n"]}
        assert all(value is None or 0 <= value <= 1 for row in rows["dice"] for value in row)
        assert {len(row) for row in rows["dice"]} == {len(places.structures)}
        assert all(figures["unit"] in UNITS for figures in test_set["measurements"].values())


def _check_saliency(measured: Mapping[str, Any], structures: set[str]) -> None:
    """Maps of outlines: known methods and structures, changes of a Dice, a scale."""
    _check_intervals(measured)
    assert set(measured) <= {"split", "seg_gradcam", "seg_hirescam"}
    for by_structure in (value for key, value in measured.items() if key != "split"):
        assert set(by_structure) <= structures
        for row in by_structure.values():
            assert 0 < row["n"] <= row["outlined"]
            assert row["scale"] > 0
            assert all(0 <= row[name]["value"] <= 1 for name in ("moved", "random", "beside"))


def _check_fitness(card: ModelCard, sets: Mapping[str, Any]) -> None:
    """What was not measured, or stays below the floor, is not fit for use; what reaches it is."""
    places = _places(card)
    figure, floor = PLACES_FLOORS[places.kind]
    for population in card.populations:
        metrics = sets.get(population.test_set, {"metrics": {}})["metrics"]
        assert places.fit_in(population.id) == (figure in metrics and metrics[figure]["value"] >= floor)


def _check_boxes(test_set: Mapping[str, Any]) -> None:
    """Counts of a test set of boxes, against those of its images."""
    assert 0 <= test_set["refused"] <= test_set["n"]
    rows = test_set["predictions"]
    assert {len(column) for column in rows.values()} == {test_set["n"]}
    assert len(set(rows["patient"])) == test_set["patients"]
    assert sum(rows["boxes"]) == test_set["boxes"]
    assert sum(n > 0 for n in rows["boxes"]) == test_set["with_finding"] > 0
    assert all(right <= min(shown, true) for shown, true, right in zip(*map(rows.get, _COUNTS), strict=True))
    false = sum(rows["shown"]) - sum(rows["right"])
    assert test_set["shown"]["false_boxes_per_image"] == pytest.approx(false / test_set["n"], abs=1e-4)
    assert {"ap50", "ap_centre", "sensitivity_at_0.5"} <= set(test_set["metrics"])


_COUNTS = ("shown", "boxes", "right")


def _check_intervals(part: Any) -> None:
    if isinstance(part, Mapping):
        if {"value", "low", "high"} <= set(part):
            assert part["low"] <= part["value"] <= part["high"]
        for inner in part.values():
            _check_intervals(inner)


def check_places_golden(card: ModelCard, runtime: Runtime, *, float16: bool) -> None:
    """A runtime of the network that outlines sees in the golden inputs what was seen when it was exported."""
    places = _places(card)
    with np.load(card.folder / golden_file(places)) as golden:
        inputs, expected = golden["inputs"], golden["places"]
    channels = places.input.channels * (1 + 2 * places.context)
    assert inputs.shape[1:] == (places.input.height, places.input.width, channels)
    assert expected.shape[-1] == (6 if places.kind == "boxes" else len(places.outputs))
    actual = np.stack([_seen(runtime, x) for x in inputs])
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    if places.kind == "outline":
        check_places_gradient(card, runtime, float16=float16)
    if not float16:
        assert float(np.abs(actual - expected).max()) <= FLOAT32 * max(1.0, float(np.abs(expected).max()))
        return
    chances, wanted = (1 / (1 + np.exp(-side)) for side in (actual, expected))
    if places.kind == "boxes":
        assert float(np.abs(chances - wanted)[..., [0, 5]].max()) <= FLOAT16_SCORE
        assert float(np.abs(actual - expected)[..., 1:5].max()) <= FLOAT16_SIDE
        return
    assert float(np.abs(chances - wanted).mean()) <= FLOAT16_MEAN
    one, two = actual > 0, expected > 0
    assert 2 * float((one & two).sum()) >= FLOAT16_DICE * float(one.sum() + two.sum())


def check_places_gradient(card: ModelCard, runtime: Runtime, *, float16: bool) -> None:
    """The gradient at the bottom is TensorFlow's own, taken at the export over the pixels that were seen."""
    places = _places(card)
    with np.load(card.folder / golden_file(places)) as golden:
        inputs, logits, expected = golden["inputs"], golden["places"], golden["places_gradient"]
    for x, seen, wanted in zip(inputs, logits, expected, strict=True):
        weights = (seen > 0 if (seen > 0).any() else np.ones_like(seen)).astype(np.float32)
        forward, gradient = runtime.places_gradient(x, weights)
        assert forward.places is not None
        np.testing.assert_allclose(forward.places, _seen(runtime, x), atol=1e-3)
        assert gradient.shape == forward.features.shape == wanted.shape
        assert gradient.any()
        lengths = float(np.linalg.norm(gradient) * np.linalg.norm(wanted))
        assert float((gradient * wanted).sum()) / lengths > (FLOAT16_COSINE if float16 else FLOAT32_COSINE)


def _seen(runtime: Runtime, x: FloatArray) -> FloatArray:
    found = runtime.predict(x).places
    assert found is not None
    return found


def check_regions(card: ModelCard) -> None:
    """Regions and measurements of drawn pictures and of empty ones, of any size, with and without spacing."""
    places = _places(card)
    for image in _pictures():
        rows, columns = image.shape
        box = (columns * 0.3, rows * 0.3, columns * 0.6, rows * 0.7) if places.needs_box else None
        found = look(image, card, box=box, beside=(image, image) if places.context else ())
        assert {region.label for region in found.regions} <= {structure.id for structure in places.structures}
        for region in found.regions:
            _check_region(region, image, places)
        for said in found.measurements:
            assert said.unit in UNITS
            assert math.isfinite(said.value)
            assert said.value >= 0
            assert math.isnan(said.low) or said.low <= said.high
            # An error in millimetres says nothing of a measurement in pixels.
            assert said.name in places.errors or math.isnan(said.low)
            assert image.spacing is not None or said.unit not in ("mm", "mm2", "ml", "weeks")


def _check_region(region: Region, image: Image, places: PlacesCard) -> None:
    rows, columns = image.shape
    assert 0 <= region.score <= 1
    assert region.box is not None
    x0, y0, x1, y1 = region.box
    assert 0 <= x0 < x1 <= columns
    assert 0 <= y0 < y1 <= rows
    if places.kind == "boxes":
        assert region.kind == "box"
        assert region.mask is None
        return
    assert region.kind == "outline"
    assert region.mask is not None
    assert region.mask.dtype == np.bool_
    assert region.mask.shape == image.shape
    inside = np.zeros_like(region.mask)
    inside[int(y0) : math.ceil(y1), int(x0) : math.ceil(x1)] = True
    assert region.mask.any()
    assert not (region.mask & ~inside).any()


def _pictures() -> list[Image]:
    """A picture of one grey, a blob, bands and noise: grey and in colour, wide, high, small."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[0:180, 0:240].astype(np.float32)
    blob = 40 + 150 * np.exp(-((y - 90) ** 2 + (x - 120) ** 2) / (2 * 30**2)) + draw.normal(0, 8, y.shape)
    bands = 100 + 80 * np.sin(x / 12) + draw.normal(0, 5, y.shape)
    noise = draw.integers(0, 256, (97, 64, 3), dtype=np.uint8)
    spacing = Spacing(0.5, 0.7, "typed")
    return [
        Image(np.zeros((64, 64), np.float32), "MONOCHROME2", "empty", spacing=spacing),
        Image(np.full((300, 200, 3), 128, np.uint8), "RGB", "one grey"),
        Image(np.clip(blob, 0, 255).astype(np.float32), "MONOCHROME2", "blob", spacing=spacing),
        Image(np.clip(bands.T, 0, 255).astype(np.float32), "MONOCHROME2", "bands"),
        Image(noise, "RGB", "noise", spacing=spacing),
    ]


def _places(card: ModelCard) -> PlacesCard:
    assert card.places is not None
    return card.places
