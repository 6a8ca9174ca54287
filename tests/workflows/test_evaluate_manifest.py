from pathlib import Path

import pytest

from medimg_core.errors import BadRequest, BadTable
from medimg_core.workflows.manifest import Row, label_classes, parse_map, read_class_folders, read_manifest


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "manifest.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiter_and_encoding_are_found_out(tmp_path: Path, delimiter: str, encoding: str) -> None:
    lines = ["ID, File ,split,Label,patient,Age,View", "a,bilder/ü.png,test,normal,p1,58,pa", "", "b,b.png,val,x,p1,,"]
    path = table(tmp_path, "\r\n".join(line.replace(",", delimiter) for line in lines), encoding)
    assert read_manifest(path) == (
        Row("a", tmp_path / "bilder/ü.png", "normal", "p1", 58.0, "PA"),
        Row("b", tmp_path / "b.png", "x", "p1"),
    )


def test_id_and_patient_fall_back(tmp_path: Path) -> None:
    path = table(tmp_path, 'file,truth\nsub\\a.png,"yes"\n/abs/b.png,\n')
    first, second = read_manifest(path, label="truth")
    assert (first.id, first.patient, first.file) == ("sub/a.png", "sub/a.png", tmp_path / "sub/a.png")
    assert (second.file, second.label) == (Path("/abs/b.png"), "")


def test_split_keeps_its_rows(tmp_path: Path) -> None:
    path = table(tmp_path, "file,label,split\na,x,train\nb,x,test\nc,x,test\n")
    assert [row.id for row in read_manifest(path, split="test")] == ["b", "c"]
    with pytest.raises(BadTable, match=r"no rows of the split 'tset'.*test, train"):
        read_manifest(path, split="tset")


@pytest.mark.parametrize(
    ("age", "years"), [("58", 58), ("4,5", 4.5), ("058Y", 58), ("018M", 1.5), ("n/a", None), ("", None)]
)
def test_ages(tmp_path: Path, age: str, years: float | None) -> None:
    path = table(tmp_path, f"file;label;age\na;x;{age}\n")
    assert read_manifest(path)[0].age_years == years


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "no rows"),
        ("file,label\n", "no rows"),
        ("image,label\na,b\n", "no column 'file'"),
        ("file,truth\na,b\n", "no column 'label'"),
        ("file,label\na,b,c\n", "3 values for 2 columns"),
        ("file,label\n,b\n", "names no file"),
        ("file,label,file\na,b,c\n", "twice"),
        ("id,file,label\n1,a,b\n1,c,b\n", "'1' stands in the manifest twice"),
        ("file,label,age\na,b,old\n", "age in line 2"),
        ("file,label\na,\0\n", "no text file"),
    ],
)
def test_a_bad_table_says_what_is_wrong(tmp_path: Path, text: str, cause: str) -> None:
    with pytest.raises(BadTable, match=cause):
        read_manifest(table(tmp_path, text))


def test_a_missing_table_and_a_missing_split_column(tmp_path: Path) -> None:
    with pytest.raises(BadTable, match="cannot be opened"):
        read_manifest(tmp_path / "none.csv")
    with pytest.raises(BadTable, match="no column 'split'"):
        read_manifest(table(tmp_path, "file,label\na,b\n"), split="test")


def test_class_folders(tmp_path: Path) -> None:
    for name in ("NORMAL/b.png", "NORMAL/a.png", "PNEUMONIA/deep/c.png", ".hidden/d.png", "NORMAL/.e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    rows = read_class_folders(tmp_path)
    assert [(row.id, row.label) for row in rows] == [
        ("NORMAL/a.png", "NORMAL"),
        ("NORMAL/b.png", "NORMAL"),
        ("PNEUMONIA/deep/c.png", "PNEUMONIA"),
    ]
    with pytest.raises(BadTable, match="no class folders"):
        read_class_folders(tmp_path / "PNEUMONIA" / "deep")
    with pytest.raises(BadTable, match="no such folder"):
        read_class_folders(tmp_path / "none")


def test_label_maps() -> None:
    assert parse_map("yes=pneumonia, no = normal") == {"yes": "pneumonia", "no": "normal"}
    with pytest.raises(BadRequest, match="no pair"):
        parse_map("yes")
    classes = ("normal", "pneumonia")
    found = label_classes(classes, {"healthy": "normal", "bacterial": "pneumonia"}, {"bacterial": "normal"})
    assert found == {"normal": "normal", "pneumonia": "pneumonia", "healthy": "normal", "bacterial": "normal"}
    with pytest.raises(BadRequest, match=r"no class named 'pneumona'.*pneumonia"):
        label_classes(classes, {}, {"yes": "pneumona"})
