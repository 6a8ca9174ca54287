"""From regions to measurements: which family measures what, and how an interval comes about.

A family is a file with one function `(regions, image, errors) -> measurements` and a `register` row at its end.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medimg_core.errors import BadRequest
from medimg_core.imaging.outline import fill
from medimg_core.types import Image, MaskArray, Measurement, Region, Spacing

_WITHIN = 1.96
"""Standard deviations on both sides that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True)
class ErrorFit:
    """What `val` says about the error (measured less true) of one measurement.

    Attributes:
        bias: mean error.
        sd: standard deviation of the error.
        relative: both are shares of the measured value; otherwise they have its unit.
    """

    bias: float
    sd: float
    relative: bool = False

    @classmethod
    def of(cls, measured: NDArray[np.float64], truth: NDArray[np.float64], relative: bool = False) -> ErrorFit:
        """From pairs `[n]`, n of 2 or more (Bland and Altman, Lancet 1986;1:307-310).

        Raises:
            ValueError: fewer than two pairs.
        """
        if len(measured) < 2:
            raise ValueError("an error needs two or more pairs")
        error = np.asarray(measured, np.float64) - truth
        if relative:
            error = error / measured
        return cls(float(error.mean()), float(error.std(ddof=1)), relative)

    def scaled(self, value: float) -> tuple[float, float]:
        """Bias and standard deviation at a measured value, in its unit."""
        scale = abs(value) if self.relative else 1.0
        return self.bias * scale, self.sd * scale


Errors = Mapping[str, ErrorFit]
"""By the name of the measurement."""

Family = Callable[[Sequence[Region], Image, Errors], tuple[Measurement, ...]]

_FAMILIES: dict[str, Family] = {}


def register(kind: str, function: Family) -> None:
    """Add a family; its kind must be new."""
    if kind in _FAMILIES:
        raise ValueError(f"the measures of {kind!r} are registered twice")
    _FAMILIES[kind] = function


def kinds() -> tuple[str, ...]:
    """All kinds in the order of their registration."""
    return tuple(_FAMILIES)


def measure(kind: str, regions: Sequence[Region], image: Image, errors: Errors) -> tuple[Measurement, ...]:
    """What one family measures in the regions of one image.

    Units are `mm`, `mm2`, `ml`, `px`, `px2`, `%`, `weeks` or empty (counts and ratios). With unknown spacing lengths
    are in px, areas in px2, and what needs millimetres is left out. `basis` is the spacing's source or `px`; of shares
    it is what they are shares of. A missing or empty region gives no measurement.

    Args:
        regions: of one image; a mask is used where there is one, else the polygon is filled.
        errors: error on `val` by the measurement's name. Without an entry `low` and `high` are nan: the interval was
            not measured.

    Raises:
        BadRequest: unknown kind; the message lists the near names.
        ValueError: a mask is not on the image's grid.
    """
    if kind not in _FAMILIES:
        near = difflib.get_close_matches(kind, _FAMILIES, n=3, cutoff=0.5) or list(_FAMILIES)
        raise BadRequest(f"There are no measures named {kind!r}.", f"Near names: {', '.join(near)}.")
    return _FAMILIES[kind](regions, image, errors)


def measurement(name: str, value: float, unit: str, basis: str, errors: Errors) -> Measurement:
    """A value with its 95 % interval, (value - bias) +- 1.96 sd; nan where no error is known in its unit.

    The value itself stays as measured. No quantity here can be negative and no share above 100 %: the interval is
    cut there.
    """
    counted = unit in ("px", "px2")  # an error in millimetres says nothing about pixels of unknown size
    if name not in errors or (counted and not errors[name].relative):
        return Measurement(name, value, float("nan"), float("nan"), unit, basis)
    bias, sd = errors[name].scaled(value)
    return Measurement(name, value, *interval(value - bias, sd, unit), unit, basis)


def interval(centre: float, sd: float, unit: str) -> tuple[float, float]:
    """`centre` +- 1.96 `sd`, cut at 0 and, for `%`, at 100."""
    highest = 100.0 if unit == "%" else float("inf")
    low, high = centre - _WITHIN * sd, centre + _WITHIN * sd
    return min(max(low, 0.0), highest), min(max(high, 0.0), highest)


def mask_of(regions: Sequence[Region], labels: str | Sequence[str], shape: tuple[int, int]) -> MaskArray:
    """The union of all regions with one of some labels: bool `[H, W]`, empty where there is none.

    Raises:
        ValueError: a mask is not on the image's grid.
    """
    wanted = {labels} if isinstance(labels, str) else set(labels)
    union = np.zeros(shape, np.bool_)
    for region in regions:
        if region.label not in wanted:
            continue
        if region.mask is not None:
            if region.mask.shape != shape:
                raise ValueError(f"the mask of {region.label!r} has {region.mask.shape}, the image {shape}")
            union |= region.mask
        elif region.polygon:
            union |= fill([np.array(region.polygon, np.float64)], shape)
    return union


def known_spacing(image: Image) -> Spacing | None:
    """The image's spacing where it is one: both distances finite and above zero."""
    spacing = image.spacing
    if spacing is None or not all(np.isfinite(side) and side > 0 for side in (spacing.row_mm, spacing.column_mm)):
        return None
    return spacing


@dataclass(frozen=True, slots=True)
class Scale:
    """How far apart pixels are and what that makes of units; 1 px where the spacing is unknown."""

    row: float
    column: float
    length: str
    area: str
    basis: str

    @classmethod
    def of(cls, image: Image) -> Scale:
        """The scale of an image."""
        known = known_spacing(image)
        if known is None:
            return cls(1.0, 1.0, "px", "px2", "px")
        return cls(known.row_mm, known.column_mm, "mm", "mm2", known.source)
