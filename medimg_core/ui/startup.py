"""What the server does once, beside its first page: warm decoding processes, the router and a network."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from medimg_core.catalog import list_models
from medimg_core.errors import MedImgError
from medimg_core.inference import runtime_for
from medimg_core.io import shutdown, warm_up
from medimg_core.workflows.route import models

_log = logging.getLogger("medimg.startup")


_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # <malloc.h>


def _return_memory() -> None:
    """Let glibc give films back to the system when they are freed.

    By itself it raises the size from which arrays get pages of their own up to 32 MB, and keeps one heap a thread:
    every film read would leave tens of megabytes behind.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)
        mallopt(_M_ARENA_MAX, 2)


def _warm() -> None:
    warm_up()
    try:
        for card in (*(card for card in list_models() if card.task == "gate"), models()[0]):
            runtime_for(card)
    except MedImgError as error:
        _log.warning("%s", error)


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """For `st.App`: warm up in a thread, so that the first page does not wait; end the decoding processes."""
    _return_memory()
    threading.Thread(target=_warm, name="medimg-warm-up", daemon=True).start()
    yield
    shutdown()
