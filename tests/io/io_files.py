"""Small files built on the spot: DICOM in many forms, pictures, zips. All patients in them are invented."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image as Pillow
from pydicom import dcmread, uid
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

PATIENT = {
    "PatientName": "Geheim^Zacharias",
    "PatientID": "PID-4711-X",
    "PatientBirthDate": "19670302",
    "StudyDate": "20251114",
    "StudyTime": "091200",
    "InstitutionName": "Klinikum Nirgendwo",
    "ReferringPhysicianName": "Arzt^Adele",
    "AccessionNumber": "ACC-998877",
    "StudyDescription": "Geheim Zacharias thorax",
    "SeriesDescription": "Geheim pa",
    "PatientComments": "lives in Nirgendwo",
}
SECRETS = ("Geheim", "Zacharias", "PID-4711", "19670302", "1967-03", "Nirgendwo", "Adele", "998877")


def ramp(rows: int = 32, columns: int = 48, bits: int = 12) -> np.ndarray:
    """Every value different from its neighbours, the extremes included, uint16 `[rows, columns]`."""
    values = np.linspace(0, 2**bits - 1, rows * columns).astype(np.uint16)
    return values.reshape(rows, columns)


def dataset(pixels: np.ndarray, syntax: str = uid.ExplicitVRLittleEndian, **attributes: Any) -> Dataset:
    """A data set with these pixels `[H, W]`, `[F, H, W]` or `[H, W, 3]`; keyword arguments set or (None) delete."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = uid.ComputedRadiographyImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    ds.Modality = "CR"
    for keyword, value in PATIENT.items():
        setattr(ds, keyword, value)
    colour = pixels.shape[-1] == 3 and pixels.ndim == 3
    frames = pixels.shape[0] if pixels.ndim == 3 and not colour else 0
    ds.Rows, ds.Columns = pixels.shape[1:3] if frames else pixels.shape[:2]
    if frames:
        ds.NumberOfFrames = frames
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.dtype.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    with disable_value_validation():  # the reader must cope with what the writer warns of
        for keyword, value in attributes.items():
            if keyword in ds:
                del ds[keyword]
            if value is not None:
                setattr(ds, keyword, value)
    return ds


def written(ds: Dataset) -> bytes:
    """The bytes of the file."""
    stream = io.BytesIO()
    with disable_value_validation():
        ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def changed(data: bytes, change: Callable[[Dataset], object]) -> bytes:
    """The file with its data set changed in place, written again without any check."""
    ds = dcmread(io.BytesIO(data))
    change(ds)
    return written(ds)


def dicom(pixels: np.ndarray | None = None, syntax: str = uid.ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    """The bytes of a DICOM file; see `dataset`."""
    return written(dataset(ramp() if pixels is None else pixels, syntax, **attributes))


def compressed(pixels: np.ndarray, syntax: str, **attributes: Any) -> bytes:
    """The same, losslessly compressed by pydicom's encoders, or by libjpeg-turbo for JPEG lossless."""
    ds = dataset(pixels, **attributes)
    if syntax in (uid.JPEGLossless, uid.JPEGLosslessSV1):
        frame = imagecodecs.jpeg8_encode(pixels, lossless=True, bitspersample=ds.BitsStored, predictor=1)
        ds.PixelData = encapsulate([frame])
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = syntax
    elif syntax == uid.DeflatedExplicitVRLittleEndian:
        ds.file_meta.TransferSyntaxUID = syntax
    else:
        ds.compress(syntax, generate_instance_uid=False)
    return written(ds)


def picture(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    """The bytes of an ordinary picture."""
    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, form, **options)
    return stream.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The bytes of a zip with these members, in this order."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def slice_of(position_mm: float, *, series: str = "1.2.3.9", instance: int = 1, value: int = 0) -> bytes:
    """An axial CT slice of 8 x 8 pixels at a height."""
    return dicom(
        np.full((8, 8), 1024 + value, np.uint16),
        Modality="CT",
        BodyPartExamined="CHEST",
        SeriesInstanceUID=series,
        InstanceNumber=instance,
        ImagePositionPatient=[-100.0, -100.0, position_mm],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[0.7, 0.7],
        RescaleSlope=1,
        RescaleIntercept=-1024,
        RescaleType="HU",
    )
