"""What some bytes are, told by their content and never by a file name."""

from __future__ import annotations

from typing import Literal

from medimg_core.errors import MedImgError, NotAnImage, UnsupportedEncoding

Kind = Literal["dicom", "picture", "zip", "system", "other"]

_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", 0),
    (b"\xff\xd8\xff", 0),
    (b"II*\0", 0),
    (b"MM\0*", 0),
    (b"II+\0", 0),
    (b"MM\0+", 0),
    (b"WEBPVP8", 8),
)
_ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
# AppleDouble and .DS_Store files, which a desktop adds to archives unasked.
_SYSTEM = (b"\0\5\x16\7", b"\0\0\0\1Bud1")
_OTHER = (
    (b"%PDF", 0, "a PDF document"),
    (b"\x7fELF", 0, "a program"),
    (b"MZ", 0, "a program"),
    (b"\xd0\xcf\x11\xe0", 0, "an office document"),
    (b"SQLite format 3", 0, "a database"),
    (b"ftyp", 4, "a video"),
    (b"\x1aE\xdf\xa3", 0, "a video"),
)
_ENCODED = (
    (b"GIF8", 0, "a GIF picture"),
    (b"\0\0\0\x0cjP  ", 0, "a JPEG 2000 picture outside DICOM"),
    (b"\xff\x4f\xff\x51", 0, "a JPEG 2000 picture outside DICOM"),
    (b"\0\0\0\x0cJXL ", 0, "a JPEG XL picture"),
    (b"ftypavif", 4, "an AVIF picture"),
    (b"ftyphei", 4, "a HEIC picture"),
    (b"ftypmif1", 4, "a HEIC picture"),
    (b"\x1f\x8b", 0, "a gzip archive"),
    (b"7z\xbc\xaf'\x1c", 0, "a 7z archive"),
    (b"Rar!", 0, "a RAR archive"),
    (b"ustar", 257, "a tar archive"),
    (b"n+1\0", 344, "a NIfTI volume"),
)
_REMEDY = "Choose a DICOM file, a picture (PNG, JPEG, TIFF, WebP, BMP), or a zip or folder of them."
_PREAMBLE = 128


def sniff(data: bytes) -> Kind:
    """Tell what the bytes are. `other` is everything that holds no image we read; `refusal` names it."""
    if data[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return "dicom"
    if any(data.startswith(magic, at) for magic, at in _PICTURES) or _is_bmp(data):
        return "picture"
    if data.startswith(_ZIPS):
        return "zip"
    if data.startswith(_SYSTEM):
        return "system"
    return "dicom" if _is_bare_dicom(data) else "other"


def refusal(data: bytes) -> MedImgError:
    """The error for bytes that `sniff` calls `other`, `zip` or `system`."""
    if not data:
        return NotAnImage("This file is empty.", "Copy it again from its source.")
    for magic, at, name in _ENCODED:
        if data.startswith(magic, at):
            return UnsupportedEncoding(f"This is {name}, which is not read here.", _REMEDY)
    for magic, at, name in _OTHER:
        if data.startswith(magic, at):
            return NotAnImage(f"This is {name}, not an image.", _REMEDY)
    if data.startswith(_ZIPS):
        return NotAnImage("This is a zip archive, not an image.", "Give the archive as a study, or unpack it first.")
    if _is_text(data):
        return NotAnImage("This is a text, not an image.", _REMEDY)
    return NotAnImage("This is neither DICOM nor a picture.", _REMEDY)


def _is_bmp(data: bytes) -> bool:
    header_bytes = int.from_bytes(data[14:18], "little")
    return data.startswith(b"BM") and header_bytes in (12, 40, 52, 56, 64, 108, 124)


def _is_bare_dicom(data: bytes) -> bool:
    """A data set without preamble: it begins with an element of group 2 or 8, in any of the three encodings."""
    if len(data) < 16 or data[:2] not in (b"\2\0", b"\x08\0", b"\0\x08"):
        return False
    if data[4:6].isalpha() and data[4:6].isupper():
        return True
    # Implicit VR: element number below 0x0100 or a group length, and a value that lies within the file.
    element, length = int.from_bytes(data[2:4], "little"), int.from_bytes(data[4:8], "little")
    return data[0] != 0 and element < 0x0100 and length <= len(data) - 8


def _is_text(data: bytes) -> bool:
    try:
        sample = data[:512].decode("utf-8", "strict" if len(data) <= 512 else "ignore")
    except UnicodeDecodeError:
        return False
    return all(c.isprintable() or c in "\t\r\n\f" for c in sample)
