"""Measurements in words and figures: what each is called, its unit, its interval, and where its scale comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from medimg_core.types import Image, Measurement
from medimg_core.ui.words import capitalised

_NAMES: Mapping[str, str] = {
    "left_ventricle_area": "Left ventricle",
    "left_ventricle_volume": "Left ventricle, volume",
    "myocardium_area": "Myocardium",
    "left_atrium_area": "Left atrium",
    "end_diastolic_volume": "End-diastolic volume",
    "end_systolic_volume": "End-systolic volume",
    "lung_right_area": "Right lung",
    "lung_left_area": "Left lung",
    "lungs_area": "Both lungs",
    "heart_area": "Heart",
    "lung_area_ratio": "Left by right lung",
    "optic_disc_diameter": "Optic disc, diameter",
    "gestational_age": "Age by the chart",
}
"""Measurement -> what it is called, where its identifier does not say it in plain words."""

_FIRST = (
    "ejection_fraction",
    "head_circumference",
    "left_ventricle_area",
    "cardiothoracic_ratio",
    "longest_diameter",
    "lungs_area",
)
"""Measurements that make a headline, the most wanted first."""

_WITH: Mapping[str, str] = {
    "ejection_fraction": "end_diastolic_volume",
    "head_circumference": "gestational_age",
    "left_ventricle_area": "left_ventricle_volume",
    "longest_diameter": "perpendicular_diameter",
}
"""Headline -> the measurement told in the line below it."""

_SPELLED = {"mm2": "mm²", "px2": "px²", "": "", "%": "\u00a0%"}
_LARGE_MM2 = 500.0
"""From here on the area of a lesion is told in cm²; areas of organs always are."""


def title(name: str) -> str:
    """`Head circumference`."""
    return _NAMES.get(name, capitalised(name.replace("_", " ")))


def known(measurement: Measurement) -> bool:
    """Whether an interval was measured."""
    return math.isfinite(measurement.low) and math.isfinite(measurement.high) and measurement.low < measurement.high


def value(measurement: Measurement) -> str:
    """`178 mm`, `31 cm²`, `55 %`, `0.48`."""
    shrink, unit = _unit(measurement)
    return f"{_number(measurement.value * shrink, measurement)}{unit}"


def interval(measurement: Measurement) -> str:
    """`172–184`; empty where none was measured."""
    if not known(measurement):
        return ""
    shrink, _ = _unit(measurement)
    low, high = (_number(end * shrink, measurement) for end in (measurement.low, measurement.high))
    return low if low == high else f"{low}\u2060–\u2060{high}"


def said(measurement: Measurement) -> str:
    """`Head circumference 178 mm (172–184)`."""
    spread = interval(measurement)
    return f"{title(measurement.name)} {value(measurement)}{f' ({spread})' if spread else ''}"


def first(measurements: Sequence[Measurement]) -> Measurement | None:
    """The measurement that makes the headline; None where nothing was measured."""
    by_name = {one.name: one for one in measurements}
    return next((by_name[name] for name in _FIRST if name in by_name), measurements[0] if measurements else None)


def second(measurements: Sequence[Measurement]) -> Measurement | None:
    """The measurement that goes with the headline's; None where none does."""
    top = first(measurements)
    wanted = _WITH.get(top.name, "") if top is not None else ""
    return next((one for one in measurements if one.name == wanted), None)


def ordered(measurements: Iterable[Measurement]) -> list[Measurement]:
    """The headline's first, the others as they come."""
    rest = list(measurements)
    top = first(rest)
    return [] if top is None else [top, *(one for one in rest if one is not top)]


def in_pixels(measurements: Sequence[Measurement]) -> bool:
    """Whether something was counted in pixels for want of a spacing."""
    return any(one.unit in ("px", "px2") for one in measurements)


_SOURCES: Mapping[str, str] = {
    "PixelSpacing": "Scale: the file’s pixel spacing",
    "ImagerPixelSpacing": "Scale: at the detector, so that what lies before it shows too large",
    "UltrasoundRegion": "Scale: the region that the ultrasound machine states",
    "calibrated": "Scale: calibrated in the file",
    "typed": "Scale: **typed by you**",
}


def scale(image: Image) -> str:
    """Where millimetres come from: `Scale: typed by you, 0.12 mm a pixel.`; empty where there are none."""
    spacing = image.spacing
    if spacing is None or not (spacing.row_mm > 0 and spacing.column_mm > 0):
        return ""
    row, column = spacing.row_mm, spacing.column_mm
    source = _SOURCES.get(spacing.source, f"Scale: {spacing.source}")
    if math.isclose(row, column, rel_tol=1e-3):
        return f"{source}, {row:.3g} mm a pixel."
    return f"{source}, pixels {row:.3g} mm high and {column:.3g} mm wide: not square, which is counted in."


def _unit(measurement: Measurement) -> tuple[float, str]:
    """Factor and unit that a reader would use."""
    organ = measurement.name.endswith("_area")  # told in one unit, however small one of them is
    if measurement.unit == "mm2" and (organ or measurement.value >= _LARGE_MM2):
        return 0.01, " cm²"
    spelled = _SPELLED.get(measurement.unit, measurement.unit)
    return 1.0, spelled if not spelled or spelled.startswith("\u00a0") else f" {spelled}"


def _number(number: float, measurement: Measurement) -> str:
    """Digits that the error leaves: whole mm, ml, % and px; two decimals of a ratio; one of weeks and of small mm."""
    if measurement.unit == "":
        text = f"{number:.0f}" if measurement.name.endswith("_count") else f"{number:.2f}"
    elif measurement.unit == "weeks" or (abs(number) < 20 and measurement.unit in ("mm", "mm2", "px", "%")):
        text = f"{number:.1f}"
    else:
        text = f"{number:,.0f}"
    return text.replace("-", "−")
