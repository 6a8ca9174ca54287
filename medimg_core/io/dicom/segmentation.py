"""DICOM segmentations (PS3.3 A.51, C.8.20): regions that belong to the images of other files.

Nothing of the file passes but masks, coded terms that `segment_terms` or PS3.16 knows, positions, and in files of our
own making the UIDs that are made of a digest. Labels and descriptions of segments are free text and stay behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Final, Literal

import numpy as np

from medimg_core.errors import TooLarge, UnreadableImage
from medimg_core.io import segment_terms as terms
from medimg_core.io.dicom.layout import Layout
from medimg_core.io.dicom.pixels import Stored, stored_frames
from medimg_core.io.dicom.source import AGAIN
from medimg_core.io.dicom.values import Dataset, first_item, items, number, numbers, raw, text, whole
from medimg_core.io.limits import MAX_MASK_BYTES, MAX_SEGMENTS
from medimg_core.types import Mark, MaskArray, ModelRef, Note, Region

Kind = Literal["BINARY", "FRACTIONAL", "LABELMAP"]
Position = tuple[float, float, float]
Orientation = tuple[float, float, float, float, float, float]

SOP_CLASSES: Final = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation Storage and Label Map Segmentation Storage (PS3.6 table A-1)."""

_MODULES: Final = ("SegmentSequence", "SegmentationType", "PerFrameFunctionalGroupsSequence")
_KINDS: Final[dict[str, Kind]] = {"BINARY": "BINARY", "FRACTIONAL": "FRACTIONAL", "LABELMAP": "LABELMAP"}
_ITEM: Final = re.compile(b"\xfe\xff\x00\xe0")  # the tag that begins every item of a sequence, little endian
_MOST_ITEMS: Final = 500_000
_OUR_UID: Final = re.compile(r"2\.25\.[1-9]\d{0,38}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_VERSION: Final = re.compile(r"(\d{1,4}\.\d{1,4}\.\d{1,4}) ([0-9a-f]{8})")
_SCORE: Final = re.compile(r"score ([01]\.\d{4})")
_FRACTION_SHOWN: Final = 0.5
_OLD_SCHEMES: Final = ("SRT", "SNM3", "99SDM")


@dataclass(frozen=True, slots=True)
class Segment:
    """One item of the Segment Sequence (PS3.3 table C.8.20-4); how it was made is believed of our own files only."""

    label: str
    who: Literal["model", "reader"]
    boxed: bool
    fit_for_use: bool


@dataclass(frozen=True, slots=True)
class Header:
    """All of a segmentation that is judged before its pixels are touched; `groups` has one item a frame."""

    kind: Kind
    segments: dict[int, Segment]
    shared: tuple[Dataset, ...]
    groups: tuple[Dataset, ...]
    ours: bool
    model: ModelRef | None


def refuse_too_many_items(data: bytes | memoryview) -> None:
    """Refuse a segmentation with more items than its limits allow, before a parser makes an object of each.

    Raises:
        TooLarge: above the limit.
    """
    if not re.search(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.66\.[47]", data[:4096]):
        return
    if next(islice(_ITEM.finditer(data), _MOST_ITEMS, None), None) is not None:
        raise TooLarge(
            f"This segmentation lists more than {_MOST_ITEMS:,} items.", "Export it with fewer segments or frames."
        )


def is_segmentation(dataset: Dataset) -> bool:
    """True for the two SOP classes, unless none of the attributes that make a segmentation is there."""
    return text(dataset, "SOPClassUID") in SOP_CLASSES and any(keyword in dataset for keyword in _MODULES)


def read_header(dataset: Dataset, layout: Layout, notes: list[Note]) -> Header:
    """Judge the segmentation image and functional groups modules (PS3.3 C.8.20.2, C.7.6.16).

    Raises:
        UnreadableImage: a sequence is missing or contradicts the rest.
        TooLarge: more segments than the limit.
    """
    labelled = text(dataset, "SOPClassUID") == SOP_CLASSES[1]
    kind = _KINDS.get("LABELMAP" if labelled else text(dataset, "SegmentationType").upper())
    if kind is None:
        raise UnreadableImage("The header does not say what kind of segmentation this is.", AGAIN)
    if not layout.grey and layout.photometric != "PALETTE COLOR":
        raise UnreadableImage("The pixels of this segmentation are colours, not segments.", AGAIN)
    size = layout.rows * layout.columns * layout.frames
    if layout.native and layout.bits_allocated == 1 and len(dataset.PixelData) > (size + 7) // 8 + 1:
        raise UnreadableImage("The pixel data are longer than rows, columns and frames of the header say.", AGAIN)
    groups, shared = items(dataset, _MODULES[2]), items(dataset, "SharedFunctionalGroupsSequence")[:1]
    if len(groups) < layout.frames:
        raise UnreadableImage(
            f"This segmentation says of {len(groups):,} of its {layout.frames:,} frames what they show.", AGAIN
        )
    if len(groups) > layout.frames:
        notes.append(Note("doubt", "The segmentation describes more frames than it holds."))
    ours = text(dataset, "Manufacturer") == terms.MAKER
    segments, model = _segments(dataset, ours)
    return Header(kind, segments, tuple(shared), tuple(groups[: layout.frames]), ours, model)


def _segments(dataset: Dataset, ours: bool) -> tuple[dict[int, Segment], ModelRef | None]:
    listed = items(dataset, "SegmentSequence")
    if not listed:
        raise UnreadableImage("This segmentation does not list its segments.", AGAIN)
    if len(listed) > MAX_SEGMENTS:
        raise TooLarge(
            f"The segmentation has {len(listed):,} segments; at most {MAX_SEGMENTS:,} are read.",
            "Export it with fewer segments.",
        )
    found: dict[int, Segment] = {}
    model = None
    for item in listed:
        place = whole(item, "SegmentNumber")
        if place is None or not 0 <= place <= 65535 or place in found:
            raise UnreadableImage("The segments of this segmentation are not numbered.", AGAIN)
        manual = text(item, "SegmentAlgorithmType").upper() == "MANUAL"
        form, _, use = text(item, "SegmentDescription").partition(", ")
        found[place] = Segment(
            label=_label(item, place),
            who="reader" if manual else "model",
            boxed=ours and form == "box",
            fit_for_use=not (ours and use == terms.UNFIT),
        )
        model = model or (_model(item) if ours else None)
    return found, model


def _label(item: Dataset, place: int) -> str:
    """Our label of the coded type, else the word that PS3.16 has for the code, else its number."""
    coded = first_item(item, "SegmentedPropertyTypeCodeSequence")
    if coded is None:
        return f"segment {place}"
    scheme, value = _modern(text(coded, "CodingSchemeDesignator"), text(coded, "CodeValue"))
    side = first_item(coded, "SegmentedPropertyTypeModifierCodeSequence")
    modifier = _modern("", text(side, "CodeValue"))[1] if side is not None else ""
    return terms.label_of(scheme, value, modifier) or _standard_words().get((scheme, value)) or f"segment {place}"


def _modern(scheme: str, value: str) -> tuple[str, str]:
    """SNOMED RT codes of older files as SNOMED CT (PS3.16 annex O)."""
    from pydicom.sr.coding import snomed_mapping

    known = snomed_mapping["SRT"].get(value)
    return ("SCT", str(known)) if known and scheme in ("", *_OLD_SCHEMES) else (scheme, value)


@cache
def _standard_words() -> dict[tuple[str, str], str]:
    """The shortest meaning of every code of PS3.16. Made once a process: it takes longer than reading a file."""
    from pydicom.sr.codedict import codes

    words: dict[tuple[str, str], str] = {}
    for scheme in ("SCT", "DCM"):
        for known in getattr(codes, scheme).concepts.values():
            key, meaning = (scheme, str(known.value)), str(known.meaning).lower()
            words[key] = min(words.get(key, meaning), meaning, key=len)
    return words


def _model(item: Dataset) -> ModelRef | None:
    """The algorithm of one of our files: `name`, and `version hash`, where both have that form."""
    stated = first_item(item, "SegmentationAlgorithmIdentificationSequence")
    if stated is None:
        return None
    name, version = _NAME.fullmatch(text(stated, "AlgorithmName")), _VERSION.fullmatch(text(stated, "AlgorithmVersion"))
    return ModelRef(name[0], version[1], version[2]) if name and version else None


def marks(dataset: Dataset, layout: Layout, header: Header, notes: list[Note]) -> Iterator[Mark]:
    """Decode frame by frame; frames and segments without a pixel are left out.

    Raises:
        UnreadableImage: a frame cannot be decoded, or shows a segment that is not listed.
        TooLarge: the masks need more memory than the limit.
    """
    planes: dict[object, int] = {}
    seen: set[tuple[int, object]] = set()
    left = MAX_MASK_BYTES
    if header.kind == "FRACTIONAL":
        notes.append(Note("doubt", "The segmentation holds fractions; half and above is shown."))
    for index, stored in enumerate(stored_frames(dataset, layout, notes)):
        at = _Place(header, index)
        for place, mask in _masks(stored, header, at, dataset):
            left -= mask.nbytes
            if left < 0:
                raise TooLarge(
                    f"The regions of this segmentation need more than {MAX_MASK_BYTES >> 20:,} MB.",
                    "Export it with fewer segments or frames.",
                )
            # Where a file says neither image nor position, the second frame of a segment is another plane.
            key = at.key if at.key is not None else next(n for n in range(len(seen) + 1) if (place, n) not in seen)
            seen.add((place, key))
            yield at.mark(header.segments[place], mask, planes.setdefault(key, len(planes)))


def _masks(stored: Stored, header: Header, at: _Place, dataset: Dataset) -> Iterator[tuple[int, MaskArray]]:
    """Segment number and mask of what one frame shows."""
    if header.kind == "LABELMAP":
        background = whole(dataset, "PixelPaddingValue") or 0
        shown = [int(value) for value in np.unique(stored) if value != background]
        _demand_listed(shown, header)
        yield from ((value, stored == value) for value in shown)
        return
    place = whole(at.macro("SegmentIdentificationSequence"), "ReferencedSegmentNumber")
    _demand_listed([place], header)
    assert place is not None
    if header.kind == "FRACTIONAL":
        most = number(dataset, "MaximumFractionalValue") or 255.0
        mask = stored >= max(1.0, _FRACTION_SHOWN * most)
    else:
        mask = stored != 0
    if mask.any():
        yield place, mask


def _demand_listed(shown: Iterable[int | None], header: Header) -> None:
    if any(place not in header.segments for place in shown):
        raise UnreadableImage("A frame of this segmentation shows a segment that the file does not list.", AGAIN)


class _Place:
    """Where one frame lies, from its functional groups (PS3.3 C.7.6.16.2) or the shared ones."""

    def __init__(self, header: Header, index: int) -> None:
        self._groups = (header.groups[index], *header.shared)
        self._ours = header.ours
        position = numbers(self.macro("PlanePositionSequence"), "ImagePositionPatient")
        cosines = numbers(self.macro("PlaneOrientationSequence"), "ImageOrientationPatient")
        self.position: Position | None = (position[0], position[1], position[2]) if len(position) == 3 else None
        self.orientation: Orientation | None = (*cosines[:3], *cosines[3:]) if len(cosines) == 6 else None
        derived = first_item(self.macro("DerivationImageSequence"), "SourceImageSequence")
        self._refers = text(derived, "ReferencedSOPInstanceUID") if derived is not None else ""
        frame = whole(derived, "ReferencedFrameNumber") if derived is not None else None
        known = (self._refers, frame, self.position)
        self.key: object = known if any(known) else None

    def macro(self, sequence: str) -> Dataset:
        """The first item of a functional group's sequence; an empty data set where there is none."""
        from pydicom import Dataset as Empty

        found = (first_item(group, sequence) for group in self._groups if raw(group, sequence) is not None)
        return next((item for item in found if item is not None), Empty())

    def mark(self, segment: Segment, mask: MaskArray, plane: int) -> Mark:
        """The region with what is known of its place. UIDs and scores pass from files of our own making only."""
        believed = self._ours and _OUR_UID.fullmatch(self._refers)
        said = _SCORE.fullmatch(text(self.macro("FrameContentSequence"), "FrameComments")) if self._ours else None
        score = min(float(said[1]), 1.0) if said else 1.0
        box = _bounds(mask) if segment.boxed else None
        return Mark(
            region=Region("box" if box else "mask", segment.label, score, box, mask=mask),
            who=segment.who,
            source=self._refers if believed else "",
            plane=plane,
            position=self.position,
            orientation=self.orientation,
            fit_for_use=segment.fit_for_use,
        )


def _bounds(mask: MaskArray) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
