"""A cache bounded in bytes: what was used longest ago leaves first. Safe in several threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteCache(Generic[K, V]):
    """Values by key, together at most `limit_bytes` by `size`; a value larger than that is not kept."""

    def __init__(self, limit_bytes: int, size: Callable[[V], int]) -> None:
        self.limit_bytes = limit_bytes
        self.nbytes = 0
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value of a key, which counts as used now; None where there is none."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    def put(self, key: K, value: V) -> None:
        """Keep a value in place of an older one of the same key."""
        with self._lock:
            if key in self._entries:
                self.nbytes -= self._size(self._entries.pop(key))
            self._entries[key] = value
            self.nbytes += self._size(value)
            while self.nbytes > self.limit_bytes:
                _, oldest = self._entries.popitem(last=False)
                self.nbytes -= self._size(oldest)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.nbytes = 0
