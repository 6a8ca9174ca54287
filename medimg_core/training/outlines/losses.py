"""Losses of outlines, in Keras operations only."""

from __future__ import annotations

from medimg_core.training.losses import Tensor

_RARE = 50.0
"""Pixels added to those of a structure, so that a batch without it does not count without bound."""


def soft_dice(logits: Tensor, truth: Tensor, smooth: float = 5.0, pooled: bool = False) -> Tensor:
    """One minus the Dice coefficient of probabilities and truth (Milletari et al., 3DV 2016, with plain sums below).

    Args:
        logits, truth: `[B, h, w, K]`, truth in [0, 1].
        smooth: pixels added above and below, so that an empty outline has a gradient.
        pooled: of all pixels of the batch together (Isensee et al., Nature Methods 2021): where most pictures lack a
            structure, those do not drown the few that have it.

    Returns:
        `[B, K]`, or `[1, K]` where pooled.
    """
    from keras import ops

    over = (0, 1, 2) if pooled else (1, 2)
    p = ops.sigmoid(logits)
    both, sizes = ops.sum(p * truth, axis=over), ops.sum(p, axis=over) + ops.sum(truth, axis=over)
    dice = (2 * both + smooth) / (sizes + smooth)
    return 1 - (dice[None] if pooled else dice)


def pixel_cross_entropy(logits: Tensor, truth: Tensor, focus: float = 0.0, pooled: bool = False) -> Tensor:
    """Mean cross-entropy of every pixel; with `focus` > 0 focal (Lin et al., ICCV 2017, without alpha).

    Args:
        logits, truth: `[B, h, w, K]`, truth in [0, 1].
        pooled: the sum over the batch by the structure's pixels in it (as Lin et al. count), so that one of few pixels
            weighs as much as a large one.

    Returns:
        `[B, K]`, or `[1, K]` where pooled.
    """
    from keras import ops

    each = ops.softplus(logits) - truth * logits
    if focus:
        each = each * ops.power(ops.abs(truth - ops.sigmoid(logits)), focus)
    if pooled:
        return ops.sum(each, axis=(0, 1, 2))[None] / (ops.sum(truth, axis=(0, 1, 2))[None] + _RARE)
    return ops.mean(each, axis=(1, 2))
