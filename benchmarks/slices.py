"""Made CT volumes as DICOM files, one a slice; no picture of a patient is in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def write_volume(folder: Path, shape: tuple[int, int, int]) -> list[Path]:
    """Axial slices of a cylinder with noise in air, int16 in HU, 0.7 x 0.7 x 1 mm; returns their files in order."""
    folder.mkdir(parents=True)
    count, rows, columns = shape
    y, x = np.mgrid[:rows, :columns]
    body = (x - columns / 2) ** 2 + (y - rows / 2) ** 2 < (0.4 * rows) ** 2
    noise = np.random.default_rng(0).integers(-30, 30, (rows, columns), dtype=np.int16)
    series, files = generate_uid(), []
    for number in range(count):
        levels = np.where(body, np.int16(40), np.int16(-1000)) + np.roll(noise, 7 * number)
        file = folder / f"{number:04d}.dcm"
        _slice(levels.astype(np.int16), series, number).save_as(file, enforce_file_format=True)
        files.append(file)
    return files


def _slice(levels: np.ndarray, series: str, number: int) -> Dataset:
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = CTImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.PatientName, made.PatientID, made.Modality = "Made^Volume", "TEST-1", "CT"
    made.BodyPartExamined, made.PatientAge = "CHEST", "060Y"
    made.StudyInstanceUID = made.FrameOfReferenceUID = made.SeriesInstanceUID = series
    made.InstanceNumber = number + 1
    made.Rows, made.Columns = levels.shape
    made.SamplesPerPixel, made.BitsAllocated, made.BitsStored, made.HighBit = 1, 16, 16, 15
    made.PixelRepresentation, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.RescaleSlope, made.RescaleIntercept, made.RescaleType = 1, 0, "HU"
    made.WindowCenter, made.WindowWidth = -600, 1500
    made.PixelSpacing, made.SliceThickness = [0.7, 0.7], 1
    made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, number]
    made.PixelData = levels.tobytes()
    return made
