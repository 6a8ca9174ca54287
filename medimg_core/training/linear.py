"""Ridge logistic regression in numpy: for shortcuts, and for statements on the features of a trained network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ridge_logistic(x: Floats, y: NDArray[np.bool_], ridge: float = 1.0, steps: int = 30) -> tuple[Floats, float]:
    """Coefficients `[d]` and intercept by Newton's method, for columns as they are given (not standardised).

    Columns are standardised inside, so that the penalty treats all alike; the intercept is not penalised.

    Args:
        x: `[n, d]`.
        y: `[n]`; where one side is missing the coefficients are zero.
        ridge: weight of half the squared coefficients of the standardised columns.
    """
    if y.all() or not y.any():
        return np.zeros(x.shape[1]), 0.0
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    design = np.column_stack([np.ones(len(x)), (x - mean) / spread])
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0
    beta = np.zeros(design.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -30, 30)))
        gradient = design.T @ (p - y) + penalty * beta
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        beta = beta - step
        if np.abs(step).max() < 1e-8:
            break
    slope = beta[1:] / spread
    return np.asarray(slope, np.float64), float(beta[0] - slope @ mean)
