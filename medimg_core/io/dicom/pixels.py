"""Decoded frames in modality units: offset tables, modality LUT, palette and colour."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_fragments, generate_frames
from pydicom.pixels import apply_color_lut, get_decoder

from medimg_core.errors import UnreadableImage
from medimg_core.io.dicom import codecs
from medimg_core.io.dicom.layout import Layout
from medimg_core.io.dicom.source import AGAIN
from medimg_core.io.dicom.values import Dataset, Frame, first_item, number, numbers, present
from medimg_core.types import FloatArray, Note

Stored = NDArray[Any]
_EXACT_IN_FLOAT32: Final = 1 << 24
_DAMAGED: Final = "The compressed pixel data are damaged."


def modality_frames(dataset: Dataset, layout: Layout, notes: list[Note]) -> Iterator[Stored]:
    """Decode frame by frame and apply the modality LUT (DICOM PS3.3 C.11.1).

    Yields:
        grey: float32 `[H, W]` in modality units; PALETTE COLOR: the stored indices `[H, W]`; colour: RGB
        `[H, W, 3]` in the stored depth, whatever the colour space of the file.

    Raises:
        UnreadableImage: a frame cannot be decoded, or its modality LUT cannot be used.
    """
    for index, stored in enumerate(stored_frames(dataset, layout, notes)):
        yield to_modality(stored, Frame(dataset, index)) if layout.grey else stored


def stored_frames(dataset: Dataset, layout: Layout, notes: list[Note]) -> Iterator[Stored]:
    """Stored values of each frame: unused and overlay bits masked, signs extended, YBR turned into RGB."""
    if layout.bits_allocated == 1 and layout.native:
        yield from _packed_frames(dataset, layout)
        return
    decoder = get_decoder(layout.syntax)
    if not layout.native:
        _mend_offset_table(dataset, layout, notes)
    decoded = decoder.iter_array(dataset, decoding_plugin=codecs.plugin(layout.syntax), allow_excess_frames=False)
    frames = _encoded_frames(dataset, layout) if not layout.native else iter([b""] * layout.frames)
    for frame in islice(frames, layout.frames):
        if not layout.native:
            codecs.inspect(frame, layout)
        try:
            pixels, _ = next(decoded)
        except (MemoryError, KeyboardInterrupt):
            raise
        except BaseException as failure:  # whatever the decoders raise; a panic of the one in Rust is no Exception
            raise UnreadableImage(_DAMAGED, AGAIN) from failure
        if pixels.shape[:2] != (layout.rows, layout.columns):
            raise UnreadableImage(_DAMAGED, AGAIN)
        yield pixels


def _packed_frames(dataset: Dataset, layout: Layout) -> Iterator[Stored]:
    """One bit a pixel (PS3.5 8.1.1): frames follow each other without padding, and need not begin on a byte."""
    data, size = np.frombuffer(dataset.PixelData, np.uint8), layout.rows * layout.columns
    for first in range(0, size * layout.frames, size):
        inside = data[first // 8 : (first + size + 7) // 8]
        bits = np.unpackbits(inside, bitorder="little")[first % 8 :][:size]
        yield bits.reshape(layout.rows, layout.columns)


def _encoded_frames(dataset: Dataset, layout: Layout) -> Iterator[bytes]:
    table, lengths = (dataset.get(f"ExtendedOffsetTable{suffix}") for suffix in ("", "Lengths"))
    offsets = (table, lengths) if table and lengths and len(table) == len(lengths) else None
    return iter(generate_frames(dataset.PixelData, number_of_frames=layout.frames, extended_offsets=offsets))


def _mend_offset_table(dataset: Dataset, layout: Layout, notes: list[Note]) -> None:
    """Where the offset tables lead nowhere or astray, take one fragment as one frame, if their numbers agree."""
    counted, fitting = 0, 0
    try:
        for frame in islice(_encoded_frames(dataset, layout), layout.frames):
            counted += 1
            codecs.inspect(frame, layout)
            fitting += 1
    except Exception:  # a table may point anywhere; what pydicom raises then says nothing more
        fitting = -1
    if fitting == layout.frames:
        return
    try:
        fragments = [bytes(fragment) for fragment in generate_fragments(dataset.PixelData)]
    except Exception as failure:
        raise UnreadableImage("The compressed pixel data are cut off or damaged.", AGAIN) from failure
    # The first item is the basic offset table itself.
    fragments = fragments[1:] if len(fragments) == layout.frames + 1 else fragments
    if len(fragments) == layout.frames and all(fragments):
        for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
            if keyword in dataset:
                del dataset[keyword]
        dataset.PixelData = encapsulate(fragments, has_bot=True)
        notes.append(Note("repaired", "Damaged frame offset table replaced: each fragment is one frame."))
    elif counted != layout.frames:
        raise UnreadableImage(
            f"The table that says where the frames begin is damaged (frames in the header: {layout.frames:,}).", AGAIN
        )


def to_modality(stored: Stored, frame: Frame) -> FloatArray:
    """Apply the Modality LUT Sequence, or rescale slope and intercept, to stored values.

    Returns:
        float32 of the same shape; computed in float64 wherever float32 would not be exact.
    """
    group = frame.macro("PixelValueTransformationSequence")
    lut = first_item(group, "ModalityLUTSequence")
    if lut is not None:
        first, table = lookup_table(lut, signed=stored.dtype.kind == "i")
        index = np.clip(stored.astype(np.int64) - first, 0, len(table) - 1)
        return np.asarray(table[index], np.float32)
    slope, intercept = rescale(group)
    if (slope, intercept) == (1.0, 0.0):
        return np.ascontiguousarray(stored, np.float32)
    exact = slope.is_integer() and intercept.is_integer() and stored.dtype.itemsize <= 2
    if exact and abs(slope) * 65536 + abs(intercept) < _EXACT_IN_FLOAT32:
        values = stored.astype(np.float32)
        values *= np.float32(slope)
        values += np.float32(intercept)
        return values
    return (stored.astype(np.float64) * slope + intercept).astype(np.float32)


def rescale(group: Dataset) -> tuple[float, float]:
    """Slope and intercept; (1, 0) where the file names neither.

    Raises:
        UnreadableImage: present, but no number: the values would be shown in a wrong unit.
    """
    found = []
    for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)):
        value = number(group, keyword) if present(group, keyword) else default
        if value is None or (keyword == "RescaleSlope" and value == 0):
            raise UnreadableImage("The rescale values of this file are damaged, so its units are unknown.", AGAIN)
        found.append(value)
    return found[0], found[1]


def lookup_table(lut: Dataset, *, signed: bool) -> tuple[int, FloatArray]:
    """First mapped value and table of a LUT item (DICOM PS3.3 C.11.1.1.1).

    Raises:
        UnreadableImage: the descriptor and the data contradict each other.
    """
    descriptor, data = numbers(lut, "LUTDescriptor"), lut.get("LUTData")
    if len(descriptor) != 3 or data is None:
        raise UnreadableImage("A lookup table of this file is damaged.", AGAIN)
    length, first, bits = int(descriptor[0]) or 65536, int(descriptor[1]), int(descriptor[2])
    if signed and first > 32767:
        first -= 65536
    if isinstance(data, bytes):
        order = "<" if lut.is_little_endian is not False else ">"
        wide = len(data) >= 2 * length
        table = np.frombuffer(data[: len(data) // 2 * 2] if wide else data, f"{order}u2" if wide else "u1")
    else:
        table = np.atleast_1d(np.asarray(data, np.float64)).astype(np.int64) & 0xFFFF
    if not 1 <= bits <= 16 or len(table) < length:
        raise UnreadableImage("A lookup table of this file is damaged.", AGAIN)
    return first, table[:length].astype(np.float32)


def palette_rgb(indices: Stored, dataset: Dataset) -> Stored:
    """RGB `[H, W, 3]` of PALETTE COLOR indices, in the depth of the palette (8 or 16 bit).

    Raises:
        UnreadableImage: the palette is missing or damaged.
    """
    try:
        return np.asarray(apply_color_lut(indices, dataset))[..., :3]
    except Exception as failure:
        raise UnreadableImage("The colour palette of this file is missing or damaged.", AGAIN) from failure


def to_display_rgb(colour: Stored, bits: int) -> NDArray[np.uint8]:
    """RGB of any depth as uint8 `[H, W, 3]`, scaled so that the largest storable value becomes 255."""
    if bits == 8 and colour.dtype == np.uint8:
        return np.ascontiguousarray(colour)
    scaled = colour.astype(np.float32) * np.float32(255 / (2**bits - 1))
    return np.ascontiguousarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
