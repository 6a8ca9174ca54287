"""Ordinary pictures: PNG, JPEG, TIFF, WebP, BMP, 8 and 16 bit. Used inside the decoding process only."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import (  # the plug-ins register themselves; Pillow loads no others for a list of formats
    BmpImagePlugin,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL import Image as Pillow

from medimg_core.errors import TooLarge, UnreadableImage
from medimg_core.io.limits import MAX_DECODED_BYTES, MAX_FRAME_PIXELS, MAX_FRAMES
from medimg_core.io.opened import OpenedFile, with_digest
from medimg_core.types import Image, Note

_FORMATS: Final = {
    PngImagePlugin.PngImageFile.format: "PNG",
    JpegImagePlugin.JpegImageFile.format: "JPEG",
    TiffImagePlugin.TiffImageFile.format: "TIFF",
    WebPImagePlugin.WebPImageFile.format: "WebP",
    BmpImagePlugin.BmpImageFile.format: "BMP",
}
_AGAIN: Final = "Save or send it again from its source."
_ORIENTATION: Final = 0x0112
_TIFF_PHOTOMETRIC: Final = 262
_WHITE_IS_ZERO: Final = 0
_DEEP_MODES: Final = ("I;16", "I;16L", "I;16B", "I;16N", "I")

# The size is judged here, against our own limit, before anything is decoded.
Pillow.MAX_IMAGE_PIXELS = None


def open_picture(data: bytes | memoryview) -> OpenedFile:
    """Judge a picture's header; its pages are decoded as `images` is consumed.

    Raises:
        UnreadableImage: damaged; also from `images`.
        TooLarge: above the limits.
    """
    try:
        picture = Pillow.open(BytesIO(data), formats=tuple(_FORMATS))
        name = _FORMATS.get(picture.format, "JPEG")  # MPO is a JPEG that holds several
        pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" else 1
    except (OSError, SyntaxError, ValueError, KeyError, EOFError, ArithmeticError, TypeError) as failure:
        raise UnreadableImage("The header of this picture is damaged.", _AGAIN) from failure
    _demand_limits(picture.size, pages)
    notes: list[Note] = []
    if picture.format != "TIFF" and getattr(picture, "n_frames", 1) > 1:
        notes.append(Note("doubt", "The picture is animated or holds several; the first is read."))
    return OpenedFile(encoding="", images=_images(picture, name, pages, notes), frames=pages, notes=notes)


def _demand_limits(size: tuple[int, int], pages: int) -> None:
    width, height = size
    if width * height > MAX_FRAME_PIXELS:
        raise TooLarge(
            f"The header claims {width:,} × {height:,} pixels; "
            f"at most {MAX_FRAME_PIXELS // 1_000_000} million are read.",
            "Save the picture at a smaller size.",
        )
    if pages > MAX_FRAMES or width * height * 4 * pages > MAX_DECODED_BYTES:
        raise TooLarge(f"The picture has {pages:,} pages, more than fit into memory.", "Save fewer pages.")


def _images(picture: Any, name: str, pages: int, notes: list[Note]) -> Iterator[Image]:
    for page in range(pages):
        try:
            if page:
                picture.seek(page)
                _demand_limits(picture.size, pages)
            if picture.getexif().get(_ORIENTATION, 1) not in (0, 1) and page == 0:
                notes.append(Note("repaired", "Turned upright as the camera noted (EXIF orientation)."))
            inverted = name == "TIFF" and picture.tag_v2.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
            pixels, bits = _pixels(ImageOps.exif_transpose(picture))
        except (TooLarge, MemoryError):
            raise
        except Exception as failure:  # decoders raise whatever they meet in damaged data
            raise UnreadableImage("The pixel data of this picture are damaged or cut off.", _AGAIN) from failure
        # Pillow turns 8-bit pages with white as zero round itself, deeper ones not.
        photometric: Literal["MONOCHROME1", "MONOCHROME2", "RGB"] = "RGB"
        if pixels.ndim == 2:
            photometric = "MONOCHROME1" if inverted and bits > 8 else "MONOCHROME2"
        yield with_digest(
            Image(pixels=pixels, photometric=photometric, digest="", bits=bits, format=name, instance=page + 1)
        )


def _pixels(picture: Any) -> tuple[NDArray[np.float32] | NDArray[np.uint8], int]:
    """Grey as float32 `[H, W]`, colour as uint8 `[H, W, 3]`, with the bits of the source. Alpha lies over black."""
    mode = picture.mode
    if mode in _DEEP_MODES:
        values = np.asarray(picture)
        if mode == "I" and not 0 <= int(values.min(initial=0)) <= int(values.max(initial=0)) < 65536:
            return np.ascontiguousarray(values, np.float32), 32
        return np.ascontiguousarray(values, np.float32), 16
    if mode == "F":
        return np.ascontiguousarray(picture, np.float32), 32
    if mode in ("1", "L"):
        return np.ascontiguousarray(picture.convert("L"), np.float32), 8
    if mode in ("LA", "La"):
        grey, alpha = (np.asarray(band, np.float32) for band in picture.convert("LA").split())
        return np.ascontiguousarray(np.rint(grey * alpha / np.float32(255))), 8
    if mode in ("RGBA", "RGBa", "PA") or (mode == "P" and "transparency" in picture.info):
        rgba = np.asarray(picture.convert("RGBA"), np.uint16)
        return np.ascontiguousarray((rgba[..., :3] * rgba[..., 3:] + 127) // 255, np.uint8), 8
    return np.ascontiguousarray(picture.convert("RGB"), np.uint8), 8
