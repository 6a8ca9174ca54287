"""DICOM segmentations come back as regions on their images, and damaged ones as a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset

from drawn_regions import REF, blob, colour_image, image, of_series, region, slices
from io_files import changed, slice_of, zipped
from medimg_core.io import attach, read_file, read_study
from medimg_core.io.segment_terms import TERMS, source_uid
from medimg_core.render.findings import Findings
from medimg_core.render.segmentation import series_to_dicom_seg, to_dicom_seg
from medimg_core.types import Region, Series, Study

CLOSED = "not open"


def study_of(*images) -> Study:
    return Study(tuple(Series((one,)) for one in images))


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
