"""A lesion, nodule or tumour in one picture: area and two diameters."""

from __future__ import annotations

from collections.abc import Sequence

from medimg_core.imaging.outline import largest_part
from medimg_core.imaging.shape import area, longest_diameter, perpendicular_diameter
from medimg_core.inference.measures.registry import (
    Errors,
    Scale,
    known_spacing,
    mask_of,
    measurement,
    register,
)
from medimg_core.types import Image, Measurement, Region

LABELS = ("lesion", "nodule", "tumour")


def lesion(regions: Sequence[Region], image: Image, errors: Errors) -> tuple[Measurement, ...]:
    """Measures of the largest connected lesion; give the regions of one lesion alone to measure another.

    - `area`: mm2 or px2.
    - `longest_diameter`, `perpendicular_diameter`: mm or px (`imaging.shape` says the rules).
    - `mean_diameter`: of a `nodule`, the mean of both, to be shown in whole mm (MacMahon et al., Guidelines for
      management of incidental pulmonary nodules, Radiology 2017;284:228-243; Bankier et al., Recommendations for
      measuring pulmonary nodules at CT, Radiology 2017;285:584-600, which asks for long and short axis in one plane).
    """
    mask = largest_part(mask_of(regions, LABELS, image.shape))
    if not mask.any():
        return ()
    scale = Scale.of(image)
    long = longest_diameter(mask, scale.row, scale.column).length
    short = perpendicular_diameter(mask, scale.row, scale.column).length
    lengths = {"longest_diameter": long, "perpendicular_diameter": short}
    if (mask & mask_of(regions, "nodule", image.shape)).any():
        lengths["mean_diameter"] = (long + short) / 2
    return (
        measurement("area", area(mask, known_spacing(image)), scale.area, scale.basis, errors),
        *(measurement(name, value, scale.length, scale.basis, errors) for name, value in lengths.items()),
    )


register("lesion", lesion)
