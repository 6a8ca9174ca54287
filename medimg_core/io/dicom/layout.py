"""The header judged before pixels are touched: what the pixel data must be, and whether it can be that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom.uid import UID

from medimg_core.errors import TooLarge, UnreadableImage, UnsupportedEncoding
from medimg_core.io.dicom.source import AGAIN, PIXEL_KEYWORDS
from medimg_core.io.dicom.values import Dataset, present, raw, text, whole
from medimg_core.io.limits import MAX_DECODED_BYTES, MAX_FRAME_PIXELS, MAX_FRAMES

_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
_COLOUR: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_PHOTOMETRIC: Final = (*_GREY, *_COLOUR, "PALETTE COLOR")
_NATIVE: Final = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")

ENCODINGS: Final = {
    "1.2.840.10008.1.2": "uncompressed",
    "1.2.840.10008.1.2.1": "uncompressed",
    "1.2.840.10008.1.2.2": "uncompressed",
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "HTJ2K lossless",
    "1.2.840.10008.1.2.4.202": "HTJ2K lossless",
    "1.2.840.10008.1.2.4.203": "HTJ2K",
    "1.2.840.10008.1.2.5": "RLE lossless",
}
"""Transfer syntaxes that are read, and what the Upload page calls them (DICOM PS3.6 table A-1)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the pixel data are laid out, each value checked.

    Attributes:
        syntax: transfer syntax UID, a key of `ENCODINGS`.
        keyword: which element holds the pixels.
        bits_allocated: 1, 8, 16, 32 or 64.
    """

    syntax: str
    keyword: str
    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str

    @property
    def native(self) -> bool:
        """True where pixels are stored uncompressed."""
        return self.syntax in _NATIVE

    @property
    def grey(self) -> bool:
        """True for one sample per pixel that is a grey value."""
        return self.photometric in _GREY


def judge(dataset: Dataset) -> Layout:
    """Read and check the image pixel module (DICOM PS3.3 C.7.6.3).

    Raises:
        UnsupportedEncoding: no decoder for the transfer syntax.
        UnreadableImage: a needed value is missing or impossible, or the pixel data are shorter than promised.
        TooLarge: above the limits.
    """
    syntax = _syntax(dataset)
    keyword = next(k for k in PIXEL_KEYWORDS if k in dataset)
    rows, columns = _size(dataset)
    allocated, stored = _bits(dataset, keyword)
    photometric = text(dataset, "PhotometricInterpretation").upper()
    if photometric not in _PHOTOMETRIC:
        raise UnreadableImage("The header does not say in a known way how pixel values are to be shown.", AGAIN)
    samples = 3 if photometric in _COLOUR else 1
    if present(dataset, "SamplesPerPixel") and whole(dataset, "SamplesPerPixel") != samples:
        raise UnreadableImage("The header contradicts itself about the number of colours.", AGAIN)
    dataset.SamplesPerPixel = samples
    layout = Layout(
        syntax=syntax,
        keyword=keyword,
        rows=rows,
        columns=columns,
        samples=samples,
        frames=_frames(dataset),
        bits_allocated=allocated,
        bits_stored=stored,
        signed=keyword == "PixelData" and _signed(dataset),
        photometric=photometric,
    )
    if layout.native:
        _demand_length(layout, len(raw(dataset, keyword) or b""))
    _demand_limits(layout)
    return layout


def _syntax(dataset: Dataset) -> str:
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax in ENCODINGS:
        return syntax
    known = UID(syntax)
    if known.is_valid and known.is_transfer_syntax and not known.is_private:
        name = known.name.split(" Image Compression")[0].split(" (")[0]
        raise UnsupportedEncoding(
            f"The pixels are encoded as {name}, which is not read here.",
            "Export the study as uncompressed or JPEG 2000 lossless.",
        )
    raise UnsupportedEncoding(
        "The pixels are encoded in a private or unknown way.", "Export the study in a standard transfer syntax."
    )


def _size(dataset: Dataset) -> tuple[int, int]:
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    if rows is None or columns is None or not (0 < rows <= 65535 and 0 < columns <= 65535):
        raise UnreadableImage("The header does not say how many rows and columns the image has.", AGAIN)
    return rows, columns


def _bits(dataset: Dataset, keyword: str) -> tuple[int, int]:
    """Bits allocated and stored; those of float pixels follow from the element."""
    if keyword != "PixelData":
        dataset.BitsAllocated = 32 if keyword == "FloatPixelData" else 64
        return dataset.BitsAllocated, dataset.BitsAllocated
    allocated = whole(dataset, "BitsAllocated")
    if allocated is None:
        raise UnreadableImage("The header does not say how many bits a pixel has.", AGAIN)
    stored = whole(dataset, "BitsStored") if present(dataset, "BitsStored") else allocated
    if allocated not in (1, 8, 16, 32) or stored is None or not 0 < stored <= allocated:
        raise UnreadableImage("The header contradicts itself about the bits of a pixel.", AGAIN)
    dataset.BitsStored = stored
    return allocated, stored


def _signed(dataset: Dataset) -> bool:
    representation = whole(dataset, "PixelRepresentation") if present(dataset, "PixelRepresentation") else 0
    if representation not in (0, 1):
        raise UnreadableImage("The header does not say whether pixel values are signed.", AGAIN)
    dataset.PixelRepresentation = representation
    return representation == 1


def _frames(dataset: Dataset) -> int:
    if not present(dataset, "NumberOfFrames"):
        return 1
    frames = whole(dataset, "NumberOfFrames")
    if frames is None or frames < 1:
        raise UnreadableImage("The header does not say how many frames the file has.", AGAIN)
    return frames


def _demand_length(layout: Layout, actual: int) -> None:
    bits = layout.rows * layout.columns * layout.samples * layout.frames * layout.bits_allocated
    if layout.photometric == "YBR_FULL_422":
        bits = bits * 2 // 3  # two chroma samples for two pixels: PS3.3 C.7.6.3.1.2
    promised = (bits + 7) // 8
    if actual < promised:
        raise UnreadableImage(
            f"The pixel data are cut off: the header promises {promised:,} bytes, the file holds {actual:,}.", AGAIN
        )


def _demand_limits(layout: Layout) -> None:
    pixels = layout.rows * layout.columns
    if pixels > MAX_FRAME_PIXELS:
        raise TooLarge(
            f"The header claims {layout.columns:,} × {layout.rows:,} pixels; "
            f"at most {MAX_FRAME_PIXELS // 1_000_000} million are read.",
            "Export the image at a smaller size.",
        )
    decoded = pixels * layout.frames * (3 if layout.samples == 3 or not layout.grey else 4)
    if layout.frames > MAX_FRAMES or decoded > MAX_DECODED_BYTES:
        raise TooLarge(
            f"The header claims {layout.frames:,} frames, more than fit into memory.",
            "Export fewer frames, or the series as single slices.",
        )
