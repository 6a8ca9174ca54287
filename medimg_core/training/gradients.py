"""Gradients that convert to LiteRT: rules for some operations, written with built-in operations only.

TensorFlow's own gradients of ReLU, max pooling, depthwise convolution and bilinear enlarging are operations that LiteRT
does not have (`ReluGrad`, `MaxPoolGrad`, `DepthwiseConv2dNativeBackpropInput`, `ResizeBilinearGrad`). Inside
`convertible()` the graph is built with the rules below instead; everything else (convolution, dense, addition, mean,
batch normalisation at inference) has a gradient that converts as it is. All shapes are static and the batch is one.

Importing this module imports TensorFlow; `training.export` does so inside a function.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

Tensor = Any
"""A symbolic tensor of the graph that is being built."""

Operation = Any
"""The forward operation whose gradient is asked for."""


def relu(op: Operation, gradient: Tensor) -> Tensor:
    """ReLU: passes where the output is above zero."""
    return gradient * tf.cast(op.outputs[0] > 0, gradient.dtype)


def relu6(op: Operation, gradient: Tensor) -> Tensor:
    """ReLU6: passes where the output lies between zero and six."""
    y = op.outputs[0]
    return gradient * tf.cast(y > 0, gradient.dtype) * tf.cast(y < 6, gradient.dtype)


def max_pool(op: Operation, gradient: Tensor) -> Tensor:
    """Max pooling with a window as large as its stride: passes to the first of the largest values, as TensorFlow.

    Raises:
        NotImplementedError: the windows overlap, or are padded.
    """
    x, y = op.inputs[0], op.outputs[0]
    (high, wide), stride = op.get_attr("ksize")[1:3], op.get_attr("strides")[1:3]
    _, height, width, _ = x.shape
    _, rows, columns, channels = y.shape
    if [high, wide] != stride or rows * high > height or columns * wide > width:
        raise NotImplementedError(f"max pooling {high} x {wide} with stride {stride} has no gradient for LiteRT")
    lines = tf.reshape(x[:, : rows * high, : columns * wide, :], (rows, high, columns * wide * channels))
    spread, taken = [], None
    for i in range(high):
        line = tf.reshape(lines[:, i, :], (rows * columns, wide, channels))
        cells = []
        for j in range(wide):
            largest = tf.cast(tf.reshape(line[:, j, :], y.shape) >= y, x.dtype)
            first = largest if taken is None else tf.nn.relu(largest - taken)
            taken = largest if taken is None else tf.maximum(taken, largest)
            cells.append(tf.reshape(first * gradient, (rows * columns, 1, channels)))
        spread.append(tf.reshape(tf.concat(cells, axis=1), (rows, 1, columns * wide * channels)))
    covered = tf.reshape(tf.concat(spread, axis=1), (1, rows * high, columns * wide, channels))
    # VALID pooling leaves a remainder at the lower and right edge that nothing depends on.
    return tf.pad(covered, [[0, 0], [0, height - rows * high], [0, width - columns * wide], [0, 0]])


def depthwise_conv(op: Operation, gradient: Tensor) -> tuple[Tensor, None]:
    """Depthwise convolution by its input: the same convolution of the zero-stuffed gradient, kernel flipped.

    Stride 1 and more, SAME and VALID; TensorFlow writes a dilation as SpaceToBatch around it. The kernel gets no
    gradient, because nothing is trained here.
    """
    x, kernel = op.inputs
    stride, padding = op.get_attr("strides")[1], op.get_attr("padding").decode()
    size = kernel.shape[:2]
    if kernel.shape[3] != 1:
        raise NotImplementedError("a depthwise convolution with a multiplier above one has no gradient for LiteRT")
    z = _stuff_zeros(gradient, stride)
    pads = []
    for axis in (0, 1):
        length, out = x.shape[1 + axis], gradient.shape[1 + axis]
        before = max((out - 1) * stride + size[axis] - length, 0) // 2 if padding == "SAME" else 0
        first = size[axis] - 1 - before
        pads.append((first, length + size[axis] - 1 - z.shape[1 + axis] - first))
    flipped = tf.reverse(kernel, [0, 1])
    return tf.nn.depthwise_conv2d(_pad_or_cut(z, pads), flipped, [1, 1, 1, 1], "VALID"), None


def resize_bilinear(op: Operation, gradient: Tensor) -> tuple[Tensor, None]:
    """Bilinear enlarging to twice the size between outer edges (`UpSampling2D(2, interpolation="bilinear")`).

    Each value goes with 1/4, 3/4, 3/4, 1/4 into four neighbours along an axis, those beyond the edge into the last one:
    the adjoint continues the gradient by one cell and is a depthwise convolution with these weights, stride 2.

    Raises:
        NotImplementedError: another factor, or other places of the pixel centres.
    """
    (_, height, width, channels), (_, rows, columns, _) = op.inputs[0].shape, gradient.shape
    centres = op.get_attr("half_pixel_centers") and not op.get_attr("align_corners")
    if (rows, columns) != (2 * height, 2 * width) or not centres:
        raise NotImplementedError(f"enlarging {height} x {width} to {rows} x {columns} has no gradient for LiteRT")
    line = tf.constant([0.25, 0.75, 0.75, 0.25], gradient.dtype)
    kernel = tf.tile((line[:, None] * line[None, :])[:, :, None, None], [1, 1, channels, 1])
    wide = tf.pad(gradient, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    return tf.nn.depthwise_conv2d(wide, kernel, [1, 2, 2, 1], "VALID"), None


def _stuff_zeros(t: Tensor, stride: int) -> Tensor:
    """Put `stride - 1` zeros between neighbours of `[1, h, w, c]`, none after the last."""
    if stride == 1:
        return t
    _, h, w, c = t.shape
    # Padding and not joining with zeros, which would be stored in the file.
    columns = tf.pad(tf.reshape(t, (h * w, 1, c)), [[0, 0], [0, stride - 1], [0, 0]])
    rows = tf.pad(tf.reshape(columns, (h, 1, w * stride * c)), [[0, 0], [0, stride - 1], [0, 0]])
    full = tf.reshape(rows, (1, h * stride, w * stride, c))
    return full[:, : (h - 1) * stride + 1, : (w - 1) * stride + 1, :]


def _pad_or_cut(t: Tensor, pads: list[tuple[int, int]]) -> Tensor:
    """Pad rows and columns of `[1, h, w, c]` by `(before, after)`; a negative amount cuts."""
    (top, bottom), (left, right) = pads
    _, h, w, _ = t.shape
    cut = t[:, max(-top, 0) : h - max(-bottom, 0), max(-left, 0) : w - max(-right, 0), :]
    return tf.pad(cut, [[0, 0], [max(top, 0), max(bottom, 0)], [max(left, 0), max(right, 0)], [0, 0]])


_RULES: dict[str, Callable[..., Any]] = {
    "Relu": relu,
    "Relu6": relu6,
    "MaxPool": max_pool,
    "DepthwiseConv2dNative": depthwise_conv,
    "ResizeBilinear": resize_bilinear,
}

# TensorFlow keeps gradient rules by name for the life of the process.
for _operation, _rule in _RULES.items():
    tf.RegisterGradient(f"LiteRT{_operation}")(_rule)


def convertible() -> AbstractContextManager[None]:
    """Build the current graph with the rules of this module; use it inside a `tf.function`."""
    graph = tf.compat.v1.get_default_graph()
    manager: AbstractContextManager[None] = graph.gradient_override_map({name: f"LiteRT{name}" for name in _RULES})
    return manager
