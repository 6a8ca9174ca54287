"""What the benchmarks run on: the shipped model, a shipped synthetic film, and drawings, so that no data set is needed.

A drawing serves where only the size counts; where the input check must let the film pass, the synthetic film does.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from io import BytesIO

import cv2
import numpy as np
from PIL import Image as Picture
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from medimg_core.catalog import ModelCard, list_models, models_folder
from medimg_core.io import read_file
from medimg_core.types import Image


def shipped_model() -> ModelCard:
    """The first classifier that is no baseline."""
    return next(card for card in list_models() if card.task != "gate" and not card.baseline)


@lru_cache(maxsize=8)
def drawn(side: int = 1024, seed: int = 0) -> np.ndarray:
    """A smooth chest-like drawing with grain, uint16 `[side, side]`, 12 bits."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    lungs = sum(np.exp(-(((columns - c) / 0.15) ** 2 + ((rows - 0.5) / 0.3) ** 2)) for c in (0.3, 0.7))
    grain = np.random.default_rng(seed).normal(0, 40, (side, side))
    return np.clip(3200 - 2200 * lungs + grain, 0, 4095).astype(np.uint16)


DEMO = models_folder() / "demo_cases" / "4_child_pneumonia.dcm"


@lru_cache(maxsize=1)
def _demo() -> Image:
    return read_file(DEMO).images[0]


def film(side: int = 1024, seed: int = 0) -> Image:
    """The synthetic film enlarged to `[side, side]`, with grain and a digest of its own for every seed."""
    demo = _demo()
    pixels = cv2.resize(demo.pixels, (side, side), interpolation=cv2.INTER_LINEAR)
    pixels = pixels + np.random.default_rng(seed).normal(0, 2, pixels.shape).astype(np.float32)
    return replace(demo, pixels=pixels, digest=f"film-{side}-{seed}")


def dicom(transfer_syntax: str, side: int = 1024) -> bytes:
    """The drawing as DICOM bytes in the given transfer syntax."""
    pixels = drawn(side)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Modality, data.BodyPartExamined, data.ViewPosition, data.PatientAge = "CR", "CHEST", "PA", "045Y"
    data.SeriesInstanceUID = data.StudyInstanceUID = generate_uid()
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = pixels.tobytes()
    if transfer_syntax != ExplicitVRLittleEndian:
        data.compress(transfer_syntax, generate_instance_uid=False)
    buffer = BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def png(side: int = 1024) -> bytes:
    """The drawing as an 8-bit PNG."""
    buffer = BytesIO()
    Picture.fromarray((drawn(side) >> 4).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
