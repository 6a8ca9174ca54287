"""Make `tests/data_outlines/tiny_outline` anew: `python tests/make_tiny_outlines.py`, one minute.

A U-Net of some thousand weights that outlines both dark fields and the bright blob of drawn films. As in
`make_tiny_model.py`, every text says that it is a synthetic example.
"""

from __future__ import annotations

import json
import shutil

import keras
import numpy as np
from keras import layers
from make_tiny_model import SPEC

from medimg_core.catalog import read_card, write_hashes
from medimg_core.imaging import prepare
from medimg_core.inference.places import look, measured
from medimg_core.training.outlines.data import OutlineRecord
from medimg_core.training.outlines.export import export_outline
from medimg_core.training.outlines.measure import OutlineAnswer, agree, fit_errors, fit_quality, outlines_set
from medimg_core.training.outlines.unet import FEATURES, BuiltOutline
from medimg_core.types import FloatArray, Region, Spacing
from model_folder import TINY_OUTLINE, film_masks, synthetic_film

FOLDER = TINY_OUTLINE
STRUCTURES = ("lungs", "lesion")
TITLES = {"lungs": "Lungs", "lesion": "Lesion"}


def strength(seed: int) -> float:
    """Half of the films show no blob."""
    return 0.2 + 0.3 * ((seed * 7919) % 97) / 97 if seed % 2 else 0.0


def drawn(first: int, n: int) -> tuple[FloatArray, FloatArray]:
    """Inputs `[n, 64, 64, 3]` and structures `[n, 32, 32, 2]`, the share of each cell that lies inside."""
    inputs, places = [], []
    for seed in range(first, first + n):
        x, geometry = prepare(synthetic_film(seed, strength(seed)), SPEC)
        masks = film_masks(seed, strength(seed))
        fine = np.stack([geometry.lower(masks[name].astype(np.float32)) for name in STRUCTURES], axis=-1)
        inputs.append(x)
        places.append(fine.reshape(32, 2, 32, 2, len(STRUCTURES)).mean(axis=(1, 3)))
    return np.stack(inputs), np.stack(places).astype(np.float32)


def network() -> keras.Model:
    """Three steps down, two up; the names are those of `training.outlines.unet`."""
    image = keras.Input((64, 64, 3))
    fine = _step(layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image), "relu1")
    middle = _step(layers.SeparableConv2D(12, 3, strides=2, padding="same", use_bias=False)(fine), "relu2")
    y = _step(layers.SeparableConv2D(16, 3, strides=2, padding="same", use_bias=False)(middle), FEATURES)
    for level, (beside, filters) in enumerate(((middle, 12), (fine, 8)), start=1):
        y = layers.UpSampling2D(2, interpolation="bilinear")(y)
        y = layers.Concatenate()([y, beside])
        y = _step(layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(y), f"way{level}")
    return keras.Model(image, layers.Conv2D(len(STRUCTURES), 3, padding="same", name="places")(y), name="tiny_outline")


def _step(x: object, name: str) -> object:
    return layers.ReLU(name=name)(layers.BatchNormalization(momentum=0.8)(x))


def asked(first: int, n: int, split: str) -> list[OutlineAnswer]:
    """The exported network's outlines of drawn films, two of each patient."""
    card, answers = read_card(FOLDER), []
    assert card.places is not None
    for seed in range(first, first + n):
        image = synthetic_film(seed, strength(seed), spacing=Spacing(0.8, 0.8, "typed"))
        found = look(image, card)
        regions = {region.label: region for region in found.regions}
        truth = film_masks(seed, strength(seed))
        record = OutlineRecord(
            set="synthetic example",
            id=f"drawn{seed}",
            file=FOLDER,
            split=split,
            patient=f"drawn{seed // 2}",
            mask=None,
            truth=None,
            spacing=(0.8, 0.8),
            slice=None,
        )
        drawn_regions = [Region("mask", name, 1.0, mask=mask) for name, mask in truth.items() if mask.any()]
        answers.append(
            OutlineAnswer(
                record,
                found.forward.logits,
                {name: agree(mask, regions.get(name), image) for name, mask in truth.items()},
                {m.name: m for m in found.measurements},
                {m.name: m for m in measured(drawn_regions, image, card.places)},
                0.01,
                False,
            )
        )
    return answers


def make() -> None:
    """Train, export, fit on one draw of films, measure on another, describe."""
    keras.utils.set_random_seed(7)
    shutil.rmtree(FOLDER, ignore_errors=True)
    model = network()
    x, places = drawn(0, 500)
    model.compile(keras.optimizers.Adam(6e-3), keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(x, places, batch_size=25, epochs=14, verbose=0)
    model.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(x, places, batch_size=25, epochs=4, verbose=0)
    export_outline(BuiltOutline(model, answers=False), FOLDER, "model", drawn(30_000, 2)[0], float16=False)
    write_card({}, {})
    val = asked(10_000, 80, "val")
    write_card({name: fit_quality(val, name) for name in STRUCTURES}, fit_errors(val))
    card = read_card(FOLDER)
    assert card.places is not None
    test = outlines_set("Drawn films (synthetic example)", asked(20_000, 60, "test"), card.places)
    content = {
        "schema": 1,
        "model": "tiny_outline",
        "version": "0.1.0",
        "date": "2026-11-21 (synthetic example)",
        "command": "python tests/make_tiny_outlines.py",
        "commit": "synthetic example",
        "code_hash": "synthetic example",
        "versions": {},
        "training_seconds": 20,
        "data": [{"set": "synthetic example", "split": "test", "n": 60, "patients": 30, "hash": ""}],
        "test_sets": {},
        "val": {},
        "saliency_scales": {},
        "places": {"test_sets": {"drawn": test | {"data_hash": "synthetic example"}}},
    }
    (FOLDER / "evaluation.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    write_hashes(FOLDER)
    print({name: figures["dice"] for name, figures in test["structures"].items()}, model.count_params())


def write_card(quality: dict[str, tuple[float, float]], errors: dict[str, dict[str, float | bool]]) -> None:
    """Write `card.toml`: the masks of tests hold 1 where a field is, 2 where the blob is."""
    text = """version = "0.1.0"
title = "Tiny Outline (synthetic example)"
task = "outline"
modality = "CR"
outputs = 0
cam_layer = "bottom"
head = "none"
licence = "open"
default_population = "drawn"
takes = ["chest_frontal"]

[input]
height = 64
width = 64
channels = 3
fit = "squash"
normalisation = "standardise"

[[populations]]
id = "drawn"
title = "Drawn films (synthetic example)"
test_set = "drawn"
fit_for_use = true

[places]
kind = "outline"
network = "model"
measure = "lesion"

[places.fit_for_use]
drawn = true
"""
    for number, name in enumerate(STRUCTURES, start=1):
        fitted = [round(float(v), 5) for v in quality.get(name, (0.0, 1.0))]
        values = [1, 2] if name == "lungs" else [number]
        text += f'\n[[places.structures]]\nid = "{name}"\ntitle = "{TITLES[name]}"\nsmallest = 0.0005\n'
        text += f"quality = {fitted}\n[places.structures.truth]\nvalues = {values}\n"
    for name, fit in errors.items():
        text += f"\n[places.errors.{name}]\nbias = {fit['bias']}\nsd = {fit['sd']}\n"
        text += f"relative = {str(fit['relative']).lower()}\n"
    text += """
[text]
intended_use = "Synthetic example for tests: it outlines fields and a blob on drawn films."
population = "Drawn films, no patients."
not_for = ["any film of a patient"]
limits = ["Synthetic example: nothing was measured on patients."]
data = "Films drawn by tests/model_folder.py."
training = "tests/make_tiny_outlines.py"
"""
    (FOLDER / "card.toml").write_text(text, encoding="utf-8")
    write_hashes(FOLDER)


if __name__ == "__main__":
    make()
