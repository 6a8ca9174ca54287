"""What the server does once, beside its first page: warm decoding processes and the first network."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from medimg_core.errors import MedImgError
from medimg_core.inference import runtime_for
from medimg_core.io import shutdown, warm_up
from medimg_core.ui.service import primary

_log = logging.getLogger("medimg.startup")


def _warm() -> None:
    warm_up()
    try:
        runtime_for(primary())
    except MedImgError as error:
        _log.warning("%s", error)


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """For `st.App`: warm up in a thread, so that the first page does not wait; end the decoding processes."""
    threading.Thread(target=_warm, name="medimg-warm-up", daemon=True).start()
    yield
    shutdown()
