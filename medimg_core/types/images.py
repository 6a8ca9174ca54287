"""An image as it was read, and how it becomes a network's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
MaskArray = NDArray[np.bool_]
PixelArray = NDArray[np.float32] | NDArray[np.uint8]

VoiFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
Fit = Literal["squash", "letterbox", "crop"]
Normalisation = Literal["standardise", "minus_one_to_one", "zero_to_one"]
MrSequence = Literal["T1 before contrast", "FLAIR", "T1 after contrast"]


def freeze(array: NDArray[np.generic]) -> None:
    """Make an array read-only."""
    array.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distance between pixel centres.

    Attributes:
        row_mm: between adjacent rows (vertical), in millimetres.
        column_mm: between adjacent columns (horizontal), in millimetres.
        source: where it comes from: `PixelSpacing`, `ImagerPixelSpacing`, `calibrated`, `typed`, ...
    """

    row_mm: float
    column_mm: float
    source: str


@dataclass(frozen=True, slots=True)
class Window:
    """A VOI window (DICOM PS3.3 C.11.2.1.2) in modality units."""

    centre: float
    width: float
    function: VoiFunction = "LINEAR"
    explanation: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class VoiLut:
    """A VOI LUT (DICOM PS3.3 C.11.2.1.1): `table[clip(value - first, 0, len - 1)]`, `bits` deep.

    `table` is float32 `[N]`.
    """

    first: float
    table: FloatArray
    bits: int

    def __post_init__(self) -> None:
        freeze(self.table)


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One picture (one frame) without anything that identifies a patient.

    Attributes:
        pixels: float32 `[H, W]` in modality units (HU for CT), or uint8 `[H, W, 3]` RGB.
        photometric: `MONOCHROME2`, `MONOCHROME1` (low values are shown white) or `RGB`.
        digest: sha256 (hex) of the pixels and of everything that decides how they are shown: the identity used for
            caches and exports.
        bits: bits stored per sample in the source (8, 12, 16, ...).
        format: what the bytes were: `DICOM`, `PNG`, `JPEG`, `TIFF`, `WebP`, `BMP`.
        spacing: None where unknown, never 1.0 by default.
        windows: the VOI windows in the order of the file; empty where the file names none.
        voi_lut: VOI LUT of the file, used when there is no window.
        padding: modality value of pixels outside the field of view; left out of statistics and automatic windows.
        modality: DICOM modality (`CR`, `DX`, `CT`, `MR`, `US`, ...); None for ordinary pictures.
        view: `PA`, `AP`, `LL`, ... where the header says so.
        laterality: `L`, `R`, ...
        body_part: DICOM BodyPartExamined, in capitals.
        age_years: from the header; 90 and above is stored as 90.
        sex: `F`, `M` or None.
        for_processing: Presentation Intent Type is FOR PROCESSING (raw detector data).
        position: ImagePositionPatient in mm.
        orientation: ImageOrientationPatient, six direction cosines.
        thickness_mm: SliceThickness.
        patient_orientation: where rows run to, and columns: letters A P R L H F, the main one first.
        instance: InstanceNumber or the frame number, starting at 1.
        frame_ms: time between frames of a cine, in ms.
        synthetic: marked as made by a program, shows no patient.
        modality_units: `HU` for CT with rescale, else an empty string.
    """

    pixels: PixelArray
    photometric: Literal["MONOCHROME2", "MONOCHROME1", "RGB"]
    digest: str
    bits: int = 8
    format: str = ""
    spacing: Spacing | None = None
    windows: tuple[Window, ...] = ()
    voi_lut: VoiLut | None = None
    padding: float | None = None
    modality: str | None = None
    view: str | None = None
    laterality: str | None = None
    body_part: str | None = None
    age_years: float | None = None
    sex: str | None = None
    for_processing: bool = False
    position: tuple[float, float, float] | None = None
    orientation: tuple[float, float, float, float, float, float] | None = None
    instance: int | None = None
    frame_ms: float | None = None
    synthetic: bool = False
    modality_units: str = ""
    patient_orientation: tuple[str, str] | None = None
    thickness_mm: float | None = None

    def __post_init__(self) -> None:
        freeze(self.pixels)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How an image becomes a network's input; stored on the card, used by `imaging.prepare` everywhere.

    Attributes:
        height, width: the network's grid in pixels.
        channels: 3 repeats a grey channel; 1 turns colour into grey.
        fit: `squash` scales rows and columns separately; `letterbox` keeps the aspect and pads with zeros;
            `crop` keeps the aspect and cuts the longer side, centred.
        normalisation: `standardise`: (x - mean) / (deviation + 1e-3) / 2.2 clipped to [-1.6, 1.6], each image
            by its own grey statistics; `minus_one_to_one`: 2 x - 1; `zero_to_one`: x; for x in [0, 1].
        window: fixed window of slices in Hounsfield units, whatever the file names; other pictures, and None, keep
            their own VOI.
        long_side: larger images are first reduced to this many pixels on their longer side, so that an original and
            a small stored copy of it carry the same detail; None goes straight to the grid.
        smoothing: standard deviation, in pixels of the grid, of a Gaussian that takes off what sharpness is left.
    """

    height: int
    width: int
    channels: Literal[1, 3] = 3
    fit: Fit = "squash"
    normalisation: Normalisation = "standardise"
    window: Window | None = None
    long_side: int | None = None
    smoothing: float = 0.0
