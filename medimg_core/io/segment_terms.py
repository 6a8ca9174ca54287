"""What a segment is, in codes: one table for writing and for reading DICOM segmentations.

A segment is named by a category and a type (DICOM PS3.3 C.8.20.4), and a side by a modifier of the type. The codes are
those of PS3.16 CID 7150, 7151, 4209 and 244 where there is one. `FRACTURE` is SNOMED CT outside those lists. For the
small lesions of the fundus no code of the standard says what they are, so they carry codes of our own (a coding scheme
whose designator begins with 99 is private, PS3.16 section 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OURS: Final = "99MEDIMG"
"""Designator of our own coding scheme."""

MAKER: Final = "medimg"
"""Manufacturer that our files name; only of such files UIDs, scores and the model's name are believed."""


UNFIT: Final = "not fit for use"
"""Ends the description of a segment of a model that is too weak for these patients."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept (DICOM PS3.3 8.8)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Term:
    """What a segment of this label is; `modifier` is its side."""

    category: Code
    type: Code
    modifier: Code | None = None


ANATOMY: Final = Code("91723000", "SCT", "Anatomical Structure")
ABNORMAL: Final = Code("49755003", "SCT", "Morphologically Abnormal Structure")
PLACE: Final = Code("309825002", "SCT", "Spatial and Relational Concept")
FRACTURE: Final = Code("72704001", "SCT", "Fracture")
_LUNG: Final = Code("39607008", "SCT", "Lung")
_RIGHT: Final = Code("24028007", "SCT", "Right")
_LEFT: Final = Code("7771000", "SCT", "Left")
_BOTH: Final = Code("51440002", "SCT", "Bilateral")


def _anatomy(value: str, meaning: str) -> Term:
    return Term(ANATOMY, Code(value, "SCT", meaning))


def _abnormal(value: str, meaning: str) -> Term:
    return Term(ABNORMAL, Code(value, "SCT", meaning))


def _own(value: str, meaning: str) -> Term:
    return Term(ABNORMAL, Code(value, OURS, meaning))


OTHER: Final = "region"
"""Label of what has no term: free text neither leaves nor enters."""

TERMS: Final = {
    "lung_right": Term(ANATOMY, _LUNG, _RIGHT),
    "lung_left": Term(ANATOMY, _LUNG, _LEFT),
    "lungs": Term(ANATOMY, _LUNG, _BOTH),
    "lung": Term(ANATOMY, _LUNG),
    "heart": _anatomy("80891009", "Heart"),
    "left_ventricle": _anatomy("87878005", "Left ventricle"),
    "myocardium": _anatomy("49848007", "Left Ventricle Myocardium"),
    "left_atrium": _anatomy("82471001", "Left atrium"),
    "head": _anatomy("69536005", "Head"),
    "optic_disc": _anatomy("81016008", "Optic nerve head"),
    "tumour": _abnormal("108369006", "Neoplasm"),
    "lesion": _abnormal("52988006", "Lesion"),
    "nodule": _abnormal("27925004", "Nodule"),
    "mass": _abnormal("4147007", "Mass"),
    "fracture": Term(ABNORMAL, FRACTURE),
    "haemorrhage": _abnormal("50960005", "Hemorrhage"),
    "microaneurysm": _own("microaneurysm", "Microaneurysm of retina"),
    "hard_exudate": _own("hard_exudate", "Hard exudate of retina"),
    "soft_exudate": _own("soft_exudate", "Soft exudate of retina"),
    "optic_cup": Term(ANATOMY, Code("optic_cup", OURS, "Optic cup")),
    "opacity": _own("opacity", "Opacity of lung"),
    OTHER: Term(PLACE, Code("111099", "DCM", "Selected region")),
}
"""Label of a region -> what it is."""

_LABELS = {
    (term.type.scheme, term.type.value, term.modifier.value if term.modifier else ""): label
    for label, term in TERMS.items()
}
_LABELS |= {  # other codes of the same, in files of others
    ("SCT", "3341006", ""): "lung_right",
    ("SCT", "44029006", ""): "lung_left",
    ("SCT", "74281007", ""): "myocardium",
    ("SCT", "54527006", ""): "head",
}


def term_of(label: str) -> Term:
    """The term of a label; that of `OTHER` where the table has none."""
    return TERMS.get(label, TERMS[OTHER])


def label_of(scheme: str, value: str, modifier: str = "") -> str | None:
    """The label of a coded type, with its side or without; None where the table has none."""
    return _LABELS.get((scheme, value, modifier)) or _LABELS.get((scheme, value, ""))


def source_uid(digest: str) -> str:
    """The UID under which our files refer to an image: `2.25.` and the first 128 bits of its digest (PS3.5 B.2).

    It says nothing about the file that the image came from, and whoever opens that file here gets the same again.
    """
    return f"2.25.{int(digest[:32], 16)}"
