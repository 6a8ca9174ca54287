"""The registry: one row a method. `explain.register(Method(...))` at the end of a method's file adds it."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from medimg_core.errors import BadRequest
from medimg_core.inference.runtime import Forward, Runtime
from medimg_core.types import FloatArray

Progress = Callable[[float], None]
"""Called with the share done, 0 to 1; may raise `Cancelled`."""


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """What a method is asked: one prepared input, one target.

    Attributes:
        runtime: the loaded network.
        x: prepared input float32 `[H, W, C]`.
        weights: float32 `[K]`, what is explained is `sum(logits * weights)` (see `Runtime`); of an outline
            `[h, w, K]`, then `sum(places * weights)`.
        forward: the forward pass of `x`, if it was already made; CAM then costs nothing more.
        seed: for methods that draw.
        progress: called between the passes of a slow method.
    """

    runtime: Runtime
    x: FloatArray
    weights: FloatArray
    forward: Forward | None = None
    seed: int = 0
    progress: Progress = lambda share: None

    def pass_forward(self) -> Forward:
        """The forward pass, made now if it was not made before."""
        return self.forward if self.forward is not None else self.runtime.predict(self.x)

    def score(self, logits: FloatArray) -> float:
        """The explained number for some logits."""
        return float(np.dot(logits, self.weights))


@dataclass(frozen=True, slots=True)
class Method:
    """A saliency method.

    Attributes:
        name: identifier on the command line (`gradcam`).
        title: as shown (`Grad-CAM`).
        family: `cam`, `gradient` or `perturbation`.
        needs: the cheapest runtime call that suffices: `features` (the forward pass and a pooled head),
            `cam_gradient`, `input_gradient` or `forward` (many forward passes); `places_gradient` explains an outline
            and no answer.
        signed: whether negative values mean evidence against.
        paper, equation: source.
        function: query -> float32 map `[h, w]` on any grid that covers the model input, unnormalised.
    """

    name: str
    title: str
    family: Literal["cam", "gradient", "perturbation"]
    needs: Literal["features", "cam_gradient", "input_gradient", "forward", "places_gradient"]
    signed: bool
    paper: str
    equation: str
    function: Callable[[Query], FloatArray]


_METHODS: dict[str, Method] = {}


def register(method: Method) -> Method:
    """Add a method to the registry; its name must be new."""
    if method.name in _METHODS:
        raise ValueError(f"the method {method.name!r} is registered twice")
    _METHODS[method.name] = method
    return method


def methods() -> tuple[Method, ...]:
    """All methods in the order of their registration."""
    return tuple(_METHODS.values())


def method(name: str) -> Method:
    """A method by its identifier.

    Raises:
        BadRequest: unknown; the message lists the near names.
    """
    if name not in _METHODS:
        near = difflib.get_close_matches(name, _METHODS, n=3, cutoff=0.5) or list(_METHODS)
        raise BadRequest(f"There is no saliency method named {name!r}.", f"Near names: {', '.join(near)}.")
    return _METHODS[name]
