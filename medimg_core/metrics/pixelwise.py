"""Precision against recall over pixels, from histograms of the probability: small, and fast to resample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medimg_core.metrics.intervals import Floats, bootstrap, group_index, mean_interval, share_interval
from medimg_core.types import Interval


@dataclass(frozen=True, slots=True, eq=False)
class PixelPr:
    """Precision and recall of pixels, at every level of the probability from the highest down.

    Attributes:
        precision, recall, thresholds: float64 `[levels]`; a pixel is called where its level's probability reaches the
            threshold. Precision is 0 as long as no pixel is called.
        pooled: area over the pixels of all images together; `n` counts the images.
        per_image: mean over the images with a pixel of the truth of each one's own area; `n` counts those.
        prevalence: share of pixels of the truth, the precision of a map that knows nothing.
    """

    precision: Floats
    recall: Floats
    thresholds: Floats
    pooled: Interval
    per_image: Interval
    prevalence: float


def pixel_histogram(
    truth: ArrayLike, probability: ArrayLike, levels: int = 256, valid: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Pixels of an image by truth and probability, rounded to the nearest of `levels` steps from 0 to 1.

    256 levels lose nothing of a map stored in 8 bits.

    Args:
        truth: mask of any shape.
        probability: in [0, 1], of the same shape.
        levels: 2 or more; the same for all images.
        valid: mask of the pixels that count (the field of view); all when None.

    Returns:
        int64 `[2, levels]`: pixels outside the truth, then inside.
    """
    y, p = np.asarray(truth).astype(bool), np.asarray(probability)
    counted = np.ones_like(y) if valid is None else np.asarray(valid).astype(bool)
    if y.shape != p.shape or counted.shape != y.shape:
        raise ValueError("mask and probabilities must have one shape")
    if levels < 2:
        raise ValueError("at least two levels of probability are needed")
    y, p = y[counted], p[counted]
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must lie between 0 and 1")
    level = np.rint(p.astype(np.float64) * (levels - 1)).astype(np.intp)
    return np.bincount(level + levels * y, minlength=2 * levels).reshape(2, levels).astype(np.int64)


def pixel_pr(histograms: ArrayLike, groups: ArrayLike | None = None, draws: int = 2000, seed: int = 0) -> PixelPr:
    """The curve over the pixels of many images, and the area under it, pooled and per image.

    The area is that of `pr_curve`, `sum((recall_i - recall_(i-1)) * precision_i)`, never interpolated. IDRiD (Porwal
    et al., Medical Image Analysis 59 (2020) 101561) ranks outlines of lesions by the pooled figure; published code for
    it uses 11 thresholds and trapezoids, which come out differently: compare only figures of one making.

    Both intervals are percentile bootstraps by patient (`share_interval`); pixels are never resampled.

    Args:
        histograms: of `pixel_histogram`, `[n, 2, levels]`.
        groups: patient of each image, `[n]`.

    Raises:
        ValueError: no image holds a pixel of the truth.
    """
    counts = np.asarray(histograms, np.float64)
    if counts.ndim != 3 or counts.shape[1] != 2 or counts.shape[0] == 0:
        raise ValueError("there must be a histogram [2, levels] for every image")
    n, _, levels = counts.shape
    inside = counts[:, 1].sum(axis=1) > 0
    if not inside.any():
        raise ValueError("no image holds a pixel of the truth")
    index = group_index(n, groups)
    flat = counts.reshape(n, -1)
    drawn = bootstrap(lambda w: _area((w @ flat).reshape(-1, 2, levels)), n, groups, draws, seed)
    whole = counts.sum(axis=0)
    precision, recall = _curve(whole[None])
    return PixelPr(
        precision=precision[0],
        recall=recall[0],
        thresholds=np.linspace(1.0, 0.0, levels),
        pooled=share_interval(float(_area(whole[None])[0]), drawn, n, np.unique(index[inside]).size),
        per_image=mean_interval(np.minimum(_area(counts[inside]), 1.0), index[inside], draws, seed, share=True),
        prevalence=float(whole[1].sum() / whole.sum()),
    )


def _curve(counts: Floats) -> tuple[Floats, Floats]:
    """Precision and recall `[b, levels]` of histograms `[b, 2, levels]`; recall is NaN without truth."""
    false, true = (np.cumsum(counts[:, side, ::-1], axis=1) for side in (0, 1))
    called = true + false
    with np.errstate(invalid="ignore"):
        return np.where(called > 0, true / np.maximum(called, 1), 0.0), np.asarray(true / true[:, -1:], np.float64)


def _area(counts: Floats) -> Floats:
    precision, recall = _curve(counts)
    return np.asarray((np.diff(recall, axis=1, prepend=0.0) * precision).sum(axis=1), np.float64)
