"""The sentences of the pages, as pure functions. Plain text; `**bold**` marks what the eye should find first.

Cause first, then the next step. A film is never called free of disease, and no sentence speaks for the patient.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Literal

from medimg_core.catalog import ModelCard, Population
from medimg_core.errors import MedImgError
from medimg_core.explain import Verdict
from medimg_core.io import display_name
from medimg_core.types import GateVerdict, Image, Interval, Note, PatientHeader, Spacing
from medimg_core.ui import naming
from medimg_core.ui.numerals import bare_range, figure, percent, plural

DISCLAIMER = "Decision support, not a medical device."
OUTSIDE = "No probability is given for a picture outside the model’s field."
READING = "Reading"
CANCEL = "Cancel"
GO_ON = "Go on"
NOTHING_LEAVES = "Nothing leaves this machine."
NOT_RUN = "No model was run."
EMPTY_NOTE = "No positive evidence (maximum {maximum})"
"""On the image when nothing reaches the threshold; the viewer fills in the figure."""
UNEXPECTED = (
    "This could not be finished. Something failed that was not foreseen.",
    "Try once more; if it fails again, tell the person who looks after this server the reference.",
)
NO_MAPS = "No map: this picture was not analysed."
NO_MAPS_WHY = "The page Diagnosis says why."
ASK_THERE = "The page Diagnosis asks for age and view first."
COMPUTING = "Being computed"
STOPPED = "Stopped"
SCALE = "Colour bar: 1.0 is the 99th percentile on the test set"
SCALE_VAL = "Colour bar: 1.0 is the 99th percentile on the validation set"
"""Of maps of outlines."""
RAW_NOTE = "Below the threshold (maximum {maximum}, raw values without a scale)"
"""The same for a map without a reference scale: a small raw value says nothing about the evidence."""
LOST = "This picture could not be fetched. Reload the page and open the case again."

AUROC_FLOOR = 0.80
NOTHING_OPEN = "No image is open."
OPEN_ONE = "Drop one on the page Upload, or open a demo case there."
NO_PICTURE = "The picture appears here"
UNREADABLE_PICTURE = "No picture: the pixel data could not be read"
ASK = "Whose image is this?"
ASK_WHY = "The header does not tell age and view. The model is measured for each group apart; this is asked once."
WELCOME = "Drop images on the left, or open a demo case below. Files stay in this server’s memory."
NEEDS_PATIENT = "age and view are needed"
DEMOS = "made by the project, no patient. One click opens the diagnosis."

Tone = Literal["evidence", "none", "doubt", "stop"]


def patient_strip(header: PatientHeader | None, hidden: bool, is_open: bool) -> list[tuple[str, str]]:
    """Label and value of every entry above the image; the first has no label."""
    if not is_open:
        return [("", "No case is open.")]
    if hidden:
        return [("", "Patient details are hidden.")]
    if header is None:
        return [("", "No patient details were read.")]
    known = any((header.name, header.patient_id, header.birth_date))
    name = display_name(header.name) or "Name not in the file"
    entries = [("", name if known else "No patient details in this file")]
    view = " ".join(part for part in (header.view, {"L": "left", "R": "right"}.get(header.side, "")) if part)
    optional = [
        ("ID", header.patient_id),
        ("Born", _born(header.birth_date, header.study_date)),
        ("Study", header.study_date),
        ("View", view),
    ]
    return entries + [(label, value) for label, value in optional if value]


def _parse(day: str) -> date | None:
    digits = re.sub(r"\D", "", day)[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def _born(birth: str, study: str) -> str:
    born, taken = _parse(birth), _parse(study)
    if born is None or taken is None or taken < born:
        return birth
    years = taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
    return f"{born.isoformat()} ({years} y)"


# ---- Upload -----------------------------------------------------------------------------------------------------
def read_sentence(images: Sequence[Image], failures: int) -> str:
    """What a drop held, in one sentence."""
    if not images:
        return "Nothing could be read." if failures else "Nothing is open."
    tail = f"; {plural(failures, 'file', 'files')} could not be read." if failures else "."
    radiographs = all(image.modality in ("CR", "DX", "RG") for image in images)
    return (
        f"Read: {plural(len(images), 'film' if radiographs else 'image', 'films' if radiographs else 'images')}{tail}"
    )


def read_until(done: int, total: int) -> str:
    """After reading was stopped."""
    return f"Reading was stopped after {done:,} of {plural(total, 'file', 'files')}; the others were not read."


def picture(image: Image) -> str:
    """Format, modality, matrix and depth of an image: `DICOM, CR, 2048 × 2048, 12 bit, MONOCHROME1.`."""
    rows, columns = image.shape
    parts = [image.format, image.modality or "", f"{columns} × {rows}", f"{image.bits} bit", image.photometric]
    return ", ".join(part for part in parts if part) + "."


def notes_of(notes: Sequence[Note], kind: str) -> str:
    """All notes of a kind in one paragraph, each once."""
    texts = dict.fromkeys(note.text.strip().rstrip(".") + "." for note in notes if note.kind == kind)
    return " ".join(texts)


def corner(image: Image) -> str:
    """Upper left corner of the stage: view, matrix, depth."""
    rows, columns = image.shape
    body = (image.body_part or "").capitalize()
    first = " ".join(part for part in (body, image.view or "") if part)
    return "\n".join(part for part in (first, f"{columns} × {rows}, {image.bits} bit") if part)


def spacing(image: Image) -> str:
    """Lower left corner: millimetres a pixel and where they come from."""
    known = true_spacing(image)
    if known is None:
        return "no pixel spacing"
    row, column = known.row_mm, known.column_mm
    source = spacing_source(known)
    size = f"{row:.3g}" if abs(row - column) < 1e-6 else f"{row:.3g} × {column:.3g}"
    return f"{size} mm per pixel ({source})" if source else f"{size} mm per pixel"


def true_spacing(image: Image) -> Spacing | None:
    """The spacing of an image; a spacing of zero is none: lengths are then counted in pixels."""
    known = image.spacing
    return known if known is not None and min(known.row_mm, known.column_mm) > 0 else None


def spacing_source(known: Spacing) -> str:
    """Where a spacing comes from, in words: `at the detector`, `calibrated`, ..."""
    return {"ImagerPixelSpacing": "at the detector", "PixelSpacing": "calibrated"}.get(known.source, known.source)


def unreadable(cause: str) -> tuple[str, str]:
    """The sentence of a file that could not be read, and the detail below it.

    >>> unreadable("The pixel data are cut off: the header promises 8 bytes, the file holds 4.")
    ('This file could not be read: the pixel data are cut off.', 'The header promises 8 bytes, the file holds 4.')
    """
    first, _, rest = cause.partition(": ") if ": " in cause else cause.partition(". ")
    sentence = first.rstrip(".") + "."
    if sentence.startswith("The "):
        sentence = f"This file could not be read: the {sentence[4:]}"
    return sentence, capitalised(rest)


# ---- Diagnosis --------------------------------------------------------------------------------------------------
def capitalised(text: str) -> str:
    """The first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


_GROUPS = {
    "children": "children’s films",
    "adults": "adults’ films",
    "adults_pa": "adults’ PA films",
    "adults_ap": "adults’ AP films",
}


def not_fit(population: Population, what: str = "this result") -> str:
    """The sentence of a population in which the model is too weak."""
    return f"Not fit for use on {_GROUPS.get(population.id) or naming.lower(population.title)}; do not rely on {what}."


def below_floor(auroc: Interval | None) -> str:
    """Why a model is not fit for use."""
    if auroc is not None and auroc.value < AUROC_FLOOR:
        return f"In this population the model’s AUROC is below the floor of {figure(AUROC_FLOOR)}."
    return "In this population the model is no better than what the picture gives away by other means."


def not_studied(image: Image, told: str | None) -> str:
    """The sentence of an age or a view that no test film had."""
    if told is None and image.age_years is not None:
        age = "below 1 year" if image.age_years < 1 else f"of {int(image.age_years)} years"
        return f"Not studied in patients {age}; do not rely on this result."
    return "Not studied at this age; do not rely on this result."


def numbered(series: str, index: int, count: int, several: bool) -> str:
    """`image 7 of 20`; with its series where there are several, the series alone where it holds no other image."""
    if count == 1:
        return series
    return f"image {index + 1} of {count}" + (f" in {series}" if several else "")


def answered(where: str, mapped: bool = False) -> str:
    """On an image beside the one that was asked about."""
    return f"Answer and map belong to {where}" if mapped else f"The answer belongs to {where}"


def map_off(studied: bool, verdict: Verdict | None) -> str:
    """On the image, where the map is not shown until the reader asks for it."""
    if not studied:
        return "Map off: such maps were not measured on these patients"
    if verdict is not None and verdict.measured and verdict.mark == "hollow":
        return "Map off: it points no better than chance in this population"
    return "Map off: the model is not fit for use in this population"


def which_were_studied(card: ModelCard) -> str:
    """Ages that were left out, and where figures exist."""
    titles = "; ".join(population.title for population in card.populations)
    gap = ages_not_studied(card)
    ages = f"Ages {gap} were not studied. " if gap else ""
    return f"{ages}Measured on: {titles}."


def trust(verdict: Verdict | None) -> str:
    """Whether such maps deserve trust on this model, in a sentence."""
    if verdict is None or not verdict.measured:
        return "How well such maps point was not measured on images like this one."
    first, _, rest = verdict.words.rstrip(".").partition(" ")
    verb = {"Points": "points", "Points,": "points,", "Better": "is better", "Fails:": "fails:"}.get(first)
    said = f"The map {verb} {rest}" if verb else verdict.words.rstrip(".")
    told = first == "Fails:" or verdict.truth in verdict.words
    return f"{said}." if told else f"{said}, against {verdict.truth}."


# ---- Diagnosis: evidence ----------------------------------------------------------------------------------------
def evidence(place: str, maximum: float, threshold: float, scaled: bool) -> str:
    """Where the evidence is strongest and how strong, in the map's absolute scale.

    Args:
        place: `in the lower third on the patient’s right`; empty without positive evidence.
        maximum: largest positive value, in units of the scale.
        threshold: below it nothing is drawn.
        scaled: whether there is an absolute scale.
    """
    if not place or (scaled and maximum < threshold):
        strongest = (
            f": the strongest point reaches {figure(maximum)} of the scale" if scaled and maximum > 0.005 else ""
        )
        return f"No positive evidence{strongest}. An empty map is no proof that nothing is there."
    amount = f": {figure(maximum)} of the scale" if scaled else ""
    return f"Weak, {place}{amount}." if scaled and maximum < 0.5 else f"Strongest {place}{amount}."


# ---- Diagnosis: the other rows ----------------------------------------------------------------------------------
def second_model(
    title: str, probability: float, interval: Interval | None, agrees: bool, fit: bool, point: float | None
) -> str:
    """The second opinion in one line; where it disagrees, its own operating point says why."""
    spread = f" ({bare_range(interval.low, interval.high)})" if interval else ""
    said = f"{title}: **{percent(probability)}{spread}**"
    if not fit:
        return f"{said}, not fit for use here."
    if agrees:
        return f"{said}, agrees."
    side = (
        ""
        if point is None
        else f": {'above' if probability >= point else 'below'} its operating point of {percent(point)}"
    )
    return f"{said}, **disagrees**{side}."


def input_check(gate: GateVerdict, source: str) -> str:
    """What the first gate said about an accepted film, and where age and view come from."""
    reasons = " ".join(reason.strip().rstrip(".") + "." for reason in gate.reasons)
    if gate.kind == "not_checked":
        said = reasons
    elif reasons:
        said = f"Accepted with doubt. {reasons}"
    else:
        said = f"{naming.title(gate.kind) or 'Frontal chest film'}. Accepted without reservation."
    return f"{said} {source}".strip()


def source_of_patient(image: Image, who: str | None) -> str:
    """Where age and view were taken from."""
    if who == "unknown":
        return "Age and view are not known."
    if who:
        return "Age and view as you told."
    if image.age_years is None and image.view is None:
        return ""
    if image.age_years is None:
        return f"View {image.view} read from the header."
    if image.view is None:
        return "Age read from the header."
    return f"View {image.view} and age read from the header."


def ages_not_studied(card: ModelCard) -> str:
    """`0 and 6–17`: whole years between 0 and the oldest population that no population of the card takes."""
    bounds = [(p.age_min, p.age_max) for p in card.populations]
    top = max((int(low) for low, _ in bounds if low is not None), default=0)
    taken = [range(int(low or 0), top if high is None else int(high) + 1) for low, high in bounds]
    free = [year for year in range(top) if not any(year in ages for ages in taken)]
    runs: list[list[int]] = []
    for year in free:
        if runs and year == runs[-1][-1] + 1:
            runs[-1].append(year)
        else:
            runs.append([year])
    return " and ".join(str(r[0]) if len(r) == 1 else f"{r[0]}–{r[-1]}" for r in runs)


def provenance(name: str, version: str, digest: str, temperature: float | None, seconds: float | None) -> str:
    """The right end of the footer: model, hash, calibration, time."""
    parts = [f"{name} {version}", f"sha256 {digest}"]
    if temperature is not None:
        parts.append(f"calibrated (T {temperature:.2f})")
    if seconds is not None:
        parts.append(f"{seconds:.2f} s")
    return " · ".join(parts)


# ---- Explainability ---------------------------------------------------------------------------------------------
def failed(error: BaseException | None, reference: str) -> str:
    """On a pane whose map could not be made."""
    cause = error.cause if isinstance(error, MedImgError) else UNEXPECTED[0]
    return f"{cause} Reference {reference}."


def progress(running: Sequence[tuple[str, float]]) -> str:
    """`Score-CAM 43 %, Occlusion waits`."""
    said = [f"{title} {round(share * 100)}\u00a0%" if share > 0 else f"{title} waits" for title, share in running]
    return "Being computed: " + ", ".join(said)


RAW = "raw values, no reference scale"
"""Beside a map whose method was not measured on the test set: its colours mean nothing absolute."""


def maps_provenance(
    grids: Sequence[tuple[int, int]], source: tuple[int, int], model: str, measured: str = "test set"
) -> str:
    """The footer of the maps: resolution, scale and what it was measured on, model."""
    sizes = " and ".join(f"{columns} × {rows}" for rows, columns in sorted(set(grids)))
    raised = f"maps of {sizes}, raised to {source[1]} × {source[0]}" if grids else ""
    scale = f"1.0 = 99th percentile of the method on the {measured}"
    return " · ".join(part for part in (raised, scale, model) if part)
