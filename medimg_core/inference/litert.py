"""The engine for CPUs: LiteRT, with a few interpreters of one network so that threads do not wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard, read_verified
from medimg_core.errors import ModelUnavailable
from medimg_core.inference.heads import Head, read_head
from medimg_core.inference.runtime import Forward, input_shape
from medimg_core.types import FloatArray

INTERPRETERS = 2
"""At most this many of one network, made when several threads ask at once; more threads wait."""

THREADS = 2
"""Threads of one interpreter. The answer is the same, bit for bit, whatever their number."""

_BYTES_PER_PIXEL: Mapping[str, int] = {
    "predict": 384,
    "cam_gradient": 96,
    "places_gradient": 384,
    "input_gradient": 1280,
}
"""What an interpreter keeps for each pixel of the input once it was asked for a signature; measured, rounded up."""


@dataclass(frozen=True, slots=True, eq=False)
class _Interpreter:
    """An interpreter with the signatures it has been asked for; one thread at a time."""

    interpreter: Any
    signatures: dict[str, Any]

    def run(self, signature: str, inputs: Mapping[str, FloatArray]) -> Mapping[str, NDArray[np.float32]]:
        if signature not in self.signatures:
            try:
                self.signatures[signature] = self.interpreter.get_signature_runner(signature)
            except ValueError as error:
                raise ModelUnavailable(
                    f"The file of this network was exported without the signature {signature}.",
                    "Export it again; CONTRIBUTING says how.",
                ) from error
        answer: Mapping[str, NDArray[np.float32]] = self.signatures[signature](**inputs)
        return answer


class LiteRTRuntime:
    """A network on LiteRT (see `Runtime`); thread-safe.

    Args:
        card: whose file is read and checked against its hash.
        network: stem of the file: `model`, or that of the second network that `card.places` names.
        interpreters: upper bound on interpreters of this network.
        threads: threads of one interpreter.

    Raises:
        ModelUnavailable: the network is missing, changed, or no LiteRT file.
    """

    engine = "litert"

    def __init__(
        self, card: ModelCard, network: str = "model", interpreters: int = INTERPRETERS, threads: int = THREADS
    ) -> None:
        self.card = card
        self._threads = threads
        self._shape = input_shape(card, network)
        self._content = read_verified(card, f"{network}.tflite")
        self._head = read_head(card) if network == "model" else None
        self._permits = threading.BoundedSemaphore(interpreters)
        self._lock = threading.Lock()
        self._idle = [self._open()]
        self._opened = 1
        self._asked = frozenset({"predict"})

    @property
    def head(self) -> Head | None:
        """Kernel `[C, K]` and bias `[K]` of a pooled head; None for any other."""
        return self._head

    @property
    def nbytes(self) -> int:
        """The file, and for each interpreter its unpacked weights and the working memory of what it was asked for.

        An upper estimate: MobileNetV2 cut at stride 16 takes 34 MB at 256 x 256, this says 36; with both gradients 114,
        and 122.
        """
        kept = sum(_BYTES_PER_PIXEL[signature] for signature in self._asked) * self._shape[0] * self._shape[1]
        return len(self._content) + self._opened * (4 * len(self._content) + kept)

    def predict(self, x: FloatArray) -> Forward:
        """Logits and feature maps in one pass."""
        return _forward(self._run("predict", x=self._image(x)))

    def cam_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        """The forward pass and the gradient of `sum(logits * weights)` by the feature maps."""
        answer = self._run("cam_gradient", x=self._image(x), weights=self._weights(weights))
        return _forward(answer), answer["gradient"][0]

    def input_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits and the gradient of `sum(logits * weights)` by the input."""
        answer = self._run("input_gradient", x=self._image(x), weights=self._weights(weights))
        return answer["logits"][0], answer["gradient"][0]

    def places_gradient(self, x: FloatArray, weights: FloatArray) -> tuple[Forward, FloatArray]:
        """Places and features, and the gradient of `sum(places * weights)` by the features; weights `[h, w, K]`."""
        answer = self._run("places_gradient", x=self._image(x), weights=np.ascontiguousarray(weights, np.float32)[None])
        return _forward(answer), answer["gradient"][0]

    def _run(self, signature: str, **inputs: FloatArray) -> Mapping[str, NDArray[np.float32]]:
        self._asked |= {signature}  # another set: one thread may be counting while another asks
        with self._borrowed() as interpreter:
            return interpreter.run(signature, inputs)

    @contextmanager
    def _borrowed(self) -> Iterator[_Interpreter]:
        """An interpreter for one call: the one used last (warm in the cache), or a new one while permits last."""
        with self._permits:
            with self._lock:
                interpreter = self._idle.pop() if self._idle else None
            if interpreter is None:
                interpreter = self._open()
                with self._lock:
                    self._opened += 1
            try:
                yield interpreter
            finally:
                with self._lock:
                    self._idle.append(interpreter)

    def _open(self) -> _Interpreter:
        from ai_edge_litert.interpreter import Interpreter

        try:
            return _Interpreter(Interpreter(model_content=self._content, num_threads=self._threads), {})
        except ValueError as error:
            raise ModelUnavailable(
                f"The network of the model {self.card.name!r} cannot be opened.", "Restore the folder from the release."
            ) from error

    def _image(self, x: FloatArray) -> FloatArray:
        # LiteRT would take another size without a word and answer something.
        if x.shape != self._shape:
            raise ValueError(f"input {x.shape}, the network takes {self._shape}")
        return np.ascontiguousarray(x, np.float32)[None]

    def _weights(self, weights: FloatArray) -> FloatArray:
        if weights.shape != (self.card.outputs,):
            raise ValueError(f"weights {weights.shape}, the network has {self.card.outputs} outputs")
        return np.ascontiguousarray(weights, np.float32)


def _forward(answer: Mapping[str, NDArray[np.float32]]) -> Forward:
    logits = answer["logits"][0] if "logits" in answer else np.zeros(0, np.float32)
    return Forward(logits, answer["features"][0], answer["places"][0] if "places" in answer else None)
