"""The head of a fetus in the standard plane: circumference, diameters and the age that a chart gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medimg_core.imaging.shape import fit_ellipse
from medimg_core.inference.measures.registry import (
    ErrorFit,
    Errors,
    Scale,
    interval,
    mask_of,
    measurement,
    register,
)
from medimg_core.types import Image, Measurement, Region

AGES = (14.0, 42.0)
"""Menstrual weeks of the 361 fetuses behind the chart."""

_TWO_SD = ((18.0, 1.19), (24.0, 1.48), (30.0, 2.06), (36.0, 2.98), (42.0, 3.20))
"""Two standard deviations of the chart's age in weeks, below an age. Of the last row copies of the table disagree
(2.70 and 3.20); the wider one is taken."""


def age_from_circumference(circumference_mm: float) -> float | None:
    """Menstrual age in weeks from the head circumference; None outside the 14 to 42 weeks of the chart.

    8.96 + 0.540 HC + 0.0003 HC^3, HC in cm: Hadlock, Deter, Harrist, Park, Estimating fetal age: computer-assisted
    analysis of multiple fetal growth parameters, Radiology 1984;152:497-501.
    """
    hc = circumference_mm / 10
    weeks = 8.96 + 0.540 * hc + 0.0003 * hc**3
    return weeks if AGES[0] <= weeks <= AGES[1] else None


def chart_deviation(weeks: float) -> float:
    """Standard deviation in weeks of the chart's age for a head circumference (same paper, table of variability)."""
    return next((two for below, two in _TWO_SD if weeks < below), _TWO_SD[-1][1]) / 2


def fetal_head(regions: Sequence[Region], image: Image, errors: Errors) -> tuple[Measurement, ...]:
    """Measures of the region `head` (the largest part).

    - `head_circumference`: of the ellipse fitted to the outline, mm or px.
    - `biparietal_diameter`, `occipitofrontal_diameter`: its short and long axis, both from outer to outer edge of the
      outline. A chart for the biparietal diameter from outer to inner edge (Hadlock's) does not fit it.
    - `gestational_age`: weeks, from the circumference in mm, within the ages of the chart. The interval joins the
      chart's deviation with the error of the circumference; nan where that is not known.
    """
    mask = mask_of(regions, "head", image.shape)
    if not mask.any():
        return ()
    scale = Scale.of(image)
    ellipse = fit_ellipse(mask, scale.row, scale.column)
    sizes = {
        "head_circumference": ellipse.circumference,
        "biparietal_diameter": 2 * ellipse.semi_minor,
        "occipitofrontal_diameter": 2 * ellipse.semi_major,
    }
    found = tuple(measurement(name, value, scale.length, scale.basis, errors) for name, value in sizes.items())
    if scale.length != "mm":
        return found
    age = gestational_age(ellipse.circumference, scale.basis, errors.get("head_circumference"))
    return (*found, age) if age else found


def gestational_age(circumference_mm: float, basis: str, error: ErrorFit | None) -> Measurement | None:
    """Age in weeks from a circumference with known error; None outside the chart.

    The chart's variance and the variance of the circumference, carried over by the slope of the chart, add up.
    """
    weeks = age_from_circumference(circumference_mm)
    if weeks is None:
        return None
    name, unit = "gestational_age", "weeks"
    if error is None:
        return Measurement(name, weeks, float("nan"), float("nan"), unit, basis)
    bias, sd = error.scaled(circumference_mm)
    slope = (0.540 + 0.0009 * (circumference_mm / 10) ** 2) / 10
    both = float(np.hypot(chart_deviation(weeks), slope * sd))
    return Measurement(name, weeks, *interval(weeks - slope * bias, both, unit), unit, basis)


register("fetal_head", fetal_head)
