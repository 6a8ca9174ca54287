"""Demo films as files: what is written is what `io` reads, and the shipped cases are what they say."""

from __future__ import annotations

import dataclasses
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless

from medimg_core.catalog import models_folder, open_model
from medimg_core.errors import BadTable, UnreadableImage
from medimg_core.imaging import to_display
from medimg_core.io import read_file
from medimg_core.training.appearance.cases import CASES
from medimg_core.training.appearance.choose import answer
from medimg_core.training.appearance.dicomfile import Header, cut_off, dicom_bytes
from medimg_core.training.appearance.make import write_others
from medimg_core.training.appearance.novelty import LARGEST_SHARE
from medimg_core.training.appearance.table import read_checks
from medimg_core.training.phantoms.cases import DRAWN

FOLDER = models_folder() / "demo_cases"
HEADER = Header("Example^Zoe", "DEMO-9999", "20200630", "20260629", "F", "PA", JPEGLSLossless, spacing_mm=0.5)
RAMP = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (64, 1))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=["jpeg-ls", "jpeg 2000"])
@pytest.mark.parametrize("inverted", [False, True], ids=["MONOCHROME2", "MONOCHROME1"])
def test_what_is_written_is_what_is_read(syntax: pydicom.uid.UID, inverted: bool) -> None:
    header = dataclasses.replace(HEADER, syntax=syntax, inverted=inverted)
    found = read_file(dicom_bytes(RAMP, header, "zoe"))
    assert found.error is None
    image = found.images[0]
    assert image.synthetic
    assert image.photometric == ("MONOCHROME1" if inverted else "MONOCHROME2")
    assert (image.view, image.age_years, image.sex, image.body_part) == ("PA", 5.0, "F", "CHEST")
    assert image.spacing is not None
    assert image.spacing.row_mm == 0.5
    # Windowed by the file's own window: within a hundredth, because the window starts a level off the margin.
    np.testing.assert_allclose(to_display(image), RAMP, atol=0.01)
    assert found.patient.name == "Example^Zoe"


def test_a_repeated_run_writes_the_same_bytes() -> None:
    assert dicom_bytes(RAMP, HEADER, "zoe") == dicom_bytes(RAMP, HEADER, "zoe")
    assert dicom_bytes(RAMP, HEADER, "zoe") != dicom_bytes(RAMP, HEADER, "zoe2")


def test_the_age_counts_whole_years() -> None:
    assert HEADER.age == 5
    assert dataclasses.replace(HEADER, study_date="20260630").age == 6


def test_a_cut_off_file_is_named_as_that() -> None:
    found = read_file(cut_off(dicom_bytes(RAMP, HEADER, "zoe"), 0.9))
    assert isinstance(found.error, UnreadableImage)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_shipped_case_is_what_its_title_says(case: object) -> None:
    path = FOLDER / f"{case.stem}.dcm"
    assert path.stat().st_size < 400_000
    found = read_file(path)
    if case.kind == "damaged":
        assert isinstance(found.error, UnreadableImage)
        return
    assert found.error is None
    image = found.images[0]
    assert image.synthetic
    assert min(image.shape) >= 512
    assert found.patient.name == case.header.name
    assert found.patient.name.startswith("Example^")
    assert found.patient.patient_id.startswith("DEMO-")
    assert image.view == case.header.view
    assert (image.photometric == "MONOCHROME1") == case.header.inverted
    shown = to_display(image)
    assert 0.1 < shown.std() < 0.4


def test_the_shipped_folder_is_small_and_complete() -> None:
    drawn = {f"{stem}.dcm" for case in DRAWN for stem in case.stems}
    assert {path.name for path in FOLDER.iterdir()} == {"cases.toml", *(f"{case.stem}.dcm" for case in CASES), *drawn}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 5_000_000
    assert sum(case.kind == "film" for case in CASES) >= 6
    assert any(case.header.inverted for case in CASES)


def test_the_table_names_every_case_and_none_is_a_copy() -> None:
    table = tomllib.loads((FOLDER / "cases.toml").read_text(encoding="utf-8"))
    assert list(table) == [case.stem for case in (*CASES, *DRAWN)]
    for case in CASES:
        entry = table[case.stem]
        assert (entry["files"], entry["title"], entry["kind"]) == ([f"{case.stem}.dcm"], case.title, case.kind)
        if case.kind == "film":
            assert entry["nearest_training_film"] <= entry["nearest_patients"]
            assert entry["lead_of_nearest"] <= entry["lead_among_real_films"]
            assert entry["largest_share"] <= LARGEST_SHARE


@pytest.mark.parametrize("stem", ["4_child_pneumonia", "5_child_clear"])
def test_the_shipped_model_answers_the_childrens_films_as_their_titles_say(stem: str) -> None:
    case = next(case for case in CASES if case.stem == stem)
    found = answer((FOLDER / f"{stem}.dcm").read_bytes(), open_model("chest_xray_pneumonia"))
    assert found.fits(case), f"{found}: choose another seed with --try-seeds (docs/demo_cases.md)"


@pytest.mark.parametrize("stem", ["7_turned", "13_hand"])
def test_a_turned_film_and_a_hand_are_refused(stem: str) -> None:
    found = answer((FOLDER / f"{stem}.dcm").read_bytes(), open_model("chest_xray_pneumonia"))
    assert found.probability is None


def test_the_turned_film_is_the_upright_one_turned() -> None:
    upright, turned = (read_file(FOLDER / f"{stem}.dcm").images[0].pixels for stem in ("5_child_clear", "7_turned"))
    np.testing.assert_allclose(turned, np.rot90(upright), atol=1)  # rounded once more


def test_other_cases_are_written_again_without_the_data_sets(tmp_path: Path) -> None:
    for name in ("1_adult_pa_opacity.dcm", "5_child_clear.dcm", "cases.toml"):
        shutil.copy(FOLDER / name, tmp_path / name)
    write_others(CASES, read_checks(tmp_path), tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (FOLDER / path.name).read_bytes(), path.name
    with pytest.raises(BadTable):
        read_checks(tmp_path / "nowhere")
