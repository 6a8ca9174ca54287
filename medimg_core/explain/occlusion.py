"""Occlusion: how far the score falls when a part of the film is covered."""

from __future__ import annotations

import numpy as np

from medimg_core.explain.registry import Method, Query, register
from medimg_core.types import FloatArray

CELLS = 10
"""The input is divided into `CELLS x CELLS`; the cover is two by two cells."""


def occlusion(query: Query) -> FloatArray:
    """Mean fall of the score over the four covers that hide a cell, signed float32 `[CELLS, CELLS]`.

    The cover is the film's own mean in each channel of the prepared input, so that it means the same under every
    normalisation. It moves one cell at a time and hangs over the edges, so every cell is hidden four times, in
    `(CELLS + 1)^2` forward passes. Positive: without this place the score falls.
    """
    x = query.x
    reference = query.score(query.pass_forward().logits)
    rows, columns = (np.round(np.linspace(0, size, CELLS + 1)).astype(int) for size in x.shape[:2])
    fill = x.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    falls = np.zeros((CELLS + 1, CELLS + 1))
    for row in range(CELLS + 1):
        query.progress(row / (CELLS + 1))
        for column in range(CELLS + 1):
            covered = x.copy()
            top, bottom = rows[max(row - 1, 0)], rows[min(row + 1, CELLS)]
            left, right = columns[max(column - 1, 0)], columns[min(column + 1, CELLS)]
            covered[top:bottom, left:right] = fill
            falls[row, column] = reference - query.score(query.runtime.predict(covered).logits)
    query.progress(1.0)
    return np.asarray((falls[:-1, :-1] + falls[1:, :-1] + falls[:-1, 1:] + falls[1:, 1:]) / 4, np.float32)


register(
    Method(
        name="occlusion",
        title="Occlusion",
        family="perturbation",
        needs="forward",
        signed=True,
        paper="Zeiler and Fergus, ECCV 2014, doi 10.1007/978-3-319-10590-1_53",
        equation="mean over covers of S(x) - S(x covered)",
        function=occlusion,
    )
)
