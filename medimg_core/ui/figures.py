"""Numbers as the pages print them: one way to round, one way to write an interval."""

from __future__ import annotations

from medimg_core.types import Interval


def interval(value: Interval, digits: int = 2) -> str:
    """`0.82 (0.76–0.88)`."""
    return f"{value.value:.{digits}f} ({span(value, digits)})"


def span(value: Interval, digits: int = 2) -> str:
    """`0.76–0.88`; `−0.01 to 0.05` where an end is negative, because a minus beside a dash is misread."""
    between = " to " if value.low < 0 else "–"
    return f"{signed(value.low, digits)}{between}{signed(value.high, digits)}"


def signed(value: float, digits: int = 2, plus: bool = False) -> str:
    """A number with a true minus sign, never `-0.00`; `plus` writes the sign of positive ones too."""
    text = f"{abs(value):.{digits}f}"
    if value < 0 and float(text) != 0:
        return f"−{text}"
    return f"+{text}" if plus and float(text) != 0 else text


def count(n: int) -> str:
    """`n 1,204` with a no-break space."""
    return f"n\u00a0{n:,}"


def p_value(p: float) -> str:
    """`p 0.002`, `p < 0.001`."""
    return "p\u00a0<\u00a00.001" if p < 0.001 else f"p\u00a0{p:.3f}"


def rounded_p(p: float) -> str:
    """As a table cell: `0.002` or `< 0.001`."""
    return "<\u00a00.001" if p < 0.001 else f"{p:.3f}"
