"""The way in: files, folders and zips become a study without names, and the headers that only `ui` may hold."""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from medimg_core.errors import MedImgError, OutlinesOnly, TooLarge
from medimg_core.io.archives import Item, Source, load_path, sources
from medimg_core.io.isolation import WORKERS, Decoded, Pool, WorkerFailure, default_pool
from medimg_core.io.limits import MAX_FILE_BYTES, MAX_STUDY_BYTES
from medimg_core.io.notes import segmentation_note, series_notes
from medimg_core.io.series import describe, in_order, place, plane
from medimg_core.io.sniff import refusal, sniff
from medimg_core.types import Failure, Image, MrSequence, Note, PatientHeader, Segmentation, Series, Study

Progress = Callable[[int, int], None]
"""Called with the number of files done and the number of all files."""

_LOG: Final = logging.getLogger(__name__)
NOBODY: Final = PatientHeader()
"""The header of a picture that names no patient."""

_REFERENCE_DIGITS: Final = 8


@dataclass(frozen=True, slots=True)
class FileResult:
    """What one file held: its images, or why it could not be used.

    Attributes:
        number: position among all files as given, from 1.
        label: the path as given, with the member's name for archives. For the command line only; empty for bytes.
        images: frames or pages in file order; empty on failure.
        encoding: how pixels are stored, in words.
        group: hash shared by files of one series; empty for a file of its own.
        frame: hash shared by files of one patient's frame of reference; empty where the file names none.
        sequence: which MR sequence it is, as far as the header tells.
        patient: for `ui` alone.
        removed: number of identifying attributes left behind.
        notes: repairs and doubts.
        error: cause and next step; None on success.
        segmentation: the regions of a DICOM segmentation, which is no image: `error` says so too.
        reference: of a failure: first digits of the sha256 of the bytes, under which the log says more.
    """

    number: int
    label: str = ""
    images: tuple[Image, ...] = ()
    encoding: str = ""
    group: str = ""
    patient: PatientHeader = NOBODY
    removed: int = 0
    notes: tuple[Note, ...] = ()
    error: MedImgError | None = None
    reference: str = ""
    segmentation: Segmentation | None = None
    frame: str = ""
    sequence: MrSequence | None = None


def read_file(item: Path | bytes, *, number: int = 1, pool: Pool | None = None) -> FileResult:
    """Read one file, not an archive, with all its frames.

    Args:
        item: a path, or the bytes themselves.
        number: which file this is, for the result.
        pool: decoding processes; the default pool unless given.

    Returns:
        Images in file order, or the error. It does not raise a MedImgError.
    """
    source = Source(str(item), partial(load_path, item)) if isinstance(item, Path) else Source("", lambda: item)
    return _read(source, number, pool or default_pool())


def read_files(
    items: Sequence[Item], *, progress: Progress | None = None, pool: Pool | None = None
) -> Iterator[FileResult]:
    """Read files, folders and zips; one result a file, in the order of the input.

    Files are loaded and decoded a few ahead of the one that is yielded, on as many processes as the pool has.
    """
    found = sources(items)
    used = pool or default_pool()
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="read") as threads:
        ahead: deque[Future[FileResult]] = deque()
        waiting = iter(enumerate(found, 1))
        try:
            for done in range(len(found)):
                while len(ahead) < 2 * WORKERS and (entry := next(waiting, None)) is not None:
                    ahead.append(threads.submit(_read, entry[1], entry[0], used))
                result = ahead.popleft().result()
                if progress is not None:
                    progress(done + 1, len(found))
                yield result
        finally:
            for future in ahead:
                future.cancel()


def read_study(
    items: Sequence[Item],
    *,
    progress: Progress | None = None,
    pool: Pool | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Study, tuple[PatientHeader, ...]]:
    """Read one drop: several files, a folder or a zip.

    Slices of a series are sorted by position; frames of one file stay together; every other image is a series of
    its own. A file that cannot be used becomes a `Failure`, and the rest goes on. A DICOM segmentation is kept as one,
    with or without the image that it belongs to; `attach` finds that.

    Args:
        items: uploads as (name, bytes), or paths of files and folders. Names decide nothing.
        progress: called after each file.
        pool: decoding processes; the default pool unless given.
        stopped: asked after each file; once true, the rest is left unread and what was read is returned.

    Returns:
        The study, and one patient header per series, in the same order. Only `ui` may hold the headers.
    """
    good: list[FileResult] = []
    failures: list[Failure] = []
    segmentations: list[Segmentation] = []
    size = 0
    for result in read_files(items, progress=progress, pool=pool):
        size += _bytes(result)
        error = result.error if result.segmentation is None else None
        if error is None and size > MAX_STUDY_BYTES:
            size -= _bytes(result)
            error = TooLarge("The study is larger than fits into memory.", "Give its series one by one.")
        if error is None and result.segmentation is not None:
            segmentations.append(result.segmentation)
        elif error is None:
            good.append(result)
        else:
            failures.append(Failure(result.number, error, result.reference))
        if stopped():
            break
    series, headers = [], []
    frames: dict[str, int] = {}
    for files in _groups(good):
        # A number of the study in place of the hash: what leaves `io` finds nobody in another archive.
        frame = frames.setdefault(files[0].frame, len(frames)) if files[0].frame else None
        series.append(replace(_series(files), frame=frame))
        headers.append(files[0].patient)
    notes = tuple(note for found in segmentations for note in (segmentation_note(found), *found.notes))
    return Study(tuple(series), tuple(failures), notes, tuple(segmentations)), tuple(headers)


def _bytes(result: FileResult) -> int:
    """Memory of what one file held."""
    regions = result.segmentation.regions if result.segmentation is not None else ()
    masks = sum(region.mask.nbytes for _, region in regions if region.mask is not None)
    return masks + sum(image.pixels.nbytes for image in result.images)


def _read(source: Source, number: int, pool: Pool) -> FileResult:
    data = b""
    try:
        data = source.load()
        decoded = _decode(data, pool)
    except MedImgError as error:
        reference = hashlib.sha256(data).hexdigest()[:_REFERENCE_DIGITS]
        where = error.where if isinstance(error, WorkerFailure) else type(error).__name__
        _LOG.info("file %d, reference %s: %s", number, reference, where)
        return FileResult(number, source.label, error=error, reference=reference)
    if decoded.segmentation is not None:
        found = replace(decoded.segmentation, notes=decoded.notes)
        return FileResult(number, source.label, removed=decoded.removed, error=_alone(), segmentation=found)
    return FileResult(
        number,
        source.label,
        images=decoded.images,
        encoding=decoded.encoding,
        group=decoded.group,
        patient=decoded.patient,
        removed=decoded.removed,
        notes=decoded.notes,
        frame=decoded.frame,
        sequence=decoded.sequence,
    )


def _alone() -> OutlinesOnly:
    return OutlinesOnly(
        "This is a segmentation: regions on an image that another file holds.", "Open it together with that image."
    )


def _decode(data: bytes, pool: Pool) -> Decoded:
    if len(data) > MAX_FILE_BYTES:
        raise TooLarge(f"The file is larger than {MAX_FILE_BYTES >> 30} GB.", "Export it in smaller parts.")
    kind = sniff(data)
    if kind not in ("dicom", "picture"):
        raise refusal(data)
    return pool.decode(kind, data)


def _groups(results: Sequence[FileResult]) -> list[list[FileResult]]:
    """Files of one stack together, in the order in which each stack first appears."""
    groups: dict[object, list[FileResult]] = {}
    for result in results:
        first = result.images[0]
        slice_of_stack = result.group and len(result.images) == 1 and place(first) is not None
        key: object = (result.group, plane(first)) if slice_of_stack else result.number
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def _series(files: Sequence[FileResult]) -> Series:
    images = [image for file in files for image in file.images]
    order, kind, found = in_order(images)
    ordered = tuple(images[i] for i in order)
    notes = series_notes(
        ordered,
        encoding=files[0].encoding,
        removed=max(file.removed for file in files),
        patient=files[0].patient != NOBODY,
        found=[*found, *(note for file in files for note in file.notes)],
    )
    sequence = files[0].sequence
    return Series(ordered, kind, describe(ordered, kind, sequence or ""), notes, sequence)
