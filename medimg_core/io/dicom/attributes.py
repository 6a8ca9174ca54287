"""The attributes that may pass: an allow-list. Codes pass only as terms of the standard, never as free text."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Any, Final, Literal

import numpy as np

from medimg_core.errors import UnreadableImage
from medimg_core.io.dicom.layout import Layout
from medimg_core.io.dicom.pixels import lookup_table, rescale
from medimg_core.io.dicom.values import Dataset, Frame, first_item, items, number, numbers, raw, term, text, whole
from medimg_core.types import Note, Spacing, VoiFunction, VoiLut, Window

OLDEST: Final = 90.0
"""Ages above this are stored as this (HIPAA safe harbour, 45 CFR 164.514(b)(2)(i)(C))."""


def _terms(words: str) -> frozenset[str]:
    return frozenset(words.split())


_MODALITIES: Final = _terms(
    """CR DX CT MR US MG XA RF PT NM OT SC ES GM SM OP OPT IO PX RG SEG RTIMAGE RTDOSE XC BI DG TG IVUS IVOCT
    BMD HC"""
)
_VIEWS: Final = _terms("AP PA LL RL LAT LATERAL RLD LLD RLO LLO CC MLO ML LM LMO FB SIO XCC XCCL XCCM AT CV")
_VIEW_CODES: Final = {  # SNOMED CT and SNOMED RT codes of DICOM PS3.16 CID 4010
    "399348003": "AP",
    "R-10206": "AP",
    "272479007": "PA",
    "R-10214": "PA",
    "R-40888": "PA",
    "399173006": "LL",
    "R-10236": "LL",
    "399198007": "RL",
    "R-10232": "RL",
    "399067008": "LATERAL",
    "R-102CD": "LATERAL",
}
_SIDES: Final = _terms("L R B U")
_SEXES: Final = _terms("F M")
_BODY_PARTS: Final = _terms(  # DICOM PS3.16 annex L, those in use for the modalities above
    """ABDOMEN ABDOMENPELVIS ANKLE ARM BRAIN BREAST CALCANEUS CERVIX CHEST CHESTABDOMEN CHESTABDPELVIS CLAVICLE
    COCCYX CSPINE EAR ELBOW EXTREMITY EYE FACE FEMUR FINGER FOOT FOREARM HAND HEAD HEADNECK HEART HIP HUMERUS
    JAW KNEE KIDNEY LEG LIVER LSPINE LUNG MANDIBLE MAXILLA NECK ORBIT PANCREAS PATELLA PELVIS PROSTATE RADIUS
    RETINA RIB RIBS SACRUM SCAPULA SHOULDER SINUS SKULL SPINE SPLEEN SSPINE STERNUM TESTIS THIGH THORAX THUMB
    THYROID TIBIA TLSPINE TOE TSPINE ULNA UTERUS WHOLEBODY WRIST ZYGOMA"""
)
_WINDOW_WORDS: Final = _terms(
    """ABDOMEN BONE BRAIN CHEST CONTRAST CT DEFAULT HARD HARDER HEAD LINEAR LIVER LUNG LUNGS MEDIASTINUM MRI
    NARROW NORMAL PELVIS SIGMOID SOFT SOFTER SPINE TISSUE WIDE WINDOW WINDOW1 WINDOW2 WINDOW3 1 2 3"""
)
_FUNCTIONS: Final[dict[str, VoiFunction]] = {
    "LINEAR": "LINEAR",
    "LINEAR_EXACT": "LINEAR_EXACT",
    "SIGMOID": "SIGMOID",
}
_PROJECTIONS: Final = ("CR", "DX", "MG", "IO", "PX", "RG", "RF", "XA")
_AXES: Final = {"L": "x", "R": "x", "A": "y", "P": "y", "H": "z", "F": "z"}
_CENTIMETRES: Final = 3  # physical units code, DICOM PS3.3 C.8.5.5.1.15
_AGE: Final = re.compile(r"^(\d{3})([DWMY])$")
_YEARS: Final = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


def shared_fields(dataset: Dataset, layout: Layout) -> dict[str, Any]:
    """Fields of `Image` that all frames of a file share, by name."""
    modality = term(dataset, "Modality", _MODALITIES) or "OT"
    side = term(dataset, "ImageLaterality", _SIDES) or term(dataset, "Laterality", _SIDES)
    return {
        "photometric": layout.photometric if layout.grey else "RGB",
        "bits": layout.bits_stored if layout.grey else 8,
        "format": "DICOM",
        "modality": modality,
        "view": view(dataset),
        "laterality": side,
        "body_part": term(dataset, "BodyPartExamined", _BODY_PARTS),
        "age_years": age(dataset),
        "sex": term(dataset, "PatientSex", _SEXES),
        "for_processing": text(dataset, "PresentationIntentType").upper() == "FOR PROCESSING",
        "frame_ms": _frame_ms(dataset) if layout.frames > 1 else None,
        "synthetic": text(dataset, "SyntheticData").upper() == "YES",
    }


def frame_fields(dataset: Dataset, layout: Layout, frame: Frame, notes: list[Note]) -> dict[str, Any]:
    """Fields of `Image` that may differ from frame to frame, by name. Doubts are added to the notes."""
    values = frame.macro("PixelValueTransformationSequence")
    grey: dict[str, Any] = {}
    if layout.grey:
        grey["windows"] = windows(frame, notes)
        grey["voi_lut"] = voi_lut(frame, layout, notes) if not grey["windows"] else None
        grey["padding"] = _padding(dataset, values, layout)
        grey["modality_units"] = _units(dataset, values)
    position = numbers(frame.macro("PlanePositionSequence"), "ImagePositionPatient")
    instance = whole(dataset, "InstanceNumber")
    return {
        **grey,
        "spacing": spacing(dataset, layout, frame, notes),
        "position": position if len(position) == 3 else None,
        "orientation": orientation(frame),
        "thickness_mm": _thickness(frame),
        "patient_orientation": patient_orientation(dataset),
        "instance": frame.index + 1 if layout.frames > 1 or instance is None else instance,
    }


def view(dataset: Dataset) -> str | None:
    """View position of a film as a term, from ViewPosition or the View Code Sequence."""
    named = term(dataset, "ViewPosition", _VIEWS)
    code = first_item(dataset, "ViewCodeSequence")
    return named or (_VIEW_CODES.get(text(code, "CodeValue")) if code is not None else None)


def age(dataset: Dataset) -> float | None:
    """Age in years, at most `OLDEST`; from PatientAge, else from birth and study date."""
    match = _AGE.match(text(dataset, "PatientAge").upper())
    if match:
        return min(round(int(match[1]) * _YEARS[match[2]], 2), OLDEST)
    born, studied = (_day(text(dataset, keyword)) for keyword in ("PatientBirthDate", "StudyDate"))
    if born is None or studied is None or studied < born:
        return None
    return min(float(int((studied - born).days / 365.25)), OLDEST)


def _day(value: str) -> date | None:
    try:
        return date(int(value[:4]), int(value[4:6]), int(value[6:8])) if len(value) == 8 else None
    except ValueError:
        return None


def windows(frame: Frame, notes: list[Note]) -> tuple[Window, ...]:
    """VOI windows in the order of the file; those that cannot be used are left out, with a note."""
    group = frame.macro("FrameVOILUTSequence")
    centres, widths = numbers(group, "WindowCenter"), numbers(group, "WindowWidth")
    function = _FUNCTIONS.get(text(group, "VOILUTFunction").upper() or "LINEAR")
    named = text(group, "WindowCenterWidthExplanation").split("\\")
    narrowest = 1.0 if function == "LINEAR" else 0.0
    usable = len(centres) == len(widths) and function is not None
    found = []
    for i, (centre, width) in enumerate(zip(centres, widths, strict=False)):
        if not usable or function is None or width < narrowest or width == 0:
            continue
        found.append(Window(centre, width, function, _window_name(named[i]) if i < len(named) else ""))
    if len(found) < max(len(centres), len(widths)) or (not found and raw(group, "WindowCenter") is not None):
        _say(notes, "doubt", "A window of the file cannot be used; another is shown.")
    return tuple(found)


def _window_name(value: str) -> str:
    """The window's name where every word of it is a known one: it is free text."""
    words = re.split(r"[\s_\-]+", value.strip().upper())
    return " ".join(words).capitalize() if all(word in _WINDOW_WORDS for word in words) else ""


def voi_lut(frame: Frame, layout: Layout, notes: list[Note]) -> VoiLut | None:
    """The first VOI LUT of the file; None where there is none or it cannot be used."""
    lut = first_item(frame.macro("FrameVOILUTSequence"), "VOILUTSequence")
    if lut is None:
        return None
    try:
        first, table = lookup_table(lut, signed=layout.signed)
    except UnreadableImage:
        _say(notes, "doubt", "The VOI lookup table of the file is damaged; an automatic window is shown.")
        return None
    return VoiLut(float(first), table, int(numbers(lut, "LUTDescriptor")[2]))


def spacing(dataset: Dataset, layout: Layout, frame: Frame, notes: list[Note]) -> Spacing | None:
    """Distance of pixel centres where the file states a plausible one; one that cannot be true is as good as none."""
    measures, wrong = frame.macro("PixelMeasuresSequence"), False
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        group = measures if keyword == "PixelSpacing" else dataset
        if raw(group, keyword) is None:
            continue
        stated = numbers(group, keyword)
        if len(stated) == 2 and plausible(stated[0], stated[1]):
            if wrong:
                _say(notes, "doubt", "One pixel spacing in the file cannot be true: another that it states is used.")
            if keyword == "ImagerPixelSpacing":
                _say(notes, "doubt", "Pixel spacing is that at the detector: lengths in the body are shorter.")
            return Spacing(stated[0], stated[1], keyword)
        wrong = True
    if items(dataset, "SequenceOfUltrasoundRegions"):
        return _ultrasound_spacing(dataset, layout, notes)
    where = " at the detector" if text(dataset, "Modality") in _PROJECTIONS else ""
    what = "The pixel spacing in the file cannot be true" if wrong else f"No pixel spacing{where}"
    _say(notes, "doubt", f"{what}: lengths are given in pixels.")
    sides = numbers(dataset, "PixelAspectRatio")  # PS3.3 C.7.6.3.1.7: high, wide
    if len(sides) == 2 and min(sides) > 0 and sides[0] != sides[1]:
        shape = f"{sides[0]:g} high to {sides[1]:g} wide"
        _say(notes, "doubt", f"Pixels are not square ({shape}): sizes in pixels mislead.")
    return None


def plausible(row_mm: float, column_mm: float) -> bool:
    """True for spacings that a medical image can have: 0.1 micrometre to 5 cm, nearly square at worst 20 to 1."""
    return all(1e-4 <= mm <= 50 for mm in (row_mm, column_mm)) and 0.05 <= row_mm / column_mm <= 20


def _ultrasound_spacing(dataset: Dataset, layout: Layout, notes: list[Note]) -> Spacing | None:
    """The calibration of the only scale in an ultrasound picture (DICOM PS3.3 C.8.5.5)."""
    found = set()
    for region in items(dataset, "SequenceOfUltrasoundRegions"):
        units = whole(region, "PhysicalUnitsXDirection"), whole(region, "PhysicalUnitsYDirection")
        right, bottom = whole(region, "RegionLocationMaxX1"), whole(region, "RegionLocationMaxY1")
        if units != (_CENTIMETRES, _CENTIMETRES):
            continue
        if right is None or bottom is None or right > layout.columns or bottom > layout.rows:
            _say(notes, "doubt", "The ultrasound calibration belongs to another picture size: lengths are in pixels.")
            return None
        x, y = number(region, "PhysicalDeltaX"), number(region, "PhysicalDeltaY")
        if x is not None and y is not None and plausible(abs(y) * 10, abs(x) * 10):
            found.add((abs(y) * 10, abs(x) * 10))
    if len(found) != 1:
        _say(notes, "doubt", "No single pixel spacing: lengths are given in pixels.")
        return None
    row, column = found.pop()
    return Spacing(row, column, "UltrasoundRegion")


def orientation(frame: Frame) -> tuple[float, ...] | None:
    """Six direction cosines; None unless they are two perpendicular unit vectors."""
    found = numbers(frame.macro("PlaneOrientationSequence"), "ImageOrientationPatient")
    if len(found) != 6:
        return None
    row, column = np.array(found[:3]), np.array(found[3:])
    units = all(math.isclose(float(np.linalg.norm(v)), 1, abs_tol=0.02) for v in (row, column))
    return found if units and abs(float(row @ column)) < 0.02 else None


def _thickness(frame: Frame) -> float | None:
    stated = number(frame.macro("PixelMeasuresSequence"), "SliceThickness")
    return stated if stated is not None and 0.01 <= stated <= 100 else None


def patient_orientation(dataset: Dataset) -> tuple[str, str] | None:
    """Where rows run to, and columns, in letters; None unless both are of the six, and at right angles to each other.

    A header that contradicts itself is no better than none: a wrong side is worse than no side.
    """
    found = text(dataset, "PatientOrientation").upper().split("\\")
    if len(found) != 2 or any(not _direction(letters) for letters in found):
        return None
    row, column = found
    return (row, column) if _AXES[row[0]] != _AXES[column[0]] else None


def _direction(letters: str) -> bool:
    """One to three of the letters A P R L H F, each for another axis of the body."""
    axes = [_AXES.get(letter) for letter in letters]
    return bool(axes) and None not in axes and len(set(axes)) == len(axes)


def _padding(dataset: Dataset, values: Dataset, layout: Layout) -> float | None:
    """Pixel padding value in modality units; a LUT makes it meaningless."""
    stored = number(dataset, "PixelPaddingValue")
    if stored is None or first_item(values, "ModalityLUTSequence") is not None:
        return None
    if layout.signed and stored >= 2 ** (layout.bits_allocated - 1):
        stored -= 2**layout.bits_allocated
    slope, intercept = rescale(values)
    return float(np.float32(stored * slope + intercept))


def _units(dataset: Dataset, values: Dataset) -> str:
    named = text(values, "RescaleType").upper()
    rescaled = raw(values, "RescaleIntercept") is not None
    return "HU" if text(dataset, "Modality") == "CT" and rescaled and named in ("", "HU") else ""


def _frame_ms(dataset: Dataset) -> float | None:
    time, rate = number(dataset, "FrameTime"), number(dataset, "CineRate")
    vector = numbers(dataset, "FrameTimeVector")
    if time is None and len(vector) > 1:
        time = float(np.mean(vector[1:]))
    if time is None and rate:
        time = 1000 / rate
    return time if time is not None and 0 < time < 60_000 else None


def _say(notes: list[Note], kind: Literal["doubt"], sentence: str) -> None:
    """Add a note once, however many frames give cause for it."""
    note = Note(kind, sentence)
    if note not in notes:
        notes.append(note)
