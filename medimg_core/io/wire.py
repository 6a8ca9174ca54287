"""How the decoding process answers: JSON and raw numbers, never a pickle.

A decoder that a hostile file has taken over must not gain anything over the process that asked it. A message is
four bytes with the length of a JSON object, the object, and the buffers whose sizes the object lists.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from medimg_core.types import Image, Mark, ModelRef, MrSequence, PatientHeader, Region, Spacing, VoiLut, Window

Message = dict[str, Any]
Buffer = Any  # anything with the buffer protocol: bytes, memoryview, contiguous array

_MAX_JSON: Final = 16 << 20
_PIXEL_TYPES: Final = ("float32", "uint8")


class Closed(ConnectionError):
    """The other side ended."""


def send(connection: socket.socket, message: Message, *buffers: Buffer) -> None:
    """Send one message with its buffers."""
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    text = json.dumps({**message, "sizes": [len(view) for view in views]}).encode()
    connection.sendall(len(text).to_bytes(4, "big") + text)
    for view in views:
        connection.sendall(view)


def receive(connection: socket.socket, limit: int) -> tuple[Message, list[NDArray[np.uint8]]]:
    """Receive one message and its buffers.

    Raises:
        Closed: the other side ended.
        ValueError: the message is malformed, or its buffers claim more than `limit` bytes.
        TimeoutError: the socket's own time limit passed.
    """
    length = int.from_bytes(_exactly(connection, 4), "big")
    if length > _MAX_JSON:
        raise ValueError("message too long")
    message = json.loads(bytes(_exactly(connection, length)))
    sizes = message["sizes"]
    if not all(isinstance(size, int) and size >= 0 for size in sizes) or sum(sizes) > limit:
        raise ValueError("buffers above the limit")
    return message, [_exactly(connection, size) for size in sizes]


def _exactly(connection: socket.socket, size: int) -> NDArray[np.uint8]:
    data = np.empty(size, np.uint8)
    view, done = data.data, 0
    while done < size:
        count = connection.recv_into(view[done:])
        if count == 0:
            raise Closed("the connection was closed")
        done += count
    return data


def pack_image(image: Image) -> tuple[Message, list[Buffer]]:
    """An image as a message: scalars as JSON, pixels and the table of a VOI LUT as buffers."""
    plain = ("pixels", "voi_lut", "spacing", "windows")
    fields: Message = {name: getattr(image, name) for name in Image.__slots__ if name not in plain}
    fields["spacing"] = asdict(image.spacing) if image.spacing else None
    fields["windows"] = [asdict(window) for window in image.windows]
    buffers: list[Buffer] = [np.ascontiguousarray(image.pixels)]
    if image.voi_lut is not None:
        fields["voi_lut"] = {"first": image.voi_lut.first, "bits": image.voi_lut.bits}
        buffers.append(image.voi_lut.table)
    return {"shape": image.pixels.shape, "dtype": image.pixels.dtype.name, "image": fields}, buffers


def unpack_image(message: Message, buffers: list[NDArray[np.uint8]]) -> Image:
    """The inverse of `pack_image`; ValueError, TypeError or KeyError where the message is malformed."""
    if message["dtype"] not in _PIXEL_TYPES:
        raise ValueError("unexpected pixel type")
    fields = dict(message["image"])
    spacing, lut = fields.pop("spacing"), fields.pop("voi_lut", None)
    for name in ("position", "orientation", "patient_orientation"):
        fields[name] = tuple(fields[name]) if fields[name] is not None else None
    return Image(
        pixels=buffers[0].view(message["dtype"]).reshape(message["shape"]),
        spacing=Spacing(**spacing) if spacing else None,
        windows=tuple(Window(**window) for window in fields.pop("windows")),
        voi_lut=VoiLut(table=buffers[1].view(np.float32), **lut) if lut else None,
        **fields,
    )


def pack_mark(mark: Mark) -> tuple[Message, list[Buffer]]:
    """A mark as a message; its mask as a buffer of one byte a pixel."""
    region, mask = mark.region, mark.region.mask
    assert mask is not None, "every mark of a file has a mask"
    fields: Message = {name: getattr(mark, name) for name in Mark.__slots__ if name != "region"}
    told = {"kind": region.kind, "label": region.label, "score": region.score, "box": region.box}
    return {"shape": mask.shape, "mark": fields, "region": told}, [np.ascontiguousarray(mask).view(np.uint8)]


def unpack_mark(message: Message, buffers: list[NDArray[np.uint8]]) -> Mark:
    """The inverse of `pack_mark`; ValueError, TypeError or KeyError where the message is malformed."""
    told, fields = dict(message["region"]), dict(message["mark"])
    for name in ("position", "orientation"):
        fields[name] = tuple(fields[name]) if fields[name] is not None else None
    told["box"] = tuple(told["box"]) if told["box"] is not None else None
    mask = (buffers[0] != 0).reshape(message["shape"])
    return Mark(Region(**told, mask=mask), **fields)


def pack_model(model: ModelRef | None) -> Message | None:
    """Which model drew a segmentation, as JSON values."""
    return asdict(model) if model is not None else None


def unpack_model(message: Message | None) -> ModelRef | None:
    """The inverse of `pack_model`."""
    return ModelRef(**{name: str(value) for name, value in message.items()}) if message is not None else None


def unpack_sequence(message: object) -> MrSequence | None:
    """An MR sequence that is one of the terms, else None."""
    return next((term for term in get_args(MrSequence) if term == message), None)


def pack_patient(patient: PatientHeader) -> Message:
    """A patient header as JSON values."""
    return asdict(patient)


def unpack_patient(message: Message) -> PatientHeader:
    """The inverse of `pack_patient`."""
    return PatientHeader(**{name: str(value) for name, value in message.items()})
