"""The kinds of picture that the router tells apart: what they are called, and what a header may say about them.

Words complete "takes it for ..."; a kind in `KNOWN` is one that a model may take (`takes` on its card).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_FILM = frozenset({"CR", "DX", "DR", "RG"})

NEUTRAL = frozenset({"", "OT", "SC"})
"""Modalities that say nothing about the picture: other, secondary capture, none."""


@dataclass(frozen=True, slots=True)
class Known:
    """A kind that models may take.

    Attributes:
        words: "a CT slice of the head".
        accepted: one sentence on what should be loaded.
        modalities: DICOM modalities (PS3.3 C.7.3.1.1.1) that are right for it.
        parts: words of BodyPartExamined, one of which the header should hold; empty where any part is right.
        colour: whether such a picture is in colour.
    """

    words: str
    accepted: str
    modalities: frozenset[str]
    parts: tuple[str, ...] = ()
    colour: bool = False


_CHEST = ("CHEST", "THORAX", "LUNG", "RIB", "STERNUM", "HEART", "MEDIASTINUM", "CLAVICLE", "TORSO", "BODY")
_HEAD = ("HEAD", "BRAIN", "SKULL", "NECK", "BODY")

KNOWN: Mapping[str, Known] = {
    "chest_frontal": Known(
        "a frontal chest film",
        "One frontal chest film (PA or AP) showing both lungs, upright in the picture, as DICOM, PNG, JPEG or TIFF.",
        _FILM,
        _CHEST,
    ),
    "bone_film": Known(
        "a film of a limb, hip or shoulder",
        "One film of an arm, a leg, a hip or a shoulder, as DICOM, PNG, JPEG or TIFF.",
        _FILM,
    ),
    "mammogram": Known(
        "a mammogram",
        "One mammogram of one breast, black background, as DICOM, PNG, JPEG or TIFF.",
        frozenset({"MG"}),
        ("BREAST", "MAMMA", "CHEST"),
    ),
    "lung_ct": Known(
        "a CT slice of the lungs",
        "Axial CT slices of the chest, as DICOM, or as pictures in a lung window.",
        frozenset({"CT"}),
        (*_CHEST, "ABDOMEN"),
    ),
    "lung_nodule_patch": Known(
        "a small part of a CT slice of the lung",
        "A small square of a CT slice of the chest around one nodule, in a lung window.",
        frozenset({"CT"}),
        _CHEST,
    ),
    "head_ct": Known(
        "a CT slice of the head",
        "Axial CT slices of the head without contrast, as DICOM, or as pictures in a brain window.",
        frozenset({"CT"}),
        _HEAD,
    ),
    "brain_mr_t1c": Known(
        "an MR slice of the brain",
        "One T1-weighted MR slice of the brain after contrast, axial, coronal or sagittal.",
        frozenset({"MR"}),
        _HEAD,
    ),
    "brain_mr_sequences": Known(
        "an MR slice of the brain with three sequences as colours",
        "One axial MR slice of the brain with three sequences (before contrast, FLAIR, after contrast) as colours.",
        frozenset({"MR"}),
        _HEAD,
        colour=True,
    ),
    "breast_ultrasound": Known(
        "an ultrasound picture of the breast",
        "One ultrasound picture of the breast, without colour Doppler.",
        frozenset({"US"}),
        ("BREAST", "MAMMA", "CHEST", "AXILLA"),
    ),
    "cardiac_ultrasound": Known(
        "an ultrasound picture of the heart",
        "Ultrasound pictures of the heart in the apical four-chamber view.",
        frozenset({"US"}),
        ("HEART", "CARDIAC", "CHEST"),
    ),
    "fetal_ultrasound": Known(
        "an ultrasound picture of an unborn child's head",
        "One ultrasound picture of an unborn child's head in the standard plane of the circumference.",
        frozenset({"US"}),
        ("FET", "ABDOMEN", "PELVIS", "UTERUS", "HEAD", "OBSTETRIC"),
    ),
    "fundus": Known(
        "a photograph of the retina",
        "One colour photograph of the retina of one eye.",
        frozenset({"OP", "XC"}),
        ("EYE", "RETINA", "FUNDUS", "HEAD"),
        colour=True,
    ),
}
"""Kind, as cards name it in `takes` -> what is known about it."""

FOREIGN: Mapping[str, str] = {
    "chest_inverted": "a chest film with black and white exchanged",
    "chest_turned": "a chest film that lies on its side or upside down",
    "chest_cropped": "a part of a chest film, without the whole of both lungs",
    "chest_several": "several pictures in one",
    "inverted": "a picture with black and white exchanged",
    "turned": "a picture that lies on its side or upside down",
    "cropped": "a small part of a picture",
    "several": "several pictures in one",
    "written": "a picture with writing or boxes over much of it",
    "other_medical": "a medical picture of a kind that no model here takes",
    "photo": "a photograph",
    "document": "a page, a drawing or a picture of a screen",
    "radiograph_other": "a film that no model here takes",
    "ct": "a CT slice",
    "mr": "an MR slice",
    "ultrasound": "an ultrasound picture",
}
"""Kinds that no model takes -> words; the last four are known from a header alone."""

HEADERS: Mapping[str, tuple[str, str]] = {
    "CR": ("radiograph_other", "a plain film"),
    "DX": ("radiograph_other", "a plain film"),
    "DR": ("radiograph_other", "a plain film"),
    "RG": ("radiograph_other", "a plain film"),
    "CT": ("ct", "a CT slice"),
    "MR": ("mr", "an MR slice"),
    "US": ("ultrasound", "an ultrasound picture"),
    "IVUS": ("ultrasound", "an ultrasound picture from inside a vessel"),
    "MG": ("mammogram", "a mammogram"),
    "PT": ("other_medical", "a PET slice"),
    "NM": ("other_medical", "a scintigram"),
    "IO": ("radiograph_other", "a dental film"),
    "PX": ("radiograph_other", "a film of the jaws"),
    "OP": ("fundus", "a photograph of the eye"),
    "OPT": ("other_medical", "a scan of the eye"),
    "ES": ("other_medical", "an endoscopic picture"),
    "XC": ("photo", "a photograph"),
    "GM": ("other_medical", "a microscopic picture"),
    "SM": ("other_medical", "a microscopic picture"),
    "DOC": ("document", "a document"),
    "SEG": ("document", "a drawn outline"),
    "RTDOSE": ("document", "a dose plan"),
    "RTIMAGE": ("radiograph_other", "a picture of a radiotherapy machine"),
}
"""DICOM Modality (PS3.3 C.7.3.1.1.1) -> kind where the picture itself says nothing better, words."""


def words(kind: str) -> str:
    """A kind in words, with its article."""
    return KNOWN[kind].words if kind in KNOWN else FOREIGN.get(kind, "another kind of picture")


def listed(kinds: Iterable[str]) -> str:
    """Several kinds in words: "a, b or c"."""
    names = [words(kind) for kind in kinds]
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "a picture of another kind"


def fits(modality: str, kinds: Iterable[str]) -> bool:
    """Whether a header's modality is right for one of the kinds; an unknown one never contradicts."""
    return modality in NEUTRAL or modality not in HEADERS or any(modality in KNOWN[kind].modalities for kind in kinds)
