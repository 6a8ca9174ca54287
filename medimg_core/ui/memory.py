"""Memory back to the system after a case was closed: what glibc and Python keep for later is let go."""

from __future__ import annotations

import ctypes
import gc
import threading

AFTER = 1.0
"""Seconds after which it is done: work beside the page that holds images ends at its next step."""

_lock = threading.Lock()
_waiting: threading.Timer | None = None


def give_back_soon() -> None:
    """Do it once, beside the page; calls that follow each other put it off."""
    global _waiting
    with _lock:
        if _waiting is not None:
            _waiting.cancel()
        _waiting = threading.Timer(AFTER, give_back)
        _waiting.daemon = True
        _waiting.start()


def give_back() -> None:
    """Collect cycles (a stopped job and its trace are one, with the images in it), then return free pages of the heap.

    Files and slices of less than a megabyte lie in the heap, and glibc gives back only what is free at its end.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
