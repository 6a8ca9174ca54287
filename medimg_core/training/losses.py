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


def softmax_inside(class_map: Tensor, mask: Tensor) -> Tensor:
    """Minus the logarithm of the softmax mass of a class map that lies inside a mask.

    Where `evidence_inside` is content with any positive place inside, the softmax asks the largest values to be there.

    Args:
        class_map: `[B, h, w]`, feature maps times the head's weights for the film's own class.
        mask: `[B, h, w]` in [0, 1], share of each cell inside the mask.

    Returns:
        `[B]`, at least 0; 0 when the whole mass lies inside.
    """
    from keras import ops

    flat = ops.reshape(class_map, (ops.shape(class_map)[0], -1))
    inside = ops.sum(ops.softmax(flat, axis=-1) * ops.reshape(mask, (ops.shape(mask)[0], -1)), axis=-1)
    return -ops.log(inside + _EPSILON)


def soft_cross_entropy(logits: Tensor, targets: Tensor, exclusive: bool = False) -> Tensor:
    """Cross-entropy with soft targets: sigmoids, their mean, or one softmax where the classes exclude each other.

    Args:
        logits, targets: `[B, K]`; where they exclude each other the targets of a row sum to 1.

    Returns:
        `[B]`.
    """
    from keras import ops

    if exclusive:
        return -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
    return ops.mean(ops.softplus(logits) - targets * logits, axis=-1)
