"""Figures as the pages write them: per cent, ranges, counts, with spaces that do not break."""

from __future__ import annotations


def percent(share: float) -> str:
    """`84 %`; one decimal near the ends, and never 0 or 100, which no finite number of films can show."""
    return f"{_hundredths(share)}\u00a0%"


def percent_range(low: float, high: float) -> str:
    """`76–90 %`."""
    return f"{bare_range(low, high)}\u00a0%"


def bare_range(low: float, high: float) -> str:
    """`76–90`, in per cent without the sign; the ends of an interval may be 0 and 100."""
    ends = _hundredths(low), _hundredths(high)
    if ends[0] == ends[1]:
        return ends[0]
    return "\u2060–\u2060".join({"<0.1": "0", ">99.9": "100"}.get(end, end) for end in ends)


def _hundredths(share: float) -> str:
    value = 100 * share
    if value < 0.1 or value > 99.9:
        return "<0.1" if value < 50 else ">99.9"
    return f"{value:.1f}" if value < 1 or value > 99 else f"{value:.0f}"


def figure(value: float) -> str:
    """Two decimals with a real minus sign."""
    return f"{value:.2f}".replace("-", "−")


def figure_range(low: float, high: float) -> str:
    """`0.78–0.90`."""
    return f"{figure(low)}\u2060–\u2060{figure(high)}"


def counted(n: int) -> str:
    """`n 1,204` with a space that does not break."""
    return f"n\u00a0{n:,}"


def plural(n: int, one: str, many: str) -> str:
    """`one film`, `three films`, `300 films`."""
    return f"{_SMALL[n] if n < len(_SMALL) else f'{n:,}'} {one if n == 1 else many}"


_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


# ---- the patient strip ------------------------------------------------------------------------------------------
