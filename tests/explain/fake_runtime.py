"""Networks in numpy whose maps are known in closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medimg_core.catalog import Calibration, ModelCard, ModelClass, Population
from medimg_core.inference.runtime import Forward
from medimg_core.types import FloatArray, InputSpec, OperatingPoint


def card(outputs: int = 1, side: int = 8, normalisation: Any = "minus_one_to_one", head: str = "pooled") -> ModelCard:
    """A card in memory; `folder` holds nothing."""
    names = ("normal", "pneumonia") if outputs == 1 else tuple(f"class{i}" for i in range(outputs))
    points = tuple(OperatingPoint(name, 0.5) for name in ("rule_out", "balanced", "rule_in"))
    population = Population("all", "All", "all", Calibration(), points, {}, 0.5, True)
    return ModelCard(
        name="fake",
        folder=Path("does-not-exist"),
        version="1",
        title="Fake",
        task="classification",
        modality="CR",
        baseline=False,
        second_opinion=None,
        classes=tuple(ModelClass(name, name, name) for name in names),
        positive=1,
        outputs=outputs,
        input=InputSpec(side, side, 3, "squash", normalisation),
        cam_layer="cam",
        head=head,
        gate=None,
        licence="open",
        populations=(population,),
        default_population="all",
        label_map={},
        text={},
    )


class PooledRuntime:
    """Features are means over 2 x 2 places, channel by channel, after ReLU; pooled head with `kernel [3, K]`."""

    engine = "numpy"
    nbytes = 0

    def __init__(self, kernel: FloatArray, bias: FloatArray, *, side: int = 8, pooled: bool = True) -> None:
        self.kernel, self.bias, self.pooled = kernel.astype(np.float32), bias.astype(np.float32), pooled
        self.card = card(outputs=kernel.shape[1], side=side, head="pooled" if pooled else "dense")
        self.calls = 0

    def predict(self, x: FloatArray) -> Forward:
        self.calls += 1
        rows, columns, channels = x.shape
        cells = x.reshape(rows // 2, 2, columns // 2, 2, channels).mean(axis=(1, 3))
        features = np.maximum(cells, 0).astype(np.float32)
        return Forward(features.mean(axis=(0, 1)) @ self.kernel + self.bias, features)

    def cam_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        forward = self.predict(x)
        rows, columns, _ = forward.features.shape
        gradient = np.broadcast_to(self.kernel @ weights / (rows * columns), forward.features.shape)
        return forward, np.array(gradient, np.float32)

    def input_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        forward, gradient = self.cam_gradient(x, weights)
        through = gradient * (forward.features > 0) / 4
        return forward.logits, through.repeat(2, axis=0).repeat(2, axis=1)

    @property
    def head(self) -> tuple[FloatArray, FloatArray] | None:
        return (self.kernel, self.bias) if self.pooled else None


class LinearRuntime:
    """`logit = sum(x * slope) + bias`; or, with a curve, `sum(slope * curve(x)) + bias`. No feature maps."""

    engine = "numpy"
    nbytes = 0
    head = None

    def __init__(self, slope: FloatArray, bias: float = 0.0, *, squared: bool = False) -> None:
        self.slope, self.bias, self.squared = slope.astype(np.float32), bias, squared
        self.card = card(side=slope.shape[0], head="dense")
        self.seen: list[FloatArray] = []

    def predict(self, x: FloatArray) -> Forward:
        self.seen.append(x)
        curve = x * x if self.squared else x
        logit = float((curve.astype(np.float64) * self.slope).sum()) + self.bias
        return Forward(np.array([logit], np.float32), np.zeros((1, 1, 1), np.float32))

    def cam_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        raise NotImplementedError

    def input_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        self.seen.append(x)
        slope = 2 * x * self.slope if self.squared else self.slope
        return self.predict(x).logits, slope * weights[0]
