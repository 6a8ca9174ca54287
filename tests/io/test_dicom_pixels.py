"""Every way in which DICOM stores pixels gives the values that were stored."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.sequence import Sequence

from io_files import compressed, dataset, dicom, ramp, written

LOSSLESS = [
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
]
TWELVE = {"BitsStored": 12, "HighBit": 11}


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_uncompressed_pixels_in_every_byte_order(only, syntax):
    image = only(dicom(ramp(), syntax, RescaleSlope=2, RescaleIntercept=-1024))
    assert image.pixels.dtype == np.float32
    np.testing.assert_array_equal(image.pixels, ramp().astype(float) * 2 - 1024)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda s: s.name)
def test_lossless_compression_gives_the_same_pixels_and_the_same_digest(only, syntax):
    plain, packed = only(dicom(ramp(), **TWELVE)), only(compressed(ramp(), syntax, **TWELVE))
    np.testing.assert_array_equal(packed.pixels, ramp())
    assert packed.digest == plain.digest
    assert packed.bits == 12


def test_eight_bit_words_in_big_endian_order_are_swapped(only):
    pixels = ramp(3, 5, 8).astype(np.uint8)
    ds = dataset(pixels, uid.ExplicitVRBigEndian)
    swapped = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    ds.PixelData = swapped
    ds["PixelData"].VR = "OW"
    np.testing.assert_array_equal(only(written(ds)).pixels, pixels)


def test_bits_above_the_stored_ones_are_masked(only):
    overlay = ramp() | np.uint16(1 << 12) * (np.arange(48) % 2).astype(np.uint16)
    np.testing.assert_array_equal(only(dicom(overlay, **TWELVE)).pixels, ramp())


def test_signed_values_with_empty_upper_bits_are_extended(only):
    values = np.array([[-2048, -1, 0, 2047]], np.int16)
    stored = values.view(np.uint16) & np.uint16(0x0FFF)
    image = only(dicom(stored, PixelRepresentation=1, **TWELVE))
    np.testing.assert_array_equal(image.pixels, values)


def test_a_fractional_rescale_is_computed_in_double_precision(only):
    stored = np.array([[0, 40_000, 65_535]], np.uint16)
    image = only(dicom(stored, RescaleSlope="0.1", RescaleIntercept="-7.3"))
    np.testing.assert_array_equal(image.pixels, (stored * 0.1 - 7.3).astype(np.float32))


def test_thirty_two_bits_keep_the_precision_of_float32(only):
    stored = np.array([[-70_000_001, 5, 50_000_003]], np.int32)
    image = only(dicom(stored, RescaleSlope="0.0001", RescaleIntercept="0"))
    np.testing.assert_array_equal(image.pixels, (stored * 0.0001).astype(np.float32))


def test_a_modality_lookup_table_replaces_the_rescale(only):
    lut = Dataset()
    lut.LUTDescriptor = [4, 10, 16]
    lut.LUTData = np.array([100, 200, 300, 65535], "<u2").tobytes()
    image = only(dicom(np.array([[0, 10, 11, 13, 99]], np.uint16), ModalityLUTSequence=Sequence([lut])))
    np.testing.assert_array_equal(image.pixels, [[100, 100, 200, 65535, 65535]])


def test_monochrome1_keeps_its_values_and_says_so(read):
    result = read(dicom(ramp(), PhotometricInterpretation="MONOCHROME1"))
    assert result.images[0].photometric == "MONOCHROME1"
    np.testing.assert_array_equal(result.images[0].pixels, ramp())


def test_a_palette_becomes_rgb(only):
    ds = dataset(np.array([[0, 1, 2]], np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for colour, table in zip(("Red", "Green", "Blue"), ([0, 0xFFFF, 0], [0, 0, 0xFFFF], [0, 0x8080, 0]), strict=True):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [3, 0, 16])
        setattr(ds, f"{colour}PaletteColorLookupTableData", np.array(table, "<u2").tobytes())
    image = only(written(ds))
    assert image.photometric == "RGB"
    np.testing.assert_array_equal(image.pixels, [[[0, 0, 0], [255, 0, 128], [0, 255, 0]]])


def test_ybr_becomes_rgb_by_the_equation_of_the_standard(only):
    y, cb, cr = 120, 90, 200  # PS3.3 C.7.6.3.1.2
    expected = [y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)]
    image = only(dicom(np.full((4, 4, 3), (y, cb, cr), np.uint8), PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(image.pixels[2, 2], expected, atol=1)


def test_colour_by_plane_is_put_together(only):
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    ds = dataset(pixels, PlanarConfiguration=1)
    ds.PixelData = np.ascontiguousarray(pixels.transpose(2, 0, 1)).tobytes()
    np.testing.assert_array_equal(only(written(ds)).pixels, pixels)


def test_deep_colour_is_scaled_to_eight_bits(only):
    image = only(dicom(np.array([[[0, 32768, 65535]] * 2], np.uint16)))
    np.testing.assert_array_equal(image.pixels, [[[0, 128, 255]] * 2])
    assert image.bits == 8


def test_one_bit_frames_need_not_begin_on_a_byte(read):
    frames = np.random.default_rng(3).integers(0, 2, (3, 5, 7), dtype=np.uint8)
    ds = dataset(frames, BitsAllocated=1, BitsStored=1, HighBit=0)
    ds.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    result = read(written(ds))
    np.testing.assert_array_equal([image.pixels for image in result.images], frames)


@pytest.mark.parametrize(("keyword", "kind"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
def test_float_pixels(only, keyword, kind):
    values = np.array([[-1.5, 0.25], [1e6, 3.0]])
    ds = dataset(np.zeros((2, 2), np.uint16), PixelData=None)
    setattr(ds, keyword, values.astype(kind).tobytes())
    np.testing.assert_array_equal(only(written(ds)).pixels, values.astype(np.float32))


def encapsulated(frames: np.ndarray) -> Dataset:
    ds = dataset(frames, BitsStored=8)
    ds.compress(uid.JPEGLSLossless, generate_instance_uid=False)
    return ds


FRAMES = np.random.default_rng(5).integers(0, 255, (4, 16, 24), dtype=np.uint8)


def test_frames_without_an_offset_table(read):
    ds = encapsulated(FRAMES)
    ds.PixelData = encapsulate(list(generate_frames(ds.PixelData, number_of_frames=4)), has_bot=False)
    np.testing.assert_array_equal([image.pixels for image in read(written(ds)).images], FRAMES)


def test_frames_with_an_extended_offset_table(read):
    ds = encapsulated(FRAMES)
    frames = list(generate_frames(ds.PixelData, number_of_frames=4))
    ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    np.testing.assert_array_equal([image.pixels for image in read(written(ds)).images], FRAMES)


def test_one_frame_in_many_fragments(only):
    noise = np.random.default_rng(6).integers(0, 255, (48, 48), dtype=np.uint8)
    ds = dataset(noise)
    ds.compress(uid.JPEGLSLossless, generate_instance_uid=False)
    (frame,) = generate_frames(ds.PixelData, number_of_frames=1)
    ds.PixelData = encapsulate([frame], fragments_per_frame=5)
    np.testing.assert_array_equal(only(written(ds)).pixels, noise)


def test_twelve_bit_lossy_jpeg(only):
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint16) * 30
    ds = dataset(smooth, **TWELVE)
    ds.PixelData = encapsulate([imagecodecs.jpeg8_encode(smooth, level=98, bitspersample=12)])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = uid.JPEGExtended12Bit
    np.testing.assert_allclose(only(written(ds)).pixels, smooth, atol=8)


def test_colour_jpeg_becomes_rgb(only):
    stream = io.BytesIO()
    Pillow.new("RGB", (16, 16), (200, 40, 90)).save(stream, "JPEG", quality=95, subsampling=0)
    ds = dataset(np.zeros((16, 16, 3), np.uint8), PhotometricInterpretation="YBR_FULL")
    ds.PixelData = encapsulate([stream.getvalue()])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    np.testing.assert_allclose(only(written(ds)).pixels[8, 8], (200, 40, 90), atol=3)


def test_an_offset_table_that_leads_nowhere_is_replaced(read):
    ds = encapsulated(FRAMES)
    data = bytearray(ds.PixelData)
    data[12:16] = (10**9).to_bytes(4, "little")  # item tag and length, then the offset of the second frame
    ds.PixelData = bytes(data)
    result = read(written(ds))
    np.testing.assert_array_equal([image.pixels for image in result.images], FRAMES)
    assert any(note.kind == "repaired" and "offset table" in note.text for note in result.notes)


def test_an_offset_table_that_leads_astray_is_replaced(read):
    ds = encapsulated(FRAMES)
    data = bytearray(ds.PixelData)
    data[12:16] = (int.from_bytes(data[12:16], "little") + 6).to_bytes(4, "little")
    ds.PixelData = bytes(data)
    result = read(written(ds))
    np.testing.assert_array_equal([image.pixels for image in result.images], FRAMES)


def test_functional_groups_give_each_frame_its_own_rescale_place_and_window(read):
    ds = dataset(np.stack([ramp(), ramp()]), Modality="CT", **TWELVE)
    groups = []
    for k in range(2):
        values, place, voi = Dataset(), Dataset(), Dataset()
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = k + 1, -1024 * (k + 1), "HU"
        place.ImagePositionPatient = [0, 0, 10.0 - k]
        voi.WindowCenter, voi.WindowWidth = 40 + k, 400
        group = Dataset()
        group.PixelValueTransformationSequence = Sequence([values])
        group.PlanePositionSequence = Sequence([place])
        group.FrameVOILUTSequence = Sequence([voi])
        groups.append(group)
    measures, plane, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [0.5, 0.6]
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    ds.PerFrameFunctionalGroupsSequence = Sequence(groups)
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    first, second = read(written(ds)).images
    np.testing.assert_array_equal(first.pixels, ramp().astype(float) - 1024)
    np.testing.assert_array_equal(second.pixels, ramp().astype(float) * 2 - 2048)
    assert (first.position, second.position) == ((0, 0, 10.0), (0, 0, 9.0))
    assert [image.windows[0].centre for image in (first, second)] == [40, 41]
    assert first.modality_units == "HU"
    assert (first.spacing.row_mm, first.spacing.column_mm) == (0.5, 0.6)
    assert (first.instance, second.instance) == (1, 2)
