"""Losses of boxes, in Keras operations only."""

from __future__ import annotations

from medimg_core.training.losses import Tensor


def heat_loss(logits: Tensor, heat: Tensor, counted: Tensor) -> Tensor:
    """Focal loss of heat (Law and Deng, ECCV 2018, as in Zhou et al., "Objects as Points", 2019).

    Tops of hills (heat 1) are to be certain; elsewhere certainty is punished the less, the higher the hill.

    Args:
        logits, heat, counted: `[B, h, w]`; heat in [0, 1], counted 0 where the heat is not judged.

    Returns:
        A scalar, divided by the number of tops (at least 1).
    """
    from keras import ops

    top = ops.cast(heat > 0.999, logits.dtype)
    p = ops.sigmoid(logits)
    missed = ops.square(1 - p) * ops.softplus(-logits) * top
    false = ops.power(1 - heat, 4.0) * ops.square(p) * ops.softplus(logits) * (1 - top)
    return ops.sum((missed + false) * counted) / ops.maximum(ops.sum(top * counted), 1.0)


def overlaps(found: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (Rezatofighi et al., CVPR 2019) of boxes given by their sides round the same point.

    Args:
        found, wanted: `[..., 4]`, distances left, top, right, bottom from a point, 0 or more.

    Returns:
        Both `[...]`; IoU in [0, 1], GIoU in (-1, 1].
    """
    from keras import ops

    def area(low: Tensor, high: Tensor) -> Tensor:
        return (low[..., 0] + high[..., 0]) * (low[..., 1] + high[..., 1])

    near, far = ops.minimum(found, wanted), ops.maximum(found, wanted)
    shared = area(near[..., :2], near[..., 2:])
    union = area(found[..., :2], found[..., 2:]) + area(wanted[..., :2], wanted[..., 2:]) - shared
    hull = area(far[..., :2], far[..., 2:])
    iou = shared / (union + 1e-6)
    return iou, iou - (hull - union) / (hull + 1e-6)


def sides_loss(found: Tensor, wanted: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean of 1 - GIoU, and the IoU `[B, h, w]` that the boxes reach.

    Args:
        found, wanted: `[B, h, w, 4]`.
        weight: `[B, h, w]`.
    """
    from keras import ops

    iou, giou = overlaps(found, wanted)
    return ops.sum((1 - giou) * weight) / (ops.sum(weight) + 1e-6), iou


def overlap_loss(logits: Tensor, iou: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean cross-entropy of the overlap that boxes expect of themselves (Wu et al., "IoU-aware", 2020)."""
    from keras import ops

    target = ops.stop_gradient(iou)
    return ops.sum((ops.softplus(logits) - target * logits) * weight) / (ops.sum(weight) + 1e-6)
