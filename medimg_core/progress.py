"""How far a piece of work is, on standard error."""

from __future__ import annotations

import sys
import time


class Progress:
    """How far a piece of work is, on standard error, once it has taken two seconds: a line that is rewritten on a
    terminal, a line every ten seconds elsewhere. A share that falls back begins the next piece.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._started = self._said = time.monotonic()
        self._share = 0.0
        self._line_open = False

    def __call__(self, share: float, detail: str = "") -> None:
        """Say the share done, 0 to 1, and the time left."""
        now = time.monotonic()
        if share < self._share:
            self._started = now
        self._share = share
        left = (now - self._started) * (1 - share) / share if share > 0 else None
        self._tell(now, f"{self.what}{detail}: {share:.0%}" + ("" if left is None else f", {_duration(left)} left"))

    def images(self, done: int, total: int) -> None:
        """Say how many images are done, of how many."""
        self(done / max(total, 1), f" {done} of {total}")

    def count(self, done: int, detail: str = "") -> None:
        """Say how many are done where the whole is not known."""
        self._tell(time.monotonic(), f"{self.what} {done}{detail}")

    def close(self) -> None:
        """End the rewritten line."""
        if self._line_open:
            print(file=sys.stderr, flush=True)
        self._line_open = False

    def _tell(self, now: float, text: str) -> None:
        terminal = sys.stderr.isatty()
        first = self._said <= self._started
        if now - self._started < 2.0 or (not first and now - self._said < (0.2 if terminal else 10.0)):
            return
        self._said, self._line_open = now, terminal
        print(f"\r\x1b[K{text}" if terminal else text, end="" if terminal else "\n", file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
