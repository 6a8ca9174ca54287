"""Ordinary pictures in their usual and unusual forms."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from io_files import picture, ramp
from medimg_core.errors import TooLarge, UnreadableImage

GREY = ramp(24, 32, 8).astype(np.uint8)
COLOUR = np.random.default_rng(2).integers(0, 255, (24, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("WEBP", {"lossless": True})]
)
def test_lossless_colour_is_exact(only, form, options):
    image = only(picture(COLOUR, form, **options))
    np.testing.assert_array_equal(image.pixels, COLOUR)
    assert image.pixels.dtype == np.uint8
    assert image.photometric == "RGB"
    assert image.format == {"WEBP": "WebP"}.get(form, form)
    assert (image.spacing, image.modality, image.windows) == (None, None, ())


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_grey_pictures_become_float(only, form):
    image = only(picture(GREY, form))
    np.testing.assert_array_equal(image.pixels, GREY)
    assert (image.pixels.dtype, image.photometric, image.bits) == (np.float32, "MONOCHROME2", 8)


def test_jpeg_is_close(only):
    smooth = np.add.outer(np.arange(24), np.arange(32)).astype(np.uint8) * 4
    np.testing.assert_allclose(only(picture(smooth, "JPEG", quality=95)).pixels, smooth, atol=3)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_kept(only, form):
    image = only(picture(ramp(bits=16), form))
    np.testing.assert_array_equal(image.pixels, ramp(bits=16))
    assert image.bits == 16


def test_float_tiff(only):
    values = np.array([[-1.5, 0.25], [3.0, 1e5]], np.float32)
    np.testing.assert_array_equal(only(picture(values, "TIFF")).pixels, values)


def test_a_deep_tiff_with_white_as_zero_says_so(only):
    stream = io.BytesIO()
    Pillow.fromarray(ramp(bits=16)).save(stream, "TIFF", tiffinfo={262: 0})
    image = only(stream.getvalue())
    shown = image.photometric == "MONOCHROME1"
    np.testing.assert_array_equal(image.pixels if shown else 65535 - image.pixels, ramp(bits=16))


def test_pages_of_a_tiff_are_frames(read):
    pages = [Pillow.fromarray(GREY), Pillow.fromarray(255 - GREY)]
    stream = io.BytesIO()
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    first, second = read(stream.getvalue()).images
    np.testing.assert_array_equal(first.pixels, GREY)
    np.testing.assert_array_equal(second.pixels, 255 - GREY)
    assert (first.instance, second.instance) == (1, 2)


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [(3, lambda p: np.rot90(p, 2)), (6, lambda p: np.rot90(p, -1)), (8, np.rot90), (2, lambda p: p[:, ::-1])],
)
def test_exif_orientation_is_applied_and_said(read, orientation, undo):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    result = read(picture(GREY, "PNG", exif=exif))
    np.testing.assert_array_equal(result.images[0].pixels, undo(GREY))
    assert [note.kind for note in result.notes] == ["repaired"]


def test_alpha_lies_over_black(only):
    rgba = np.dstack([COLOUR, np.full(COLOUR.shape[:2], 255, np.uint8)])
    rgba[0, :, 3] = 0
    rgba[1, :, 3] = 128
    pixels = only(picture(rgba, "PNG")).pixels.astype(int)
    assert not pixels[0].any()
    np.testing.assert_allclose(pixels[1], COLOUR[1] * (128 / 255), atol=1)
    np.testing.assert_array_equal(pixels[2:], COLOUR[2:])


def test_palette_pictures_become_rgb(only):
    indexed = Pillow.fromarray((GREY > 100).astype(np.uint8), "L").convert("P")
    indexed.putpalette([10, 20, 30, 200, 100, 50])
    stream = io.BytesIO()
    indexed.save(stream, "PNG")
    expected = np.where((GREY > 100)[..., None], (200, 100, 50), (10, 20, 30))
    np.testing.assert_array_equal(only(stream.getvalue()).pixels, expected)


def test_cmyk_becomes_rgb(only):
    stream = io.BytesIO()
    Pillow.new("CMYK", (8, 8), (0, 255, 255, 0)).save(stream, "JPEG", quality=95)
    red, green, blue = only(stream.getvalue()).pixels[4, 4]
    assert red > 240
    assert max(green, blue) < 15


def test_one_bit_pictures_are_black_and_white(only):
    stream = io.BytesIO()
    Pillow.fromarray(GREY > 100).save(stream, "PNG")
    np.testing.assert_array_equal(only(stream.getvalue()).pixels, np.where(GREY > 100, 255, 0))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_a_picture_that_is_cut_off_is_refused(read, form):
    noise = np.random.default_rng(4).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = picture(noise, form)
    assert isinstance(read(data[: len(data) // 2]).error, UnreadableImage)


def test_a_png_that_claims_a_huge_size_is_refused_before_it_is_decoded(read):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    error = read(data + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))).error
    assert isinstance(error, TooLarge)
    assert "60,000" in error.cause
