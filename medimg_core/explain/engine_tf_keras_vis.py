"""tf-keras-vis as an engine: the reference our own maps are tested against, and a choice for those who ask for it.

TensorFlow (3 s, 750 MB) is imported on the first call only. Each map is taken on the grid where tf-keras-vis
computes it, without its scaling to its own maximum, so that it can be compared and shown on the absolute scale.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core import catalog
from medimg_core.catalog import ModelCard
from medimg_core.errors import BadRequest
from medimg_core.explain.gradients import NOISE, SAMPLES
from medimg_core.explain.registry import Query
from medimg_core.types import FloatArray

METHODS = ("gradcam", "gradcam_pp", "layercam", "scorecam", "gradients", "smoothgrad")

_LOCK = threading.Lock()  # Keras builds graphs while it runs, which is not safe in several threads at once


def grid(name: str, query: Query) -> FloatArray:
    """The map of a method as tf-keras-vis has it, float32 `[h, w]`, unnormalised.

    SmoothGrad draws its noise from numpy's global generator: `query.seed` has no effect.

    Raises:
        BadRequest: tf-keras-vis does not have the method, or is not installed.
    """
    with _LOCK:
        batch = np.asarray(visualiser(name, query.runtime.card)(query.weights, query.x[None]), np.float32)
    return batch.reshape(batch.shape[1:])


def keras_model(card: ModelCard) -> Any:
    """The Keras network of a card, read once per file content, after its hash was checked.

    Raises:
        BadRequest: TensorFlow or tf-keras-vis is not installed.
    """
    return _load(card.folder, catalog.hashes(card).get("model.keras", ""))


@lru_cache(maxsize=2)
def _load(folder: Path, digest: str) -> Any:
    del digest  # part of the key only: a folder that was exported anew is read again
    try:
        import keras
        import tf_keras_vis  # noqa: F401
    except ImportError as error:
        raise BadRequest(
            "The engine tf-keras-vis is not installed here.", "Install tensorflow and tf-keras-vis, or use engine own."
        ) from error
    catalog.read_verified(catalog.read_card(folder), "model.keras")
    keras.config.disable_interactive_logging()  # else Model.predict draws a progress bar on stdout
    model = keras.saving.load_model(folder / "model.keras", compile=False)
    return keras.Model([model.input], model.output)  # tf-keras-vis calls it with a list


def visualiser(name: str, card: ModelCard) -> Callable[[FloatArray, FloatArray], Any]:
    """A function of (weights `[K]`, batch `[1, H, W, C]`) that gives the map `[1, h, w]`; see `grid`."""
    if name not in METHODS:
        raise BadRequest(
            f"tf-keras-vis has no method {name!r}.", f"It has {', '.join(METHODS)}; the own engine has all."
        )
    model = keras_model(card)
    with warnings.catch_warnings():
        # It imports scipy.ndimage.interpolation, which scipy 1 keeps with a warning.
        warnings.simplefilter("ignore", DeprecationWarning)
        from tf_keras_vis.gradcam import Gradcam
        from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
        from tf_keras_vis.layercam import Layercam
        from tf_keras_vis.saliency import Saliency
        from tf_keras_vis.scorecam import Scorecam

    layer = {"penultimate_layer": card.cam_layer, "seek_penultimate_conv_layer": False}
    cam = {**layer, "expand_cam": False, "normalize_cam": False}
    if name == "scorecam":
        # It takes the softmax of the logits, which is 1 for a single one: [0, z] has the sigmoid of z as softmax.
        single = card.outputs == 1
        network = _with_zero_logit(model) if single else model
        return lambda weights, x: Scorecam(network)(_score(_sides(weights) if single else weights), x, **cam)
    if name in ("gradients", "smoothgrad"):
        samples = SAMPLES if name == "smoothgrad" else 0
        return lambda weights, x: Saliency(model)(
            _score(weights), x, smooth_samples=samples, smooth_noise=NOISE, normalize_map=False
        )
    kind = {"gradcam": Gradcam, "gradcam_pp": GradcamPlusPlus, "layercam": Layercam}[name]
    return lambda weights, x: kind(model)(_score(weights), x, **cam)


def _score(weights: FloatArray) -> Callable[[Any], Any]:
    import tensorflow as tf

    return lambda output: tf.reduce_sum(output * weights, axis=-1)


def _sides(weights: FloatArray) -> FloatArray:
    """Weights of the two probabilities for the sign of one logit: +1 asks for the second, -1 for the first."""
    return np.array([0.0, 1.0] if weights[0] > 0 else [1.0, 0.0], np.float32)


def _with_zero_logit(model: Any) -> Any:
    import keras

    logit = model.output
    return keras.Model(model.inputs, keras.ops.concatenate([keras.ops.zeros_like(logit), logit], axis=-1))
