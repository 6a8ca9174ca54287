"""One decoder per transfer syntax, and a look at each compressed frame before a decoder sees it.

pydicom's own facade does the work. What is chosen here is the library behind it, by name, so that nothing else that
happens to be installed is used; imagecodecs is added for the two JPEG processes that the permissive pylibjpeg
plug-ins leave open.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from pydicom.pixels import get_decoder
from pydicom.uid import JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

from medimg_core.errors import UnreadableImage
from medimg_core.io.dicom.layout import ENCODINGS, Layout
from medimg_core.io.dicom.source import AGAIN

_THIS_MODULE: Final = __name__
_JPEG_PROCESSES: Final = (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
_END_OF_IMAGE: Final = b"\xff\xd9"
_FILLING: Final = b"\0\xff"  # bytes with which writers make a fragment even
_RLE_LARGEST_RATIO: Final = 64  # two bytes stand for at most 128

# pydicom's plug-in protocol: a module with DECODER_DEPENDENCIES, is_available(uid) and the decoding function.
DECODER_DEPENDENCIES: Final = {uid: ("imagecodecs",) for uid in _JPEG_PROCESSES}


def is_available(uid: str) -> bool:
    """True for the transfer syntaxes that `decode_jpeg` reads (part of pydicom's plug-in protocol)."""
    return uid in DECODER_DEPENDENCIES


def decode_jpeg(frame: bytes, runner: Any) -> bytearray:
    """Decode one frame of lossless or extended JPEG with libjpeg-turbo, 2 to 16 bits a sample.

    Args:
        frame: the codestream.
        runner: pydicom's description of the frame; told how many bits the result has.
    """
    import imagecodecs

    # The same space in and out: pydicom converts, knowing the photometric interpretation.
    space = "YCBCR" if runner.samples_per_pixel == 3 else None
    decoded = imagecodecs.jpeg8_decode(frame, colorspace=space, outcolorspace=space)
    runner.set_option("bits_allocated", 8 * decoded.dtype.itemsize)
    runner.set_option("planar_configuration", 0)
    return bytearray(np.ascontiguousarray(decoded).data)


for _uid in _JPEG_PROCESSES:
    get_decoder(_uid).add_plugin("imagecodecs", (_THIS_MODULE, "decode_jpeg"))


def plugin(syntax: str) -> str:
    """Name of the pydicom plug-in that decodes a transfer syntax; empty for native pixels."""
    name = ENCODINGS[syntax]
    if name in ("uncompressed",):
        return ""
    if name == "JPEG baseline":
        return "pillow"
    if syntax in _JPEG_PROCESSES:
        return "imagecodecs"
    return "pyjpegls" if name.startswith("JPEG-LS") else "pylibjpeg"


def inspect(frame: bytes, layout: Layout) -> None:
    """Compare a compressed frame's own header with the data set's, before anything is allocated.

    Raises:
        UnreadableImage: no codestream of this kind, another size, or cut off.
    """
    name = ENCODINGS[layout.syntax]
    if name.startswith("RLE"):
        _inspect_rle(frame, layout)
        return
    claimed = _jpeg2000_size(frame) if "2000" in name or "HTJ2K" in name else _jpeg_size(frame)
    if layout.syntax in _JPEG_PROCESSES and not frame.rstrip(_FILLING).endswith(_END_OF_IMAGE):
        claimed = None  # libjpeg-turbo fills what is missing with grey and says nothing
    if claimed is None:
        raise UnreadableImage(f"The pixel data are damaged or cut off: they should be {name} and are not.", AGAIN)
    if claimed != (layout.rows, layout.columns, layout.samples):
        raise UnreadableImage("The header and the compressed pixel data contradict each other about the size.", AGAIN)


def _inspect_rle(frame: bytes, layout: Layout) -> None:
    """RLE header, DICOM PS3.5 G.5: number of segments, then up to 15 offsets."""
    expected = layout.samples * layout.bits_allocated // 8
    segments = int.from_bytes(frame[:4], "little")
    offsets = [int.from_bytes(frame[4 * i + 4 : 4 * i + 8], "little") for i in range(min(segments, 15))]
    sorted_inside = offsets == sorted(offsets) and all(64 <= offset < len(frame) for offset in offsets)
    bound = _RLE_LARGEST_RATIO * len(frame)
    if len(frame) < 64 or segments != expected or not sorted_inside or layout.rows * layout.columns * expected > bound:
        raise UnreadableImage("The RLE compressed pixel data are damaged or cut off.", AGAIN)


def _jpeg2000_size(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components of the SIZ marker (ISO/IEC 15444-1 A.5.1); None if cut off or no codestream."""
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)  # behind the boxes where a JP2 file was stored
    if start < 0 or len(frame) < start + 42:
        return None
    width, height, left, top = (int.from_bytes(frame[start + 8 + 4 * i : start + 12 + 4 * i], "big") for i in range(4))
    components = int.from_bytes(frame[start + 40 : start + 42], "big")
    return (height - top, width - left, components) if _tiles_are_complete(frame, start) else None


def _tiles_are_complete(frame: bytes, start: int) -> bool:
    """Walk the tile parts (A.4.2): OpenJPEG fills what is missing with grey and says nothing."""
    at = start + 2
    while at + 4 <= len(frame) and frame[at : at + 2] != b"\xff\x90":
        at += 2 + max(2, int.from_bytes(frame[at + 2 : at + 4], "big"))
    while at + 12 <= len(frame) and frame[at : at + 2] == b"\xff\x90":
        length = int.from_bytes(frame[at + 6 : at + 10], "big")
        if length == 0:  # the last tile part reaches to the end marker
            return frame.rstrip(_FILLING).endswith(_END_OF_IMAGE)
        if length < 14:
            return False
        at += length
    # The end marker itself may be missing: some writers leave it out, and all tiles are there.
    return at <= len(frame) and (at >= len(frame) - 2 or frame[at : at + 2] == _END_OF_IMAGE)


def _jpeg_size(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components of a JPEG or JPEG-LS frame header (ISO/IEC 10918-1 B.2.2, 14495-1 C.2.2)."""
    if not frame.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 10 <= len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            rows, columns = int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")
            return rows, columns, frame[at + 9]
        if marker == 0xDA:
            return None
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None
