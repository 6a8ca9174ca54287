"""What reading did, in the sentences of the Upload page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medimg_core.types import Image, Note, Segmentation

_NAMED = 6
_SHOWN_ABOVE = (
    "Name, ID, birth date and study date are shown above the image, kept in memory until you close this case, "
    "and nowhere else."
)


def series_notes(
    images: Sequence[Image], *, encoding: str, removed: int, patient: bool, found: Sequence[Note]
) -> tuple[Note, ...]:
    """All notes of a series.

    Args:
        images: in order, at least one.
        encoding: how the first file stores its pixels.
        removed: largest number of identifying attributes in any file.
        patient: whether a patient header is shown.
        found: repairs and doubts of all files, in order; equal ones are said once.
    """
    notes = [Note("read", _read(images, encoding)), *_shown(images)]
    if removed:
        what = f"{removed} identifying attribute{'s' if removed > 1 else ''}."
        notes.append(Note("removed", f"{what} {_SHOWN_ABOVE}" if patient else what))
    return tuple(dict.fromkeys([*notes, *found]))


def _read(images: Sequence[Image], encoding: str) -> str:
    first = images[0]
    rows, columns = first.shape
    colour = first.photometric if first.format == "DICOM" else "colour" if first.photometric == "RGB" else "grey"
    parts = [first.format, first.modality, f"{columns} × {rows}", f"{first.bits} bit", colour, encoding]
    if len(images) > 1:
        parts.append(f"{len(images)} images")
    sentence = f"{', '.join(part for part in parts if part)}."
    return f"{sentence} View {first.view} from the header." if first.view else sentence


def _shown(images: Sequence[Image]) -> Iterator[Note]:
    first = images[0]
    if first.photometric == "MONOCHROME1":
        yield Note("repaired", "Inverted for display: low values are white (MONOCHROME1).")
    if first.windows:
        window = first.windows[0]
        own = any(image.windows[:1] != first.windows[:1] for image in images)
        one = f"Window {window.centre:g} / {window.width:g} from the file."
        yield Note("repaired", "Windows from the file, each image its own." if own else one)
    elif first.voi_lut is not None:
        yield Note("repaired", "Grey levels from the lookup table (VOI LUT) of the file.")
    if first.for_processing:
        yield Note("doubt", "Raw detector data (FOR PROCESSING), not meant for reading.")
    if first.synthetic:
        yield Note("doubt", "Synthetic: made by a program, shows no patient.")


def segmentation_note(found: Segmentation) -> Note:
    """What a segmentation holds, in one line."""
    labels = dict.fromkeys(region.label.replace("_", " ") for _, region in found.regions)
    several = len(found.marks) != 1
    what = f"{len(found.marks)} region{'s' if several else ''}" if found.marks else "no region"
    named = f" ({', '.join(list(labels)[:_NAMED])}{', ...' if len(labels) > _NAMED else ''})" if labels else ""
    return Note("read", f"A DICOM segmentation with {what}{named}, {found.columns} × {found.rows}.")
