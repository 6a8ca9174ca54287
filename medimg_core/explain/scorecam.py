"""Score-CAM: each feature map, stretched over the input, is a mask; what the network still sees is its weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard
from medimg_core.explain.registry import Method, Query, register
from medimg_core.types import FloatArray

_EPSILON = 1e-7  # as in tf-keras-vis, against a division by zero for a map of one value


def confidence(logits: FloatArray, weights: FloatArray, card: ModelCard) -> float:
    """Probability of the target: of several kinds the softmax's share of it, else the sigmoid of its logit (the
    positive side, or a step of a scale), taken with its sign. Logits of statements compete with nothing.
    """
    values = logits.astype(np.float64)
    if card.form != "one_of":
        return float(0.5 * (1.0 + np.tanh(0.5 * float(values @ weights))))
    values, chosen = values[: card.main_outputs], weights[: card.main_outputs]
    shares = np.exp(values - values.max())
    return float(shares @ chosen / shares.sum())


def stretch(size: int, cells: int) -> NDArray[np.float64]:
    """The matrix `[size, cells]` of linear interpolation that puts the first and last cells on the outer pixels.

    This is the convention of `scipy.ndimage.zoom`, which tf-keras-vis uses for its masks. Only the masks are made
    so; the finished map goes to the source grid by `Geometry`, as every map.
    """
    place = np.linspace(0, cells - 1, size) if size > 1 else np.zeros(1)
    left = np.minimum(place.astype(np.intp), max(cells - 2, 0))
    share = place - left
    matrix = np.zeros((size, cells))
    matrix[np.arange(size), left] = 1 - share
    if cells > 1:
        matrix[np.arange(size), left + 1] = share
    return matrix


def scorecam(query: Query) -> FloatArray:
    """`relu(sum_c A_c p(x * M_c))`, with `M_c` the stretched map `A_c` scaled to [0, 1] and p the confidence.

    Masked places become 0 in the prepared input: the film's own mean grey where each film is standardised, mid
    grey or black for the other normalisations. One forward pass a channel; maps of one value share one.
    """
    features = query.pass_forward().features
    rows, columns = stretch(query.x.shape[0], features.shape[0]), stretch(query.x.shape[1], features.shape[1])
    channels = features.shape[2]
    weights = np.empty(channels, np.float32)
    blank: float | None = None
    for channel in range(channels):
        query.progress(channel / channels)
        mask = rows @ features[..., channel] @ columns.T
        low, high = float(mask.min()), float(mask.max())
        if high == low and blank is not None:
            weights[channel] = blank
            continue
        mask = (mask - low) / (high - low + _EPSILON)
        masked = np.asarray(query.x * mask[..., None], np.float32)
        weights[channel] = confidence(query.runtime.predict(masked).logits, query.weights, query.runtime.card)
        if high == low:
            blank = float(weights[channel])
    query.progress(1.0)
    return np.asarray(np.maximum(features @ weights, 0), np.float32)


register(
    Method(
        name="scorecam",
        title="Score-CAM",
        family="cam",
        needs="forward",
        signed=False,
        paper="Wang et al., CVPR Workshops 2020, doi 10.1109/CVPRW50498.2020.00020",
        equation="relu(sum_c A_c p(x * scaled(A_c)))",
        function=scorecam,
    )
)
