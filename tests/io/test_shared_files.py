"""Every file of the torture set and of the real series gives the pixels or the error that its table states."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest

from medimg_core.errors import MedImgError
from medimg_core.io import read_file, read_study
from medimg_core.io.dicom import quiet
from medimg_core.io.dicom.layout import judge
from medimg_core.io.dicom.pixels import modality_frames, palette_rgb
from medimg_core.io.dicom.source import parse
from medimg_core.io.series import place

pytestmark = pytest.mark.shared

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LOSSY_TOLERANCE = 3


def table(name: str) -> list[dict[str, str]]:
    path = DATA / name / "expected.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def by_file(name: str):
    return [pytest.param(row, id=row["file"]) for row in table(name)]


def digest(values: np.ndarray) -> str:
    """The hash rule of the data sets: sixteenths, rounded, as little-endian int32."""
    sixteenths = np.round(np.asarray(values, "f4") * np.float32(16)).astype("<i4")
    return hashlib.sha256(sixteenths.tobytes()).hexdigest()


def joined(arrays) -> np.ndarray:
    arrays = list(arrays)
    return arrays[0] if len(arrays) == 1 else np.stack(arrays)


def modality_values(path: Path) -> np.ndarray:
    """Before palette and 8-bit colour: what the table's hashes speak of."""
    with quiet():
        dataset = parse(path.read_bytes(), [])
        return joined(modality_frames(dataset, judge(dataset), []))


@pytest.mark.parametrize("row", by_file("dicom"))
def test_torture_set(row, pool, shared):
    path = shared / "data" / "dicom" / row["file"]
    result = read_file(path, pool=pool)
    answers = {answer for answer in (row["expected"], row["or_else"]) if answer}
    if result.segmentation is not None:  # it opens as regions; the pixels of its frames are their masks
        masks = [region.mask for _, region in result.segmentation.regions]
        assert f"sha256:{digest(joined(masks))}" in answers
        return
    if result.error is not None:
        assert isinstance(result.error, MedImgError)
        assert result.error.cause.endswith(".")
        assert result.error.remedy.endswith(".")
        assert any(answer.startswith("error:") for answer in answers), result.error
        return
    hashes = {answer for answer in answers if answer.startswith("sha256:")}
    if not hashes:
        assert "read as PNG" in answers
        return
    values = modality_values(path)
    if row["lossy"] == "1":
        if row["shape"]:
            assert "x".join(map(str, values.shape)) == row["shape"]
        if row["min"]:
            found = [values.min(), values.max(), values.mean()]
            np.testing.assert_allclose(found, [float(row[k]) for k in ("min", "max", "mean")], atol=LOSSY_TOLERANCE)
    else:
        assert f"sha256:{digest(values)}" in hashes
    if values.dtype in (np.float32, np.uint8) and row["photometric"] != "PALETTE COLOR":
        np.testing.assert_array_equal(joined(image.pixels for image in result.images), values)
    if row["patient_name"]:
        assert result.patient.name == row["patient_name"]


def test_the_palette_as_sixteen_bit_rgb(shared):
    (row,) = [row for row in table("dicom") if row["rgb_sha256"]]
    with quiet():
        dataset = parse((shared / "data" / "dicom" / row["file"]).read_bytes(), [])
        (indices,) = modality_frames(dataset, judge(dataset), [])
        assert digest(palette_rgb(indices, dataset)) == row["rgb_sha256"]


@pytest.mark.parametrize("folder", ["dicom_series", "lung_ct_dicom_series"])
def test_real_series(folder, pool, shared):
    rows = {row["sha256_round16_int32"]: row for row in table(folder)}
    study, _ = read_study([shared / "data" / folder], pool=pool)
    # README.md and expected.csv are the only files that are no images.
    assert len(study.failures) == 2
    found = []
    for series in study.series:
        pixels = [image.pixels for image in series.images]
        found += [digest(joined(pixels))] if series.kind == "frames" else [digest(values) for values in pixels]
        heights = [place(image) for image in series.images if series.kind == "slices"]
        assert heights == sorted(heights)
    assert sorted(found) == sorted(rows)


def test_the_nested_zip_of_the_torture_set_is_a_zip_with_a_text(pool, shared):
    study, _ = read_study([shared / "data" / "dicom" / "zip.dcm"], pool=pool)
    assert [failure.error.cause for failure in study.failures] == ["This is a text, not an image."]


def test_a_spacing_of_zero_and_a_calibration_of_another_size_are_doubted(pool, shared):
    study, _ = read_study([shared / "data" / "dicom_series"], pool=pool)
    doubts = {
        series.description: [note.text for note in series.notes if note.kind == "doubt"]
        for series in study.series
        if series.images[0].spacing is None
    }
    assert any("cannot be true" in text for text in doubts["CR chest"])
    assert any("another picture size" in text for text in doubts["US, 30 frames"])


def test_the_directions_of_real_files(pool, shared):
    study, _ = read_study([shared / "data" / "dicom_series" / "cr_chest"], pool=pool)
    assert {image.patient_orientation for image in study.images} == {("L", "F")}
    for name, expected in {"j2k_sign_mismatch.dcm": ("L", "PF"), "ts_jpeg_extended_12bit.dcm": None}.items():
        (image,) = read_study([shared / "data" / "dicom" / name], pool=pool)[0].images
        assert image.patient_orientation == expected
