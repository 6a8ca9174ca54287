"""Boxes: overlap, matching, average precision, and sensitivity against false boxes per image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medimg_core.metrics.intervals import Floats, bootstrap, group_index, percentile_interval, share_interval
from medimg_core.metrics.roc import PairedTest
from medimg_core.metrics.several import bootstrap_p
from medimg_core.types import Interval

FROC_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False boxes per image at which LUNA16 reads the curve (Setio et al., Medical Image Analysis 42 (2017) 1)."""

_RECALLS: Floats = np.linspace(0.0, 1.0, 101)
_CHUNK = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class ImageBoxes:
    """True and found boxes of one image, one class.

    Boxes are `x0, y0, x1, y1` in one unit, with x1 and y1 the far edge (width = x1 - x0, without VOC's extra pixel).

    Attributes:
        truth: `[n, 4]`; empty where there is nothing to be found, whose found boxes are then all false.
        found: `[m, 4]`; `scores` `[m]`, finite, higher is surer.
        group: the patient.
    """

    truth: ArrayLike
    found: ArrayLike
    scores: ArrayLike
    group: str


@dataclass(frozen=True, slots=True, eq=False)
class AveragePrecision:
    """Precision and recall of boxes at every distinct score, from the highest down.

    Attributes:
        precision, recall, thresholds: float64 `[k]`; a box counts where `score >= threshold`.
        all_points: the headline: area under the precision made monotone, at every recall (VOC 2010 and later).
        points_101: the same precision averaged at recalls 0, 0.01, ... 1 (COCO).
        images, truths, patients: how many there are.
    """

    precision: Floats
    recall: Floats
    thresholds: Floats
    all_points: Interval
    points_101: Interval
    images: int
    truths: int
    patients: int


@dataclass(frozen=True, slots=True, eq=False)
class Froc:
    """Sensitivity against false boxes per image.

    Attributes:
        false_per_image, sensitivity, thresholds: corners of the curve, float64 `[k]`, from (0, 0) at infinity.
        rates: false boxes per image at which `at` gives the sensitivity.
        mean: of the sensitivities `at` the rates; with `FROC_RATES` the score of LUNA16.
        images, truths, patients: how many there are.
    """

    false_per_image: Floats
    sensitivity: Floats
    thresholds: Floats
    rates: tuple[float, ...]
    at: tuple[Interval, ...]
    mean: Interval
    images: int
    truths: int
    patients: int


@dataclass(frozen=True, slots=True, eq=False)
class _Matched:
    """All found boxes by falling score: their image, whether each is a hit, the last of each score."""

    image: NDArray[np.intp]
    hit: Floats
    ends: NDArray[np.intp]
    thresholds: Floats
    truths: Floats
    groups: NDArray[np.intp]

    def counts(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """True and false boxes `[b, k]` at each threshold, and boxes to be found `[b]`, of weights `[b, images]`."""
        drawn = weights[:, self.image]
        called = np.cumsum(drawn, axis=1)[:, self.ends]
        true = np.cumsum(drawn * self.hit, axis=1)[:, self.ends]
        return true, called - true, weights @ self.truths

    def resample(self, statistic: Callable[[Floats], Floats], draws: int, seed: int) -> Floats:
        """Bootstrap by patient; the boxes of all draws are never held at once."""
        rows = max(1, _CHUNK // max(self.image.size, 1))

        def parts(weights: Floats) -> Floats:
            return np.concatenate([statistic(weights[i : i + rows]) for i in range(0, len(weights), rows)])

        return bootstrap(parts, self.truths.size, self.groups, draws, seed)

    def interval(self, value: float, drawn: Floats) -> Interval:
        """Over images; patients without anything to be found say nothing about a share of what is."""
        return share_interval(value, drawn, self.truths.size, np.unique(self.groups[self.truths > 0]).size)


def box_iou(a: ArrayLike, b: ArrayLike) -> Floats:
    """Intersection over union of every pair of boxes, float64 `[n, m]`; 0 where both have no area.

    Args:
        a, b: boxes `[n, 4]` and `[m, 4]` as in `ImageBoxes`.
    """
    first, second = _boxes(a)[:, None], _boxes(b)[None]
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    shared = np.maximum(sides, 0.0).prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (first, second)]
    union = areas[0] + areas[1] - shared
    return np.asarray(np.where(union > 0, shared / np.where(union > 0, union, 1.0), 0.0), np.float64)


def match(truth: ArrayLike, found: ArrayLike, scores: ArrayLike, iou: float | None = 0.5) -> NDArray[np.intp]:
    """Pair the boxes of one image: by falling score, each takes the free true box that it overlaps most.

    The rule of COCO. PASCAL VOC looks only at the true box of largest overlap, taken or not; the two differ where
    true boxes overlap. A second box on one true box is false in both. Equal scores go in the order given.

    Args:
        truth, found, scores: as in `ImageBoxes`.
        iou: overlap that counts as found, above 0, itself included. None: the centre of the found box lies in the
            true one, edges included; then too the largest overlap wins.

    Returns:
        intp `[m]`: number of the true box of each found one, -1 for a false box.
    """
    s = np.asarray(scores, np.float64)
    t, f = _boxes(truth), _boxes(found)
    if s.shape != (len(f),) or not np.isfinite(s).all():
        raise ValueError("every found box needs a finite score")
    if iou is not None and not 0 < iou <= 1:
        raise ValueError("an overlap that counts is above 0 and at most 1")
    worth = box_iou(t, f)
    if iou is None:
        centres = (f[:, :2] + f[:, 2:]) / 2
        inside = ((centres >= t[:, None, :2]) & (centres <= t[:, None, 2:])).all(axis=-1)
        worth = np.where(inside, 1.0 + worth, 0.0)
    else:
        worth = np.where(worth >= min(iou, 1 - 1e-10), worth, 0.0)
    pairs = np.full(len(f), -1, np.intp)
    if len(t):
        for number in np.argsort(-s, kind="stable"):
            best = int(worth[:, number].argmax())
            if worth[best, number] > 0:
                pairs[number] = best
                worth[best] = 0.0
    return pairs


def average_precision(
    images: Sequence[ImageBoxes], iou: float | None = 0.5, draws: int = 2000, seed: int = 0
) -> AveragePrecision:
    """Average precision over the boxes of all images, with the two usual interpolations.

    Everingham et al., IJCV 88 (2010) 303 and the VOC 2010 development kit; Lin et al., ECCV 2014 and pycocotools.
    Boxes of equal score count together, so the order of images does not matter. No limit on boxes per image, no
    "difficult", "crowd" or size classes. Intervals: percentile bootstrap by patient of boxes matched once
    (`share_interval`); their `n` counts images.

    Args:
        iou: as in `match`.

    Raises:
        ValueError: no image has a true box.
    """
    matched = _match_all(images, iou)

    def areas(weights: Floats) -> Floats:
        return _areas(*matched.counts(weights))

    ones = np.ones((1, len(images)))
    true, false, total = matched.counts(ones)
    values = areas(ones)[0]
    drawn = matched.resample(areas, draws, seed)
    return AveragePrecision(
        precision=(true / (true + false))[0],
        recall=(true / total[:, None])[0],
        thresholds=matched.thresholds,
        all_points=matched.interval(float(values[0]), drawn[:, 0]),
        points_101=matched.interval(float(values[1]), drawn[:, 1]),
        images=len(images),
        truths=int(total[0]),
        patients=int(matched.groups.max()) + 1,
    )


def average_precision_test(
    a: Sequence[ImageBoxes], b: Sequence[ImageBoxes], iou: float | None = 0.5, draws: int = 2000, seed: int = 0
) -> PairedTest:
    """Two models' average precision (at every recall) on the same images; interval and two-sided p value of the
    difference by the paired bootstrap by patient, as `several.macro_auroc_test`.

    Args:
        a, b: the same images in the same order, with the same truth.

    Raises:
        ValueError: the images differ in number, truth or patient, or none has a true box.
    """
    alike = len(a) == len(b) and all(
        one.group == other.group and np.array_equal(_boxes(one.truth), _boxes(other.truth))
        for one, other in zip(a, b, strict=False)
    )
    if not alike:
        raise ValueError("both models must have looked at the same images with the same truth")
    one, other = _match_all(a, iou), _match_all(b, iou)

    def gap(weights: Floats) -> Floats:
        areas = [_areas(*matched.counts(weights))[:, 0] for matched in (one, other)]
        return np.asarray(areas[0] - areas[1], np.float64)

    drawn = one.resample(gap, draws, seed)
    value = float(gap(np.ones((1, len(a))))[0])
    return PairedTest(
        average_precision(a, iou, draws, seed).all_points,
        average_precision(b, iou, draws, seed).all_points,
        percentile_interval(value, drawn, len(a)),
        bootstrap_p(drawn),
    )


def froc(
    images: Sequence[ImageBoxes],
    iou: float | None = None,
    rates: Sequence[float] = FROC_RATES,
    draws: int = 2000,
    seed: int = 0,
) -> Froc:
    """Free-response ROC curve (Bunch et al., J Appl Photogr Eng 4 (1978) 166) and sensitivities on it.

    The sensitivity at a rate is that of the lowest threshold with no more false boxes per image than the rate, over
    images with and without truth: a point where the model can be run. LUNA16 draws lines between such points and
    takes a second box on a lesion for no error; here it is a false box, so these figures are never the higher ones.
    Intervals as for `average_precision`; each draw reads its own curve.

    Args:
        iou: as in `match`; by default the centre of the box must lie in the true one.
        rates: false boxes per image, 0 or more.

    Raises:
        ValueError: no image has a true box.
    """
    matched = _match_all(images, iou)
    wanted = np.asarray(rates, np.float64)
    if wanted.ndim != 1 or wanted.size == 0 or not (wanted >= 0).all():
        raise ValueError("rates are false boxes per image, 0 or more")

    def read(weights: Floats) -> Floats:
        true, false, total = matched.counts(weights)
        limits = wanted * weights.sum(axis=1)[:, None] + 1e-9
        last = np.stack([(false <= limits[:, [i]]).sum(axis=1) for i in range(wanted.size)], axis=1)
        reached = np.take_along_axis(np.pad(true, ((0, 0), (1, 0))), last, axis=1)
        return _share(reached, total[:, None])

    ones = np.ones((1, len(images)))
    true, false, total = matched.counts(ones)
    values = read(ones)[0]
    drawn = matched.resample(read, draws, seed)
    return Froc(
        false_per_image=np.append(0.0, false[0] / len(images)),
        sensitivity=np.append(0.0, true[0] / total[0]),
        thresholds=np.append(np.inf, matched.thresholds),
        rates=tuple(wanted.tolist()),
        at=tuple(matched.interval(float(v), drawn[:, i]) for i, v in enumerate(values)),
        mean=matched.interval(float(values.mean()), drawn.mean(axis=1)),
        images=len(images),
        truths=int(total[0]),
        patients=int(matched.groups.max()) + 1,
    )


def _match_all(images: Sequence[ImageBoxes], iou: float | None) -> _Matched:
    truths = np.array([len(_boxes(image.truth)) for image in images], np.float64)
    if not truths.any():
        raise ValueError("no image has a true box")
    hits = [match(image.truth, image.found, image.scores, iou) >= 0 for image in images]
    scores = np.concatenate([np.asarray(image.scores, np.float64) for image in images])
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), ordered.size - 1)[: ordered.size].astype(np.intp)
    return _Matched(
        image=np.repeat(np.arange(len(images)), [hit.size for hit in hits])[order],
        hit=np.concatenate(hits)[order].astype(np.float64),
        ends=ends,
        thresholds=ordered[ends],
        truths=truths,
        groups=group_index(len(images), [image.group for image in images]),
    )


def _areas(true: Floats, false: Floats, total: Floats) -> Floats:
    """Both interpolations `[b, 2]`; NaN for a draw without anything to be found."""
    called = true + false
    precision = np.where(called > 0, true / np.maximum(called, 1), 0.0)
    falling = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = _share(true, total[:, None])
    out = np.full((len(true), 2), np.nan)
    for row in np.flatnonzero(total > 0):
        out[row, 0] = np.diff(recall[row], prepend=0.0) @ falling[row]
        at = np.searchsorted(recall[row], _RECALLS)
        out[row, 1] = np.append(falling[row], 0.0)[at].mean()
    return out


def _share(above: Floats, below: Floats) -> Floats:
    """NaN where there is nothing to be found."""
    out = np.full(above.shape, np.nan)
    np.divide(above, below, out=out, where=np.broadcast_to(below > 0, above.shape))
    return out


def _boxes(boxes: ArrayLike) -> Floats:
    b = np.asarray(boxes, np.float64)
    if b.size == 0:
        return b.reshape(0, 4)
    if b.ndim != 2 or b.shape[1] != 4 or not np.isfinite(b).all() or (b[:, 2:] < b[:, :2]).any():
        raise ValueError("boxes are rows of finite x0, y0, x1, y1 with x1 >= x0 and y1 >= y0")
    return b
