"""Files, folders and zips as one flat list of sources, each loaded only when its turn comes."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from medimg_core.errors import MedImgError, NotAnImage, TooLarge, UnreadableImage, UnsupportedEncoding
from medimg_core.io.limits import MAX_ARCHIVE_BYTES, MAX_ARCHIVE_MEMBERS, MAX_FILE_BYTES, largest_member
from medimg_core.io.sniff import sniff

Item = tuple[str, bytes] | Path
"""An upload as (name, bytes), or the path of a file or folder."""

_MAGIC_BYTES: Final = 512
_NESTED: Final = 1
_AGAIN: Final = "Make the archive again, or unpack it and give its files."
_OFFICE: Final = "[Content_Types].xml"
_ENCRYPTED: Final = 0x1


@dataclass(frozen=True, slots=True)
class Source:
    """One file to be read.

    Attributes:
        label: where it is, as given: path, or archive and member joined by a slash. For the command line only:
            names of files in a hospital carry names of patients.
        load: returns all bytes or raises a MedImgError.
    """

    label: str
    load: Callable[[], bytes]


def sources(items: Sequence[Item]) -> list[Source]:
    """All files in items: folders sorted by path, archives in the order of their members, zips in zips opened once.

    Files that a desktop adds to archives and folders unasked are left out. What cannot be opened becomes a source
    whose `load` raises.
    """
    return [source for item in items for source in _expand(item)]


def _expand(item: Item) -> Iterator[Source]:
    if isinstance(item, Path):
        if item.is_dir():
            yield from _folder(item)
        else:
            yield from _file(str(item), partial(load_path, item), partial(_head_of_path, item), item)
    else:
        name, data = item
        yield from _file(name, lambda: data, lambda: data[:_MAGIC_BYTES], data)


def _folder(folder: Path) -> Iterator[Source]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        yield _failing(str(folder), NotAnImage("The folder holds no files.", "Choose the folder with the images."))
    for path in files:
        if _kind(partial(_head_of_path, path)) != "system":
            yield from _file(str(path), partial(load_path, path), partial(_head_of_path, path), path)


def _file(label: str, load: Callable[[], bytes], head: Callable[[], bytes], archive: Path | bytes) -> Iterator[Source]:
    if _kind(head) == "zip":
        yield from _archive(label, archive, _NESTED)
    else:
        yield Source(label, load)


def _kind(head: Callable[[], bytes]) -> str:
    try:
        return sniff(head())
    except MedImgError:
        return "other"


def _archive(label: str, archive: Path | bytes, nested: int) -> Iterator[Source]:
    try:
        # Kept open by its sources; closed when the last of them goes.
        opened = zipfile.ZipFile(archive if isinstance(archive, Path) else io.BytesIO(archive))
        members = [member for member in opened.infolist() if not member.is_dir()]
        _judge(members)
    except MedImgError as error:
        yield _failing(label, error)
        return
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        yield _failing(label, UnreadableImage("This zip archive is damaged.", _AGAIN))
        return
    for member in members:
        inner, load = f"{label}/{member.filename}", partial(_load_member, opened, member)
        kind = _kind(partial(_load_member, opened, member, _MAGIC_BYTES))
        if kind == "zip" and nested:
            try:
                yield from _archive(inner, load(), nested - 1)
            except MedImgError as error:
                yield _failing(inner, error)
        elif kind != "system":
            yield Source(inner, load)


def _judge(members: list[zipfile.ZipInfo]) -> None:
    if not members:
        raise NotAnImage("This zip archive is empty.", "Choose an archive that holds images.")
    if any(member.filename == _OFFICE for member in members):
        raise NotAnImage("This is an office document, not an image.", "Save the images in it as PNG or DICOM.")
    if len(members) > MAX_ARCHIVE_MEMBERS:
        raise TooLarge(f"The archive holds more than {MAX_ARCHIVE_MEMBERS:,} files.", "Give a smaller archive.")
    if sum(member.file_size for member in members) > MAX_ARCHIVE_BYTES:
        raise TooLarge(f"The archive unpacks to more than {MAX_ARCHIVE_BYTES >> 30} GB.", "Give a smaller archive.")


def _load_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int | None = None) -> bytes:
    """The whole member, or its first `size` bytes; never more than the archive's directory promises."""
    if member.flag_bits & _ENCRYPTED:
        raise UnsupportedEncoding("The archive is protected by a password.", "Unpack it and give its files.")
    if size is None and member.file_size > largest_member(member.compress_size):
        raise TooLarge("A file in the archive inflates to more than an image can.", "Unpack it and look at it first.")
    try:
        with archive.open(member) as stream:
            return stream.read(member.file_size if size is None else size)
    except NotImplementedError:
        raise UnsupportedEncoding("The archive is packed in a way that is not read here.", _AGAIN) from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError):
        raise UnreadableImage("A file in the archive is damaged.", _AGAIN) from None


def load_path(path: Path) -> bytes:
    """All bytes of a file.

    Raises:
        TooLarge: above the limit.
        UnreadableImage: absent, or not to be opened.
    """
    try:
        _regular(path)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TooLarge(f"The file is larger than {MAX_FILE_BYTES >> 30} GB.", "Export it in smaller parts.")
        return path.read_bytes()
    except FileNotFoundError:
        raise UnreadableImage("There is no such file.", "Check the path.") from None
    except OSError:
        raise UnreadableImage("The file cannot be opened.", "Check that it may be read.") from None


def _regular(path: Path) -> None:
    """A device or a pipe has no size to judge, and may never end: it is not opened."""
    if path.exists() and not path.is_file():
        raise NotAnImage("This is a device or a pipe, not a file.", "Save the image as a file and open that.")


def _head_of_path(path: Path) -> bytes:
    _regular(path)
    try:
        with path.open("rb") as stream:
            return stream.read(_MAGIC_BYTES)
    except OSError:
        raise UnreadableImage("The file cannot be opened.", "Check that it may be read.") from None


def _failing(label: str, error: MedImgError) -> Source:
    def load() -> bytes:
        raise error

    return Source(label, load)
