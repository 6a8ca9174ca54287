"""What was drawn on an image, in figures and words: the panel's line about the reader's own measurements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medimg_core.types import FloatArray, Image
from medimg_core.ui import words
from medimg_core.ui.drawn import Annotation

_MOST = 6


def line(marks: Sequence[Annotation], images: Sequence[Image], index: int) -> str:
    """All measurements on one image, in words; the first few where there are many."""
    own = [mark for mark in marks if mark.image == index]
    said = [sentence(mark, images[index]) for mark in own[:_MOST]]
    rest = [f"{len(own) - _MOST} more on the image"] if len(own) > _MOST else []
    return "; ".join([*said, *rest])


def sentence(mark: Annotation, image: Image) -> str:
    """`length 12.4 mm`; in pixels where the file tells no spacing that can be true."""
    known = words.true_spacing(image)
    row, column, unit = (known.row_mm, known.column_mm, "mm") if known else (1.0, 1.0, "px")
    points = np.array(mark.points) * (column, row)
    source = words.spacing_source(known) if known else ""
    where = f" ({source})" if source not in ("", "calibrated") else ""
    if mark.kind == "length":
        return f"length **{_short(float(np.hypot(*(points[1] - points[0]))))} {unit}**{where}"
    if mark.kind == "angle":
        first, second = points[0] - points[1], points[2] - points[1]
        cross = float(first[0] * second[1] - first[1] * second[0])
        return f"angle **{np.degrees(np.arctan2(abs(cross), float(first @ second))):.1f}°**"
    wide, tall = (float(side) for side in np.abs(points[1] - points[0]))
    if mark.kind == "box":
        return f"box **{_short(wide)} × {_short(tall)} {unit}**{where}"
    area = wide * tall * (np.pi / 4 if mark.kind == "ellipse" else 1.0)
    size = f"{mark.kind} **{_short(area)} {unit}²**{where}"
    values = inside(mark, image)
    if not values.size:
        return size
    own = f" {image.modality_units}" if image.modality_units else ""
    mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    return f"{size}, mean **{_short(mean)}{own}**, SD {_short(deviation)}"


def inside(mark: Annotation, image: Image) -> FloatArray:
    """Values of the pixels whose centre lies in an ellipse or rectangle, `[n]`; padding and colour are left out."""
    if image.photometric == "RGB":
        return np.empty(0, np.float32)
    x0, y0, x1, y1 = mark.box
    rows, columns = image.shape
    y, x = np.ogrid[:rows, :columns]
    u = (x + 0.5 - (x0 + x1) / 2) / max((x1 - x0) / 2, 1e-9)
    v = (y + 0.5 - (y0 + y1) / 2) / max((y1 - y0) / 2, 1e-9)
    keep = u**2 + v**2 <= 1 if mark.kind == "ellipse" else (np.abs(u) <= 1) & (np.abs(v) <= 1)
    if image.padding is not None:
        keep = keep & (image.pixels != image.padding)
    return np.asarray(image.pixels[keep], np.float32)


def _short(value: float) -> str:
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text.replace("-", "−")
