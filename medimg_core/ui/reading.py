"""From dropped files to a case: reading, and the words for what was read and for what could not be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from medimg_core.catalog import list_models
from medimg_core.errors import Cancelled, MedImgError
from medimg_core.explain.registry import Progress
from medimg_core.io import read_study
from medimg_core.types import Failure, Note, PatientHeader, Study
from medimg_core.ui import words
from medimg_core.ui.faults import report
from medimg_core.ui.panel import Panel, Row
from medimg_core.ui.session import Case
from medimg_core.workflows.sequences import add_joined, wanted


@dataclass(frozen=True, slots=True)
class Reading:
    """A study, and whose images each of its series holds."""

    study: Study
    headers: tuple[PatientHeader, ...]


def read(files: Sequence[bytes], progress: Progress = lambda share: None) -> Reading:
    """Read files by content. A file that cannot be read is a `Failure` of the study, with a reference number.

    Args:
        progress: called after each file with the share done. Where it raises `Cancelled`, reading ends there: what was
            read is kept, and a note says that the rest was not.
    """
    halted = [0, 0]

    def tell(done: int, total: int) -> None:
        try:
            progress(done / total)
        except Cancelled:
            halted[:] = done, total

    items = [("", content) for content in files]
    study, headers = read_study(items, progress=tell, stopped=lambda: halted[1] > 0)
    if 0 < halted[0] < halted[1]:
        study = replace(study, notes=(*study.notes, Note("doubt", words.read_until(*halted))))
    if wanted(list_models()):
        study, whose = add_joined(study)
        headers = (*headers, *(headers[series] for series in whose))
    failures = tuple(Failure(f.number, f.error, f.reference or report(f.error)) for f in study.failures)
    return Reading(replace(study, failures=failures), headers)


def upload_panel(case: Case, routed: Sequence[Row]) -> Panel:
    """What was read, repaired and removed, what is in doubt, and which model the image goes to."""
    study, image = case.study, case.image
    if image is None:
        return failure_panel(study.failures[0]) if study.failures else Panel("none", "Nothing could be read.")
    series = case.series
    notes = [*study.notes, *(series.notes if series else ())]
    read_so_far = words.notes_of(notes, "read") or words.picture(image)
    rows: list[Row] = [*routed, ("Read", read_so_far)]
    for kind, label in (("repaired", "Repaired"), ("removed", "Removed"), ("doubt", "Doubt")):
        if text := words.notes_of(notes, kind):
            rows.append((label, text))
    rows += [(f"File {f.number}", _failed(f)) for f in study.failures[:4]]
    if len(study.failures) > 4:
        rows.append(("Also", f"{len(study.failures) - 4} more files could not be read."))
    number = f"image {case.chosen + 1} of {len(study.images)}, content hash {image.digest[:8]}."
    return Panel("none", words.read_sentence(study.images, len(study.failures)), number, rows=tuple(rows))


def sequence_rows(case: Case) -> tuple[Row, ...]:
    """Which series of the study were joined as colours, or what is missing for that."""
    said = words.notes_of(case.study.notes, "sequences")
    return (("Sequences", said),) if said else ()


def failure_panel(failure: Failure) -> Panel:
    """The state of a file that could not be read: cause, next step, reference."""
    error = failure.error
    cause, remedy = (error.cause, error.remedy) if isinstance(error, MedImgError) else words.UNEXPECTED
    sentence, detail = words.unreadable(cause)
    rows: tuple[Row, ...] = (
        ("Next step", remedy),
        ("Reference", f"{failure.reference}. It finds the technical record in the log; it holds no patient data."),
    )
    return Panel("stop", sentence, detail, rows=rows)


def _failed(failure: Failure) -> str:
    error = failure.error
    text = f"{error.cause} {error.remedy}" if isinstance(error, MedImgError) else " ".join(words.UNEXPECTED)
    return f"{text} Reference {failure.reference}."
