"""Content decides what a file is."""

from __future__ import annotations

import numpy as np
import pytest

from io_files import dicom, picture, zipped
from medimg_core.errors import NotAnImage, UnsupportedEncoding
from medimg_core.io.sniff import refusal, sniff

GREY = np.zeros((4, 4), np.uint8)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_pictures(form):
    assert sniff(picture(GREY, form)) == "picture"


def test_dicom_with_and_without_its_preamble():
    assert sniff(dicom()) == "dicom"
    assert sniff(dicom()[132:]) == "dicom"
    implicit = b"\x08\0\x05\0\x0a\0\0\0ISO_IR 100" + bytes(20)
    assert sniff(implicit) == "dicom"


def test_a_preamble_that_looks_like_a_tiff_is_still_dicom():
    data = bytearray(dicom())
    data[:4] = b"II*\0"
    assert sniff(bytes(data)) == "dicom"


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", NotAnImage, "empty"),
        (b"Dear colleague,\r\n", NotAnImage, "a text"),
        ("Größe: 3 mm".encode(), NotAnImage, "a text"),
        (b"%PDF-1.7\n...", NotAnImage, "PDF"),
        (b"\x7fELF\x02\x01", NotAnImage, "program"),
        (b"GIF89a....", UnsupportedEncoding, "GIF"),
        (b"\0\0\0\x18ftypavif", UnsupportedEncoding, "AVIF"),
        (b"\0\0\0\x18ftypmp42", NotAnImage, "video"),
        (b"\x1f\x8b\x08", UnsupportedEncoding, "gzip"),
        (zipped({"a": b"b"}), NotAnImage, "zip"),
        (bytes(range(256)), NotAnImage, "neither DICOM nor a picture"),
        (b"\x08\0" + b"\xff" * 30, NotAnImage, "neither DICOM nor a picture"),
    ],
    # Four bytes: those after them hold the time at which the zip was made, another one in every worker of pytest.
    ids=lambda value: value[:4].decode("latin-1").strip() if isinstance(value, bytes) else "",
)
def test_everything_else_is_named(data, error, words):
    assert sniff(data) in ("other", "zip")
    found = refusal(data)
    assert type(found) is error
    assert words in found.cause
    assert found.remedy
