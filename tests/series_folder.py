"""A model folder whose pooling network has weights that can be read: attention to slices with a high logit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from medimg_core.catalog import Calibration, ModelCard, read_card, write_hashes
from medimg_core.training.series.export import write_card
from medimg_core.types import FloatArray, Image
from model_folder import TINY_MODEL, copy_model, synthetic_film

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
UPSIDE_DOWN = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
"""The same plane with a normal that points to the feet."""


def drawn_weights(features: int, kind: str, seed: int = 0) -> dict[str, FloatArray]:
    """Two members on two projected values: the logit and the mean of the features."""
    draw = np.random.default_rng(seed)
    kernel = np.zeros((features + 1, 2))
    kernel[-1, 0], kernel[:-1, 1] = 0.5, 1 / features
    wide = 8 if kind == "recurrent" else 2
    found = {
        "averages": np.float32(kind == "attention"),
        "project_kernel": kernel,
        "project_bias": np.zeros(2),
        "tanh_kernel": np.tile(np.eye(wide)[:, -2:-1], (2, 1, 1)),
        "tanh_bias": np.zeros((2, 1)),
        "gate_kernel": np.zeros((2, wide, 1)),
        "gate_bias": np.full((2, 1), 8.0),
        "score": np.full((2, 1), 4.0),
        "classify": np.tile(2 * np.eye(wide)[-2], (2, 1)),
        "classify_bias": np.full(2, -2.0 * (kind != "attention")),
    }
    if kind == "recurrent":
        found |= {
            "gru_kernel": draw.normal(0, 1, (2, 2, 2, 9)),
            "gru_recurrent": draw.normal(0, 1, (2, 2, 3, 9)),
            "gru_bias": draw.normal(0, 1, (2, 2, 2, 9)),
        }
        found["classify"][:, :6] = draw.normal(0, 1, (2, 6))
    return {name: np.asarray(values, np.float32) for name, values in found.items()}


def series_model(folder: Path, kind: str = "attention") -> ModelCard:
    """`tiny_model` with an answer for series of 5 to 20 slices, a whole one 40 mm or more."""
    copy_model(TINY_MODEL, folder)
    if kind != "maximum":
        np.savez(folder / "series.npz", **drawn_weights(24, kind))  # type: ignore[arg-type]
    write_card(
        folder / "card.toml",
        {
            "kind": kind,
            "threshold": 0.5,
            "prevalence": 0.5,
            "slices": [5, 20],
            "figures": "test",
            "whole_mm": 40.0,
            "conformal": {"normal": 0.6, "pneumonia": 0.6},
            "calibration": Calibration(1.0, 0.0, ((1.1, 0.2), (0.9, -0.2))),
        },
    )
    write_hashes(folder)
    return read_card(folder)


def drawn_slice(number: int, strength: float = 0.0) -> Image:
    """A drawn film as one slice of a stack, `number` times 5 mm above the first."""
    film: Image = synthetic_film(100 + number, strength)
    return replace(film, position=(0.0, 0.0, number * 5.0), orientation=AXIAL, instance=number + 1)


def drawn_stack(n: int = 10, positive: tuple[int, ...] = ()) -> list[Image]:
    """A stack of n slices, the ones named with a clear blob."""
    return [drawn_slice(i, 0.4 if i in positive else 0.0) for i in range(n)]


def slice_file(path: Path, number: int, strength: float = 0.0, *, series: str = "1.2.3.4", **header: object) -> Path:
    """The same as a DICOM file of a series; `header` are further entries, keyword -> value."""
    pixels = np.ascontiguousarray(synthetic_film(100 + number, strength).pixels, np.uint16)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = uid.SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = f"{series}.{number + 1}"
    data.SeriesInstanceUID, data.InstanceNumber, data.Modality = series, number + 1, "OT"
    data.ImagePositionPatient, data.ImageOrientationPatient = [0.0, 0.0, 5.0 * number], list(AXIAL)
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 8, 7
    data.PixelData = pixels.tobytes()
    for keyword, value in header.items():
        setattr(data, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path
