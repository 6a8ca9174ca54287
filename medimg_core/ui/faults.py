"""A reference number for every failure: the user quotes it, the log explains it, neither holds patient data."""

from __future__ import annotations

import logging
import secrets
import traceback

_log = logging.getLogger("medimg.faults")


def report(error: BaseException, digest: str = "") -> str:
    """Write a failure to the log and return its reference number.

    The log gets the kind of failure and where it arose, never its message: messages of libraries quote what they were
    reading.

    Args:
        error: the failure.
        digest: content hash of the image concerned, if any.
    """
    reference = f"E-{secrets.token_hex(2).upper()}-{secrets.token_hex(2).upper()}"
    places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-6:]]
    _log.error(
        "%s %s at %s image %s", reference, type(error).__name__, " < ".join(reversed(places)) or "-", digest[:12]
    )
    return reference
