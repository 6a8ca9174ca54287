"""DICOM segmentations come back as regions on their images, and damaged ones as a sentence."""

from __future__ import annotations

import io

import numpy as np
import pydicom
import pytest
from pydicom import Dataset, uid

from drawn_regions import AXIAL, REF, blob, colour_image, image, of_series, region, slices
from io_files import PATIENT, SECRETS, slice_of, written, zipped
from medimg_core.errors import MedImgError, OutlinesOnly, TooLarge, UnreadableImage
from medimg_core.io import attach, read_file, read_study
from medimg_core.io.segment_terms import TERMS, source_uid
from medimg_core.render.findings import Findings
from medimg_core.render.segmentation import series_to_dicom_seg, to_dicom_seg
from medimg_core.types import Region, Series, Study

CLOSED = "not open"


def study_of(*images) -> Study:
    return Study(tuple(Series((one,)) for one in images))


def changed(data: bytes, change) -> bytes:
    """The file with its data set changed in place, written again without any check."""
    ds = pydicom.dcmread(io.BytesIO(data))
    change(ds)
    return written(ds)


def foreign(found, **attributes) -> bytes:
    """A file of another program, with names and free text in all the usual places."""

    def change(ds):
        ds.Manufacturer = "Another"
        for keyword, value in {**PATIENT, **attributes}.items():
            setattr(ds, keyword, value)
        for item in ds.SegmentSequence:
            item.SegmentLabel, item.SegmentDescription = "Geheim", "drawn by Adele"

    return changed(series_to_dicom_seg(found), change)


@pytest.fixture
def segmentation(read):
    def only(data: bytes):
        result = read(data)
        assert result.segmentation is not None, result.error
        assert isinstance(result.error, OutlinesOnly)
        assert not result.images
        return result.segmentation

    return only


@pytest.mark.parametrize("one", [image(), image(spacing=None), colour_image(), *slices(1)])
def test_regions_of_one_image_return_bit_for_bit(one, segmentation):
    drawn = [region(one, "lung_right", 1, 0.875), region(one, "microaneurysm", 2, 0.25)]
    reader = [region(one, "optic_disc", 3)]
    found = segmentation(to_dicom_seg(one, drawn, REF, corrected=reader))
    assert (found.rows, found.columns) == one.shape
    assert found.model == REF
    assert [mark.who for mark in found.marks] == ["model", "model", "reader"]
    assert {uid for uid, _ in found.regions} == {source_uid(one.digest)}
    for (_, back), gone in zip(found.regions, [*drawn, *reader], strict=True):
        assert (back.kind, back.label, back.box) == ("mask", gone.label, None)
        np.testing.assert_array_equal(back.mask, gone.mask)
    assert [back.score for _, back in found.regions] == [0.875, 0.25, 1.0]
    placed = attach(study_of(image(seed=5), one), [found])
    assert placed.on(one) == found.marks
    assert not placed.notes
    assert not placed.left


@pytest.mark.parametrize("label", sorted(TERMS))
def test_every_label_returns(label, segmentation):
    one = image(9, 9)
    assert segmentation(to_dicom_seg(one, [region(one, label)], REF)).marks[0].region.label == label


def test_free_text_does_not_return(segmentation):
    one = image(9, 9)
    assert segmentation(to_dicom_seg(one, [region(one, "Geheim")], REF)).marks[0].region.label == "region"


def test_boxes_return_as_boxes(segmentation):
    one = image()
    drawn = Region("box", "fracture", 0.5, box=(3.2, 4.4, 9.9, 12.6))
    (mark,) = segmentation(to_dicom_seg(one, [drawn], REF)).marks
    assert (mark.region.kind, mark.region.box) == ("box", (3.0, 4.0, 10.0, 13.0))


def test_a_series_of_five_returns_to_its_slices(segmentation):
    images = slices()
    found = of_series(images)
    back = segmentation(series_to_dicom_seg(found))
    placed = attach(study_of(*reversed(images)), [back])
    for one in found:
        gone = {drawn.label: drawn for _, drawn in one.all_regions}
        marks = placed.on(one.image)
        assert {mark.region.label for mark in marks} == set(gone)
        for mark in marks:
            np.testing.assert_array_equal(mark.region.mask, gone[mark.region.label].mask)
            assert mark.position == pytest.approx(one.image.position)
            assert mark.region.score == pytest.approx(gone[mark.region.label].score, abs=1e-4)
    assert not placed.notes
    partly = attach(study_of(images[1]), [back])
    assert len(partly.on(images[1])) == 3
    assert "8 regions" in partly.notes[0].text


def test_a_drop_of_images_and_their_segmentation(pool):
    files = [slice_of(float(k), instance=k, value=k) for k in range(5)]
    study, _ = read_study([("", data) for data in files], pool=pool)
    found = [Findings(one, (region(one, "nodule", k),), model=REF) for k, one in enumerate(study.images)]
    data = series_to_dicom_seg(found)
    again, headers = read_study(
        [("seg", data), ("zip", zipped({str(k): file for k, file in enumerate(files)}))], pool=pool
    )
    assert len(headers) == len(again.series) == 1
    assert not again.failures
    assert again.notes[0].text == "A DICOM segmentation with 5 regions (nodule), 8 × 8."
    placed = attach(again, again.segmentations)
    for one in found:
        (mark,) = placed.on(one.image)
        np.testing.assert_array_equal(mark.region.mask, one.regions[0].mask)


def test_a_segmentation_alone_is_kept_for_the_case_that_is_open(pool):
    one = image()
    alone, headers = read_study([("seg", to_dicom_seg(one, [region(one)], REF))], pool=pool)
    assert (alone.series, alone.failures, headers) == ((), (), ())
    placed = attach(study_of(one), alone.segmentations)
    assert len(placed.on(one)) == 1
    closed = attach(study_of(image(seed=9)), alone.segmentations)
    assert not closed.marks
    assert closed.left == alone.segmentations
    assert CLOSED in closed.notes[0].text
    assert closed.notes[0].kind == "doubt"


def test_a_file_of_another_program_fits_the_only_image_of_its_size(segmentation):
    one = image()
    found = segmentation(foreign([Findings(one, (region(one, "heart"), region(one, "nodule", 1)), model=REF)]))
    assert found.model is None
    assert {mark.source for mark in found.marks} == {""}
    assert [mark.region.label for mark in found.marks] == ["heart", "nodule"]
    assert [mark.region.score for mark in found.marks] == [1.0, 1.0]
    assert not [secret for secret in SECRETS if secret in repr(found)]
    other = image(20, 20)
    placed = attach(study_of(other, image(seed=3)), [found])
    assert len(placed.on(image(seed=3))) == 2
    assert [note.kind for note in placed.notes] == ["doubt"]
    assert "another program" in placed.notes[0].text
    for nowhere in (study_of(other), study_of(image(seed=3), image(seed=4))):
        assert attach(nowhere, [found]).left == (found,)
        assert CLOSED in attach(nowhere, [found]).notes[0].text


def test_a_file_of_another_program_is_placed_by_position(segmentation):
    images = slices()
    found = segmentation(foreign(of_series(images)))
    moved = [
        image(21, 35, 50 + k, modality="CT", position=one.position, orientation=AXIAL) for k, one in enumerate(images)
    ]
    placed = attach(Study((Series(tuple(moved), "slices"),)), [found])
    assert [len(placed.on(one)) for one in moved] == [2, 3, 2, 2, 2]
    assert "positions" in placed.notes[0].text
    elsewhere = [image(21, 35, k, modality="CT", position=(0.0, 0.0, 900.0 + k), orientation=AXIAL) for k in range(3)]
    assert attach(study_of(*elsewhere), [found]).left == (found,)
    # Several planes never land on the one image of their size, nor one plane on an image that lies elsewhere.
    assert attach(study_of(image(21, 35)), [found]).left == (found,)
    single = segmentation(foreign(of_series(images[:1])))
    assert attach(study_of(elsewhere[0]), [single]).left == (single,)
    assert len(attach(study_of(image(21, 35)), [single]).on(image(21, 35))) == 2


def test_codes_of_other_programs(segmentation):
    one = image(9, 9)

    def label(scheme: str, value: str, side: str = "") -> str:
        def change(ds):
            kind = ds.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
            kind.CodingSchemeDesignator, kind.CodeValue, kind.CodeMeaning = scheme, value, "Geheim"
            if side:
                modifier = Dataset()
                modifier.CodeValue, modifier.CodingSchemeDesignator = side, "SRT"
                kind.SegmentedPropertyTypeModifierCodeSequence = [modifier]

        return segmentation(changed(to_dicom_seg(one, [region(one, "heart")], REF), change)).marks[0].region.label

    assert label("SRT", "T-28000", "G-A100") == "lung_right"
    assert label("SCT", "44029006") == "lung_left"
    assert label("SCT", "10200004") == "liver"
    assert label("99XYZ", "Geheim") == "segment 1"
    assert label("SCT", "Geheim") == "segment 1"


def labelmap(ds: Dataset) -> None:
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"
    ds.SegmentationType = "LABELMAP"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.NumberOfFrames = 1
    ds.PixelData = bytes(range(3)) * 27 + b"\0"
    ds.PerFrameFunctionalGroupsSequence = ds.PerFrameFunctionalGroupsSequence[:1]


def test_a_label_map(segmentation):
    one = image(9, 9)
    data = to_dicom_seg(one, [region(one, "heart"), region(one, "nodule", 1)], REF)
    found = segmentation(changed(data, labelmap))
    values = np.arange(81).reshape(9, 9) % 3
    assert [mark.region.label for mark in found.marks] == ["heart", "nodule"]
    for number, mark in enumerate(found.marks, 1):
        np.testing.assert_array_equal(mark.region.mask, values == number)


def test_fractions_are_shown_from_the_half(segmentation):
    one = image(9, 9)

    def change(ds):
        ds.SegmentationType, ds.SegmentationFractionalType, ds.MaximumFractionalValue = "FRACTIONAL", "PROBABILITY", 200
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit = 7
        ds.PixelData = bytes([0, 99, 100]) * 27 + b"\0"

    found = segmentation(changed(to_dicom_seg(one, [region(one)], REF), change))
    np.testing.assert_array_equal(found.marks[0].region.mask, np.arange(81).reshape(9, 9) % 3 == 2)
    assert "half" in found.notes[0].text


def delete(keyword: str):
    return lambda ds: delattr(ds, keyword)


def set_to(**attributes):
    def change(ds):
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)

    return change


def shows_unlisted(ds):
    ds.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 77


def shows_nothing(ds):
    del ds.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence


def twice_one(ds):
    ds.SegmentSequence[1].SegmentNumber = 1


def many_segments(ds):
    ds.SegmentSequence = [ds.SegmentSequence[0]] * 1001


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (set_to(Rows=4000), UnreadableImage, "cut off"),
        (set_to(Rows=2), UnreadableImage, "longer"),
        (set_to(Rows=0), UnreadableImage, "rows"),
        (set_to(PixelData=b"\0\1"), UnreadableImage, "cut off"),
        (set_to(PixelData=b""), UnreadableImage, "cut off"),
        (delete("PixelData"), UnreadableImage, "pixel data"),
        (set_to(Rows=65535, Columns=65535), MedImgError, ""),
        (set_to(NumberOfFrames=2_000_000_000), MedImgError, ""),
        (delete("SegmentSequence"), UnreadableImage, "list its segments"),
        (set_to(SegmentSequence=[]), UnreadableImage, "list its segments"),
        (set_to(SegmentSequence=[Dataset()]), UnreadableImage, "not numbered"),
        (twice_one, UnreadableImage, "not numbered"),
        (many_segments, TooLarge, "1,001 segments"),
        (delete("PerFrameFunctionalGroupsSequence"), UnreadableImage, "what they show"),
        (set_to(PerFrameFunctionalGroupsSequence=[Dataset()]), UnreadableImage, "1 of its 2"),
        (set_to(PerFrameFunctionalGroupsSequence=[Dataset(), Dataset()]), UnreadableImage, "does not list"),
        (shows_unlisted, UnreadableImage, "does not list"),
        (shows_nothing, UnreadableImage, "does not list"),
        (delete("SegmentationType"), UnreadableImage, "what kind"),
        (set_to(SegmentationType="SURFACE"), UnreadableImage, "what kind"),
        (set_to(PhotometricInterpretation="RGB"), UnreadableImage, ""),
        (set_to(BitsAllocated=7), UnreadableImage, "bits"),
    ],
)
def test_damaged_segmentations_are_said(change, error, words, read):
    one = image()
    result = read(changed(to_dicom_seg(one, [region(one), region(one, "heart", 1)], REF), change))
    assert isinstance(result.error, error), result.error
    assert not isinstance(result.error, OutlinesOnly)
    assert words in result.error.cause
    assert result.error.remedy.endswith(".")
    assert result.segmentation is None


@pytest.mark.parametrize("keyword", ["SharedFunctionalGroupsSequence", "Manufacturer", "ReferencedSeriesSequence"])
def test_what_may_be_absent(keyword, segmentation):
    images = slices(2)
    data = series_to_dicom_seg(of_series(images))
    assert len(segmentation(changed(data, delete(keyword))).marks) == 5


def test_a_million_segments_are_refused_at_once(read):
    one = image()
    whole = to_dicom_seg(one, [region(one)], REF)
    at = whole.index(b"\x62\x00\x02\x00SQ")
    item = b"\xfe\xff\x00\xe0\x0a\0\0\0" + b"\x62\x00\x04\x00US\x02\0\1\0"
    million = item * 1_000_000
    data = whole[:at] + b"\x62\x00\x02\x00SQ\0\0" + len(million).to_bytes(4, "little") + million + whole[at:]
    result = read(data)
    assert isinstance(result.error, TooLarge)
    assert "500,000 items" in result.error.cause


def test_a_header_that_only_says_segmentation_opens_as_images(read):
    one = image()
    data = to_dicom_seg(one, [region(one), region(one, "heart", 1)], REF)

    def bare(ds):
        for keyword in ("SegmentSequence", "SegmentationType", "PerFrameFunctionalGroupsSequence"):
            delattr(ds, keyword)

    result = read(changed(data, bare))
    assert result.error is None
    assert len(result.images) == 2
    assert any("opens as images" in note.text for note in result.notes)


def test_a_file_with_our_name_passes_nothing_but_what_we_write(segmentation):
    one = image()

    def change(ds):
        item = ds.SegmentSequence[0]
        item.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName = "Geheim^Zacharias"
        frame = ds.PerFrameFunctionalGroupsSequence[0]
        frame.FrameContentSequence[0].FrameComments = "score of Geheim"
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = "1.2.998877"
        item.SegmentLabel = item.SegmentDescription = "Zacharias"

    found = segmentation(changed(to_dicom_seg(one, [region(one)], REF), change))
    assert not [secret for secret in SECRETS if secret in repr(found)]
    assert found.model is None
    assert (found.marks[0].source, found.marks[0].region.score) == ("", 1.0)


def test_deflated_and_compressed_segmentations(segmentation):
    one = image(64, 64)
    drawn = region(one)
    deflated = changed(
        to_dicom_seg(one, [drawn], REF),
        lambda ds: setattr(ds.file_meta, "TransferSyntaxUID", uid.DeflatedExplicitVRLittleEndian),
    )
    np.testing.assert_array_equal(segmentation(deflated).marks[0].region.mask, drawn.mask)


def test_masks_above_the_limit_of_memory(monkeypatch):
    from medimg_core.io.dicom import open_dicom
    from medimg_core.io.dicom import segmentation as module

    one = image()
    data = to_dicom_seg(one, [region(one, "heart", k) for k in range(4)], REF)
    monkeypatch.setattr(module, "MAX_MASK_BYTES", 3 * one.pixels.size)
    opened = open_dicom(data)
    assert opened.segmentation is not None
    with pytest.raises(TooLarge, match="MB"):
        list(opened.segmentation.marks)


@pytest.mark.shared
@pytest.mark.parametrize("folder", ["lung_ct_dicom_series/ct_a", "dicom_series/mr_liver", "dicom_series/cr_chest"])
def test_real_series_return_bit_for_bit(folder, pool, shared):
    study, _ = read_study([shared / "data" / folder], pool=pool)
    for series in study.series:
        together = series.images[:12] if series.kind == "slices" else series.images[:1]
        found = [
            Findings(one, (Region("mask", "lesion", 0.5, mask=blob(one.shape, k)),), model=REF)
            for k, one in enumerate(together)
        ]
        back, _ = read_study([("", series_to_dicom_seg(found))], pool=pool)
        placed = attach(study, back.segmentations)
        assert not placed.notes
        for one in found:
            (mark,) = placed.on(one.image)
            np.testing.assert_array_equal(mark.region.mask, one.regions[0].mask)


@pytest.mark.shared
def test_a_real_file_of_another_program(pool, shared):
    result = read_file(shared / "data" / "dicom" / "seg_1bit_liver.dcm", pool=pool)
    assert result.segmentation is not None
    (mark,) = result.segmentation.marks
    assert mark.region.label == "liver"
    assert (mark.who, mark.source) == ("model", "")
    assert mark.position == pytest.approx((-235.2, -226.8, -128.69))
    assert "JANCT" not in repr(result)
