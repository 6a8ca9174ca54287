"""Folders and zips are one drop: order, nesting, damage, bombs."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from io_files import dicom, picture, zipped
from medimg_core.errors import NotAnImage, TooLarge, UnreadableImage, UnsupportedEncoding
from medimg_core.io import archives, limits, read_files, read_study
from medimg_core.io.archives import sources

PICTURES = {f"{name}.bin": picture(np.full((4, 4), value, np.uint8)) for name, value in (("z", 1), ("a", 2), ("m", 3))}


def first_values(items, pool):
    return [int(image.pixels[0, 0]) for image in read_study(items, pool=pool)[0].images]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_is_read_in_the_order_of_its_members(pool, method):
    assert first_values([("x", zipped(PICTURES, method))], pool) == [1, 2, 3]


def test_a_folder_is_read_in_the_order_of_its_names(pool, tmp_path):
    (tmp_path / "deeper").mkdir()
    for name, data in PICTURES.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "deeper" / "a").write_bytes(dicom(np.full((2, 2), 9, np.uint16)))
    assert first_values([tmp_path], pool) == [2, 9, 3, 1]


def test_a_zip_on_disk_and_a_zip_in_a_zip_are_opened(pool, tmp_path):
    path = tmp_path / "study"
    path.write_bytes(zipped({"inner": zipped(PICTURES), "last": picture(np.full((4, 4), 7, np.uint8))}))
    assert first_values([path], pool) == [1, 2, 3, 7]


def test_a_third_level_of_zips_is_not_opened(pool):
    study, _ = read_study([("x", zipped({"a": zipped({"b": zipped(PICTURES)})}))], pool=pool)
    assert not study.series
    assert [type(failure.error) for failure in study.failures] == [NotAnImage]


def test_failures_carry_the_number_of_the_file_and_the_rest_goes_on(pool):
    members = {"a": b"a text", **PICTURES, "b": b"", "c": picture(np.zeros((4, 4), np.uint8))[:40]}
    study, headers = read_study([("x", zipped(members))], pool=pool)
    assert [failure.number for failure in study.failures] == [1, 5, 6]
    assert len(study.series) == len(headers) == 3


def test_files_that_a_desktop_adds_are_left_out(pool):
    members = {"._z.bin": b"\0\5\x16\7\0\2\0\0Mac OS X", ".DS_Store": b"\0\0\0\1Bud1\0", **PICTURES}
    study, _ = read_study([("x", zipped(members))], pool=pool)
    assert (len(study.series), study.failures) == (3, ())


def test_results_come_in_the_order_of_the_input_with_path_and_progress(pool, tmp_path):
    paths = []
    for index in range(9):
        paths.append(tmp_path / f"{8 - index}")
        paths[-1].write_bytes(picture(np.full((4, 4), index, np.uint8)))
    steps = []
    results = list(read_files(paths, pool=pool, progress=lambda done, total: steps.append((done, total))))
    assert [result.label for result in results] == [str(path) for path in paths]
    assert [int(result.images[0].pixels[0, 0]) for result in results] == list(range(9))
    assert steps == [(done, 9) for done in range(1, 10)]


def test_a_missing_path_is_a_failure(pool, tmp_path):
    (result,) = read_files([tmp_path / "Geheim.dcm"], pool=pool)
    assert isinstance(result.error, UnreadableImage)
    assert "Geheim" not in str(result.error)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (zipped({}), NotAnImage, "empty"),
        (zipped(PICTURES)[:-60], UnreadableImage, "damaged"),
        (zipped({"[Content_Types].xml": b"<x/>"}), NotAnImage, "office document"),
    ],
    ids=["empty", "cut off", "office"],
)
def test_archives_that_cannot_be_used(pool, data, error, words):
    study, _ = read_study([("x", data)], pool=pool)
    (failure,) = study.failures
    assert type(failure.error) is error
    assert words in failure.error.cause


def test_a_damaged_member_does_not_stop_the_others(pool):
    data = bytearray(zipped(PICTURES, zipfile.ZIP_STORED))
    at = data.index(PICTURES["a.bin"])
    data[at + 20] ^= 0xFF
    study, _ = read_study([("x", bytes(data))], pool=pool)
    assert len(study.series) == 2
    assert isinstance(study.failures[0].error, UnreadableImage)


def test_a_password_is_named(pool):
    data = bytearray(zipped(PICTURES))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(magic)
        data[at + offset] |= 1
    study, _ = read_study([("x", bytes(data))], pool=pool)
    assert isinstance(study.failures[0].error, UnsupportedEncoding)
    assert "password" in study.failures[0].error.cause


def test_a_member_that_inflates_a_thousandfold_is_not_unpacked(pool, monkeypatch):
    monkeypatch.setattr(limits, "MEMBER_FREE_BYTES", 1 << 20)
    bomb = zipped({"a": bytes(8 << 20)})
    assert len(bomb) < 1 << 14
    study, _ = read_study([("x", bomb)], pool=pool)
    assert isinstance(study.failures[0].error, TooLarge)


def test_too_many_members_and_too_many_bytes(monkeypatch):
    monkeypatch.setattr(archives, "MAX_ARCHIVE_MEMBERS", 2)
    (source,) = sources([("x", zipped(PICTURES))])
    with pytest.raises(TooLarge, match="files"):
        source.load()
    monkeypatch.setattr(archives, "MAX_ARCHIVE_MEMBERS", 20)
    monkeypatch.setattr(archives, "MAX_ARCHIVE_BYTES", 100)
    (source,) = sources([("x", zipped(PICTURES))])
    with pytest.raises(TooLarge, match="GB"):
        source.load()
