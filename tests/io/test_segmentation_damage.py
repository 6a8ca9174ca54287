"""Damaged and hostile segmentations are said in a sentence, and pass nothing that is not ours."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset, uid

from drawn_regions import REF, image, of_series, region, slices
from io_files import SECRETS, changed
from medimg_core.errors import MedImgError, OutlinesOnly, TooLarge, UnreadableImage
from medimg_core.render.segmentation import series_to_dicom_seg, to_dicom_seg


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
