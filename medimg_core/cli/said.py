"""What the commands say: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any

DONE, SOME_FAILED, USAGE = 0, 1, 2
"""Exit statuses."""


def say(text: str) -> None:
    """A sentence for the reader, beside the results."""
    print(text, file=sys.stderr, flush=True)


def show(result: Any) -> None:
    """One JSON object on a line of its own."""
    print(json.dumps(result, ensure_ascii=False), flush=True)
