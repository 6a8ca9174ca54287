"""What was found on an image, to keep: a table of regions and measurements, and the picture with its outlines."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from medimg_core import __version__
from medimg_core.imaging import to_display
from medimg_core.imaging.outline import box_of
from medimg_core.render.colours import FOR, QUIET, TEXT, Rgb
from medimg_core.render.masks import mask_of
from medimg_core.render.overlay import DISCLAIMER, Picture, export_size, resize, to_png, with_caption, write
from medimg_core.types import Image, Measurement, ModelRef, Region, Window

COLUMNS: Final = (
    *("image", "row_type", "kind", "label", "score", "x0", "y0", "x1", "y1", "area_px", "area_mm2"),
    *("name", "value", "low", "high", "unit", "basis", "by", "model", "model_version", "model_hash", "note"),
)
"""Columns of the table. Boxes and areas are in pixels of the source image, (0, 0) at its outer corner. `by` is `model`,
`reader`, or `model, removed by reader`."""

UNFIT: Final = "The model's regions are not fit for use in these patients; do not rely on them."

_MODEL_LINE: Final[Rgb] = FOR[1]
_READER_LINE: Final[Rgb] = TEXT
_UNFIT_LINE: Final[Rgb] = QUIET
_FORMULA: Final = tuple("=+-@\t\r")  # what a spreadsheet would run
_LISTED: Final = 12
_DIGEST: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What was found on one image.

    Attributes:
        regions: the model's, as it left them.
        corrected: drawn or corrected by a reader.
        measurements: of the model's regions; `measured`: the reader's.
        model: None where only a reader was at work.
        removed: regions of the model that a reader took away; they stand in the table alone.
        fit_for_use: whether the model's regions may be relied on in these patients.
    """

    image: Image
    regions: tuple[Region, ...] = ()
    corrected: tuple[Region, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    measured: tuple[Measurement, ...] = ()
    model: ModelRef | None = None
    removed: tuple[Region, ...] = ()
    fit_for_use: bool = True

    @property
    def all_regions(self) -> Iterator[tuple[str, Region]]:
        """`model` or `reader`, and the region."""
        yield from (("model", region) for region in self.regions)
        yield from (("reader", region) for region in self.corrected)

    @property
    def all_measurements(self) -> Iterator[tuple[str, Measurement]]:
        """`model` or `reader`, and the measurement."""
        yield from (("model", measurement) for measurement in self.measurements)
        yield from (("reader", measurement) for measurement in self.measured)


def findings_csv(findings: Iterable[Findings]) -> str:
    """A table with one line a region and one a measurement, `COLUMNS` in its first line; the image by its digest."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    several = tuple(findings)
    note = DISCLAIMER if all(found.fit_for_use for found in several) else f"{DISCLAIMER} {UNFIT}"
    for found in several:
        for row in [*_rows(found)] or [{"row_type": "none"}]:
            writer.writerow({"image": found.image.digest[:_DIGEST], **row, "note": note})
            note = ""  # once is enough
    return out.getvalue()


def _rows(found: Findings) -> Iterator[dict[str, str]]:
    for by, region in found.all_regions:
        yield {"row_type": "region", **_region(found.image, region), **_who(by, found.model)}
    for region in found.removed:
        who = {**_who("model", found.model), "by": "model, removed by reader"}
        yield {"row_type": "region", **_region(found.image, region), **who}
    for by, measured in found.all_measurements:
        yield {
            "row_type": "measurement",
            "name": _safe(measured.name),
            **{name: _figure(getattr(measured, name)) for name in ("value", "low", "high")},
            "unit": _safe(measured.unit),
            "basis": _safe(measured.basis),
            **_who(by, found.model),
        }


def _region(image: Image, region: Region) -> dict[str, str]:
    mask = mask_of(region, image.shape)
    box = region.box or (box_of(mask) if mask is not None else None)
    row = {"kind": region.kind, "label": _safe(region.label), "score": _figure(region.score)}
    if box is not None:
        row |= {name: _figure(value) for name, value in zip(("x0", "y0", "x1", "y1"), box, strict=True)}
    if mask is not None:
        area = int(mask.sum())
        row["area_px"] = str(area)
        if (spacing := image.spacing) is not None:
            row |= {"area_mm2": _figure(area * spacing.row_mm * spacing.column_mm), "basis": spacing.source}
    return row


def _who(by: str, model: ModelRef | None) -> dict[str, str]:
    if by == "reader" or model is None:
        return {"by": "reader" if by == "reader" else "model"}
    return {"by": by, "model": _safe(model.name), "model_version": model.version, "model_hash": model.hash}


def _figure(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def _safe(text: str) -> str:
    """Text that a spreadsheet shows and does not run."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def findings_png(found: Findings, *, window: Window | None = None, data: str = "") -> bytes:
    """A PNG to keep: numbered outlines and boxes on the image, what they are below it, and provenance as text fields.

    The model's regions are orange, the reader's light grey; those of the model that are not fit for use are grey.

    Args:
        window: overrides the image's own.
        data: what the data behind the model allow; empty where nothing restricts them.
    """
    image, line = found.image, _MODEL_LINE if found.fit_for_use else _UNFIT_LINE
    size = export_size(image.shape)
    film = to_display(image, window)
    shrink = size[0] < image.shape[0]
    film = resize(film, size, cv2.INTER_AREA if shrink else cv2.INTER_LINEAR) if size != film.shape[:2] else film
    grey = np.round(np.clip(film, 0, 1) * 255).astype(np.uint8)
    picture = grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)
    for index, (by, region) in enumerate(found.all_regions, 1):
        _draw(picture, region, image.shape, line if by == "model" else _READER_LINE, index)
    fields = _provenance(found, data)
    source = ", ".join(part for part in (fields.get("Model"), f"image {fields['Image']}") if part)
    unfit = [UNFIT] if found.regions and not found.fit_for_use else []
    lines = [*unfit, *_words(found), source, " ".join(part for part in (fields["Note"], data) if part)]
    return to_png(with_caption(picture, [_ascii(line) for line in lines]), fields)


def _draw(picture: Picture, region: Region, shape: tuple[int, int], colour: Rgb, index: int) -> None:
    """Outline one region in place, with its number beside its first corner."""
    lines = _lines(region, shape, picture.shape[:2])
    if not lines:
        return
    cv2.polylines(picture, lines, True, colour, 1, cv2.LINE_AA)
    x, y = np.concatenate(lines).min(axis=0)
    if len(lines[0]) == 1:
        cv2.drawMarker(picture, lines[0][0].tolist(), colour, cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
    corner = int(np.clip(x, 2, picture.shape[1] - 24)), int(np.clip(y - 4, 14, picture.shape[0] - 4))
    write(picture, str(index), corner, colour)


def _lines(region: Region, shape: tuple[int, int], size: tuple[int, int]) -> list[NDArray[np.int32]]:
    """Closed lines in pixels of a picture of `size` that shows an image of `shape`; int32 `[N, 2]` each."""
    if region.mask is not None and region.kind != "box":
        shrink = size[0] < shape[0]
        share = resize(region.mask.astype(np.float32), size, cv2.INTER_AREA if shrink else cv2.INTER_NEAREST)
        inside = share >= 0.5 if (share >= 0.5).any() else share > 0  # a speck is shown, however small the picture
        contours, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        return [np.asarray(contour[:, 0], np.int32) for contour in contours]
    points = list(region.polygon)
    if region.box is not None and (region.kind == "box" or not points):
        x0, y0, x1, y1 = region.box
        points = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    scale = np.array([size[1] / shape[1], size[0] / shape[0]])
    return [np.round(np.asarray(points) * scale - 0.5).astype(np.int32)] if points else []


def _words(found: Findings) -> list[str]:
    """One line a region and a measurement, as the picture's caption."""
    lines = []
    for index, (by, region) in enumerate(found.all_regions, 1):
        score = f" {region.score:.2f}" if by == "model" else ""
        row = _region(found.image, region)
        size = f", {row['area_mm2']} mm2 ({row['basis']})" if "area_mm2" in row else ""
        lines.append(f"{index} {region.label.replace('_', ' ')}{score}{size}, by the {by}")
    for by, measured in found.all_measurements:
        unit = "" if measured.unit in ("", "1") else f" {measured.unit}"
        spread = f" ({measured.low:.4g} to {measured.high:.4g})" if measured.low < measured.high else ""
        lines.append(f"{measured.name}: {measured.value:.4g}{spread}{unit}, {measured.basis}, by the {by}")
    if not lines:
        return ["Nothing was outlined or measured."]
    more = len(lines) - _LISTED
    return [*lines[:_LISTED], *([f"and {more} more; the table has them all"] if more > 0 else [])]


def _provenance(found: Findings, data: str) -> dict[str, str]:
    model = found.model
    fields = {
        "Model": f"{model.name} {model.version} ({model.hash})" if model else "",
        "Image": found.image.digest[:_DIGEST],
        "Data": data,
        "Software": f"medimg {__version__}",
        "Time": datetime.now(UTC).isoformat(timespec="seconds"),
        "Note": DISCLAIMER + (" Synthetic film, shows no patient." if found.image.synthetic else ""),
    }
    return {key: value for key, value in fields.items() if value}


def _ascii(line: str) -> str:
    """What every build of the drawing library can write."""
    plain = line.translate({0x2013: "-", 0x2212: "-", 0xD7: "x", 0xB2: "2", 0xB3: "3", 0xB0: " deg", 0xB5: "u"})
    return plain.encode("ascii", "replace").decode()
