"""The training loop of outlines: everything at once under a cosine; resumable, seeded, stoppable, any Keras backend."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.training.data import Progress
from medimg_core.training.loop import append_row, auroc, read_log, tensorboard
from medimg_core.training.outlines.data import OutlineFilms
from medimg_core.training.outlines.recipe import OutlineRecipe
from medimg_core.training.outlines.unet import BuiltOutline, build_outline
from medimg_core.types import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class TrainedOutline:
    """A trained network and how long its epochs took together."""

    built: BuiltOutline
    seconds: float


def fit_outline(
    recipe: OutlineRecipe, train: OutlineFilms, val: OutlineFilms, work: Path, progress: Progress
) -> TrainedOutline:
    """Train a recipe's network; see `training.loop.fit` for `work` and `progress`.

    The weights of the last epoch are taken; with `patience`, those of the epoch with the best Dice on val.
    """
    import keras

    from medimg_core.training.outlines.batches import OutlineBatches

    keras.utils.set_random_seed(recipe.seed)
    work.mkdir(parents=True, exist_ok=True)
    size = (recipe.crop, recipe.crop) if recipe.crop else None
    built = build_outline(recipe, size)
    model = _with_loss(built, recipe)
    first = len(read_log(work))
    batches = OutlineBatches(train, recipe, first)
    schedule = recipe.schedule
    total = max(1, len(batches) * schedule.epochs)
    rate = keras.optimizers.schedules.CosineDecay(
        schedule.peak_rate / 60,
        total,
        alpha=0.01,
        warmup_target=schedule.peak_rate,
        warmup_steps=min(schedule.warmup_steps, total // 5),
    )
    model.compile(keras.optimizers.AdamW(rate, weight_decay=schedule.weight_decay))
    callbacks = [
        keras.callbacks.BackupAndRestore(str(work / "backup"), delete_checkpoint=False),
        *tensorboard(work),
        _watch(recipe, built, val, work, progress),
    ]
    if first < schedule.epochs:
        model.fit(batches, epochs=schedule.epochs, verbose=0, callbacks=callbacks)
    if (work / "best.weights.h5").is_file():
        built.model.load_weights(work / "best.weights.h5")
    return TrainedOutline(built, sum(float(row["seconds"]) for row in read_log(work)))


def inputs_of(films: OutlineFilms, index: slice, recipe: OutlineRecipe, *, alone: bool = False) -> FloatArray:
    """Films as the network takes them, float32 `[B, H, W, C]`; `alone` shows each slice without its neighbours."""
    from medimg_core.training.outlines.batches import to_input

    grids = films.grids[index]
    if recipe.context:
        beside = films.beside[index]
        around = [grids, grids] if alone else [films.grids[beside[:, 0]], films.grids[beside[:, 1]]]
        grids = np.concatenate([around[0], grids, around[1]], axis=-1)
    return to_input(grids.astype(np.float32) / np.float32(255), recipe)


def outlined(
    model: Any, films: OutlineFilms, recipe: OutlineRecipe, *, batch: int = 16, alone: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Logits of all films without augmentation: of places `[N, h, w, K]` and of the answer `[N, n]`, n may be 0."""
    places, answers = [], []
    for start in range(0, len(films), batch):
        found = model.predict_on_batch(inputs_of(films, slice(start, start + batch), recipe, alone=alone))
        here, said = found if isinstance(found, list | tuple) else (found, np.zeros((len(found), 0)))
        places.append(np.asarray(here, np.float32))
        answers.append(np.asarray(said, np.float32))
    return np.concatenate(places), np.concatenate(answers)


def grid_dice(places: FloatArray, films: OutlineFilms) -> FloatArray:
    """Dice of every film and structure on the network's own grid, `[N, K]`; nan where it was not outlined.

    For watching a training; what is reported is measured on the source grid.
    """
    n, h, w, k = places.shape
    steps = (films.places.shape[1] // h, films.places.shape[2] // w)
    truth = films.places.reshape(n, h, steps[0], w, steps[1], k).mean(axis=(2, 4)) >= 127.5
    found = places > 0
    both, sizes = (truth & found).sum((1, 2)), truth.sum((1, 2)) + found.sum((1, 2))
    return np.where(films.known, np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), 1.0), np.nan).astype(np.float32)


def _with_loss(built: BuiltOutline, recipe: OutlineRecipe) -> Any:
    import keras
    from keras import ops

    from medimg_core.training.losses import soft_cross_entropy
    from medimg_core.training.outlines.losses import pixel_cross_entropy, soft_dice

    class OutlineModel(keras.Model):  # type: ignore[misc]
        """A functional model whose loss is pixel cross-entropy, soft Dice and the cross-entropy of the answer."""

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            places, said = y_pred if built.answers else (y_pred, y_pred)
            how = recipe.loss
            each = how.cross_entropy * pixel_cross_entropy(places, y["places"], how.focus, how.pooled)
            each = each + how.dice * soft_dice(places, y["places"], pooled=how.pooled)
            loss = ops.sum(each * y["known"]) / (ops.sum(y["known"]) + 1e-6)
            if built.answers:
                target = y["answer"][:, None]
                if recipe.classes > 2:
                    target = ops.one_hot(ops.cast(y["answer"], "int32"), recipe.classes, dtype=said.dtype)
                smooth = target * (1 - recipe.loss.smoothing) + recipe.loss.smoothing / recipe.classes
                own = soft_cross_entropy(said, smooth, exclusive=recipe.classes > 2) * y["answered"]
                loss = loss + recipe.loss.answer * ops.sum(own) / (ops.sum(y["answered"]) + 1e-6)
            return loss

    return OutlineModel(built.model.inputs, built.model.outputs if built.answers else built.model.output)


def _watch(recipe: OutlineRecipe, built: BuiltOutline, val: OutlineFilms, work: Path, progress: Progress) -> Any:
    """A callback that logs Dice (and the AUROC of the answer) on val, keeps weights, stops early and reports."""
    import keras

    seen = build_outline(recipe) if recipe.crop else built

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        best, since, epoch_start = -np.inf, 0, 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch_start, self.epoch = time.monotonic(), epoch

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch % 10 == 0:
                progress("Training", (self.epoch + batch / max(1, self.params["steps"])) / recipe.schedule.epochs)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if seen is not built:
                seen.model.set_weights(built.model.get_weights())
            places, said = outlined(seen.model, val, recipe, batch=4 if recipe.crop else 16)
            reached = np.nanmean(grid_dice(places, val), axis=0)
            row = {"epoch": epoch + 1, "loss": float((logs or {}).get("loss", np.nan))}
            row |= {rule.id: float(value) for rule, value in zip(recipe.structures, reached, strict=True)}
            if built.answers:
                truth = np.array([-1 if r.truth is None else r.truth for r in val.records])
                last = truth.max()
                row["answer"] = auroc(said[truth >= 0, -1], truth[truth >= 0] == last)
            append_row(work / "log.csv", {**row, "seconds": time.monotonic() - self.epoch_start})
            built.model.save_weights(work / "last.weights.h5")
            mean = float(np.nanmean(reached))
            if not recipe.schedule.patience or mean > self.best:
                self.best, self.since = mean, 0
                built.model.save_weights(work / "best.weights.h5")
            else:
                self.since += 1
                self.model.stop_training = self.since >= recipe.schedule.patience

    return Watch()
