"""The decoding process: reads requests from its standard input, a socket, and answers with images.

It is confined before it sees a byte: no more than `WORKER_MEMORY_BYTES` of address space, no file it could write, no
core dump that would hold a patient's image, nothing on its standard output and error. It ends when its socket does.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Final

from medimg_core.errors import MedImgError, TooLarge, UnreadableImage
from medimg_core.io import wire
from medimg_core.io.limits import MAX_FILE_BYTES
from medimg_core.io.opened import OpenedFile

Reader = Callable[[memoryview], OpenedFile]

_AGAIN: Final = "Export or send it again from its source."


def main() -> None:
    """Serve requests until the other side closes the socket."""
    _confine(int(sys.argv[1]))
    # pydicom would load `requests` to fetch its test data: a third of the start, and nothing that belongs here.
    sys.modules["requests"] = None  # type: ignore[assignment]
    from medimg_core.io.dicom import open_dicom, quiet
    from medimg_core.io.pictures import open_picture

    readers: dict[str, Reader] = {"dicom": open_dicom, "picture": open_picture}
    connection = socket.socket(fileno=0)
    # The parent may go away at any time; what is left is to end quietly.
    with quiet(), contextlib.suppress(ConnectionError):
        while True:
            request, buffers = wire.receive(connection, MAX_FILE_BYTES)
            _answer(connection, readers[request["kind"]], buffers.pop().data)
            _give_memory_back()


def _answer(connection: socket.socket, reader: Reader, data: memoryview) -> None:
    try:
        _send_images(connection, reader(data))
    except ConnectionError:
        raise
    except MedImgError as error:
        _send_error(connection, error, "")
    except MemoryError:
        _send_error(connection, TooLarge("Decoding this file needs more memory than is allowed.", _AGAIN), "")
    except Exception as failure:
        unknown = UnreadableImage("The contents of this file are damaged or contradict each other.", _AGAIN)
        _send_error(connection, unknown, _where(failure))


def _send_images(connection: socket.socket, opened: OpenedFile) -> None:
    head = {"frames": opened.frames, "group": opened.group, "encoding": opened.encoding, "removed": opened.removed}
    head |= {"frame": opened.frame, "sequence": opened.sequence}
    wire.send(connection, {"type": "head", **head, "patient": wire.pack_patient(opened.patient)})
    for image in opened.images:
        message, buffers = wire.pack_image(image)
        wire.send(connection, {"type": "image", **message}, *buffers)
    if (found := opened.segmentation) is not None:
        for mark in found.marks:
            message, buffers = wire.pack_mark(mark)
            wire.send(connection, {"type": "mark", **message}, *buffers)
        model = wire.pack_model(found.model)
        wire.send(connection, {"type": "segmentation", "rows": found.rows, "columns": found.columns, "model": model})
    notes = [[note.kind, note.text] for note in opened.notes]
    wire.send(connection, {"type": "end", "notes": notes})


def _send_error(connection: socket.socket, error: MedImgError, where: str) -> None:
    message = {"type": "error", "class": type(error).__name__, "cause": error.cause, "remedy": error.remedy}
    wire.send(connection, {**message, "where": where})


def _where(failure: Exception) -> str:
    """A trace without messages and values, which may quote the file: class names and places in the code only."""
    places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(failure.__traceback__)]
    return f"{type(failure).__name__} in {' > '.join(places[-6:])}"


def _confine(memory_bytes: int) -> None:
    for what, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # a system may have a tighter limit, or not know one
            resource.setrlimit(what, (limit, limit))


def _give_memory_back() -> None:
    """Return freed memory to the system, so that a worker at rest is small. glibc only; elsewhere a no-op."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    main()
