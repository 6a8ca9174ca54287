"""Losses of outlines, in Keras operations only."""

from __future__ import annotations

from medimg_core.training.losses import Tensor


def soft_dice(logits: Tensor, truth: Tensor, smooth: float = 5.0) -> Tensor:
    """One minus the Dice coefficient of probabilities and truth (Milletari et al., 3DV 2016, with plain sums below).

    Args:
        logits, truth: `[B, h, w, K]`, truth in [0, 1].
        smooth: pixels added above and below, so that an empty outline has a gradient.

    Returns:
        `[B, K]`.
    """
    from keras import ops

    p = ops.sigmoid(logits)
    both = ops.sum(p * truth, axis=(1, 2))
    return 1 - (2 * both + smooth) / (ops.sum(p, axis=(1, 2)) + ops.sum(truth, axis=(1, 2)) + smooth)


def pixel_cross_entropy(logits: Tensor, truth: Tensor, focus: float = 0.0) -> Tensor:
    """Mean cross-entropy of every pixel, `[B, K]`; with `focus` > 0 focal (Lin et al., ICCV 2017, without alpha)."""
    from keras import ops

    each = ops.softplus(logits) - truth * logits
    if focus:
        each = each * ops.power(ops.abs(truth - ops.sigmoid(logits)), focus)
    return ops.mean(each, axis=(1, 2))
