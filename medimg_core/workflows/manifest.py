"""Which images to measure, and what is true of them: a manifest table or a folder with one folder a class."""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from medimg_core.errors import BadRequest, BadTable

_DELIMITERS = (",", ";", "\t", "|")
_UNKNOWN = {"", "na", "n/a", "nan", "none", "null", "-"}


@dataclass(frozen=True, slots=True)
class Row:
    """One image and what the table says about it.

    Attributes:
        label: the value of the label column, untouched; empty where the table has none.
        patient: groups rows of one patient; rows without one get their own id.
        age_years, view, sex: None where the table says nothing.
        spacing: row and column in mm, from `spacing_mm` (one number, or `row x column`); None where unknown.
        folder: of the manifest; further files that it names are relative to it.
        columns: every value of the line, by the casefolded name of its column.
    """

    id: str
    file: Path
    label: str = ""
    patient: str = ""
    age_years: float | None = None
    view: str | None = None
    sex: str | None = None
    spacing: tuple[float, float] | None = None
    folder: Path = field(default=Path(), repr=False, compare=False)
    columns: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


def read_manifest(path: Path, split: str | None = None, label: str | None = "label") -> tuple[Row, ...]:
    """Rows of a manifest.

    The delimiter (comma, semicolon, tab, bar) and the encoding (UTF-8, UTF-16, Windows-1252) are found out; column
    names are compared without case. Needed: `file`, relative to the manifest's folder. Used where present: `id`
    (otherwise the file), `split`, `patient`, `age`, `view`, `sex`, `spacing_mm` and the label column.

    Args:
        split: keep only rows with this value in the column `split`.
        label: column that holds the truth; None where the truth is no label.

    Raises:
        BadTable: the table cannot be read, lacks a column that is asked for, holds no row of the split, an id twice,
            or an age or a spacing that is no number.
    """
    columns, table = _read_table(path)
    if "file" not in columns:
        raise BadTable(
            "The manifest has no column 'file'.", f"Its columns are {_listed(columns)}; name the one with the images."
        )
    if label is not None and label.casefold() not in columns:
        raise BadTable(f"The manifest has no column {label!r}.", f"Choose the label column: {_listed(columns)}.")
    if split is not None:
        table = _of_split(columns, table, split)
    rows = tuple(_row(path.parent, values, (label or "").casefold(), line) for line, values in table)
    _check_unique([row.id for row in rows])
    return rows


def read_class_folders(folder: Path) -> tuple[Row, ...]:
    """Every file below `folder/<class>/`, labelled with its class folder, in the order of the names.

    Raises:
        BadTable: there is no such folder, or it has no folders with files.
    """
    if not folder.is_dir():
        raise BadTable("There is no such folder.", "Give a folder that holds one folder for each class.")
    rows = []
    for kind in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for file in sorted(p for p in kind.rglob("*") if p.is_file() and not p.name.startswith(".")):
            name = file.relative_to(folder).as_posix()
            rows.append(Row(id=name, file=file, label=kind.name, patient=name))
    if not rows:
        raise BadTable(
            "The folder holds no class folders with images.",
            "Put the images into one folder for each class, such as normal/ and pneumonia/.",
        )
    return tuple(rows)


def parse_map(text: str) -> dict[str, str]:
    """`yes=pneumonia,no=normal` as a dictionary.

    Raises:
        BadRequest: a part without `=`.
    """
    pairs = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        value, equals, target = (p.strip() for p in part.partition("="))
        if not (value and equals and target):
            raise BadRequest(f"The part {part!r} of --map is no pair.", "Write pairs as yes=pneumonia,no=normal.")
        pairs[value] = target
    return pairs


def label_classes(
    classes: Sequence[str],
    card_map: Mapping[str, str],
    override: Mapping[str, str] | None = None,
    *,
    numbered: bool = False,
) -> dict[str, str]:
    """Label value (casefolded) -> class of the model: its own names, then the card's map, then the caller's.

    Args:
        numbered: the classes are grades: their numbers from 0 are labels too (`2`, `2.0`).

    Raises:
        BadRequest: the caller maps to a class that the model does not have.
    """
    for target in (override or {}).values():
        if target not in classes:
            near = difflib.get_close_matches(target, classes, n=3, cutoff=0.5) or list(classes)
            raise BadRequest(f"The model has no class named {target!r}.", f"Its classes: {', '.join(near)}.")
    numbers = {text: c for i, c in enumerate(classes) for text in (str(i), f"{i}.0")} if numbered else {}
    merged = {**numbers, **{c: c for c in classes}, **card_map, **(override or {})}
    return {value.casefold(): target for value, target in merged.items()}


def read_text(path: Path) -> str:
    """A text file in UTF-8 (with or without a mark), UTF-16 with a mark, or Windows-1252.

    Raises:
        BadTable: missing, or no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadTable(
            f"The table cannot be opened ({error.strerror}).", "Check the path and the permission to read it."
        ) from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise BadTable("The table is no text file.", "Save it as CSV in UTF-8.")


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Casefolded column names, and for each row its line number and its stripped values."""
    text = read_text(path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.reader(StringIO(text), delimiter=delimiter)
    columns: list[str] = []
    table = []
    try:
        for values in reader:
            if not any(v.strip() for v in values):
                continue
            if not columns:
                columns = [v.strip().casefold() for v in values]
                continue
            if len(values) != len(columns):
                raise BadTable(
                    f"Line {reader.line_num} of the table has {len(values)} values for {len(columns)} columns.",
                    f"Give every line {len(columns)} values; put text that holds {delimiter!r} into quotes.",
                )
            table.append((reader.line_num, dict(zip(columns, (v.strip() for v in values), strict=True))))
    except csv.Error as error:
        raise BadTable(f"Line {reader.line_num} of the table cannot be read ({error}).", "Save it as CSV.") from error
    if not table:
        raise BadTable("The table has no rows.", "Give it a header line and a line for every image.")
    repeated = {c for c in columns if columns.count(c) > 1}
    if repeated:
        raise BadTable(f"The table has the column {_listed(sorted(repeated))} twice.", "Name every column once.")
    return columns, table


def _of_split(
    columns: Sequence[str], table: Sequence[tuple[int, dict[str, str]]], split: str
) -> list[tuple[int, dict[str, str]]]:
    if "split" not in columns:
        raise BadTable("The manifest has no column 'split'.", "Leave --split out, or add the column.")
    chosen = [row for row in table if row[1]["split"] == split]
    if not chosen:
        values = sorted({row[1]["split"] for row in table})
        raise BadTable(f"The manifest has no rows of the split {split!r}.", f"Its splits: {', '.join(values)}.")
    return chosen


def _row(folder: Path, values: Mapping[str, str], label: str, line: int) -> Row:
    name = values["file"].replace("\\", "/")
    if not name:
        raise BadTable(f"Line {line} of the manifest names no file.", "Give every line a file.")
    identifier = values.get("id") or name
    return Row(
        id=identifier,
        file=folder / name,
        label=values.get(label, ""),
        patient=values.get("patient") or identifier,
        age_years=_age(values.get("age", ""), line),
        view=_known(values.get("view", "")),
        sex=_known(values.get("sex", "")),
        spacing=_spacing(values.get("spacing_mm", ""), line),
        folder=folder,
        columns=values,
    )


def _known(value: str) -> str | None:
    return None if value.casefold() in _UNKNOWN else value.upper()


def _age(text: str, line: int) -> float | None:
    """Years from `58`, `4,5`, `058Y`, `18M`, `3W` or `12D` (the DICOM age string)."""
    if text.casefold() in _UNKNOWN:
        return None
    match = re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*([YMWDymwd]?)", text)
    if match is None:
        raise BadTable(
            f"The age in line {line} of the manifest is no number.", "Write years as 58, or as in DICOM: 058Y, 018M."
        )
    return float(match[1].replace(",", ".")) / {"": 1, "y": 1, "m": 12, "w": 52.18, "d": 365.25}[match[2].lower()]


def _spacing(text: str, line: int) -> tuple[float, float] | None:
    """Row and column in mm from `0.4`, `0.7031x0.6250` or `0.7 x 0.6`."""
    if text.casefold() in _UNKNOWN:
        return None
    parts = [part.strip() for part in re.split(r"[x×*]", text.casefold())]
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or not all(0 < number < 1e6 for number in numbers):
        raise BadTable(f"The spacing in line {line} of the manifest is none.", "Write millimetres as 0.4 or 0.7x0.6.")
    return numbers[0], numbers[-1]


def _check_unique(ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for identifier in ids:
        if identifier in seen:
            raise BadTable(f"The id {identifier!r} stands in the manifest twice.", "Give every image its own id.")
        seen.add(identifier)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(columns)
