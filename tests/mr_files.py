"""MR series as DICOM files with a disc at a known place in the patient, for tests of series that are joined."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
DISC_MM = (12.0, -8.0)
"""Middle of the disc: x to the left, y to the back."""

RADIUS_MM = 15.0
BEFORE = {"SeriesInstanceUID": "1.2.1", "SeriesDescription": "Geheim t1_se_tra"}
FLAIR = {"SeriesInstanceUID": "1.2.2", "SeriesDescription": "Geheim t2_tirm_tra_dark-fluid"}
AFTER = {"SeriesInstanceUID": "1.2.3", "SeriesDescription": "Geheim t1_se_tra_KM", "ContrastBolusAgent": "Gadovist"}


def disc(
    corner: tuple[float, float], mm: float, shape: tuple[int, int], inside: int, outside: int
) -> NDArray[np.uint16]:
    """A slice with the disc: pixels whose middle lies in it are `inside`, a rim of 2 mm at the edges is 0."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    x, y = corner[0] + columns * mm, corner[1] + rows * mm
    values = np.where(np.hypot(x - DISC_MM[0], y - DISC_MM[1]) < RADIUS_MM, inside, outside).astype(np.uint16)
    values[0], values[:, 0], values[-1], values[:, -1] = 0, 0, 0, 0
    return values


def mr_slice(
    z: float,
    *,
    inside: int,
    outside: int = 100,
    corner: tuple[float, float] = (-48.0, -48.0),
    mm: float = 1.5,
    shape: tuple[int, int] = (64, 64),
    pixels: NDArray[np.uint16] | None = None,
    **header: Any,
) -> bytes:
    """One axial slice at a height as the bytes of a file; `header` are further entries, None takes one away."""
    drawn = disc(corner, mm, shape, inside, outside) if pixels is None else pixels
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = uid.MRImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    data.Modality, data.BodyPartExamined, data.SyntheticData = "MR", "BRAIN", "YES"
    data.PatientName, data.PatientID, data.FrameOfReferenceUID = "Example^Vera", "DEMO", "1.2.9"
    data.Rows, data.Columns = drawn.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelData = np.ascontiguousarray(drawn, "<u2").tobytes()
    data.ImagePositionPatient, data.ImageOrientationPatient = [*corner, z], list(AXIAL)
    data.PixelSpacing = [mm, mm]
    for keyword, value in header.items():
        if value is None:
            del data[keyword]
        else:
            setattr(data, keyword, value)
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def three_series(heights: tuple[float, ...] = (0.0, 5.0, 10.0, 15.0)) -> list[bytes]:
    """T1 before contrast, FLAIR and T1 after contrast on one grid, of different brightness."""
    return [
        mr_slice(z, inside=inside, outside=outside, **header)
        for header, inside, outside in ((BEFORE, 300, 200), (FLAIR, 1800, 400), (AFTER, 90, 30))
        for z in heights
    ]
