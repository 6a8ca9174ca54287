"""What a reader makes of one file inside the decoding process, and the identity of an image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from medimg_core.types import Image, Mark, ModelRef, MrSequence, Note, PatientHeader


@dataclass(slots=True)
class OpenedSegmentation:
    """A segmentation whose header was judged; its frames are decoded one by one as `marks` is consumed."""

    marks: Iterator[Mark]
    rows: int
    columns: int
    model: ModelRef | None = None


@dataclass(slots=True)
class OpenedFile:
    """A file whose header was judged; its frames are decoded one by one as `images` is consumed.

    Attributes:
        encoding: one phrase for the way the pixels are stored, such as `JPEG lossless`.
        images: frames in file order.
        frames: how many `images` yields.
        group: hash of what binds files to one series (series and patient); empty for a file of its own.
        frame: hash of what binds files to one patient's frame of reference; empty where the file names none.
        sequence: which MR sequence it is, as far as the header tells.
        patient: for `ui` alone.
        removed: number of attributes that identify or may identify and that were left behind.
        notes: repairs and doubts; complete once `images` and the segmentation's marks are exhausted.
        segmentation: in place of images.
    """

    encoding: str
    images: Iterator[Image]
    frames: int = 1
    group: str = ""
    frame: str = ""
    sequence: MrSequence | None = None
    patient: PatientHeader = field(default_factory=PatientHeader)
    removed: int = 0
    notes: list[Note] = field(default_factory=list)
    segmentation: OpenedSegmentation | None = None


def with_digest(image: Image) -> Image:
    """The image with `digest` filled in: sha256 of its pixels and of everything that decides how they are shown."""
    shown: tuple[object, ...] = (
        image.pixels.shape,
        image.pixels.dtype.name,
        image.photometric,
        tuple((w.centre, w.width, w.function) for w in image.windows),
        image.padding,
        image.modality,
        image.bits,
        (image.voi_lut.first, image.voi_lut.bits) if image.voi_lut else None,
    )
    if image.patient_orientation is not None:  # the letters at the edges
        shown = (*shown, image.patient_orientation)
    digest = hashlib.sha256(repr(shown).encode())
    if image.voi_lut is not None:
        digest.update(image.voi_lut.table.data)
    digest.update(np.ascontiguousarray(image.pixels).data)
    return replace(image, digest=digest.hexdigest())
