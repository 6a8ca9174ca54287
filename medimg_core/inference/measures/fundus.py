"""Lesions and the optic disc in a photograph of the retina."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medimg_core.imaging.outline import count_parts
from medimg_core.imaging.shape import fit_ellipse
from medimg_core.inference.measures.registry import Errors, mask_of, measurement, register
from medimg_core.types import Image, Measurement, Region

LESIONS = ("microaneurysm", "haemorrhage", "hard_exudate", "soft_exudate")


def fundus(regions: Sequence[Region], image: Image, errors: Errors) -> tuple[Measurement, ...]:
    """Measures of the four kinds of lesion and of `optic_disc`.

    - `<lesion>_share`: % of the retina where a region `retina` is given (basis `retina`), else of the whole picture
      (basis `picture`).
    - `<lesion>_count`: number of connected lesions; those that touch count as one.
    - `optic_disc_diameter`: mean of the two axes of the fitted ellipse, always in px: what a pixel is on the retina
      depends on the eye.
    """
    retina = mask_of(regions, "retina", image.shape)
    basis, whole = ("retina", int(retina.sum())) if retina.any() else ("picture", retina.size)
    found = []
    for name in LESIONS:
        mask = mask_of(regions, name, image.shape)
        if not mask.any():
            continue
        inside = mask & retina if basis == "retina" else mask
        share = 100 * int(np.count_nonzero(inside)) / whole
        found.append(measurement(f"{name}_share", share, "%", basis, errors))
        found.append(measurement(f"{name}_count", float(count_parts(mask)), "", "px", errors))
    disc = mask_of(regions, "optic_disc", image.shape)
    if disc.any():
        ellipse = fit_ellipse(disc)
        diameter = ellipse.semi_major + ellipse.semi_minor
        found.append(measurement("optic_disc_diameter", diameter, "px", "px", errors))
    return tuple(found)


register("fundus", fundus)
