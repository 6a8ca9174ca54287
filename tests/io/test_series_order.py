"""Slices are ordered by position, frames by time, films stay apart."""

from __future__ import annotations

import numpy as np

from io_files import dataset, dicom, picture, ramp, slice_of, written
from medimg_core.io import read_study


def study_of(files, pool):
    return read_study([(f"{index}", data) for index, data in enumerate(files)], pool=pool)


def test_slices_are_sorted_by_position_and_not_by_instance_or_name(pool):
    heights = [30.0, 10.0, 40.0, 20.0]
    study, headers = study_of([slice_of(z, instance=i) for i, z in enumerate(heights)], pool)
    (series,) = study.series
    assert [image.position[2] for image in series.images] == [10, 20, 30, 40]
    assert (series.kind, series.description, len(headers)) == ("slices", "CT chest, 4 slices", 1)
    assert any("10 mm apart" in note.text for note in series.notes)
    assert not [note for note in series.notes if note.kind == "doubt"]


def test_position_is_projected_on_the_normal_of_an_oblique_plane(pool):
    half = np.sqrt(0.5)
    files = []
    for index, along in enumerate([5.0, -5.0, 0.0]):
        # Rows along x, columns along (0, 1, 1): the normal is (0, -1, 1), scaled; shifts within the plane mislead.
        place = np.array([index * 50.0, 0, 0]) + along * np.array([0, -half, half])
        files.append(
            dicom(
                np.full((4, 4), index, np.uint16),
                Modality="MR",
                SeriesInstanceUID="1.2",
                ImageOrientationPatient=[1, 0, 0, 0, round(half, 6), round(half, 6)],
                ImagePositionPatient=[round(float(v), 6) for v in place],
            )
        )
    (series,) = study_of(files, pool)[0].series
    assert [int(image.pixels[0, 0]) for image in series.images] == [1, 2, 0]


def test_a_gap_is_said(pool):
    (series,) = study_of([slice_of(z) for z in (0, 5, 10, 25, 30)], pool)[0].series
    gaps = [note.text for note in series.notes if note.kind == "doubt"]
    assert gaps == ["Gap: 2 slices seem to be missing between slices 3 and 4."]


def test_doubles_are_kept_and_said(pool):
    (series,) = study_of([slice_of(z) for z in (0, 5, 5, 10)], pool)[0].series
    assert len(series.images) == 4
    assert [note.text for note in series.notes if note.kind == "doubt"] == [
        "A slice position occurs more than once; all are kept."
    ]


def test_two_series_and_two_patients_stay_apart(pool):
    other = dataset(np.full((8, 8), 1024, np.uint16), Modality="CT", SeriesInstanceUID="1.2.3.9", PatientID="other")
    other.ImagePositionPatient, other.ImageOrientationPatient = [0, 0, 5.0], [1, 0, 0, 0, 1, 0]
    files = [slice_of(0), slice_of(1, series="1.2.3.8"), slice_of(10), written(other)]
    study, headers = study_of(files, pool)
    assert [len(series.images) for series in study.series] == [2, 1, 1]
    assert [header.patient_id for header in headers] == ["PID-4711-X", "PID-4711-X", "other"]


def test_two_films_of_one_series_stay_two_films(pool):
    films = [dicom(ramp(), SeriesInstanceUID="1.2", ViewPosition=view) for view in ("PA", "LL")]
    study, _ = study_of(films, pool)
    assert [(series.kind, series.images[0].view) for series in study.series] == [("single", "PA"), ("single", "LL")]


def test_frames_of_a_cine_stay_in_order(pool):
    frames = np.stack([np.full((4, 4), value, np.uint8) for value in (3, 1, 2)])
    (series,) = study_of([dicom(frames, Modality="US", FrameTime=33.3)], pool)[0].series
    assert [int(image.pixels[0, 0]) for image in series.images] == [3, 1, 2]
    assert (series.kind, series.description, series.images[0].frame_ms) == ("frames", "US, 3 frames", 33.3)


def test_pictures_are_films_of_their_own(pool):
    study, headers = study_of([picture(np.zeros((4, 4), np.uint8))] * 2, pool)
    assert [series.kind for series in study.series] == ["single", "single"]
    assert all(header.name == "" for header in headers)
    assert [note.kind for note in study.series[0].notes] == ["read"]


def test_notes_read_as_on_the_upload_page(pool):
    film = dicom(
        ramp(),
        BitsStored=12,
        PhotometricInterpretation="MONOCHROME1",
        ViewPosition="PA",
        WindowCenter=2048,
        WindowWidth=4096,
    )
    (series,) = study_of([film], pool)[0].series
    assert [(note.kind, note.text) for note in series.notes if note.kind != "removed"] == [
        ("read", "DICOM, CR, 48 × 32, 12 bit, MONOCHROME1, uncompressed. View PA from the header."),
        ("repaired", "Inverted for display: low values are white (MONOCHROME1)."),
        ("repaired", "Window 2048 / 4096 from the file."),
        ("doubt", "No pixel spacing at the detector: lengths are given in pixels."),
    ]
