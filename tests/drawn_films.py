"""Drawn films as files: DICOM with a made-up patient, and PNG. No picture of a patient is in them."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from model_folder import film_pixels


def dicom_film(
    seed: int = 1,
    strength: float = 0.4,
    *,
    age: str = "004Y",
    view: str = "AP",
    name: str = "Doe^Jane",
    patient_id: str = "TEST-1",
    inverted: bool = False,
    synthetic: bool = False,
    size: tuple[int, int] = (360, 440),
) -> bytes:
    """A drawn 12 bit DX film. Without `age` there is no birth date either, so that the header tells no age."""
    levels = np.round(film_pixels(seed, strength, size)[0] / 255 * 4095).astype(np.uint16)
    return as_dicom(
        levels, age=age, view=view, name=name, patient_id=patient_id, inverted=inverted, synthetic=synthetic
    )


def as_dicom(
    levels: NDArray[np.uint16],
    *,
    age: str = "004Y",
    view: str = "AP",
    name: str = "Doe^Jane",
    patient_id: str = "TEST-1",
    inverted: bool = False,
    synthetic: bool = False,
) -> bytes:
    """Grey levels of 12 bits, uint16 `[H, W]`, as an uncompressed DX film."""
    if inverted:
        levels = 4095 - levels
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID = DigitalXRayImageStorageForPresentation
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID = generate_uid()
    film.PatientName, film.PatientID = name, patient_id
    film.StudyDate, film.StudyTime = "20251114", "091200"
    if age:
        film.PatientAge, film.PatientBirthDate = age, "20210302"
    if view:
        film.ViewPosition = view
    film.Modality, film.BodyPartExamined, film.PresentationIntentType = "DX", "CHEST", "FOR PRESENTATION"
    film.StudyInstanceUID, film.SeriesInstanceUID = generate_uid(), generate_uid()
    film.Rows, film.Columns = levels.shape
    film.SamplesPerPixel, film.BitsAllocated, film.BitsStored, film.HighBit = 1, 16, 12, 11
    film.PixelRepresentation = 0
    film.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    film.WindowCenter, film.WindowWidth = 2048, 4096
    film.ImagerPixelSpacing = [0.143, 0.143]
    if synthetic:
        film.SyntheticData = "YES"
    film.PixelData = levels.tobytes()
    out = io.BytesIO()
    film.save_as(out, enforce_file_format=True)
    return out.getvalue()


def png_film(seed: int = 1, strength: float = 0.4, size: tuple[int, int] = (360, 440)) -> bytes:
    """An 8 bit PNG film."""
    return png(film_pixels(seed, strength, size)[0].astype(np.uint8))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode grey or BGR pixels."""
    return bytes(cv2.imencode(".png", pixels)[1].tobytes())


def cut_off_film() -> bytes:
    """A film whose pixel data end in the middle."""
    whole = dicom_film()
    return whole[: len(whole) // 2]


def write_demos(folder: Path) -> None:
    """Two demo cases with titles."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "1_opacity.dcm").write_bytes(dicom_film(3, 0.4, synthetic=True))
    (folder / "2_clear.dcm").write_bytes(dicom_film(4, 0.0, synthetic=True))
    (folder / "cases.toml").write_text('[1_opacity]\ntitle = "Opacity, right"\n', encoding="utf-8")
