"""What identifies a patient: shown above the image by `ui`, counted, and left behind.

Nothing passes `io` unless `dicom.attributes` reads it, so this module removes nothing: it counts what was there, and
makes the one value that may hold a name.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from medimg_core.types import PatientHeader

if TYPE_CHECKING:
    from medimg_core.io.dicom.values import Dataset


def _terms(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TEXT_VRS: Final = _terms("AE AS DA DT LO LT PN SH ST TM UC UI UN UR UT")
# Attributes with such a value representation that say nothing about a person.
_TECHNICAL: Final = _terms(
    """SpecificCharacterSet SOPClassUID TransferSyntaxUID LossyImageCompressionMethod RescaleType
    CodingSchemeDesignator CodeMeaning CodeValue CodingSchemeVersion WindowCenterWidthExplanation
    LUTExplanation MappingResource DimensionIndexPointer FunctionalGroupPointer DimensionDescriptionLabel
    SoftwareVersions Manufacturer ManufacturerModelName ConvolutionKernel ContrastBolusAgent
    ReferencedSOPClassUID"""
)
_DEPTH: Final = 4
_LONGEST: Final = 256  # three component groups of 64 characters, and some more


def patient_header(dataset: Dataset) -> PatientHeader:
    """Whose image this is, as the file says it, in the file's character set. For `ui` alone."""
    from medimg_core.io.dicom.attributes import view
    from medimg_core.io.dicom.values import text

    clock = text(dataset, "StudyTime")
    time = f" {clock[:2]}:{clock[2:4]}" if re.match(r"\d{4}", clock) else ""
    studied = _date(text(dataset, "StudyDate"))
    return PatientHeader(
        name=_showable(text(dataset, "PatientName")),
        patient_id=_showable(text(dataset, "PatientID")),
        birth_date=_showable(_date(text(dataset, "PatientBirthDate"))),
        study_date=_showable(f"{studied}{time}" if studied else ""),
        side=_showable(text(dataset, "ImageLaterality") or text(dataset, "Laterality")),
        view=_showable(view(dataset) or text(dataset, "ViewPosition")),
    )


def _showable(value: str) -> str:
    """The value as one line that can be encoded: control characters and broken ones replaced, length bounded."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in value[:_LONGEST])


def display_name(name: str) -> str:
    """A DICOM person name (PS3.5 6.2.1) as people write it: `Family, Given Middle (other scripts)`.

    >>> display_name("Yamada^Tarou=山田^太郎=やまだ^たろう")
    'Yamada, Tarou (山田 太郎; やまだ たろう)'
    """
    groups = [group for group in (part.rstrip("^").strip() for part in name.split("=")) if group]
    if not groups:
        return ""
    family, *others = [part.strip() for part in groups[0].split("^")]
    given = " ".join(part for part in others if part)
    first = f"{family}, {given}" if family and given else family or given
    rest = "; ".join(" ".join(part for part in group.split("^") if part) for group in groups[1:])
    return f"{first} ({rest})" if rest else first


def series_group(dataset: Dataset) -> str:
    """A hash that files of one series of one patient share; empty where the file names no series."""
    from medimg_core.io.dicom.values import text

    return _of_patient(dataset, text(dataset, "SeriesInstanceUID"))


def frame_group(dataset: Dataset) -> str:
    """The same for files of one patient in one frame of reference; empty where the file names none."""
    from medimg_core.io.dicom.values import text

    return _of_patient(dataset, text(dataset, "FrameOfReferenceUID"))


def _of_patient(dataset: Dataset, uid: str) -> str:
    from medimg_core.io.dicom.values import text

    if not uid:
        return ""
    identity = (uid, text(dataset, "PatientID"), text(dataset, "PatientName"), text(dataset, "PatientBirthDate"))
    return hashlib.sha256("\0".join(identity).encode("utf-8", "replace")).hexdigest()


def count_identifying(dataset: Dataset) -> int:
    """How many attributes of a data set identify a patient, a person, a place or a time, or may do so.

    Counted are names, IDs, dates, times, free texts, unique identifiers and private attributes that are not empty,
    each once, sequences included.
    """
    found: set[int] = set()
    _collect(dataset, found, _DEPTH)
    return len(found)


def _collect(dataset: Dataset, found: set[int], depth: int) -> None:
    from pydicom.datadict import dictionary_VR, keyword_for_tag

    for tag in list(dataset.keys()):
        element = dataset.get_item(tag, keep_deferred=True)
        if element.value in (None, "", b"") or tag.element == 0:
            continue
        if tag.is_private:
            found.add(int(tag))
            continue
        keyword = keyword_for_tag(tag)
        try:
            vr = dictionary_VR(tag)
        except KeyError:
            vr = "UN"
        if vr == "SQ" and depth:
            from medimg_core.io.dicom.values import items

            for item in items(dataset, keyword)[:1]:
                _collect(item, found, depth - 1)
        elif vr in _TEXT_VRS and keyword not in _TECHNICAL:
            found.add(int(tag))


def _date(value: str) -> str:
    return f"{value[:4]}-{value[4:6]}-{value[6:8]}" if re.fullmatch(r"\d{8}", value) else value
