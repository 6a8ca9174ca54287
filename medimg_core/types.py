"""The vocabulary: frozen values that travel between the parts. Nothing here imports anything of ours.

Arrays are made read-only on construction, so that a value can be cached, shared between sessions and
compared by its hash without a copy. No type in this module has a field for a name, an ID or a date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
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


def _freeze(array: NDArray[np.generic]) -> None:
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
        _freeze(self.table)


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
        _freeze(self.pixels)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.pixels.shape[0]), int(self.pixels.shape[1])


@dataclass(frozen=True, slots=True)
class Note:
    """One line about what reading did. `kind` sorts it on the Upload page."""

    kind: Literal["read", "repaired", "removed", "doubt", "sequences"]
    text: str


@dataclass(frozen=True, slots=True)
class Series:
    """Ordered images that belong together: slices by position, frames by time; a single film is a series of one.

    Attributes:
        sequence: which MR sequence it is as far as the header tells, or `joined` where it was made of three of them.
        frame: series of a study with the same number show one patient in one frame of reference (DICOM PS3.3
            C.7.4.1); None where the header names none.
    """

    images: tuple[Image, ...]
    kind: Literal["single", "slices", "frames"] = "single"
    description: str = ""
    notes: tuple[Note, ...] = ()
    sequence: MrSequence | Literal["joined"] | None = None
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be used. `number` counts the files as they were given, from 1."""

    number: int
    error: Exception
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """Everything one drop held, without names: series in order, failures, notes."""

    series: tuple[Series, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[Note, ...] = ()
    segmentations: tuple[Segmentation, ...] = ()

    @property
    def images(self) -> tuple[Image, ...]:
        """All images of all series, in order."""
        return tuple(image for series in self.series for image in series.images)


@dataclass(frozen=True, slots=True)
class PatientHeader:
    """Whose image this is. Only `ui` may hold it, in the session's memory, to show above the image."""

    name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    study_date: str = ""
    side: str = ""
    view: str = ""


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


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int | None = None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model said it: name, version, first 8 hex digits of the sha256 of its network file."""

    name: str
    version: str
    hash: str


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether an image may be shown to a model. `passed` with reasons means doubtful."""

    passed: bool
    reasons: tuple[str, ...] = ()
    kind: str = ""
    figures: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A place in source pixels: outline, box or mask (bool `[H, W]` on the source grid)."""

    kind: Literal["outline", "box", "mask", "point"]
    label: str
    score: float
    box: tuple[float, float, float, float] | None = None
    polygon: tuple[tuple[float, float], ...] = ()
    mask: MaskArray | None = None

    def __post_init__(self) -> None:
        if self.mask is not None:
            _freeze(self.mask)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A quantity with its interval. `basis` says where the scale comes from (`PixelSpacing`, `typed`, `px`)."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    basis: str


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on the calibrated probability of the positive class, chosen on `val`."""

    name: Literal["rule_out", "balanced", "rule_in"]
    threshold: float


@dataclass(frozen=True, slots=True)
class Statement:
    """A yes/no answer beside the main one (bacterial or viral, referable or not); `id` as on the card.

    Attributes:
        probability: calibrated, of the card's `title` side.
        interval: 95 % interval of it, from the bootstrap of the calibration curve; None without one.
        threshold: from which probability on it is claimed.
    """

    id: str
    probability: float
    interval: Interval | None
    threshold: float

    @property
    def claimed(self) -> bool:
        """Whether the probability reaches the threshold."""
        return self.probability >= self.threshold


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer of one model to one image; for classes, grades, outlines, boxes and measurements alike.

    Attributes:
        scores: class -> calibrated probability, summing to 1; empty when the image was refused.
        interval: 95 % interval of `positive`'s probability, from the bootstrap of the calibration curve.
        decision: for a yes/no question the class at `operating_point`, of several kinds the likeliest, of grades the
            median grade; None when refused.
        positive: the class that `interval` speaks of: of a yes/no question its positive class, else the decision.
        statements: further answers that apply to this decision.
        population: id of the card's population whose calibration and figures were used.
        prediction_set: classes that split conformal prediction cannot leave out at 90 % coverage.
        seconds: wall time of preprocessing, gate and network.
    """

    model: ModelRef
    scores: Mapping[str, float]
    gate: GateVerdict
    decision: str | None = None
    positive: str | None = None
    interval: Interval | None = None
    population: str | None = None
    calibrated: bool = True
    operating_point: OperatingPoint | None = None
    prediction_set: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    regions: tuple[Region, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    seconds: float = 0.0

    @property
    def refused(self) -> bool:
        """True when the gate let no model look at the image."""
        return not self.gate.passed


@dataclass(frozen=True, slots=True, eq=False)
class SaliencyMap:
    """Evidence on the SOURCE grid, unnormalised.

    Attributes:
        values: float32 `[H, W]`; signed where the method is signed.
        grid: float32 `[h, w]`, the same map on the grid where it was computed.
        scale: the value shown as 1.0: the 99th percentile of the method on the model's test set; None if unknown.
    """

    values: FloatArray
    grid: FloatArray
    method: str
    target: str
    layer: str
    model: ModelRef
    scale: float | None
    signed: bool
    seconds: float = 0.0

    def __post_init__(self) -> None:
        _freeze(self.values)
        _freeze(self.grid)

    @property
    def maximum(self) -> float:
        """Largest positive evidence, in units of `scale` (or raw where there is none)."""
        peak = float(self.values.max(initial=0.0))
        return peak / self.scale if self.scale else peak

    @property
    def empty(self) -> bool:
        """True when nothing speaks for the target: "no positive evidence", a state of its own."""
        return not bool((self.values > 0).any())


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """One region on one plane of a segmentation.

    Attributes:
        region: a mask or a box on the grid of the segmentation.
        who: the model's, or drawn or corrected by a reader.
        source: UID, made of its digest, of the image that it was drawn on; empty where the file is not one of ours.
        plane: marks of one segmentation with the same number lie on the same image.
        position, orientation: of the plane, as in `Image`; None where the file does not say them.
        fit_for_use: false where the file says that the model was too weak for these patients.
    """

    region: Region
    who: Literal["model", "reader"]
    source: str = ""
    plane: int = 0
    position: tuple[float, float, float] | None = None
    orientation: tuple[float, float, float, float, float, float] | None = None
    fit_for_use: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """What a DICOM SEG file holds: regions on images that other files hold; `io.attach` finds those.

    Attributes:
        marks: in the order of the file.
        rows, columns: of the grid that all masks share.
        model: which model drew them; None where the file is not one of ours, or holds none by a model.
        notes: what reading repaired or doubts.
    """

    marks: tuple[Mark, ...]
    rows: int
    columns: int
    model: ModelRef | None = None
    notes: tuple[Note, ...] = ()

    @property
    def regions(self) -> tuple[tuple[str, Region], ...]:
        """Source UID (may be empty) and region of every mark, in order."""
        return tuple((mark.source, mark.region) for mark in self.marks)
