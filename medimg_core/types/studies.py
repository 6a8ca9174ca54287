"""What files hold together: series and studies, what could not be read, segmentations, the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medimg_core.types.answers import ModelRef, Region
from medimg_core.types.images import Image, MrSequence


@dataclass(frozen=True, slots=True)
class Note:
    """One line about what reading did. `kind` sorts it on the Upload page."""

    kind: Literal["read", "repaired", "removed", "doubt", "sequences"]
    text: str


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
