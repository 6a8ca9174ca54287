"""The weights of a pooled head, from `head.npz`."""

from __future__ import annotations

import io

import numpy as np

from medimg_core.catalog import ModelCard, read_verified
from medimg_core.types import FloatArray

Head = tuple[FloatArray, FloatArray]
"""Kernel float32 `[C, K]` and bias float32 `[K]`."""


def read_head(card: ModelCard) -> Head | None:
    """The head of a network whose card says `pooled`; None for any other.

    Raises:
        ModelUnavailable: the file is missing or changed.
    """
    if card.head != "pooled":
        return None
    with np.load(io.BytesIO(read_verified(card, "head.npz"))) as stored:
        kernel, bias = np.asarray(stored["kernel"], np.float32), np.asarray(stored["bias"], np.float32)
    kernel.setflags(write=False)
    bias.setflags(write=False)
    return kernel, bias
