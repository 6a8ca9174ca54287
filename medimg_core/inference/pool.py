"""Loaded networks, one of each per process, bounded in bytes: the one used longest ago leaves first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

from medimg_core.catalog import ModelCard, hashes
from medimg_core.inference.engine import Engine, choose_engine
from medimg_core.inference.runtime import Runtime

LIMIT_BYTES = 160 * 2**20
"""Networks of a million parameters count 20 to 40 MB each, and five times as much once all maps were asked for. With it
the web process stays below 400 MB with every model used once."""

Key = tuple[str, str, str, Engine]
"""Folder, file and its hash, engine: a folder that was exported anew is another network."""


def load(card: ModelCard, engine: Engine, network: str = "model") -> Runtime:
    """Load one of a card's networks, without keeping it."""
    if engine == "keras":
        from medimg_core.inference.keras_runtime import KerasRuntime

        return KerasRuntime(card, network)
    from medimg_core.inference.litert import LiteRTRuntime

    return LiteRTRuntime(card, network)


class RuntimePool:
    """Networks by key. Two sessions that ask for the same one at once wait for one loading.

    Args:
        limit_bytes: what `Runtime.nbytes` may add up to; the network asked for last always stays.
        loader: how to load.
    """

    def __init__(
        self, limit_bytes: int = LIMIT_BYTES, loader: Callable[[ModelCard, Engine, str], Runtime] = load
    ) -> None:
        self.limit_bytes = limit_bytes
        self._loader = loader
        self._lock = threading.Lock()
        self._loaded: OrderedDict[Key, Future[Runtime]] = OrderedDict()

    def get(self, card: ModelCard, engine: str = "auto", network: str = "model") -> Runtime:
        """One of a card's networks, by the stem of its files, loaded now if need be.

        Raises:
            ModelUnavailable: it cannot be loaded; asked again, it is tried again.
            BadRequest: unknown engine.
        """
        chosen = choose_engine(engine)
        file = f"{network}.keras" if chosen == "keras" else f"{network}.tflite"
        key = (str(card.folder), file, hashes(card).get(file, ""), chosen)
        with self._lock:
            future = self._loaded.get(key)
            mine = future is None
            if future is None:
                future = self._loaded[key] = Future()
            self._loaded.move_to_end(key)
        if mine:
            self._load(key, future, card, chosen, network)
        runtime = future.result()
        self._shrink()  # what is kept may have grown since it was loaded
        return runtime

    def _load(self, key: Key, future: Future[Runtime], card: ModelCard, engine: Engine, network: str) -> None:
        try:
            runtime = self._loader(card, engine, network)
        except BaseException as error:
            with self._lock:
                self._loaded.pop(key, None)
            future.set_exception(error)
            return
        future.set_result(runtime)

    def _shrink(self) -> None:
        """Let go of the networks used longest ago; who still holds one finishes with it."""
        with self._lock:
            ready = [key for key, future in self._loaded.items() if future.done()]
            for key in ready[:-1]:
                if self._counted() <= self.limit_bytes:
                    return
                del self._loaded[key]

    def _counted(self) -> int:
        return sum(f.result().nbytes for f in self._loaded.values() if f.done() and f.exception() is None)

    @property
    def nbytes(self) -> int:
        """What the loaded networks are counted with."""
        with self._lock:
            return self._counted()

    def names(self) -> tuple[str, ...]:
        """Loaded models, the one used last at the end."""
        with self._lock:
            return tuple(f.result().card.name for f in self._loaded.values() if f.done() and f.exception() is None)

    def clear(self) -> None:
        """Forget all networks."""
        with self._lock:
            self._loaded.clear()


POOL = RuntimePool()
"""The process's own pool."""


def runtime_for(card: ModelCard, engine: str = "auto", network: str = "model") -> Runtime:
    """A network of a card from the process's pool (see `RuntimePool.get`)."""
    return POOL.get(card, engine, network)
