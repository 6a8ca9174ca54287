"""The parts of a DICOM segmentation that say what and of which image, and nothing of whom or when.

`Image` has no UIDs, names or dates, so the file has none of a patient either. It refers to its images by UIDs made of
their digests, all other UIDs follow from the findings, and where the standard demands a date it has the dummy that
PS3.15 table E.1-1 provides for. Imports highdicom inside its functions only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from medimg_core.io import segment_terms as terms
from medimg_core.types import Image, ModelRef

NO_DATE: Final = "19700101"
NO_TIME: Final = "000000"
"""Content Date and Time are of type 1 (PS3.3 C.7.6.16)."""

_NOBODY: Final = "Anonymous"
_CLASSES: Final = {  # modality -> SOP class of the image referred to (PS3.6 table A-1)
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "OP": "1.2.840.10008.5.1.4.1.1.77.1.5.1",
}
_PLACED_CLASSES: Final = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
_SECONDARY: Final = "1.2.840.10008.5.1.4.1.1.7"
_EMPTY: Final = ["PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime"]


@dataclass(frozen=True, slots=True)
class Segment:
    """What the frames of one segment share.

    Attributes:
        label: a key of `segment_terms.TERMS`.
        who: `model` or `reader`.
        form: `outline` or `box`.
        count: from 1, where an image has several of a kind.
        fit_for_use: whether it may be relied on in these patients.
    """

    label: str
    who: str
    form: str
    count: int
    fit_for_use: bool = True


def uid(*what: str) -> str:
    """A UID that follows from what it names."""
    return terms.source_uid(hashlib.sha256("\0".join(what).encode()).hexdigest())


def source(image: Image, number: int, series: Sequence[str], thickness_mm: float | None) -> Any:
    """The least that highdicom wants to know of an image.

    Args:
        number: of the image in the series, from 1.
        series: digests of all images that belong together.
        thickness_mm: of the slice; with it position, orientation and spacing are stated. None for images that do not
            know theirs: the Pixel Measures macro does not stand without a slice (PS3.3 C.7.6.16.2.1).
    """
    from pydicom import Dataset

    made = Dataset()
    for keyword in _EMPTY:
        setattr(made, keyword, "")
    made.PatientName = f"{_NOBODY}^"  # highdicom warns of names without a component group
    made.StudyInstanceUID, made.SeriesInstanceUID = uid("study", series[0]), uid("series", *series)
    made.SOPInstanceUID = terms.source_uid(image.digest)
    known = _CLASSES if thickness_mm is None else _CLASSES | _PLACED_CLASSES
    made.SOPClassUID = known.get(image.modality or "", _SECONDARY)
    made.Modality = image.modality or "OT"
    made.InstanceNumber = number
    made.Rows, made.Columns = image.shape
    if thickness_mm is not None and image.spacing is not None:
        made.PixelSpacing = [_decimal(image.spacing.row_mm), _decimal(image.spacing.column_mm)]
        made.SliceThickness = _decimal(thickness_mm)
        made.FrameOfReferenceUID = uid("frame of reference", *series)
        made.ImagePositionPatient = [_decimal(value) for value in image.position or ()]
        made.ImageOrientationPatient = [_decimal(value) for value in image.orientation or ()]
    return made


def description(segment: Segment, number: int, model: ModelRef | None) -> Any:
    """One item of the Segment Sequence (PS3.3 table C.8.20-4)."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    term = terms.term_of(segment.label)
    algorithm = None
    if segment.who == "model" and model is not None:
        family = codes.cid7162.ArtificialIntelligence
        algorithm = AlgorithmIdentificationSequence(model.name, family, f"{model.version} {model.hash}")
    item = SegmentDescription(
        segment_number=number,
        segment_label=segment.label if segment.count == 1 else f"{segment.label} {segment.count}",
        segmented_property_category=_coded(term.category),
        segmented_property_type=_coded(term.type),
        algorithm_type="MANUAL" if algorithm is None else "AUTOMATIC",
        algorithm_identification=algorithm,
    )
    item.SegmentDescription = segment.form if segment.fit_for_use else f"{segment.form}, {terms.UNFIT}"
    if term.modifier is not None:
        kind = item.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [_coded(term.modifier)]
    return item


def _coded(code: terms.Code) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)


def coding_schemes(segments: Sequence[Segment]) -> list[Any] | None:
    """What our own codes are, where the file uses any (PS3.3 C.12.1.1.1)."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    if not any(terms.term_of(segment.label).type.scheme == terms.OURS for segment in segments):
        return None
    return [CodingSchemeIdentificationItem(terms.OURS, name="Findings of medimg", version="1")]


def tidy(dataset: Any, dimensions: str) -> None:
    """Take out the clock of this machine, and say that nothing identifies (PS3.15 E.1.1, E.3.6).

    Args:
        dimensions: Dimension Organization UID in place of a random one.
    """
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):
        delattr(dataset, keyword)
    for item in dataset.get("ContributingEquipmentSequence", ()):
        if "ContributionDateTime" in item:
            del item.ContributionDateTime
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = dimensions
    dataset.PatientName = _NOBODY
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Written from pixels without a header"
    dataset.LongitudinalTemporalInformationModified = "REMOVED"


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2), as near as it can be."""
    return next(text for digits in range(16, 5, -1) if len(text := f"{value:.{digits}g}") <= 16)
