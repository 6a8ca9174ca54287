"""Damaged, hostile and foreign files end in one error with cause and next step."""

from __future__ import annotations

import io
import sys
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence

from io_files import SECRETS, compressed, dataset, dicom, ramp, written
from medimg_core.errors import MedImgError, NotAnImage, TooLarge, UnreadableImage, UnsupportedEncoding
from medimg_core.io import Pool, read_file

MEGABYTE = 1 << 20


def test_a_missing_preamble_is_added_and_said(read):
    result = read(dicom()[132:])
    np.testing.assert_array_equal(result.images[0].pixels, ramp())
    assert [note.text for note in result.notes if note.kind == "repaired"] == ["Missing preamble added."]


def test_a_missing_meta_header_is_taken_from_the_way_the_header_is_written(read):
    ds = dataset(ramp(), uid.ImplicitVRLittleEndian)
    del ds.file_meta
    stream = io.BytesIO()
    ds.save_as(stream, implicit_vr=True, little_endian=True)
    result = read(stream.getvalue())
    np.testing.assert_array_equal(result.images[0].pixels, ramp())
    assert any("transfer syntax" in note.text for note in result.notes)


@pytest.mark.parametrize(
    ("attributes", "error", "words"),
    [
        ({"Rows": None}, UnreadableImage, "rows and columns"),
        ({"Rows": 0}, UnreadableImage, "rows and columns"),
        ({"BitsAllocated": None}, UnreadableImage, "bits"),
        ({"BitsStored": 20}, UnreadableImage, "bits"),
        ({"PhotometricInterpretation": None}, UnreadableImage, "shown"),
        ({"PhotometricInterpretation": "PLAID"}, UnreadableImage, "shown"),
        ({"PhotometricInterpretation": "RGB"}, UnreadableImage, "colours"),
        ({"PixelRepresentation": 7}, UnreadableImage, "signed"),
        ({"Rows": 33}, UnreadableImage, "header promises 3,168 bytes, the file holds 3,072"),
        ({"NumberOfFrames": 2}, UnreadableImage, "cut off"),
        ({"NumberOfFrames": 2147483647}, UnreadableImage, "cut off"),
        ({"PixelData": b"1234567890", "Rows": 65535, "Columns": 65535}, UnreadableImage, "cut off"),
        ({"RescaleIntercept": "1e999"}, UnreadableImage, "units"),
        ({"RescaleSlope": 0}, UnreadableImage, "units"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_contradictory_header_is_refused_before_pixels_are_touched(read, attributes, error, words):
    found = read(dicom(**attributes)).error
    assert type(found) is error
    assert words in found.cause
    assert found.remedy


def test_a_rescale_that_is_no_number_is_refused(read):
    data = dicom(RescaleIntercept="-1024", RescaleSlope="1").replace(b"-1024 ", b"minus ")
    assert "units are unknown" in read(data).error.cause


@pytest.mark.parametrize(
    ("syntax", "words"),
    [
        (uid.MPEG4HP41, "MPEG-4"),
        (uid.JPEGExtended12Bit, "should be JPEG extended"),
        (uid.JPEG2000Lossless, "should be JPEG 2000"),
        (uid.RLELossless, "RLE"),
    ],
)
def test_pixels_that_are_not_what_the_transfer_syntax_says(read, syntax, words):
    ds = dataset(ramp())
    ds.PixelData = encapsulate([ds.PixelData])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    error = read(written(ds)).error
    assert isinstance(error, UnreadableImage | UnsupportedEncoding)
    assert words in error.cause


def test_a_private_transfer_syntax_is_refused(read):
    error = read(dicom().replace(b"1.2.840.10008.1.2.1\0", b"1.2.3.4.5.6.7.8.9.10")).error
    assert isinstance(error, UnsupportedEncoding)
    assert "private or unknown" in error.cause


@pytest.mark.parametrize(
    "syntax",
    [uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless, uid.JPEGLosslessSV1],
    ids=lambda syntax: syntax.name,
)
def test_a_codestream_that_is_cut_off_is_refused(read, syntax):
    noise = np.random.default_rng(1).integers(0, 4096, (64, 64), dtype=np.uint16)
    ds = pydicom.dcmread(io.BytesIO(compressed(noise, syntax)))
    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    ds.PixelData = encapsulate([frame[: len(frame) * 2 // 3]])
    ds["PixelData"].is_undefined_length = True
    assert isinstance(read(written(ds)).error, UnreadableImage)


def test_a_compressed_frame_of_another_size_is_refused_before_it_is_decoded(read):
    data = bytearray(compressed(ramp(), uid.JPEG2000Lossless))
    at = data.index(b"\xff\x4f\xff\x51")
    data[at + 8 : at + 16] = (60_000).to_bytes(4, "big") * 2
    assert "contradict each other about the size" in read(bytes(data)).error.cause


@pytest.mark.parametrize(
    ("sop_class", "name"),
    [
        (uid.BasicTextSRStorage, "structured report"),
        (uid.KeyObjectSelectionDocumentStorage, "key object selection"),
        (uid.RTStructureSetStorage, "RT structure set"),
        (uid.RTPlanStorage, "RT plan"),
        (uid.EncapsulatedPDFStorage, "PDF"),
        (uid.TwelveLeadECGWaveformStorage, "waveform"),
        (uid.GrayscaleSoftcopyPresentationStateStorage, "presentation state"),
        (uid.MediaStorageDirectoryStorage, "directory"),
        (uid.RawDataStorage, "raw data"),
        ("1.2.840.10008.5.1.4.1.1.999", "without pixels"),
    ],
)
def test_objects_without_an_image_are_named(read, sop_class, name):
    ds = dataset(ramp(), SOPClassUID=sop_class, PixelData=None, Rows=None, Columns=None, BitsAllocated=None)
    ds.file_meta.MediaStorageSOPClassUID = sop_class
    error = read(written(ds)).error
    assert isinstance(error, NotAnImage)
    assert name in error.cause


def test_a_file_that_ends_within_its_compressed_pixels_is_cut_off_and_no_report(read):
    data = compressed(ramp(), uid.JPEGLSLossless)
    error = read(data[: len(data) - 300]).error
    assert isinstance(error, UnreadableImage)
    assert "cut off" in error.cause


def test_sequences_nested_four_hundred_deep_do_no_harm(read):
    inner = Dataset()
    for _ in range(400):
        outer = Dataset()
        outer.add_new((0x0040, 0xA730), "SQ", Sequence([inner]))
        inner = outer
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        ds = dataset(ramp())
        ds.add_new((0x0040, 0xA730), "SQ", inner[0x0040A730].value)
        data = written(ds)
    finally:
        sys.setrecursionlimit(limit)
    result = read(data)
    assert result.images or isinstance(result.error, MedImgError)


def peak_bytes(pid: int) -> int:
    """Largest resident memory a process ever had (VmHWM of proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def test_a_deflate_bomb_is_refused_within_300_mb():
    ds = dataset(ramp())
    ds.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    head = written(ds)
    begin = head.index(b"1.2.840.10008.1.2.1.99") + 22
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # A private element of 400 MB before the pixels.
    parts = [deflater.compress(b"\x09\0\x01\x10UN\0\0" + (400 * MEGABYTE).to_bytes(4, "little"))]
    parts += [deflater.compress(bytes(MEGABYTE)) for _ in range(400)]
    bomb = head[:begin] + b"".join(parts) + deflater.flush()
    assert len(bomb) < MEGABYTE
    pool = Pool(1)
    try:
        error = read_file(bomb, pool=pool).error
        (pid,) = pool.pids()
        assert isinstance(error, TooLarge)
        assert peak_bytes(pid) < 300 * MEGABYTE
    finally:
        pool.close()


def test_a_claim_of_65535_by_65535_pixels_in_a_compressed_frame_allocates_nothing():
    ds = dataset(ramp(), Rows=65535, Columns=65535)
    ds.PixelData = encapsulate([b"0123456789"])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = uid.RLELossless
    pool = Pool(1)
    try:
        error = read_file(written(ds), pool=pool).error
        (pid,) = pool.pids()
        assert isinstance(error, TooLarge)
        assert "65,535" in error.cause
        assert peak_bytes(pid) < 300 * MEGABYTE
    finally:
        pool.close()


def test_errors_quote_nothing_of_the_file(read):
    data = dicom().replace(b"MONOCHROME2", b"Geheim 4711").replace(b"CR", b"<>")
    error = read(data).error
    assert not [secret for secret in SECRETS if secret in str(error)]
