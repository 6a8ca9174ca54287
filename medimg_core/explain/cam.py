"""Class activation maps: weighted sums of the feature maps at the CAM layer, after ReLU.

All six need the features `A` `[h, w, C]` and the gradient `G = d score / d A`. Behind a pooled head (global average
pooling, then one dense layer with kernel `W` `[C, K]`) the score is `sum_k weights_k (mean_ij A_ij W_k + b_k)`, so
`G_ij = W @ weights / (h w)` at every place: known from the one forward pass, without a backward pass. Any other head
asks the runtime for the gradient.

Definitions are those of tf-keras-vis 0.8 without its scaling of each map to its own maximum; what it leaves out
(CAM, XGrad-CAM, HiRes-CAM) follows the papers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from medimg_core.errors import BadRequest
from medimg_core.explain.registry import Method, Query, register
from medimg_core.inference.runtime import Forward
from medimg_core.types import FloatArray

Combine = Callable[[FloatArray, FloatArray, float], FloatArray]
"""(features `[h, w, C]`, gradient `[h, w, C]`, score) -> map `[h, w]` before the last ReLU."""


def features_and_gradient(query: Query) -> tuple[Forward, FloatArray]:
    """The forward pass and the gradient at the CAM layer, float32 `[h, w, C]` (read-only for a pooled head)."""
    head = query.runtime.head
    if head is None:
        return query.runtime.cam_gradient(query.x, query.weights)
    forward = query.pass_forward()
    rows, columns, _ = forward.features.shape
    constant = np.asarray(head[0] @ query.weights, np.float32) / np.float32(rows * columns)
    return forward, np.broadcast_to(constant, forward.features.shape)


def class_activation_map(query: Query) -> FloatArray:
    """CAM: `relu(sum_c A_c W_c)`; before the ReLU its mean plus the bias is the score.

    Raises:
        BadRequest: the network has no pooled head, so no class activation map exists.
    """
    head = query.runtime.head
    if head is None:
        raise BadRequest(
            "A class activation map exists only for a network that ends in average pooling and one dense layer.",
            "Choose gradcam or hirescam, which generalise it.",
        )
    return _relu(query.pass_forward().features @ (head[0] @ query.weights))


def gradcam(features: FloatArray, gradient: FloatArray, score: float) -> FloatArray:
    """`sum_c A_c mean_ij(G_c)`."""
    del score
    return np.asarray(features @ gradient.mean(axis=(0, 1)), np.float32)


def gradcam_pp(features: FloatArray, gradient: FloatArray, score: float) -> FloatArray:
    """`sum_c A_c sum_ij(alpha_c relu(Y G_c))` with `Y = exp(score)`, alphas normalised to sum 1 over places.

    `alpha = G^2 / (2 G^2 + G^3 sum_ij(A_c))`, where `Y` cancels, is 0 where the gradient is 0. The map grows with
    `Y`, so films of very different scores differ by orders of magnitude: it is the derivative of `exp(score)`.
    """
    total = features.sum(axis=(0, 1), dtype=np.float64)
    slope = gradient.astype(np.float64)
    alpha = np.where(slope != 0, 1.0 / (2.0 + slope * total), 0.0)
    norm = alpha.sum(axis=(0, 1))
    alpha /= np.where(norm == 0, 1.0, norm)
    weights = (alpha * np.maximum(slope, 0)).sum(axis=(0, 1)) * np.exp(score)
    return np.asarray(features @ weights, np.float32)


def xgradcam(features: FloatArray, gradient: FloatArray, score: float) -> FloatArray:
    """`sum_c A_c sum_ij(A_c G_c) / sum_ij(A_c)`; a channel whose activations sum to 0 is left out."""
    del score
    total = features.sum(axis=(0, 1))
    weights = (features * gradient).sum(axis=(0, 1)) / np.where(total == 0, np.float32(np.inf), total)
    return np.asarray(features @ weights, np.float32)


def layercam(features: FloatArray, gradient: FloatArray, score: float) -> FloatArray:
    """`sum_c A_c relu(G_c)`, place by place."""
    del score
    return np.asarray(np.einsum("hwc,hwc->hw", features, _relu(gradient)), np.float32)


def hirescam(features: FloatArray, gradient: FloatArray, score: float) -> FloatArray:
    """`sum_c A_c G_c`, place by place."""
    del score
    return np.asarray(np.einsum("hwc,hwc->hw", features, gradient), np.float32)


def _relu(values: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(values, 0), np.float32)


def _map(query: Query, combine: Combine) -> FloatArray:
    forward, gradient = features_and_gradient(query)
    return _relu(combine(forward.features, gradient, query.score(forward.logits)))


register(
    Method(
        name="cam",
        title="CAM",
        family="cam",
        needs="features",
        signed=False,
        paper="Zhou et al., CVPR 2016, doi 10.1109/CVPR.2016.319",
        equation="relu(sum_c A_c W_c)",
        function=class_activation_map,
    )
)

for _name, _title, _paper, _equation, _combine in (
    (
        "gradcam",
        "Grad-CAM",
        "Selvaraju et al., ICCV 2017, doi 10.1109/ICCV.2017.74",
        "relu(sum_c A_c mean(G_c))",
        gradcam,
    ),
    (
        "gradcam_pp",
        "Grad-CAM++",
        "Chattopadhay et al., WACV 2018, doi 10.1109/WACV.2018.00097",
        "relu(sum_c A_c sum(alpha_c relu(exp(S) G_c)))",
        gradcam_pp,
    ),
    (
        "xgradcam",
        "XGrad-CAM",
        "Fu et al., BMVC 2020, arXiv 2008.02312",
        "relu(sum_c A_c sum(A_c G_c) / sum(A_c))",
        xgradcam,
    ),
    (
        "layercam",
        "Layer-CAM",
        "Jiang et al., IEEE TIP 30 (2021), doi 10.1109/TIP.2021.3089943",
        "relu(sum_c A_c relu(G_c))",
        layercam,
    ),
    ("hirescam", "HiRes-CAM", "Draelos and Carin 2020, arXiv 2011.08891", "relu(sum_c A_c G_c)", hirescam),
):
    register(
        Method(
            name=_name,
            title=_title,
            family="cam",
            needs="cam_gradient",
            signed=False,
            paper=_paper,
            equation=_equation,
            function=partial(_map, combine=_combine),
        )
    )
