"""Kinds of image, as the router names them, in the words of the pages; and what one such image is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medimg_core.catalog import ModelCard


@dataclass(frozen=True, slots=True)
class Noun:
    """What one image is called in a sentence, and several."""

    one: str
    many: str


FILM, SLICE, PICTURE, PHOTO, SERIES = (
    Noun("film", "films"),
    Noun("slice", "slices"),
    Noun("picture", "pictures"),
    Noun("photograph", "photographs"),
    Noun("series", "series"),
)

_KINDS: Mapping[str, tuple[str, Noun]] = {
    "chest_frontal": ("Frontal chest film", FILM),
    "bone_film": ("Film of a bone or joint", FILM),
    "mammogram": ("Mammogram", FILM),
    "lung_ct": ("Chest CT, lung window", SLICE),
    "head_ct": ("Head CT, brain window", SLICE),
    "brain_mr_t1c": ("Brain MR, T1 with contrast agent", SLICE),
    "brain_mr_sequences": ("Brain MR, three sequences", SLICE),
    "breast_ultrasound": ("Breast ultrasound", PICTURE),
    "cardiac_ultrasound": ("Heart ultrasound", PICTURE),
    "fetal_ultrasound": ("Ultrasound of the fetal head", PICTURE),
    "fundus": ("Photograph of the retina", PHOTO),
    "lung_nodule_patch": ("Part of a chest CT around a nodule", SLICE),
}


def title(kind: str) -> str:
    """`Head CT, brain window`; empty for a kind that has no words."""
    return _KINDS[kind][0] if kind in _KINDS else ""


def noun(card: ModelCard) -> Noun:
    """What a model's images are called; cards that name no kind speak of films."""
    return _KINDS[card.takes[0]][1] if card.takes and card.takes[0] in _KINDS else FILM


_CONDITIONS: Mapping[str, str] = {
    "malignant": "malignancy",
    "abnormal": "an abnormality",
}
"""Classes whose identifier is no noun -> what they are called in a sentence."""


def class_name(name: str) -> str:
    """A class in a sentence: `pneumonia`, `malignancy`."""
    return _CONDITIONS.get(name, name.replace("_", " "))


def condition(card: ModelCard) -> str:
    """What the positive class is called in a sentence: `pneumonia`."""
    return class_name(card.class_ids[card.positive])


def names(card: ModelCard) -> dict[str, str]:
    """Classes in words; the other side of a yes/no question is `no <condition>`, never `normal`."""
    if card.form == "grade":
        return {c.id: f"grade {i}" for i, c in enumerate(card.classes)}
    if card.form == "one_of":
        return {c.id: lower(label) for c, label in zip(card.classes, titles(card).values(), strict=True)}
    positive = condition(card)
    return {
        c.id: positive if i == card.positive else f"no {positive.removeprefix('an ').removeprefix('a ')}"
        for i, c in enumerate(card.classes)
    }


def titles(card: ModelCard) -> dict[str, str]:
    """Classes as labels: their titles, grades with their number before them; never `Normal`."""
    labels = {c.id: "No finding" if c.title == "Normal" else c.title for c in card.classes}
    if card.form == "grade":
        return {name: f"{grade} {lower(labels[name])}" for grade, name in enumerate(labels)}
    return labels


def lower(text: str) -> str:
    """The first letter small, unless the word is an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def subject(card: ModelCard) -> str:
    """What a model is asked about: `haemorrhage`, `tumour type`, `the grade of diabetic retinopathy`."""
    if card.form == "yes_no":
        return condition(card)
    if card.form == "places":
        return outlined(card)
    title = lower(card.title.partition(" on ")[0])
    return f"the grade of {title}" if card.form == "grade" else title


def outlined(card: ModelCard) -> str:
    """What a model outlines or boxes, in words: `left ventricle, myocardium and left atrium`."""
    names = [lower(structure.title) for structure in card.places.structures] if card.places is not None else []
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def either(parts: list[str]) -> str:
    """`glioma`, `glioma or meningioma`, `glioma, meningioma or pituitary tumour`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"


LICENCES: Mapping[str, str] = {
    "open": "open",
    "unverified": "terms not verified",
    "non-commercial": "non-commercial",
    "research-only": "research only",
}
"""Licence class of a card -> words."""

_MARKS: Mapping[str, str] = {
    "unverified": "Data: terms not verified. Check them before any use beyond testing.",
    "non-commercial": "Data: non-commercial. Not for a product.",
    "research-only": "Data: research only. Not for a product.",
}


def licence_mark(*cards: ModelCard) -> str:
    """The strictest mark of the models on a page; empty where all data is open."""
    found = {card.licence for card in cards}
    for licence in ("research-only", "non-commercial", "unverified"):
        if licence in found:
            return _MARKS[licence]
    unknown = sorted(found - set(LICENCES))
    return f"Data: {unknown[0]}." if unknown else ""
