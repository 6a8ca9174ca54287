"""One row of the table: what was timed, against what, and the ratio between the two in the same run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """`ratio` is reference / ours: above 1 means that ours is faster (or smaller).

    Attributes:
        topic: group in the table.
        what, reference: the two sides in words.
        ours, theirs: medians in `unit`; `theirs` is None where there is nothing to compare with.
    """

    topic: str
    what: str
    ours: float
    unit: str = "ms"
    reference: str = ""
    theirs: float | None = None

    @property
    def ratio(self) -> float | None:
        """Reference / ours."""
        return None if self.theirs is None or self.ours == 0 else self.theirs / self.ours


def median_ms(call: Callable[[], object], runs: int = 15, warm: int = 3) -> float:
    """Median wall time of a call in milliseconds, after warming up."""
    for _ in range(warm):
        call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def table(rows: list[Row]) -> str:
    """The rows as text, one topic after the other."""
    lines = []
    topic = ""
    for row in rows:
        if row.topic != topic:
            topic = row.topic
            lines.append(f"\n{topic}")
        other = f"{row.reference}: {row.theirs:.2f} {row.unit}" if row.theirs is not None else ""
        ratio = f"{row.ratio:.2f} x" if row.ratio is not None else ""
        lines.append(f"  {row.what:<44}{row.ours:>10.2f} {row.unit:<5}{other:<44}{ratio:>10}")
    return "\n".join(lines)
