"""Reading single values of a data set without trusting any of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Dataset = Any  # pydicom.Dataset; pydicom carries no annotations that mypy may follow


def raw(dataset: Dataset, keyword: str) -> Any:
    """The value of an element; None where it is absent, empty, or cannot be converted."""
    try:
        value = dataset.get(keyword)
    except Exception:  # pydicom converts lazily and raises whatever the converter met
        return None
    return None if value is None or (hasattr(value, "__len__") and len(value) == 0) else value


def present(dataset: Dataset, keyword: str) -> bool:
    """True where the element exists and is not empty, even if its value cannot be converted."""
    if keyword not in dataset:
        return False
    element = dataset.get_item(keyword, keep_deferred=True)
    return element.value not in (None, "", b"")


def whole(dataset: Dataset, keyword: str) -> int | None:
    """The value as an int; None where absent or anything else."""
    value = raw(dataset, keyword)
    try:
        return int(value) if value is not None and float(value) == int(value) else None
    except (TypeError, ValueError, OverflowError):
        return None


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """The values as finite floats; empty where absent or where any of them is not a finite number."""
    value = raw(dataset, keyword)
    if value is None:
        return ()
    several = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    try:
        found = tuple(float(v) for v in several)
    except (TypeError, ValueError, OverflowError):
        return ()
    return found if all(math.isfinite(v) for v in found) else ()


def number(dataset: Dataset, keyword: str) -> float | None:
    """The only value as a finite float, else None."""
    found = numbers(dataset, keyword)
    return found[0] if len(found) == 1 else None


def text(dataset: Dataset, keyword: str) -> str:
    """The value as a stripped string; several values joined by a backslash; empty where absent."""
    value = raw(dataset, keyword)
    if value is None:
        return ""
    several = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    try:
        return "\\".join(str(v) for v in several).strip(" \0")
    except Exception:  # a person name decodes its bytes only when it is turned into a string
        return ""


def term(dataset: Dataset, keyword: str, allowed: frozenset[str]) -> str | None:
    """The value in capitals if it is one of the allowed terms, else None. No other text passes."""
    value = text(dataset, keyword).upper()
    return value if value in allowed else None


def items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    """The items of a sequence; empty where absent or no sequence."""
    value = raw(dataset, keyword)
    if value is None or isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return ()
    return [item for item in value if hasattr(item, "get_item")]


def first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    """The first item of a sequence, or None."""
    found = items(dataset, keyword)
    return found[0] if found else None


class Frame:
    """One frame's view of an enhanced multi-frame object.

    Macros are looked up in the frame's functional groups, then in the shared ones, then in the data set itself
    (DICOM PS3.3 C.7.6.16).
    """

    def __init__(self, dataset: Dataset, index: int) -> None:
        per_frame = items(dataset, "PerFrameFunctionalGroupsSequence")
        self.index = index
        self._dataset = dataset
        self._groups = [per_frame[index]] if index < len(per_frame) else []
        self._groups += items(dataset, "SharedFunctionalGroupsSequence")[:1]

    def macro(self, sequence: str) -> Dataset:
        """The first item of a functional group's sequence, or the data set itself where there is none."""
        for group in self._groups:
            item = first_item(group, sequence)
            if item is not None:
                return item
        return self._dataset
