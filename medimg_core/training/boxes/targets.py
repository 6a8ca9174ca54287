"""What the cells of the grid are held against (Liu et al., "Training-Time-Friendly Network", AAAI 2020).

Each box is a Gaussian hill of heat with its top, exactly 1, in the cell of the box's centre; all cells on the hill
learn the distances to the box's four sides, weighted by the hill, so that one small box teaches several cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medimg_core.training.boxes.data import Boxes
from medimg_core.types import FloatArray

_FOOT = 0.05
"""Height below which a hill ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Of one film on a grid `[h, w]`.

    Attributes:
        heat: float32 `[h, w]` in [0, 1]; 1 in the cell of a centre.
        counted: float32 `[h, w]`; 0 where the heat is not judged (a box of which too little is in the picture).
        sides: float32 `[h, w, 4]`, distances left, top, right, bottom in pixels; 0 off the hills.
        weight: float32 `[h, w]`; of each box together `log(area)`, so that larger boxes count a little more.
    """

    heat: FloatArray
    counted: FloatArray
    sides: FloatArray
    weight: FloatArray


def targets_of(
    boxes: Boxes, grid: tuple[int, int], stride: int, reach: float = 0.54, ignored: Boxes | None = None
) -> Targets:
    """The targets of one film.

    Args:
        boxes: float32 `[n, 4]` in pixels, inside the picture.
        grid: rows and columns of cells, `stride` pixels each.
        reach: share of a box's sides that its hill covers.
        ignored: boxes in which the heat is not judged.
    """
    rows, columns = grid
    heat, weight = np.zeros(grid, np.float32), np.zeros(grid, np.float32)
    counted, sides = np.ones(grid, np.float32), np.zeros((*grid, 4), np.float32)
    y, x = (np.arange(rows) + 0.5) * stride, (np.arange(columns) + 0.5) * stride
    for x0, y0, x1, y1 in () if ignored is None else ignored:
        counted[np.ix_((y >= y0 - stride) & (y <= y1 + stride), (x >= x0 - stride) & (x <= x1 + stride))] = 0
    # Large boxes first: where two hills meet, the cell answers for the smaller one.
    order = np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), kind="stable")
    for x0, y0, x1, y1 in boxes[order]:
        row = int(np.clip((y0 + y1) / 2 // stride, 0, rows - 1))
        column = int(np.clip((x0 + x1) / 2 // stride, 0, columns - 1))
        spread = [(reach * side / stride + 1) / 6 for side in (y1 - y0, x1 - x0)]
        far = (np.arange(rows)[:, None] - row) / spread[0], (np.arange(columns)[None] - column) / spread[1]
        hill = np.exp(-0.5 * (far[0] ** 2 + far[1] ** 2)).astype(np.float32)
        distances = np.stack(np.broadcast_arrays((x - x0)[None], (y - y0)[:, None], (x1 - x)[None], (y1 - y)[:, None]))
        # Only cells inside the box: their distances are positive.
        own = (hill > _FOOT) & (distances > 0).all(axis=0)
        own[row, column] = True
        heat = np.maximum(heat, np.where(hill > _FOOT, hill, 0))
        counted[own] = 1
        sides[own] = np.maximum(distances, 0.5).transpose(1, 2, 0)[own]
        weight[own] = hill[own] / hill[own].sum() * np.log(max((x1 - x0) * (y1 - y0), np.e))
    return Targets(heat, counted, sides, weight)
