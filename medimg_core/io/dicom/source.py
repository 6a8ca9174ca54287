"""From bytes to a parsed data set: missing preambles, deflated data sets, objects that hold no image."""

from __future__ import annotations

import logging
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Final

import pydicom
from pydicom import config as pydicom_config
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medimg_core.errors import MedImgError, NotAnImage, TooLarge, UnreadableImage
from medimg_core.io.dicom.values import Dataset, text
from medimg_core.io.limits import largest_data_set
from medimg_core.types import Note

AGAIN: Final = "Export or send it again from its source."
PIXEL_KEYWORDS: Final = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

_PREAMBLE: Final = 128
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_EXPLICIT_LE_ELEMENT: Final = b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
_STORAGE_CLASSES: Final = "1.2.840.10008.5.1.4."
_INFLATE_CHUNK: Final = 4 << 20
_NO_IMAGE: Final = (  # SOP class, or with a dot at its end the beginning of several; DICOM PS3.6 table A-1
    ("1.2.840.10008.5.1.4.1.1.88.59", "a key object selection"),
    ("1.2.840.10008.5.1.4.1.1.88.", "a structured report (SR)"),
    ("1.2.840.10008.5.1.4.1.1.104.1", "a PDF document in DICOM"),
    ("1.2.840.10008.5.1.4.1.1.104.2", "a clinical document (CDA) in DICOM"),
    ("1.2.840.10008.5.1.4.1.1.104.", "a 3D model in DICOM"),
    ("1.2.840.10008.5.1.4.1.1.9.", "a waveform, such as an ECG"),
    ("1.2.840.10008.5.1.4.1.1.11.", "a presentation state"),
    ("1.2.840.10008.5.1.4.1.1.481.3", "an RT structure set"),
    ("1.2.840.10008.5.1.4.1.1.481.5", "an RT plan"),
    ("1.2.840.10008.5.1.4.1.1.481.8", "an RT plan"),
    ("1.2.840.10008.5.1.4.1.1.481.4", "an RT treatment record"),
    ("1.2.840.10008.5.1.4.1.1.481.6", "an RT treatment record"),
    ("1.2.840.10008.5.1.4.1.1.481.7", "an RT treatment record"),
    ("1.2.840.10008.5.1.4.1.1.481.9", "an RT treatment record"),
    ("1.2.840.10008.5.1.4.1.1.66", "raw data of a scanner"),
    ("1.2.840.10008.5.1.4.1.1.66.1", "a spatial registration"),
    ("1.2.840.10008.5.1.4.1.1.66.2", "a set of spatial fiducials"),
    ("1.2.840.10008.5.1.4.1.1.66.3", "a deformable registration"),
    ("1.2.840.10008.5.1.4.1.1.66.5", "a surface segmentation"),
    ("1.2.840.10008.5.1.4.1.1.66.6", "a set of fibre tracts"),
    ("1.2.840.10008.5.1.4.1.1.67", "a real world value mapping"),
    ("1.2.840.10008.5.1.4.1.1.4.2", "an MR spectroscopy"),
    ("1.2.840.10008.5.1.4.38.", "a hanging protocol"),
    ("1.2.840.10008.1.3.10", "a DICOM directory"),
)

# Values are judged here; pydicom's own complaints would quote them.
pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom and its plug-ins from warning and logging: their messages quote values of the file."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "openjpeg", "pylibjpeg", "rle", "PIL")]
    before = [logger.disabled for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            for logger, disabled in zip(loggers, before, strict=True):
                logger.disabled = disabled


def parse(data: bytes | memoryview, notes: list[Note]) -> Dataset:
    """Read a data set that holds pixels.

    Args:
        data: the whole file, with or without preamble and file meta group.
        notes: repairs are added here.

    Returns:
        A pydicom data set whose `file_meta` has a transfer syntax.

    Raises:
        NotAnImage: no DICOM, or a DICOM object without pixels.
        TooLarge: a deflated data set inflates too far.
        UnreadableImage: damaged.
    """
    if bytes(data[_PREAMBLE : _PREAMBLE + 4]) != b"DICM":
        notes.append(Note("repaired", "Missing preamble added."))
    try:
        dataset = _read(data)
    except RecursionError:
        raise UnreadableImage("The header of this file nests sequences too deep to be read.", AGAIN) from None
    except (MedImgError, MemoryError):
        raise
    except Exception as failure:  # pydicom raises whatever its converters met
        raise UnreadableImage("The header of this DICOM file is damaged.", AGAIN) from failure
    if not text(dataset.file_meta, "TransferSyntaxUID"):
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = _plain_syntax(implicit, little)
        notes.append(Note("repaired", "Missing transfer syntax taken from the way the header is written."))
    _demand_pixels(dataset)
    return dataset


def _read(data: bytes | memoryview) -> Dataset:
    stream = BytesIO(data)
    read_preamble(stream, force=True)
    # The public reader would go on and inflate a deflated data set without a limit.
    if text(_read_file_meta_info(stream), "TransferSyntaxUID") == _DEFLATED:
        stream = BytesIO(_PREAMBLE * b"\0" + b"DICM" + _EXPLICIT_LE_ELEMENT + _inflate(data[stream.tell() :]))
    stream.seek(0)
    dataset = pydicom.dcmread(stream, force=True)
    if len(dataset) == 0:
        # An encapsulated element without an end makes pydicom drop all elements before it.
        stream.seek(0)
        dataset = pydicom.dcmread(stream, force=True, stop_before_pixels=True)
    return dataset


def _inflate(compressed: bytes | memoryview) -> bytes:
    limit = largest_data_set(len(compressed))
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    parts, size, rest = [], 0, bytes(compressed)
    try:
        while rest and not inflater.eof:
            parts.append(inflater.decompress(rest, _INFLATE_CHUNK))
            rest, size = inflater.unconsumed_tail, size + len(parts[-1])
            if size > limit:
                raise TooLarge(
                    f"The deflated data set of this file inflates to more than {limit >> 20} MB.",
                    "Export it again without the deflated transfer syntax.",
                )
        parts.append(inflater.flush())
    except zlib.error:
        raise UnreadableImage("The deflated data set of this file is damaged.", AGAIN) from None
    return b"".join(parts)


def _plain_syntax(implicit: bool | None, little: bool | None) -> str:
    if implicit:
        return str(ImplicitVRLittleEndian)
    return str(ExplicitVRLittleEndian if little else ExplicitVRBigEndian)


def _demand_pixels(dataset: Dataset) -> None:
    if any(keyword in dataset for keyword in PIXEL_KEYWORDS):
        return
    sop_class = text(dataset, "SOPClassUID") or text(dataset.file_meta, "MediaStorageSOPClassUID")
    for beginning, name in _NO_IMAGE:
        if sop_class == beginning or (beginning.endswith(".") and sop_class.startswith(beginning)):
            raise NotAnImage(f"This is {name}; it holds no pixels.", "Open the image series that it belongs to.")
    is_image = "Image" in UID(sop_class).name
    if is_image or "Rows" in dataset or "Columns" in dataset or "BitsAllocated" in dataset:
        raise UnreadableImage("This image is cut off or damaged: no complete pixel data were found.", AGAIN)
    if sop_class.startswith(_STORAGE_CLASSES):
        raise NotAnImage("This is a DICOM object without pixels.", "Open the image series that it belongs to.")
    raise NotAnImage("This is neither DICOM nor a picture.", "Choose a DICOM file, a picture, or a zip of them.")
