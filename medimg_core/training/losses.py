"""Losses, in Keras operations only, so that they run on any backend."""

from __future__ import annotations

from typing import Any

Tensor = Any
"""A tensor of whichever backend Keras runs on."""

_EPSILON = 1e-4


def evidence_inside(class_map: Tensor, mask: Tensor, sign: Tensor) -> Tensor:
    """Minus the logarithm of the share of the evidence that lies inside a mask.

    The evidence for a film's own class is `relu(sign * class_map)`: positive places for a positive film, negative
    places for a negative one. Ross et al. (IJCAI 2017) penalise gradients outside a mask; with a pooled head the
    class map says the same without a second derivative.

    Args:
        class_map: `[B, h, w]`, feature maps times the head's weights, without the bias.
        mask: `[B, h, w]` in [0, 1], share of each cell inside the mask.
        sign: `[B]`, 1 for positive films, -1 for negative ones.

    Returns:
        `[B]`, at least 0; 0 when all evidence lies inside.
    """
    from keras import ops

    evidence = ops.relu(class_map * sign[:, None, None])
    inside = ops.sum(evidence * mask, axis=(1, 2))
    return -ops.log((inside + _EPSILON) / (ops.sum(evidence, axis=(1, 2)) + _EPSILON))


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with soft targets: sigmoid for one logit, softmax for more.

    Args:
        logits, targets: `[B, K]`; for K > 1 the targets of a row sum to 1.

    Returns:
        `[B]`.
    """
    from keras import ops

    if logits.shape[-1] == 1:
        return ops.mean(ops.softplus(logits) - targets * logits, axis=-1)
    return -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
