"""What leaves as DICOM segmentation: bit for bit, complete, and without anybody in it."""

from __future__ import annotations

import datetime
import io
import re
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map
from pydicom.datadict import keyword_for_tag

from drawn_regions import REF, blob, colour_image, image, of_series, region, slices
from medimg_core.errors import BadRequest, TooLarge
from medimg_core.io import deidentify
from medimg_core.io import segment_terms as terms
from medimg_core.render.findings import Findings
from medimg_core.render.segmentation import series_to_dicom_seg, to_dicom_seg
from medimg_core.types import ModelRef, Region, Spacing


def parsed(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def segments(data: bytes):
    return highdicom.seg.segread(io.BytesIO(data))


def label_of(item: pydicom.Dataset) -> str:
    return str(item.SegmentLabel)


def plain(seg, number: int, digest: str) -> np.ndarray:
    """The mask of one segment on one image, as highdicom reads it."""
    uid = terms.source_uid(digest)
    found = seg.get_pixels_by_source_instance(
        [uid],
        segment_numbers=[number],
        ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )
    return found[0, ..., 0].astype(bool)


@pytest.mark.parametrize(
    "one", [image(), image(spacing=None), colour_image(), image(spacing=Spacing(0.1, 0.1, "ImagerPixelSpacing"))]
)
def test_masks_of_one_image_are_read_back_bit_for_bit(one):
    regions = [region(one, "lung_right", 1), region(one, "lung_left", 2), region(one, "nodule", 3)]
    seg = segments(to_dicom_seg(one, regions, REF))
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["lung_right", "lung_left", "nodule"]
    for number, drawn in enumerate(regions, 1):
        np.testing.assert_array_equal(plain(seg, number, one.digest), drawn.mask)
    assert seg.SegmentsOverlap == "YES"


@pytest.mark.parametrize("overlapping", [True, False])
def test_a_series_of_five(overlapping):
    images = slices()
    found = of_series(images, ("lung_right", "nodule") if overlapping else ("lung_right",))
    seg = segments(series_to_dicom_seg(found))
    numbers = {label_of(item): item.SegmentNumber for item in seg.SegmentSequence}
    for one in found:
        for _, drawn in one.all_regions:
            np.testing.assert_array_equal(plain(seg, numbers[drawn.label], one.image.digest), drawn.mask)
    assert seg.NumberOfFrames == (11 if overlapping else 6)
    volume = seg.get_volume(segment_numbers=[numbers["lung_right"]])
    assert volume.spacing == pytest.approx((2.5, 0.2, 0.5))
    assert volume.shape[:3] == (5, 21, 35)
    assert min(abs(volume.position[2]), abs(volume.position[2] - 10.0)) < 1e-6
    assert volume.position[:2] == pytest.approx((-100.25, -80.5))


def test_slices_without_a_region_are_left_out():
    images = slices()
    found = [Findings(one, (region(one),) if index in (1, 3) else (), model=REF) for index, one in enumerate(images)]
    seg = segments(series_to_dicom_seg(found))
    referred = {item.ReferencedSOPInstanceUID for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referred == {terms.source_uid(images[index].digest) for index in (1, 3)}


def test_outlines_and_boxes_cover_the_pixels_inside():
    one = image()
    drawn = [
        Region("outline", "heart", 0.5, polygon=((10, 5), (20, 5), (20, 15), (10, 15))),
        Region("box", "fracture", 0.4, box=(30.2, 3.7, 40.4, 9.1)),
    ]
    seg = segments(to_dicom_seg(one, drawn, REF))
    heart, fracture = np.zeros(one.shape, bool), np.zeros(one.shape, bool)
    heart[5:15, 10:20] = True
    fracture[4:9, 30:40] = True
    np.testing.assert_array_equal(plain(seg, 1, one.digest), heart)
    np.testing.assert_array_equal(plain(seg, 2, one.digest), fracture)
    assert [item.SegmentDescription for item in seg.SegmentSequence] == ["outline", "box"]


def test_who_drew_it():
    one = image()
    data = parsed(to_dicom_seg(one, [region(one, "heart", 1)], REF, corrected=[region(one, "lung_left", 2)]))
    model, reader = data.SegmentSequence
    assert (model.SegmentAlgorithmType, model.SegmentAlgorithmName) == ("AUTOMATIC", "lung_fields")
    assert model.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.2.0 0badcafe"
    assert reader.SegmentAlgorithmType == "MANUAL"
    assert "SegmentAlgorithmName" not in reader
    only = parsed(to_dicom_seg(one, [], None, corrected=[region(one)]))
    assert only.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"


# What the file may say in words, each with what it may say. All other texts, names, dates and UIDs are refused.
_UIDS = r"2\.25\.\d+"
_MAY_SAY = {
    "SOPInstanceUID": _UIDS,
    "MediaStorageSOPInstanceUID": _UIDS,
    "MediaStorageSOPClassUID": r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.66\.4",
    "StudyInstanceUID": _UIDS,
    "SeriesInstanceUID": _UIDS,
    "FrameOfReferenceUID": _UIDS,
    "DimensionOrganizationUID": _UIDS,
    "ReferencedSOPInstanceUID": _UIDS,
    "ContentDate": "19700101",
    "ContentTime": "000000",
    "PatientName": "Anonymous",
    "DeidentificationMethod": "Written from pixels without a header",
    "DeviceSerialNumber": "0",
    "ContentDescription": re.escape("Decision support, not a medical device."),
    "SegmentLabel": r"[a-z_]+( \d+)?",
    "SegmentDescription": "outline|box",
    "SegmentAlgorithmName": "lung_fields",
    "AlgorithmName": "lung_fields",
    "AlgorithmVersion": r"1\.2\.0 0badcafe",
    "FrameComments": r"score \d\.\d{4}",
    "ContributionDescription": "Software library used to create this instance",
    "CodingSchemeName": "Findings of medimg",
    "ImplementationClassUID": r"1\.2\.826\.0\.1\.3680043\.9\.7433\.1\.1",
    "ImplementationVersionName": "highdicom.*",
}


def texts(dataset: pydicom.Dataset):
    """Every element, at any depth, that the project counts as one that may identify."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from texts(item)
        elif element.tag.is_private:
            yield str(element.tag), element.value
        elif element.VR in deidentify._TEXT_VRS and keyword_for_tag(element.tag) not in deidentify._TECHNICAL:
            yield keyword_for_tag(element.tag), element.value


def test_nothing_in_the_file_identifies():
    images = slices(sex="F", age_years=45.0, body_part="CHEST")
    data = series_to_dicom_seg(of_series(images, ("lung_right", "microaneurysm", "Geheim^Zacharias")))
    dataset = parsed(data)
    said = [*texts(dataset), *texts(dataset.file_meta)]
    for keyword, value in said:
        if value in (None, ""):
            continue
        assert keyword in _MAY_SAY, (keyword, value)
        assert re.fullmatch(_MAY_SAY[keyword], str(value)), (keyword, value)
    assert dataset.PatientName == "Anonymous"
    assert dataset.PatientIdentityRemoved == "YES"
    assert not any(dataset[keyword].value for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "StudyDate"))
    assert b"Geheim" not in data
    assert datetime.datetime.now(datetime.UTC).strftime("%Y%m%d").encode() not in data


_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def required(dataset: pydicom.Dataset, iod: str = "segmentation"):
    """Attributes of type 1 that are absent or empty, and of type 2 that are absent, by the tables of the standard."""
    attributes = get_module_attribute_map()
    for module in get_iod_module_map()[iod]:
        if module["usage"] != "M":
            continue
        for entry in attributes[module["key"]]:
            if entry["path"] and entry["path"][-1] in _GROUPS:
                continue  # macros may stand in either sequence, and most are conditional
            holders = [dataset]
            for step in entry["path"]:
                holders = [item for holder in holders for item in holder.get(step, ())]
            for holder in holders:
                keyword = entry["keyword"]
                present = keyword in holder
                if (entry["type"] in "12" and not present) or (entry["type"] == "1" and holder[keyword].is_empty):
                    yield keyword


@pytest.mark.parametrize("several", [True, False])
def test_what_the_standard_requires_is_there(several):
    found = (
        of_series(slices())
        if several
        else [Findings(colour_image(), (region(colour_image(), "optic_disc"),), model=REF)]
    )
    dataset = parsed(series_to_dicom_seg(found))
    missing = set(required(dataset))
    assert not missing
    assert not {"ContentDate", "ContentTime", "SegmentSequence", "DimensionIndexSequence"} - set(dataset.dir())
    for index, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        groups = {*frame.dir(), *dataset.SharedFunctionalGroupsSequence[0].dir()}
        assert groups >= {"FrameContentSequence", "SegmentIdentificationSequence", "DerivationImageSequence"}, index
        assert several == (
            groups >= {"PixelMeasuresSequence", "PlanePositionSequence", "PlaneOrientationSequence"}
            and "FrameOfReferenceUID" in dataset
        )
    assert len(dataset.PerFrameFunctionalGroupsSequence) == dataset.NumberOfFrames
    assert dataset.SegmentationType == "BINARY"
    assert dataset.Modality == "SEG"
    assert (dataset.BitsAllocated, dataset.SamplesPerPixel, dataset.PhotometricInterpretation) == (1, 1, "MONOCHROME2")
    assert dataset.LossyImageCompression == "00"
    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    del dataset.ContentDate
    assert set(required(dataset)) == {"ContentDate"}  # the check has teeth


def test_the_same_findings_make_the_same_bytes_and_others_another_file():
    one = image()
    first, again = (to_dicom_seg(one, [region(one)], REF) for _ in range(2))
    assert first == again
    other = parsed(to_dicom_seg(one, [region(one, seed=1)], REF))
    assert other.SOPInstanceUID != parsed(first).SOPInstanceUID
    assert other.StudyInstanceUID == parsed(first).StudyInstanceUID


def test_many_small_regions_share_a_segment():
    one = image()
    specks = [Region("box", "lesion", 0.01 * k, box=(k, k, k + 1, k + 1)) for k in range(20)]
    seg = segments(to_dicom_seg(one, specks, REF))
    assert seg.number_of_segments == 1
    np.testing.assert_array_equal(plain(seg, 1, one.digest), np.eye(33, 47, dtype=bool) & (np.arange(33) < 20)[:, None])
    few = segments(to_dicom_seg(one, specks[:3], REF))
    assert [label_of(item) for item in few.SegmentSequence] == ["lesion", "lesion 2", "lesion 3"]


def test_pixels_that_are_not_square_keep_their_sides():
    """Rows before columns (PS3.3 10.7.1.3), as in the slices that the regions were drawn on."""
    (measures,) = (
        group.PixelMeasuresSequence[0]
        for group in parsed(series_to_dicom_seg(of_series(slices(3)))).SharedFunctionalGroupsSequence
    )
    assert [float(side) for side in measures.PixelSpacing] == [0.2, 0.5]
    assert float(measures.SliceThickness) == 2.5
    one = replace(slices(1)[0], thickness_mm=5.0)
    (group,) = parsed(to_dicom_seg(one, [region(one)], REF)).SharedFunctionalGroupsSequence
    assert float(group.PixelMeasuresSequence[0].SliceThickness) == 5
    assert "SpacingBetweenSlices" not in group.PixelMeasuresSequence[0]
    alone = parsed(to_dicom_seg(image(spacing=None), [region(image(spacing=None))], REF))
    assert "PixelMeasuresSequence" not in alone.SharedFunctionalGroupsSequence[0]


def test_empty_outlines_are_left_out_beside_others_and_refused_alone():
    one = image()
    empty = [
        Region("mask", "heart", 0.9, mask=np.zeros(one.shape, np.bool_)),
        Region("box", "lesion", 0.9, box=(60.0, 2.0, 90.0, 9.0)),  # beyond the last column
        Region("box", "lesion", 0.9, box=(5.0, 5.0, 5.0, 5.0)),
        Region("outline", "nodule", 0.9, polygon=((1.0, 1.0), (1.2, 1.0), (1.2, 1.2))),  # holds no pixel's centre
    ]
    with pytest.raises(BadRequest, match="Nothing is outlined, so there is nothing to export"):
        to_dicom_seg(one, empty, REF)
    (segment,) = parsed(to_dicom_seg(one, [*empty, region(one)], REF)).SegmentSequence
    assert label_of(segment) == "lung_right"


def test_what_cannot_leave_is_said():
    one = image()
    with pytest.raises(BadRequest, match="Nothing is outlined"):
        to_dicom_seg(one, [Region("point", "lesion", 1.0, polygon=((3.0, 4.0),))], REF)
    with pytest.raises(BadRequest, match="names one model"):
        to_dicom_seg(one, [region(one)], None)
    with pytest.raises(BadRequest, match="where in the patient"):
        series_to_dicom_seg(of_series([image(seed=0), image(seed=1)]))
    with pytest.raises(BadRequest, match="same place"):
        series_to_dicom_seg(of_series([*slices(2), slices(3, step_mm=0.0)[2]]))
    turned = image(21, 35, 7, modality="CT", position=(0.0, 0.0, 50.0), orientation=(0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    with pytest.raises(BadRequest, match="no slices of one series"):
        series_to_dicom_seg(of_series([*slices(2), turned]))
    found = of_series(slices(2))
    other = Findings(found[1].image, found[1].regions, model=ModelRef("another", "1.0.0", "00000000"))
    with pytest.raises(BadRequest, match="names one model"):
        series_to_dicom_seg([found[0], other])
    with pytest.raises(ValueError, match="a mask of"):
        to_dicom_seg(one, [Region("mask", "heart", 1.0, mask=blob((5, 5), 0))], REF)


def test_more_than_one_file_should_hold_is_refused(monkeypatch):
    monkeypatch.setattr("medimg_core.render.segmentation.MAX_MASK_BYTES", 3000)
    sparse = [
        Findings(one, tuple(region(one, label, seed) for seed, label in enumerate(labels)), model=REF)
        for one, labels in zip(slices(3), (("heart", "nodule"), ("lesion",), ("tumour",)), strict=True)
    ]
    with pytest.raises(TooLarge, match="overlap"):
        series_to_dicom_seg(sparse)
    one = image()
    with pytest.raises(TooLarge, match="more than one"):
        to_dicom_seg(one, [region(one, "heart", seed) for seed in range(3)], REF)


def test_a_synthetic_film_says_so():
    one = image(synthetic=True)
    assert parsed(to_dicom_seg(one, [region(one)], REF)).SyntheticData == "YES"
