"""Writing a demo film as a DICOM file that says of itself that it shows nobody."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from medimg_core.training.appearance.finish import to_stored
from medimg_core.types import FloatArray

BITS = 10


@dataclass(frozen=True, slots=True)
class Header:
    """What the file says of the invented person and of the film.

    Attributes:
        birth_date, study_date: `YYYYMMDD`.
        view: `PA`, `AP`, ...
        spacing_mm: Imager Pixel Spacing; None leaves it out.
        digital: DX Image Storage, else CR Image Storage.
        inverted: MONOCHROME1.
        syntax: transfer syntax of the pixels, a lossless one.
        directions: where rows run to, and columns (Patient Orientation).
    """

    name: str
    patient_id: str
    birth_date: str
    study_date: str
    sex: str
    view: str
    syntax: UID
    body_part: str = "CHEST"
    spacing_mm: float | None = None
    digital: bool = True
    inverted: bool = False
    directions: tuple[str, str] = ("L", "F")

    @property
    def age(self) -> int:
        """Whole years at the study."""
        return (int(self.study_date) - int(self.birth_date)) // 10_000


def dicom_bytes(pixels: FloatArray, header: Header, stem: str) -> bytes:
    """A whole DICOM file (PS3.10).

    Args:
        pixels: float32 `[H, W]`, display values in [0, 1], bright bone.
        stem: the file's name without ending; its UIDs are made from it, so that a repeated run gives the same bytes.
    """
    data = _person(header)
    data.update(_film(header, stem))
    data.update(_pixels(pixels, header))
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.compress(header.syntax, generate_instance_uid=False)
    out = BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _person(header: Header) -> Dataset:
    data = Dataset()
    data.PatientName = header.name
    data.PatientID = header.patient_id
    data.PatientBirthDate = header.birth_date
    data.PatientSex = header.sex
    data.PatientAge = f"{header.age:03d}Y"
    return data


def _film(header: Header, stem: str) -> Dataset:
    data = Dataset()
    data.SOPClassUID = DigitalXRayImageStorageForPresentation if header.digital else ComputedRadiographyImageStorage
    data.SOPInstanceUID, data.SeriesInstanceUID, data.StudyInstanceUID = (
        generate_uid(entropy_srcs=["demo case", stem, part]) for part in ("image", "series", "study")
    )
    data.SyntheticData = "YES"  # PS3.3 C.12.1: content that was made, not acquired
    data.ImageType = ["DERIVED", "PRIMARY"]
    data.ImageComments = "Synthetic film, shows no patient"
    data.Modality = "DX" if header.digital else "CR"
    data.Manufacturer = ""
    data.StudyDate = data.SeriesDate = data.ContentDate = data.AcquisitionDate = header.study_date
    data.StudyTime = data.ContentTime = "090000"
    data.AccessionNumber = data.ReferringPhysicianName = data.StudyID = ""
    data.SeriesNumber = data.InstanceNumber = 1
    data.BodyPartExamined = header.body_part
    data.ViewPosition = header.view
    data.PatientOrientation = list(header.directions)
    if header.digital:
        data.PresentationIntentType = "FOR PRESENTATION"
        data.ImageLaterality = "U"
    return data


def _pixels(pixels: FloatArray, header: Header) -> Dataset:
    stored = to_stored(pixels, BITS, header.inverted)
    top = 2**BITS - 1
    data = Dataset()
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME1" if header.inverted else "MONOCHROME2"
    data.PresentationLUTShape = "INVERSE" if header.inverted else "IDENTITY"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, BITS, BITS - 1, 0
    data.BurnedInAnnotation = "NO"
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = 0, 1, "US"
    data.WindowCenter = [round(0.5 * top), round((0.58 if header.inverted else 0.42) * top)]
    data.WindowWidth = [round(0.9 * top), round(0.6 * top)]
    data.WindowCenterWidthExplanation = ["STANDARD", "LUNG"]
    if header.spacing_mm is not None:
        data.ImagerPixelSpacing = [header.spacing_mm, header.spacing_mm]
    data.PixelData = stored.astype("<u2").tobytes()
    return data


def cut_off(whole: bytes, kept: float = 0.4) -> bytes:
    """The beginning of a file, as an interrupted transfer leaves it."""
    return whole[: int(np.floor(kept * len(whole)))]
