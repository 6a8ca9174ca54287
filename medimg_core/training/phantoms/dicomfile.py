"""Writing drawn pictures of any modality as DICOM files that say of themselves that they show nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, generate_uid

from medimg_core.types import FloatArray


@dataclass(frozen=True, slots=True)
class Subject:
    """The invented person; dates as `YYYYMMDD`."""

    name: str
    patient_id: str
    birth_date: str
    sex: str
    study_date: str = "20260112"

    @property
    def age(self) -> int:
        """Whole years at the study."""
        return (int(self.study_date) - int(self.birth_date)) // 10_000


def scale_of_ultrasound(rows: int, columns: int, mm: float) -> dict[str, Any]:
    """The calibration of an ultrasound picture that is one region of tissue with square pixels (PS3.3 C.8.5.5)."""
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0  # 2D, tissue
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = columns - 1, rows - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3  # cm
    region.PhysicalDeltaX = region.PhysicalDeltaY = mm / 10
    return {"SequenceOfUltrasoundRegions": [region]}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One drawn picture and what its header says.

    Attributes:
        stem: the file's name without ending.
        pixels: float32 `[H, W]`: Hounsfield units where `modality` is CT, else display values in [0, 1], also
            `[frames, H, W]`; or RGB, uint8 `[H, W, 3]`.
        sop_class: what kind of object the file holds.
        number: Instance Number within the series.
        attributes: more entries of the header, keyword -> value.
    """

    stem: str
    pixels: FloatArray | NDArray[np.uint8]
    modality: str
    sop_class: UID
    body_part: str
    number: int = 1
    attributes: Mapping[str, Any] = field(default_factory=dict)


def picture_bytes(picture: Picture, subject: Subject, study: str) -> bytes:
    """A whole DICOM file (PS3.10), losslessly compressed.

    Args:
        study: name of the demo case; study and series UIDs are made from it, so that the pictures of a case belong
            together and a repeated run gives the same bytes.
    """
    data = _common(picture, subject, study)
    colour = picture.pixels.dtype == np.uint8
    data.update(_colour(picture.pixels) if colour else _grey(picture))
    for keyword, value in picture.attributes.items():
        setattr(data, keyword, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.compress(JPEG2000Lossless if colour else JPEGLSLossless, generate_instance_uid=False)
    out = BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _common(picture: Picture, subject: Subject, study: str) -> Dataset:
    data = Dataset()
    data.PatientName, data.PatientID = subject.name, subject.patient_id
    data.PatientBirthDate, data.PatientSex, data.PatientAge = subject.birth_date, subject.sex, f"{subject.age:03d}Y"
    data.SOPClassUID = picture.sop_class
    data.SOPInstanceUID = generate_uid(entropy_srcs=["demo case", study, picture.stem, "image"])
    data.SeriesInstanceUID, data.StudyInstanceUID, data.FrameOfReferenceUID = (
        generate_uid(entropy_srcs=["demo case", study, part]) for part in ("series", "study", "frame of reference")
    )
    data.SyntheticData = "YES"  # PS3.3 C.12.1: content that was made, not acquired
    data.ImageType = ["DERIVED", "PRIMARY"]
    data.ImageComments = "Drawn picture, shows no patient"
    data.Modality, data.BodyPartExamined, data.Manufacturer = picture.modality, picture.body_part, ""
    data.StudyDate = data.SeriesDate = data.ContentDate = data.AcquisitionDate = subject.study_date
    data.StudyTime = data.ContentTime = "090000"
    data.AccessionNumber = data.ReferringPhysicianName = data.StudyID = ""
    data.SeriesNumber, data.InstanceNumber = 1, picture.number
    data.BurnedInAnnotation = "NO"
    return data


def _grey(picture: Picture) -> Dataset:
    """CT: 16 bits, Hounsfield units by Rescale Intercept -1024; else 8 bits (films: 10) over the whole range."""
    data = Dataset()
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.Rows, data.Columns = picture.pixels.shape[-2:]
    if picture.pixels.ndim == 3:
        data.NumberOfFrames = len(picture.pixels)
    if picture.modality == "CT":
        bits, levels = 12, np.clip(np.rint(picture.pixels + 1024), 0, 4095)
        data.RescaleIntercept, data.RescaleSlope, data.RescaleType = -1024, 1, "HU"
    else:
        bits = 8 if picture.modality == "US" else 10
        top = 2**bits - 1
        levels = np.rint(np.clip(picture.pixels, 0, 1) * top)
        if bits > 8:
            data.WindowCenter, data.WindowWidth = (top + 1) / 2, top + 1
    data.BitsAllocated, data.BitsStored, data.HighBit = 8 if bits == 8 else 16, bits, bits - 1
    data.PixelData = levels.astype("<u1" if bits == 8 else "<u2").tobytes()
    return data


def _colour(pixels: FloatArray | NDArray[np.uint8]) -> Dataset:
    data = Dataset()
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.Rows, data.Columns = pixels.shape[:2]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = np.asarray(pixels, np.uint8).tobytes()
    return data
