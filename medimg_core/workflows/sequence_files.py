"""MR series of the command line that can be joined: their slices come once more, as colours, behind all others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from medimg_core.catalog import ModelCard
from medimg_core.io.series import in_order, plane
from medimg_core.types import Series
from medimg_core.workflows.diagnose_files import Opened
from medimg_core.workflows.sequences import Joined, join, wanted
from medimg_core.workflows.series_files import common_folder


def with_joined(
    stream: Iterable[Opened], cards: Sequence[ModelCard], say: Callable[[str], None] = lambda sentence: None
) -> Iterator[Opened]:
    """Every image of the stream, then the slices of every series that is joined from three sequences.

    A joined slice has its number in its series as index, the folder or archive of its three files as file, and these
    as `parts`. Images of MR sequences are kept until the end only where one of the models takes joined slices.

    Args:
        cards: models that may be asked.
        say: hears why sequences that are there were not joined.
    """
    if not wanted(cards):
        yield from stream
        return
    kept: dict[tuple[object, ...], list[Opened]] = {}
    for opened in stream:
        yield opened
        if opened.image is not None and opened.sequence is not None:
            alone = opened.group or (opened.file, opened.index)
            kept.setdefault((alone, plane(opened.image)), []).append(opened)
    frames: dict[str, int] = {}
    series, files = [], []
    for group in kept.values():
        images = [opened.image for opened in group if opened.image is not None]
        order, kind, _ = in_order(images)
        frame = frames.setdefault(group[0].frame, len(frames)) if group[0].frame else None
        series.append(Series(tuple(images[i] for i in order), kind, sequence=group[0].sequence, frame=frame))
        files.append([group[i].file for i in order])
    found, why = join(series)
    if why:
        say(why)
    for number, one in enumerate(found, 1):
        yield from _slices(one, files, f"joined {number}")


def _slices(one: Joined, files: Sequence[Sequence[str]], group: str) -> Iterator[Opened]:
    parts = [tuple(files[i][n] for i, n in zip(one.parts, numbers, strict=True)) for numbers in one.slices]
    folder = common_folder([file for several in parts for file in several])
    for index, (image, own) in enumerate(zip(one.series.images, parts, strict=True)):
        yield Opened(folder, index, image, len(parts), group=group, parts=own)
