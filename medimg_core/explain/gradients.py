"""Maps from the gradient with respect to the input, one pass at a time (batching is slower per sample on a CPU)."""

from __future__ import annotations

import numpy as np

from medimg_core.explain.registry import Method, Query, register
from medimg_core.types import FloatArray, InputSpec

SAMPLES = 25
NOISE = 0.15
"""SmoothGrad's noise as a share of the input's range; the paper finds 0.1 to 0.2 good."""
STEPS = 32


def gradients(query: Query) -> FloatArray:
    """Largest absolute gradient over the channels, float32 `[H, W]`."""
    return _strength(query.runtime.input_gradient(query.x, query.weights)[1])


def smoothgrad(query: Query) -> FloatArray:
    """The mean of `SAMPLES` absolute gradients at `x` plus noise, then the largest over the channels.

    Normal noise of deviation `NOISE * (max(x) - min(x))`, drawn from `query.seed`; absolute values before the mean,
    as tf-keras-vis.
    """
    noise = noise_for(query.x, query.seed)
    total = np.zeros(query.x.shape, np.float64)
    for done, sample in enumerate(noise):
        query.progress(done / SAMPLES)
        total += np.abs(query.runtime.input_gradient(query.x + sample, query.weights)[1])
    query.progress(1.0)
    return _strength(np.asarray(total / SAMPLES, np.float32))


def noise_for(x: FloatArray, seed: int) -> FloatArray:
    """SmoothGrad's noise, float32 `[SAMPLES, H, W, C]`."""
    spread = np.float32(NOISE) * (x.max() - x.min())
    return np.asarray(np.random.default_rng(seed).standard_normal((SAMPLES, *x.shape), np.float32) * spread)


def black(x: FloatArray, spec: InputSpec) -> FloatArray:
    """The baseline of integrated gradients: an input that is black everywhere.

    Black is -1 or 0 by the card's normalisation. Where each film is standardised, its own darkest value stands for
    black: the collimated border or the air beside the patient.
    """
    values = {"minus_one_to_one": -1.0, "zero_to_one": 0.0, "standardise": float(x.min())}
    return np.full(x.shape, values[spec.normalisation], np.float32)


def integrated_gradients(query: Query) -> FloatArray:
    """`(x - black) * mean of the gradients on the straight way`, summed over channels; signed float32 `[H, W]`.

    `STEPS` gradients at the middles of equal parts (midpoint rule). The map's sum is the score's difference between
    `x` and black, up to the rule's error (completeness).
    """
    baseline = black(query.x, query.runtime.card.input)
    way = query.x - baseline
    total = np.zeros(query.x.shape, np.float64)
    for step in range(STEPS):
        query.progress(step / STEPS)
        point = baseline + np.float32((step + 0.5) / STEPS) * way
        total += query.runtime.input_gradient(point, query.weights)[1]
    query.progress(1.0)
    return np.asarray((way * total / STEPS).sum(axis=-1), np.float32)


def _strength(gradient: FloatArray) -> FloatArray:
    return np.asarray(np.abs(gradient).max(axis=-1), np.float32)


register(
    Method(
        name="gradients",
        title="Gradients",
        family="gradient",
        needs="input_gradient",
        signed=False,
        paper="Simonyan et al., ICLR Workshop 2014, arXiv 1312.6034",
        equation="max_c |dS/dx_c|",
        function=gradients,
    )
)
register(
    Method(
        name="smoothgrad",
        title="SmoothGrad",
        family="gradient",
        needs="input_gradient",
        signed=False,
        paper="Smilkov et al. 2017, arXiv 1706.03825",
        equation=f"max_c mean_n |dS/dx_c at x + noise_n|, n = {SAMPLES}",
        function=smoothgrad,
    )
)
register(
    Method(
        name="integrated_gradients",
        title="Integrated gradients",
        family="gradient",
        needs="input_gradient",
        signed=True,
        paper="Sundararajan et al., ICML 2017, arXiv 1703.01365",
        equation=f"sum_c (x - black)_c mean_n(dS/dx_c at black + (n - 1/2)/N (x - black)), N = {STEPS}",
        function=integrated_gradients,
    )
)
