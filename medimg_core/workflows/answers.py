"""Many images past one model, in order, a few at a time: what fails becomes an answer like any other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

from medimg_core.catalog import ModelCard
from medimg_core.errors import MedImgError, UnreadableImage
from medimg_core.inference import Answer, predict_batch
from medimg_core.io import read_file
from medimg_core.types import Image, Spacing
from medimg_core.workflows.manifest import Row

READERS = 2
"""Threads that read files; decoding itself runs in as many processes."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One row and its image, or why there is none."""

    row: Row
    image: Image | None = None
    error: MedImgError | None = None


def read_rows(rows: Iterable[Row]) -> Iterator[Entry]:
    """Images of rows, in their order, read a few ahead. Age and view of the table fill in what the file lacks."""
    return ahead(read_row, rows, READERS)


def answers(
    entries: Iterable[Entry], card: ModelCard, population: str | None = None
) -> Iterator[tuple[Entry, Answer | MedImgError]]:
    """What a model says to each entry, in their order; memory holds a few images, however many entries there are.

    Yields:
        the entry, and the answer or what went wrong with it.
    """
    source, pending = iter(entries), deque[Entry]()
    waiting: list[Image] = []  # already in `pending`, but lost by a batch that broke off

    def images() -> Iterator[Image]:
        for entry in source:
            pending.append(entry)
            if entry.image is not None:
                yield entry.image

    while True:
        try:
            for answer in predict_batch(chain(waiting, images()), card, population):
                yield from _failed(pending)
                yield pending.popleft(), answer
        except MedImgError as error:
            # A batch ends with the image that fails. The others that it had taken are asked again.
            yield from _failed(pending)
            yield pending.popleft(), error
            waiting = [entry.image for entry in pending if entry.image is not None]
        else:
            yield from _failed(pending)
            return


def ahead(function: Callable[[A], B], items: Iterable[A], threads: int) -> Iterator[B]:
    """`map` in threads, in order, at most `2 * threads` items ahead of the one that is used."""
    with ThreadPoolExecutor(threads, thread_name_prefix="medimg-read") as pool:
        queue: deque[Future[B]] = deque()
        try:
            for item in items:
                queue.append(pool.submit(function, item))
                if len(queue) >= 2 * threads:
                    yield queue.popleft().result()
            while queue:
                yield queue.popleft().result()
        finally:
            for future in queue:
                future.cancel()


def _failed(pending: deque[Entry]) -> Iterator[tuple[Entry, MedImgError]]:
    """The entries without an image that stand before the next one with an image."""
    while pending and pending[0].error is not None:
        entry = pending.popleft()
        assert entry.error is not None
        yield entry, entry.error


def read_row(row: Row) -> Entry:
    """The image of one row; a file with several images is an error, because a row describes one.

    The spacing of the table takes the place of the file's: it speaks of the stored picture.
    """
    result = read_file(row.file)
    if result.error is not None:
        return Entry(row, error=result.error)
    if len(result.images) != 1:
        return Entry(
            row,
            error=UnreadableImage(
                f"The file holds {len(result.images)} images, but a line of the table describes one.",
                "Save every image as a file of its own.",
            ),
        )
    image = result.images[0]
    age = image.age_years if image.age_years is not None else row.age_years
    spacing = image.spacing if row.spacing is None else Spacing(*row.spacing, "manifest")
    return Entry(row, replace(image, age_years=age, view=image.view or row.view, spacing=spacing))
