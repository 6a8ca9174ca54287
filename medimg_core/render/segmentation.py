"""Findings as a DICOM segmentation (PS3.3 A.51) that other programs open and that opens here again as a layer.

The same findings make the same bytes. highdicom writes the file; it is loaded when one is asked for, not before.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from medimg_core import __version__
from medimg_core.errors import BadRequest, TooLarge
from medimg_core.io.limits import MAX_FRAMES, MAX_MASK_BYTES, MAX_SEGMENTS
from medimg_core.io.segment_terms import MAKER, OTHER, TERMS, source_uid
from medimg_core.io.series import place, plane
from medimg_core.render import segmentation_parts as parts
from medimg_core.render.findings import Findings
from medimg_core.render.masks import mask_of
from medimg_core.render.overlay import DISCLAIMER
from medimg_core.render.segmentation_parts import Segment
from medimg_core.types import Image, MaskArray, ModelRef, Region

_APART: Final = 16
"""Up to so many regions of one label on one image are segments of their own; more share one: each frame of a binary
segmentation is as large as the image, and a fundus may have hundreds of microaneurysms."""

_SAME_MM: Final = 0.01
_SMALLER: Final = "Export fewer images or regions at once."


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """One segment on one image; `score` is the highest of its regions."""

    plane: int
    segment: Segment
    mask: MaskArray
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What the file will hold. `thickness_mm` is None where not all images state where in the patient they lie."""

    images: tuple[Image, ...]
    segments: tuple[Segment, ...]
    frames: tuple[_Frame, ...]
    model: ModelRef | None
    thickness_mm: float | None


def to_dicom_seg(
    image: Image, regions: Sequence[Region], model: ModelRef | None, *, corrected: Sequence[Region] = ()
) -> bytes:
    """The regions of one image as a DICOM file; see `series_to_dicom_seg`.

    Args:
        regions: the model's, as it left them: algorithm type AUTOMATIC with its name and version.
        corrected: drawn or corrected by a reader: algorithm type MANUAL.
    """
    return series_to_dicom_seg([Findings(image, tuple(regions), tuple(corrected), model=model)])


def series_to_dicom_seg(findings: Sequence[Findings]) -> bytes:
    """The regions of one image, or of several slices of one series, as one DICOM file of type BINARY.

    A region is a segment with a coded meaning; regions of the same label on several slices are frames of one segment.
    Points are left out. Boxes become filled rectangles, rounded to whole pixels, that say they are boxes. Labels that
    `segment_terms` does not know become "region": free text does not leave.

    Raises:
        BadRequest: nothing is outlined; several images are no slices of one series; or regions are said to be a
            model's, and none or more than one is named.
        TooLarge: more than one file should hold.
    """
    plan = _plan(findings)
    dataset = _dataset(plan)
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _plan(findings: Sequence[Findings]) -> _Plan:
    pairs = [(found.image, drawn) for found in findings if (drawn := _drawn(found))]
    if not pairs:
        raise BadRequest("Nothing is outlined, so there is nothing to export.", "Outline a finding first.")
    images = tuple(image for image, _ in pairs)
    frames = tuple(_Frame(index, *drawn) for index, (_, several) in enumerate(pairs) for drawn in several)
    segments = tuple(dict.fromkeys(frame.segment for frame in frames))
    rows, columns = images[0].shape
    if len(segments) > MAX_SEGMENTS or len(frames) > MAX_FRAMES or rows * columns * len(frames) > MAX_MASK_BYTES:
        raise TooLarge("These outlines are more than one segmentation should hold.", _SMALLER)
    if max(rows, columns) > 65535:
        raise TooLarge("The image has more rows or columns than DICOM can state.", "Export it at a smaller size.")
    models = {found.model for found in findings if found.model is not None and found.regions}
    if len(models) != 1 and any(segment.who == "model" for segment in segments):
        raise BadRequest("One segmentation names one model for its outlines.", "Export those of each model by itself.")
    return _Plan(images, segments, frames, next(iter(models), None), _thickness(images))


def _drawn(found: Findings) -> list[tuple[Segment, MaskArray, float]]:
    """The regions of one image as masks, each with the segment that it belongs to."""
    alike: dict[tuple[str, str, str], list[tuple[MaskArray, float]]] = {}
    for who, region in found.all_regions:
        mask = mask_of(region, found.image.shape)
        if mask is not None:
            form = "box" if region.kind == "box" else "outline"
            key = (region.label if region.label in TERMS else OTHER, who, form)
            alike.setdefault(key, []).append((mask, region.score))
    drawn = []
    for key, several in alike.items():
        if len(several) > _APART:
            several = [(np.logical_or.reduce([mask for mask, _ in several]), max(score for _, score in several))]
        fit = found.fit_for_use or key[1] == "reader"
        drawn += [(Segment(*key, count, fit), mask, score) for count, (mask, score) in enumerate(several, 1)]
    return drawn


def _thickness(images: Sequence[Image]) -> float | None:
    """The least distance of two slices, which the standard wants as their thickness; of one slice what its file
    states, else a pixel's size.

    Raises:
        BadRequest: several images that are no slices of one series.
    """
    one_by_one = "Export the outlines of each image by itself."
    sides = [(image.spacing.row_mm, image.spacing.column_mm) for image in images if image.spacing is not None]
    places = sorted(where for image in images if (where := place(image)) is not None)
    placed = len(sides) == len(places) == len(images)
    if len(images) == 1:
        return (images[0].thickness_mm or min(sides[0])) if placed else None
    if not placed:
        raise BadRequest("These images do not say where in the patient they lie.", one_by_one)
    if len({plane(image) for image in images}) > 1:
        raise BadRequest("These images are no slices of one series.", one_by_one)
    least = float(np.diff(places).min())
    if least < _SAME_MM:
        raise BadRequest("Two of these slices lie at the same place.", one_by_one)
    return least


def _dataset(plan: _Plan) -> Any:
    """The data set, as highdicom makes it, without what it adds of times."""
    from highdicom.seg import Segmentation

    content = _content(plan)
    series = [image.digest for image in plan.images]
    sources = [parts.source(image, number, series, plan.thickness_mm) for number, image in enumerate(plan.images, 1)]
    dataset = Segmentation(
        source_images=sources,
        pixel_array=_pixels(plan),
        segmentation_type="BINARY",
        segment_descriptions=[
            parts.description(one, number, plan.model) for number, one in enumerate(plan.segments, 1)
        ],
        series_instance_uid=parts.uid("segmentation series", content),
        series_number=1,
        sop_instance_uid=parts.uid("segmentation", content),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=__version__,
        device_serial_number="0",
        content_label="FINDINGS",
        content_description=DISCLAIMER,
        content_date=parts.NO_DATE,
        content_time=parts.NO_TIME,
        coding_schemes=parts.coding_schemes(plan.segments),
    )
    if all(image.synthetic for image in plan.images):
        dataset.SyntheticData = "YES"
    parts.tidy(dataset, parts.uid("dimensions", content))
    _add_scores(dataset, plan)
    if len(plan.images) == 1:  # highdicom writes 1 mm there, and one slice has no neighbour
        for measures in dataset.SharedFunctionalGroupsSequence[0].get("PixelMeasuresSequence", ()):
            measures.pop("SpacingBetweenSlices", None)
    return dataset


def _pixels(plan: _Plan) -> NDArray[Any]:
    """Segment numbers `[planes, H, W]`; where segments overlap, one layer a segment, `[planes, H, W, segments]`."""
    shape = (len(plan.images), *plan.images[0].shape)
    numbers = {segment: number for number, segment in enumerate(plan.segments, 1)}
    labels = np.zeros(shape, np.uint16)
    for frame in plan.frames:
        if labels[frame.plane, frame.mask].any():
            break
        labels[frame.plane, frame.mask] = numbers[frame.segment]
    else:
        return labels
    if np.prod(shape, dtype=np.int64) * len(plan.segments) > MAX_MASK_BYTES:
        raise TooLarge("These outlines overlap and are more than one segmentation should hold.", _SMALLER)
    layers = np.zeros((*shape, len(plan.segments)), np.uint8)
    for frame in plan.frames:
        layers[frame.plane, frame.mask, numbers[frame.segment] - 1] = 1
    return layers


def _add_scores(dataset: Any, plan: _Plan) -> None:
    """The model's score of every frame, as its comment (PS3.3 C.7.6.16.2.2)."""
    uids = [source_uid(image.digest) for image in plan.images]
    numbers = {segment: number for number, segment in enumerate(plan.segments, 1)}
    scores = {
        (numbers[frame.segment], uids[frame.plane]): frame.score
        for frame in plan.frames
        if frame.segment.who == "model"
    }
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for item in dataset.PerFrameFunctionalGroupsSequence:
        holder = item if "SegmentIdentificationSequence" in item else shared
        number = int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        referred = item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        if (score := scores.get((number, str(referred)))) is not None:
            item.FrameContentSequence[0].FrameComments = f"score {score:.4f}"


def _content(plan: _Plan) -> str:
    """A hash of all that the file says."""
    digest = hashlib.sha256(repr(([image.digest for image in plan.images], plan.model, __version__)).encode())
    for frame in plan.frames:
        digest.update(repr((frame.plane, frame.segment, f"{frame.score:.4f}")).encode())
        digest.update(np.packbits(frame.mask).data)
    return digest.hexdigest()
