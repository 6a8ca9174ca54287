"""The training loop: head on frozen features, then everything under a cosine; resumable, seeded, stoppable.

Keras operations only: it runs on TensorFlow, JAX and PyTorch alike.
"""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import Form
from medimg_core.imaging import normalise
from medimg_core.training.architectures import Built, build
from medimg_core.training.data import Films, Progress
from medimg_core.training.recipe import Recipe
from medimg_core.types import FloatArray, InputSpec


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained network and how long its epochs took together, over all resumptions."""

    built: Built
    seconds: float


def fit(recipe: Recipe, train: list[Films], val: Films, work: Path, progress: Progress) -> Trained:
    """Train a recipe's network.

    Args:
        recipe: what to train.
        train: training films, one entry for each data rule of the recipe.
        val: films with truth that tell how it goes; they stop the training only if the recipe says so.
        work: folder for checkpoints, the log and TensorBoard; a training that was cut short goes on from there.
        progress: told the share done; may raise `Cancelled`, the checkpoint stays.
    """
    import keras

    keras.utils.set_random_seed(recipe.seed)
    work.mkdir(parents=True, exist_ok=True)
    built = build(recipe.network, recipe.input, recipe.outputs)
    model = _with_evidence(built, recipe)
    first = len(read_log(work))
    if first == 0 and recipe.schedule.head_epochs and recipe.network.weights != "none":
        _fit_head(model, built, recipe, train, progress)
    steps = _steps(recipe, train)
    schedule = recipe.schedule
    total = max(1, steps * schedule.epochs)
    rate = keras.optimizers.schedules.CosineDecay(
        schedule.peak_rate / 60,
        total,
        alpha=0.01,
        warmup_target=schedule.peak_rate,
        warmup_steps=min(schedule.warmup_steps, total // 5),
    )
    model.compile(keras.optimizers.AdamW(rate, weight_decay=schedule.weight_decay))
    batches = _batches(recipe, train, built, first + schedule.head_epochs)
    watch = _watch(recipe, built, val, work, first, progress)
    callbacks = [
        keras.callbacks.BackupAndRestore(str(work / "backup"), delete_checkpoint=False),
        *tensorboard(work),
        watch,
    ]
    if first < schedule.epochs:
        model.fit(batches, epochs=schedule.epochs, verbose=0, callbacks=callbacks)
    if (work / "best.weights.h5").is_file():
        built.model.load_weights(work / "best.weights.h5")
    return Trained(built, sum(float(row["seconds"]) for row in read_log(work)))


def logits(model: Any, grids: NDArray[np.uint8], spec: InputSpec, batch: int = 32) -> FloatArray:
    """Logits float32 `[N, K]` of films on the network's grid (uint8 `[N, H, W, C]`), without augmentation."""
    starts = range(0, len(grids), batch)
    out = [np.asarray(model.predict_on_batch(to_input(grids[s : s + batch], spec)), np.float32) for s in starts]
    return np.concatenate([np.zeros((0, int(model.output.shape[-1])), np.float32), *out])


def to_input(grids: NDArray[np.uint8], spec: InputSpec) -> FloatArray:
    """Cached films `[B, H, W, C]` as the network takes them: the second half of `imaging.prepare`."""
    x = normalise(grids.astype(np.float32) / np.float32(255), spec)
    return x if x.shape[-1] == spec.channels else np.repeat(x, spec.channels, axis=-1)


def auroc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks (ties count half); nan with one class only. For watching a training."""
    n, p = int((~positive).sum()), int(positive.sum())
    if not n or not p:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - p * (p + 1) / 2) / (p * n))


def watched(form: Form, scores: FloatArray, truth: NDArray[np.intp]) -> float:
    """The one figure that a training is watched by: AUROC of a yes/no question, else the mean over kinds or steps.

    Args:
        scores: logits `[N, K]`.
        truth: number of the class, kind or grade, `[N]`.
    """
    wanted = range(scores.shape[1])
    members = [truth == k if form == "one_of" else truth > k for k in wanted]
    return float(np.nanmean([auroc(scores[:, k], members[k]) for k in wanted]))


def _with_evidence(built: Built, recipe: Recipe) -> Any:
    """The same graph with the feature maps as a second output and a loss that looks at them."""
    import keras
    from keras import ops

    from medimg_core.training.losses import soft_cross_entropy

    class EvidenceModel(keras.Model):  # type: ignore[misc]
        """A functional model whose loss is cross-entropy plus the evidence term."""

        def compute_loss(
            self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
        ) -> Any:
            scores, features = y_pred
            each = soft_cross_entropy(scores, y["target"], exclusive=recipe.form == "one_of")
            loss = ops.mean(each * y["weight"])
            if recipe.loss.evidence and built.head == "pooled":
                maps = ops.matmul(features, self.get_layer("logits").kernel)
                outside = _outside(maps, y, recipe) * y["masked"]
                loss = loss + recipe.loss.evidence * ops.sum(outside) / (ops.sum(y["masked"]) + 1e-6)
            return loss

    model = built.model
    return EvidenceModel(model.inputs, [model.output, model.get_layer(built.cam_layer).output])


def _outside(maps: Any, y: Any, recipe: Recipe) -> Any:
    """The evidence term `[B]` of class maps `[B, h, w, K]`: how far each film's own map lies outside its mask."""
    from keras import ops

    from medimg_core.training.losses import evidence_inside, softmax_inside

    if recipe.form == "one_of":
        own = ops.one_hot(ops.argmax(y["target"], axis=-1), recipe.classes, dtype=maps.dtype)
        sign = ops.ones_like(own[:, 0])
        class_map = ops.sum(maps * own[:, None, None, :], axis=-1)
    else:
        # Of grades the first step: any sign of the disease.
        sign = ops.sign(y["target"][:, 0] - 0.5)
        class_map = maps[..., 0]
    if recipe.loss.evidence_form == "softmax":
        return softmax_inside(class_map * sign[:, None, None], y["mask"])
    return evidence_inside(class_map, y["mask"], sign)


def _fit_head(model: Any, built: Built, recipe: Recipe, train: list[Films], progress: Progress) -> None:
    """First phase: only the last dense layer learns."""
    import keras

    layers = [layer for layer in model.layers if layer.name != "logits" and layer.trainable]
    for layer in layers:
        layer.trainable = False
    model.compile(keras.optimizers.AdamW(recipe.schedule.head_rate, weight_decay=recipe.schedule.weight_decay))
    progress("Training the head", 0.0)
    model.fit(_batches(recipe, train, built, 0), epochs=recipe.schedule.head_epochs, verbose=0)
    for layer in layers:
        layer.trainable = True


def _batches(recipe: Recipe, train: list[Films], built: Built, first_epoch: int) -> Any:
    from medimg_core.training.batches import Batches

    shape = built.model.get_layer(built.cam_layer).output.shape
    return Batches(train, recipe, (int(shape[1]), int(shape[2])), first_epoch)


def _steps(recipe: Recipe, train: list[Films]) -> int:
    draws = sum(rule.draws or len(films) for rule, films in zip(recipe.data, train, strict=True))
    return max(1, draws // recipe.schedule.batch)


def read_log(work: Path) -> list[dict[str, str]]:
    """One row for each finished epoch; none without the checkpoint that goes with them."""
    path = work / "log.csv"
    if not path.is_file() or not (work / "backup").is_dir():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def tensorboard(work: Path) -> list[Any]:
    """Logs for TensorBoard where Keras can write them (it needs TensorFlow for that)."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return []
    return [keras.callbacks.TensorBoard(str(work / "tensorboard"), write_graph=False)]


def _watch(recipe: Recipe, built: Built, val: Films, work: Path, first: int, progress: Progress) -> Any:
    """A callback that logs the AUROC on val per set (`watched`), keeps the chosen weights, stops early and reports."""
    import keras

    sets = sorted({record.set for record in val.records})
    truth = np.array([record.index for record in val.records])
    where = np.array([record.set for record in val.records])

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        best, since, epoch_start = -np.inf, 0, 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch_start, self.epoch = time.monotonic(), epoch

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch % 10 == 0:
                progress("Training", (self.epoch + batch / max(1, self.params["steps"])) / recipe.schedule.epochs)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            scores = logits(built.model, val.grids, recipe.input)
            reached = {name: watched(recipe.form, scores[where == name], truth[where == name]) for name in sets}
            row = {"epoch": epoch + 1, "loss": float((logs or {}).get("loss", np.nan)), **reached}
            append_row(work / "log.csv", {**row, "seconds": time.monotonic() - self.epoch_start})
            built.model.save_weights(work / "last.weights.h5")
            mean = float(np.mean(list(reached.values())))
            if not recipe.schedule.patience or mean > self.best:
                self.best, self.since = mean, 0
                built.model.save_weights(work / "best.weights.h5")
            else:
                self.since += 1
                self.model.stop_training = self.since >= recipe.schedule.patience

    return Watch()


def append_row(path: Path, row: dict[str, float]) -> None:
    """Add a row to a log, which the first row gives its columns."""
    new = not path.is_file()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.5g}" for k, v in row.items()})
