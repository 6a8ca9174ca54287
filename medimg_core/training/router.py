"""Training of the router: what a picture shows, before any model may look at it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from medimg_core.errors import BadTable, MedImgError
from medimg_core.imaging import normalise
from medimg_core.training.router_makers import make
from medimg_core.training.router_pictures import Draw
from medimg_core.training.router_sources import Shelf, load
from medimg_core.types import FloatArray, InputSpec

if TYPE_CHECKING:
    import keras

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Recipe:
    """`recipes/router.toml`; the tables as read, and the classes in the order of the outputs."""

    name: str
    version: str
    seed: int
    network: dict[str, Any]
    training: dict[str, Any]
    shares: dict[str, float]
    gate: dict[str, dict[str, float]]
    card: dict[str, Any]
    folder: Path

    @property
    def classes(self) -> tuple[str, ...]:
        """Class identifiers in the order of the network's outputs."""
        return tuple(self.shares)

    @property
    def spec(self) -> InputSpec:
        """How pictures enter the network."""
        side = int(self.network["size"])
        return InputSpec(side, side, channels=3, fit="squash", normalisation="standardise")


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        BadTable: a table is missing, or the shares do not add up to one.
    """
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        recipe = Recipe(
            raw["name"],
            raw["version"],
            raw["seed"],
            raw["network"],
            raw["training"],
            raw["shares"],
            raw["gate"],
            raw["card"],
            path.resolve().parent.parent,
        )
    except KeyError as error:
        raise BadTable(f"The recipe {path.name} lacks {error}.", "Compare it with the recipe that ships.") from error
    if abs(sum(recipe.shares.values()) - 1) > 1e-6:
        raise BadTable("The shares of the recipe do not add up to one.", "Correct the table [shares].")
    return recipe


def build(recipe: Recipe) -> keras.Model:
    """MobileNet cut at stride 16, global average pooling, one dense layer; flat, batch norm in inference mode.

    Howard et al., "MobileNets", arXiv 1704.04861. The output is one logit a class.

    Raises:
        MedImgError: the ImageNet body is not where the recipe says.
    """
    import keras

    weights = recipe.folder / recipe.network["weights"]
    if not weights.is_file():
        raise MedImgError(f"The ImageNet body {weights.name} is missing.", "Put it where the recipe says.")
    side = int(recipe.network["size"])
    body = keras.applications.MobileNet(
        input_shape=(side, side, 3), alpha=recipe.network["alpha"], include_top=False, weights=str(weights)
    )
    for layer in body.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
    features = body.get_layer(recipe.network["cut"]).output
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(features)
    dropped = keras.layers.Dropout(recipe.network["dropout"], name="dropout")(pooled)
    logits = keras.layers.Dense(len(recipe.classes), name="logits")(dropped)
    return keras.Model(body.input, logits, name=recipe.name)


def batch(draw: Draw, recipe: Recipe, count: int) -> tuple[FloatArray, FloatArray]:
    """A training batch: prepared pictures `[count, S, S, 3]` and smoothed one-hot targets `[count, K]`."""
    shares = np.array(list(recipe.shares.values()))
    labels = draw.rng.choice(len(shares), count, p=shares / shares.sum())
    made = np.stack([make(draw, recipe.classes[k]) for k in labels]).astype(np.float32) / np.float32(255)
    smooth = float(recipe.training["label_smoothing"])
    targets = np.eye(len(shares), dtype=np.float32)[labels] * np.float32(1 - smooth) + np.float32(smooth / len(shares))
    return normalise(made, recipe.spec), targets


def fit(recipe: Recipe, shelves: list[Shelf], say: Say = print) -> keras.Model:
    """Train on pictures drawn anew for every epoch; seeded."""
    import keras

    cv2.setNumThreads(1)
    keras.utils.set_random_seed(recipe.seed)
    settings = recipe.training
    size, steps = int(settings["batch"]), int(settings["samples"]) // int(settings["batch"])

    class Drawn(keras.utils.PyDataset):  # type: ignore[misc]
        """Batch `i` of epoch `e` is drawn from its own seed, whichever worker asks for it."""

        epoch = 0

        def __len__(self) -> int:
            return steps

        def __getitem__(self, index: int) -> tuple[FloatArray, FloatArray]:
            rng = np.random.default_rng((recipe.seed, self.epoch, index))
            return batch(Draw(rng, shelves, int(recipe.network["size"])), recipe, size)

        def on_epoch_end(self) -> None:
            self.epoch += 1

    model = build(recipe)
    total = steps * int(settings["epochs"])
    rate = keras.optimizers.schedules.CosineDecay(
        1e-5, total, alpha=0.01, warmup_target=settings["rate"], warmup_steps=min(200, total // 5)
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=settings["weight_decay"]),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: say(f"epoch {epoch + 1}: loss {logs['loss']:.4f}, {logs['accuracy']:.4f}")
    )
    model.fit(Drawn(workers=1), epochs=int(settings["epochs"]), verbose=0, callbacks=[told])
    return model


def read_shelves(recipe: Recipe, data: Path, split: str) -> list[Shelf]:
    """The pictures of a split as the recipe caps them."""
    return load(data, split, int(recipe.training["cap"]), recipe.seed)
