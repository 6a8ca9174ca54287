"""The training loop of boxes: everything at once under a cosine; resumable, seeded, stoppable, any Keras backend."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.imaging import Geometry
from medimg_core.inference.boxes import BoxRule, found_boxes
from medimg_core.metrics.detection import ImageBoxes, average_precision
from medimg_core.training.boxes.data import BoxFilms
from medimg_core.training.boxes.network import BuiltBoxes, build_boxes
from medimg_core.training.boxes.recipe import BoxRecipe
from medimg_core.training.data import Progress
from medimg_core.training.loop import append_row, read_log, tensorboard
from medimg_core.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class TrainedBoxes:
    """A trained network on the recipe's whole grid, and how long its epochs took together."""

    built: BuiltBoxes
    seconds: float


def fit_boxes(recipe: BoxRecipe, train: BoxFilms, val: BoxFilms, work: Path, progress: Progress) -> TrainedBoxes:
    """Train a recipe's network; see `training.loop.fit` for `work` and `progress`.

    The weights of the last epoch of a round are taken; with `patience`, those of its look at val with the best AP50.
    """
    import keras

    from medimg_core.training.boxes.batches import BoxBatches

    keras.utils.set_random_seed(recipe.seed)
    crop = recipe.data.crop
    whole = build_boxes(recipe)
    built = build_boxes(recipe, (crop, crop)) if crop else whole
    seconds, before = 0.0, 0
    for number, (epochs, factor) in enumerate(recipe.rounds):
        folder = work / f"round{number + 1}"
        folder.mkdir(parents=True, exist_ok=True)
        first = len((folder / "epochs.txt").read_text().splitlines()) if (folder / "backup").is_dir() else 0
        batches = BoxBatches(train, recipe, built.stride, before + first)
        model = _with_loss(built, recipe)
        model.compile(_optimizer(recipe, len(batches) * epochs, factor))
        callbacks = [
            keras.callbacks.BackupAndRestore(str(folder / "backup"), delete_checkpoint=False),
            *tensorboard(folder),
            _watch(recipe, built, whole, val, folder, progress),
        ]
        if first < epochs and not (folder / "done").is_file():
            model.fit(batches, epochs=epochs, verbose=0, callbacks=callbacks)
        (folder / "done").touch()
        best = folder / "best.weights.h5"
        whole.model.load_weights(best if best.is_file() else folder / "last.weights.h5")
        if built is not whole:
            built.model.set_weights(whole.model.get_weights())
        seconds, before = seconds + sum(float(row["seconds"]) for row in read_log(folder)), before + epochs
    return TrainedBoxes(whole, seconds)


def _optimizer(recipe: BoxRecipe, total: int, factor: float) -> Any:
    """AdamW under a cosine with warm-up, for one round of so many steps."""
    import keras

    schedule = recipe.schedule
    rate = keras.optimizers.schedules.CosineDecay(
        factor * schedule.peak_rate / 60,
        total,
        alpha=0.01,
        warmup_target=factor * schedule.peak_rate,
        warmup_steps=min(schedule.warmup_steps, total // 5),
    )
    return keras.optimizers.AdamW(rate, weight_decay=schedule.weight_decay, clipnorm=5.0)


def places_of(model: Any, films: BoxFilms, recipe: BoxRecipe, batch: int = 8) -> FloatArray:
    """`places` float32 `[N, h, w, 6]` of whole films, without augmentation."""
    from medimg_core.training.boxes.batches import to_input

    out = []
    for start in range(0, len(films), batch):
        grids = films.grids[start : start + batch].astype(np.float32) / np.float32(255)
        out.append(np.asarray(model.predict_on_batch(to_input(grids, recipe.input)), np.float32))
    return np.concatenate(out)


def grid_precision(places: FloatArray, films: BoxFilms, recipe: BoxRecipe) -> tuple[float, float]:
    """Average precision on the network's own grid at an overlap of 0.5, and with the centre inside a true box.

    For watching a training; what is reported is measured in source pixels.
    """
    size = (recipe.input.height, recipe.input.width)
    geometry = Geometry.fit(size, size, "squash")
    rule = BoxRule(trust=recipe.answer.trust, suppress=recipe.answer.suppress, vote=recipe.answer.vote)
    images = []
    for seen, truth, record in zip(places, films.boxes, films.records, strict=True):
        boxes, z = found_boxes(seen, geometry, rule)
        images.append(ImageBoxes(truth, boxes, z, record.patient))
    at = [average_precision(images, iou, draws=2).all_points.value for iou in (0.5, None)]
    return at[0], at[1]


def _with_loss(built: BuiltBoxes, recipe: BoxRecipe) -> Any:
    import keras

    from medimg_core.training.boxes.losses import heat_loss, overlap_loss, sides_loss

    class BoxModel(keras.Model):  # type: ignore[misc]
        """A functional model whose loss is the focal loss of the heat, 1 - GIoU, and the expected overlap's."""

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            sides, iou = sides_loss(y_pred[..., 1:5], y["sides"], y["weight"])
            heat = heat_loss(y_pred[..., 0], y["heat"], y["counted"])
            expected = overlap_loss(y_pred[..., 5], iou, y["weight"])
            return recipe.loss.heat * heat + recipe.loss.sides * sides + recipe.loss.overlap * expected

    return BoxModel(built.model.inputs, built.model.output)


def _watch(
    recipe: BoxRecipe, built: BuiltBoxes, whole: BuiltBoxes, val: BoxFilms, work: Path, progress: Progress
) -> Any:
    """A callback that logs average precision on val, keeps weights, stops early and reports."""
    import keras

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        best, since, since_look = -np.inf, 0, 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch, self.start = epoch, time.monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch % 10 == 0:
                progress("Training", (self.epoch + batch / max(1, self.params["steps"])) / self.params["epochs"])

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            built.model.save_weights(work / "last.weights.h5")
            self.since_look += time.monotonic() - self.start
            with (work / "epochs.txt").open("a") as stream:
                stream.write(f"{epoch + 1} {float((logs or {}).get('loss', np.nan)):.4f} {self.since_look:.1f}\n")
            if (epoch + 1) % recipe.every and epoch + 1 < self.params["epochs"]:
                return
            start = time.monotonic()
            whole.model.load_weights(work / "last.weights.h5")
            ap50, centre = grid_precision(places_of(whole.model, val, recipe), val, recipe)
            row = {"epoch": epoch + 1, "loss": float((logs or {}).get("loss", np.nan)), "ap50": ap50, "centre": centre}
            append_row(work / "log.csv", {**row, "seconds": self.since_look + time.monotonic() - start})
            self.since_look = 0.0
            if recipe.schedule.patience:
                self._stop(ap50)

        def _stop(self, reached: float) -> None:
            if reached > self.best:
                self.best, self.since = reached, 0
                whole.model.save_weights(work / "best.weights.h5")
            else:
                self.since += 1
                self.model.stop_training = self.since >= recipe.schedule.patience

    return Watch()
