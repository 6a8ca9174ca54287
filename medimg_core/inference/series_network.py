"""The pooling network of a series in numpy, from `series.npz`: no TensorFlow in the process that answers."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard, read_verified
from medimg_core.errors import ModelUnavailable
from medimg_core.types import FloatArray

FILE = "series.npz"

Weights = Mapping[str, FloatArray]
"""As `training.series.networks.weights_of` names them."""


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """One answer of a series: its logit, and the weight of every slice, float32 `[S]`, which sum to 1."""

    logit: float
    weights: FloatArray


def read_weights(card: ModelCard) -> Weights:
    """The weights of a card's pooling network.

    Raises:
        ModelUnavailable: the file is missing or changed, or holds something else.
    """
    try:
        with np.load(io.BytesIO(read_verified(card, FILE))) as stored:
            return {name: np.asarray(stored[name], np.float32) for name in stored.files}
    except (ValueError, OSError) as error:
        raise ModelUnavailable(
            f"The file {FILE} of the model {card.name!r} cannot be read.", "Restore the folder from the release."
        ) from error


def pool(x: FloatArray, weights: Weights, most: int = 0) -> Pooled:
    """One answer of all slices.

    A recurrent network is asked from either end and averaged, so that it does not matter where a scan began. A series
    of more slices than any that the network learned from is asked in parts that each span it: every k-th slice.

    Args:
        x: features and logit of every slice in order, float32 `[S, F + 1]`, S >= 1.
        weights: see `read_weights`.
        most: slices of the longest series that it learned from; 0 asks all at once.
    """
    parts = -(-len(x) // most) if most else 1
    shares = np.zeros(len(x), np.float32)
    logits = []
    for first in range(parts):
        logit, shares[first::parts] = _either_way(x[first::parts], weights)
        logits.append(logit)
    return Pooled(float(np.mean(logits)), np.asarray(shares / parts, np.float32))


def _either_way(x: FloatArray, weights: Weights) -> tuple[float, FloatArray]:
    """Mean logit of the members and mean weights of the slices `[S]`."""
    logits, shares = forward(x, weights)
    if "gru_kernel" in weights:
        back, turned = forward(x[::-1], weights)
        logits = np.asarray((logits + back) / 2, np.float32)
        shares = np.asarray((shares + turned[::-1]) / 2, np.float32)
    return float(logits.mean()), np.asarray(shares.mean(axis=1), np.float32)


def forward(x: FloatArray, weights: Weights) -> tuple[FloatArray, FloatArray]:
    """What every member says in the order given: logits float32 `[E]` and weights of the slices `[S, E]`.

    Gated attention (Ilse et al., ICML 2018, equations 8 and 9) or gated evidence that adds up by the noisy-or; behind a
    bidirectional GRU (Cho et al., EMNLP 2014, in the form that resets after the product), beside whose states the
    slices themselves stand, where there is one.
    """
    projected = x @ weights["project_kernel"] + weights["project_bias"]
    logits, shares = [], []
    for e in range(len(weights["score"])):
        h: FloatArray = projected
        if "gru_kernel" in weights:
            h = np.concatenate(
                [
                    _gru(h, weights["gru_kernel"][e, 0], weights["gru_recurrent"][e, 0], weights["gru_bias"][e, 0]),
                    _gru(h[::-1], *(weights[f"gru_{n}"][e, 1] for n in ("kernel", "recurrent", "bias")))[::-1],
                    projected,
                ],
                axis=1,
            )
        told = np.tanh(h @ weights["tanh_kernel"][e] + weights["tanh_bias"][e])
        gate = _sigmoid(h @ weights["gate_kernel"][e] + weights["gate_bias"][e])
        score = (told * gate) @ weights["score"][e]
        own, share = (_averaged if weights["averages"] else _added)(
            h, score, weights["classify"][e], weights["classify_bias"][e]
        )
        logits.append(own)
        shares.append(share)
    return np.asarray(logits, np.float32), np.asarray(np.stack(shares, axis=1), np.float32)


def _averaged(h: FloatArray, score: FloatArray, kernel: FloatArray, bias: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A linear classifier on the mean of the slices under softmax weights."""
    power = np.exp(score - score.max())
    share = power / power.sum()
    return share @ h @ kernel + bias, share


def _added(h: FloatArray, score: FloatArray, kernel: FloatArray, bias: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The noisy-or of the slices' evidence, and what each adds to it."""
    added = np.logaddexp(0, h @ kernel + bias + score) + np.float32(1e-7)
    total = added.sum()
    return total + np.log(-np.expm1(-total)), added / total


def _gru(x: FloatArray, kernel: FloatArray, recurrent: FloatArray, bias: FloatArray) -> FloatArray:
    """States float32 `[S, U]`; kernel `[P, 3 U]`, recurrent `[U, 3 U]`, bias `[2, 3 U]`: update, reset, candidate."""
    given = x @ kernel + bias[0]
    units = recurrent.shape[0]
    state = np.zeros(units, np.float32)
    states = np.empty((len(x), units), np.float32)
    for k, row in enumerate(given):
        own = state @ recurrent + bias[1]
        update = _sigmoid(row[:units] + own[:units])
        reset = _sigmoid(row[units : 2 * units] + own[units : 2 * units])
        candidate = np.tanh(row[2 * units :] + reset * own[2 * units :])
        state = update * state + (1 - update) * candidate
        states[k] = state
    return states


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)
