"""A small pool of warm decoding processes, so that no file can take the app down.

The processes are started afresh (not forked): they inherit neither TensorFlow nor Streamlit, nor any other session's
pixels. Their answers are JSON and raw numbers (`wire`), checked here. A process that dies, hangs or answers nonsense
is ended, its file is reported as unreadable, and the next file gets a new process.
"""

from __future__ import annotations

import atexit
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medimg_core import errors
from medimg_core.errors import MedImgError, UnreadableImage
from medimg_core.io import wire
from medimg_core.io.limits import FILE_SECONDS, FRAME_SECONDS, MAX_DECODED_BYTES, WORKER_MEMORY_BYTES
from medimg_core.types import Image, Mark, MrSequence, Note, PatientHeader, Segmentation

WORKERS: Final = 2
"""Processes of the pool; the second starts when two files are read at once."""

_ROOT: Final = Path(__file__).resolve().parents[2]
_AGAIN: Final = "Export or send it again from its source, or convert it to another encoding."
_END_SECONDS: Final = 2.0
_KEPT_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decoding process made of one file; see `opened.OpenedFile`."""

    images: tuple[Image, ...]
    encoding: str
    group: str
    patient: PatientHeader
    removed: int
    notes: tuple[Note, ...]
    segmentation: Segmentation | None = None
    frame: str = ""
    sequence: MrSequence | None = None


class WorkerFailure(UnreadableImage):
    """A damaged file that no rule of ours caught. `where` is for the log and quotes nothing of the file."""

    where: str = ""


class _Worker:
    """One decoding process and the socket to it."""

    def __init__(self, memory_bytes: int) -> None:
        ours, theirs = socket.socketpair()
        # One BLAS thread and one heap: each further one would reserve address space.
        environment = {
            **{name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ},
            "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "1",
        }
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-B", "-m", "medimg_core.io.worker", str(memory_bytes)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # Ctrl-C in the terminal is for the app, which then ends its workers
            )
        self.connection = ours

    def alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        """End the process now and reap it."""
        self.connection.close()
        self.process.kill()
        self.process.wait(_END_SECONDS)

    def decode(self, kind: str, data: bytes, frame_seconds: float, file_seconds: float) -> Decoded:
        """Have one file decoded. On any exception but MedImgError of the file itself the worker is unusable."""
        deadline = time.monotonic() + file_seconds
        self.connection.settimeout(frame_seconds)
        wire.send(self.connection, {"kind": kind}, data)
        head, images, budget = None, [], MAX_DECODED_BYTES
        marks: list[Mark] = []
        segmentation: Segmentation | None = None
        while True:
            self.connection.settimeout(max(0.01, min(frame_seconds, deadline - time.monotonic())))
            message, buffers = wire.receive(self.connection, budget)
            budget -= sum(buffer.nbytes for buffer in buffers)
            if message["type"] == "error":
                raise _error(message)
            if message["type"] == "head":
                head = message
            elif message["type"] == "image":
                images.append(wire.unpack_image(message, buffers))
            elif message["type"] == "mark":
                marks.append(wire.unpack_mark(message, buffers))
            elif message["type"] == "segmentation":
                model = wire.unpack_model(message["model"])
                segmentation = Segmentation(tuple(marks), int(message["rows"]), int(message["columns"]), model)
            elif head is not None:
                return Decoded(
                    images=tuple(images),
                    encoding=str(head["encoding"]),
                    group=str(head["group"]),
                    patient=wire.unpack_patient(head["patient"]),
                    removed=int(head["removed"]),
                    notes=tuple(Note(kind, text) for kind, text in message["notes"]),
                    segmentation=segmentation,
                    frame=str(head["frame"]),
                    sequence=wire.unpack_sequence(head["sequence"]),
                )


class Pool:
    """Up to `workers` decoding processes, started when first needed; safe to use from several threads.

    Args:
        workers: most processes at once; more callers wait.
        frame_seconds: longest wait for the next frame.
        file_seconds: longest time for one file.
        memory_bytes: address space of a process.
    """

    def __init__(
        self,
        workers: int = WORKERS,
        *,
        frame_seconds: float = FRAME_SECONDS,
        file_seconds: float = FILE_SECONDS,
        memory_bytes: int = WORKER_MEMORY_BYTES,
    ) -> None:
        self._limits = frame_seconds, file_seconds
        self._memory_bytes = memory_bytes
        # Last in, first out: one user needs one process. None stands for a process not started.
        self._idle: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._lock = threading.Lock()
        self._started: set[_Worker] = set()
        self._closed = False

    def decode(self, kind: str, data: bytes) -> Decoded:
        """Decode one file in a process of the pool.

        Args:
            kind: `dicom` or `picture`, as `sniff` says.
            data: the whole file.

        Raises:
            MedImgError: why the file cannot be used.
        """
        worker = self._idle.get()
        try:
            if worker is None or not worker.alive():
                worker = self._replace(worker)
            return worker.decode(kind, data, *self._limits)
        except MedImgError:
            raise
        except TimeoutError:
            self._drop(worker)
            worker = None
            raise UnreadableImage("Decoding this file took too long and was stopped.", _AGAIN) from None
        except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
            self._drop(worker)
            worker = None
            raise UnreadableImage("The decoder gave up on this file; it is damaged.", _AGAIN) from None
        except BaseException:  # an interrupt in the middle of an answer leaves the rest of it in the socket
            self._drop(worker)
            worker = None
            raise
        finally:
            self._idle.put(worker)

    def warm_up(self, workers: int = 1) -> None:
        """Start processes now, without waiting for them, so that the first file finds them ready."""
        held: list[_Worker | None] = []
        try:
            while len(held) < workers:
                worker = self._idle.get_nowait()
                held.append(worker if worker and worker.alive() else self._replace(worker))
        except queue.Empty:
            pass  # the others are at work, so they are warm
        finally:
            for worker in held:
                self._idle.put(worker)

    def pids(self) -> tuple[int, ...]:
        """Process ids of the running workers, for measuring their memory."""
        with self._lock:
            return tuple(worker.process.pid for worker in self._started)

    def close(self) -> None:
        """End all processes; a file being decoded is reported as unreadable."""
        with self._lock:
            self._closed = True
            workers, self._started = self._started, set()
        for worker in workers:
            worker.end()

    def _replace(self, worker: _Worker | None) -> _Worker:
        self._drop(worker)
        with self._lock:
            if self._closed:
                raise MedImgError("The app is closing.", "Start it again.")
            fresh = _Worker(self._memory_bytes)
            self._started.add(fresh)
        return fresh

    def _drop(self, worker: _Worker | None) -> None:
        if worker is None:
            return
        with self._lock:
            self._started.discard(worker)
        worker.end()


def _error(message: wire.Message) -> MedImgError:
    cause, remedy, where = str(message["cause"]), str(message["remedy"]), str(message["where"])
    if where:
        failure = WorkerFailure(cause, remedy)
        failure.where = where
        return failure
    known = getattr(errors, str(message["class"]), None)
    if isinstance(known, type) and issubclass(known, MedImgError):
        return known(cause, remedy)
    return UnreadableImage(cause, remedy)


_default: Pool | None = None
_default_lock = threading.Lock()


def default_pool() -> Pool:
    """The pool of this process, made when first asked for and ended with the process."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Pool()
            atexit.register(_default.close)
        return _default


def warm_up(workers: int = 1) -> None:
    """Start decoding processes of the default pool now; returns at once."""
    default_pool().warm_up(workers)


def shutdown() -> None:
    """End the default pool's processes; the next file starts new ones."""
    global _default
    with _default_lock:
        pool, _default = _default, None
    if pool is not None:
        atexit.unregister(pool.close)
        pool.close()
