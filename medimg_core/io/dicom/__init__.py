"""DICOM files: parsed, judged, decoded and stripped of what identifies. Used inside the decoding process only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from medimg_core.io.deidentify import count_identifying, frame_group, patient_header, series_group
from medimg_core.io.dicom import attributes, pixels, segmentation
from medimg_core.io.dicom.layout import ENCODINGS, Layout, judge
from medimg_core.io.dicom.sequence import sequence
from medimg_core.io.dicom.source import parse, quiet
from medimg_core.io.dicom.values import Dataset, Frame, text
from medimg_core.io.opened import OpenedFile, OpenedSegmentation, with_digest
from medimg_core.types import Image, Note

__all__ = ["open_dicom", "quiet"]

_OVERLAYS: Final = range(0x6000, 0x6020, 2)


def open_dicom(data: bytes | memoryview) -> OpenedFile:
    """Parse and judge a DICOM file; its frames are decoded as `images` is consumed.

    Call it within `quiet()`, and consume `images` there.

    Raises:
        MedImgError: as the modules of this package say; also from `images`, for a damaged frame.
    """
    notes: list[Note] = []
    segmentation.refuse_too_many_items(data)
    dataset = parse(data, notes)
    layout = judge(dataset)
    _look_for_doubts(dataset, notes)
    if segmentation.is_segmentation(dataset):
        return _segmentation(dataset, layout, notes)
    return OpenedFile(
        encoding=ENCODINGS[layout.syntax],
        images=_images(dataset, layout, notes),
        frames=layout.frames,
        group=series_group(dataset),
        frame=frame_group(dataset),
        sequence=sequence(dataset) if layout.grey else None,
        patient=patient_header(dataset),
        removed=count_identifying(dataset),
        notes=notes,
    )


def _segmentation(dataset: Dataset, layout: Layout, notes: list[Note]) -> OpenedFile:
    header = segmentation.read_header(dataset, layout, notes)
    marks = segmentation.marks(dataset, layout, header, notes)
    return OpenedFile(
        encoding=ENCODINGS[layout.syntax],
        images=iter(()),
        frames=layout.frames,
        removed=count_identifying(dataset),
        notes=notes,
        segmentation=OpenedSegmentation(marks, layout.rows, layout.columns, header.model),
    )


def _images(dataset: Dataset, layout: Layout, notes: list[Note]) -> Iterator[Image]:
    shared = attributes.shared_fields(dataset, layout)
    for index, values in enumerate(pixels.modality_frames(dataset, layout, notes)):
        own = attributes.frame_fields(dataset, layout, Frame(dataset, index), notes)
        shown = values if layout.grey else _rgb(values, dataset, layout)
        yield with_digest(Image(pixels=shown, digest="", **shared, **own))


def _rgb(values: pixels.Stored, dataset: Dataset, layout: Layout) -> pixels.Stored:
    if layout.photometric != "PALETTE COLOR":
        return pixels.to_display_rgb(values, layout.bits_stored)
    colour = pixels.palette_rgb(values, dataset)
    # Palettes that say 16 bit and hold 8-bit values are common.
    deep = colour.dtype.itemsize == 2 and int(colour.max(initial=0)) > 255
    return pixels.to_display_rgb(colour, 16 if deep else 8)


def _look_for_doubts(dataset: Dataset, notes: list[Note]) -> None:
    if text(dataset, "LossyImageCompression") == "01":
        notes.append(Note("doubt", "The image was compressed with loss; fine detail may be missing."))
    if text(dataset, "BurnedInAnnotation").upper() == "YES":
        notes.append(Note("doubt", "The header says that text is burned into the pixels; it may name the patient."))
    if text(dataset, "SOPClassUID") in segmentation.SOP_CLASSES and not segmentation.is_segmentation(dataset):
        notes.append(Note("doubt", "The header calls this a segmentation but lists no segments; it opens as images."))
    if any((group, 0x3000) in dataset for group in _OVERLAYS):
        notes.append(Note("doubt", "The file holds an overlay drawing, which is not shown."))
