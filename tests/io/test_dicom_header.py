"""What the header says reaches the image, and only what may."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from io_files import PATIENT, SECRETS, dataset, dicom, ramp, written
from medimg_core.imaging import to_display
from medimg_core.io import read_study
from medimg_core.types import Window


def test_windows_come_in_the_order_of_the_file(only):
    image = only(
        dicom(WindowCenter=[40, -600], WindowWidth=[400, 1500], WindowCenterWidthExplanation=["LUNG", "Dr Geheim"])
    )
    assert image.windows == (Window(40, 400, "LINEAR", "Lung"), Window(-600, 1500, "LINEAR", ""))


def test_a_sigmoid_window_shows_what_the_standard_says(only):
    image = only(dicom(WindowCenter=2048, WindowWidth=1000, VOILUTFunction="SIGMOID"))
    assert image.windows[0].function == "SIGMOID"
    expected = 1 / (1 + math.exp(-4 * (4095 - 2048) / 1000))  # PS3.3 C.11.2.1.3.1
    assert to_display(image)[-1, -1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("centre", "width"),
    [(100, 0), (100, -5), (100, 0.5), ([1, 2], 5)],
    ids=["zero", "negative", "below one", "one short"],
)
def test_a_window_that_cannot_be_used_is_left_out_and_said(read, centre, width):
    result = read(dicom(WindowCenter=centre, WindowWidth=width))
    assert result.images[0].windows == ()
    assert any(note.kind == "doubt" and "window" in note.text for note in result.notes)


def test_a_voi_lut_is_kept_where_there_is_no_window(only):
    lut = Dataset()
    lut.LUTDescriptor, lut.LUTData = [3, 5, 8], np.array([0, 64, 255], "<u2").tobytes()
    image = only(dicom(np.array([[0, 5, 6, 7, 50]], np.uint16), VOILUTSequence=Sequence([lut])))
    np.testing.assert_allclose(to_display(image), [[0, 0, 64 / 255, 1, 1]], atol=1e-6)


def test_padding_is_in_modality_units(only):
    ds = dataset(np.array([[-2000, 0]], np.int16), RescaleSlope=1, RescaleIntercept=-1024)
    ds.add_new("PixelPaddingValue", "SS", -2000)
    assert only(written(ds)).padding == -3024


@pytest.mark.parametrize(
    ("attributes", "expected", "doubt"),
    [
        ({"PixelSpacing": [0.2, 0.3]}, (0.2, 0.3, "PixelSpacing"), None),
        ({"ImagerPixelSpacing": [0.14, 0.14]}, (0.14, 0.14, "ImagerPixelSpacing"), "at the detector"),
        ({"PixelSpacing": [0, 0]}, None, "cannot be true"),
        ({"PixelSpacing": [-1, 1]}, None, "cannot be true"),
        ({"PixelSpacing": [900, 900]}, None, "cannot be true"),
        ({"PixelSpacing": ["NaN", "NaN"]}, None, "cannot be true"),
        ({"PixelSpacing": [0.5, 0]}, None, "cannot be true"),
        ({"PixelSpacing": [0.5]}, None, "cannot be true"),
        ({"PixelSpacing": [1, 0.01]}, None, "cannot be true"),  # a hundred times as high as wide
        (
            {"PixelSpacing": [0, 0], "NominalScannedPixelSpacing": [0.2, 0.1]},
            (0.2, 0.1, "NominalScannedPixelSpacing"),
            "another that",
        ),
        ({"PixelSpacing": None, "PixelAspectRatio": [1, 1]}, None, "given in pixels"),
        ({}, None, "given in pixels"),
    ],
)
def test_spacing_is_taken_only_where_it_can_be_true(read, attributes, expected, doubt):
    result = read(dicom(**attributes))
    spacing = result.images[0].spacing
    assert (spacing and (spacing.row_mm, spacing.column_mm, spacing.source)) == expected
    assert [doubt in note.text for note in result.notes if note.kind == "doubt"] == ([True] if doubt else [])


def test_pixels_that_are_not_square_are_said_where_their_size_is_not_known(read):
    notes = [note.text for note in read(dicom(PixelAspectRatio=[2, 1])).notes]
    assert "Pixels are not square (2 high to 1 wide): sizes in pixels mislead." in notes
    assert not any("square" in note.text for note in read(dicom(PixelSpacing=[0.8, 0.4])).notes)


@pytest.mark.parametrize(
    ("right", "expected"),
    [(47, (0.8, 0.5, "UltrasoundRegion")), (639, None)],
    ids=["inside", "of another picture size"],
)
def test_ultrasound_calibration_counts_only_inside_the_picture(only, right, expected):
    region = Dataset()
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = right, 31
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.05, -0.08  # upwards: a distance all the same
    for wrong in ({}, {"PixelSpacing": [0, 0]}):
        spacing = only(dicom(Modality="US", SequenceOfUltrasoundRegions=Sequence([region]), **wrong)).spacing
        assert (spacing and (spacing.row_mm, spacing.column_mm, spacing.source)) == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"PatientAge": "045Y"}, 45.0),
        ({"PatientAge": "006M"}, 0.5),
        ({"PatientAge": "014D"}, 0.04),
        ({"PatientAge": "097Y"}, 90.0),
        ({"PatientAge": "old"}, 58.0),  # born 1967-03-02, studied 2025-11-14
        ({}, 58.0),
        ({"PatientBirthDate": "19010101"}, 90.0),
        ({"PatientBirthDate": "20991231"}, None),
        ({"StudyDate": None}, None),
    ],
)
def test_age_from_the_header(only, attributes, expected):
    assert only(dicom(**attributes)).age_years == expected


def test_coded_attributes_pass_as_terms_and_free_text_does_not(only):
    image = only(
        dicom(
            Modality="DX",
            ViewPosition="PA",
            ImageLaterality="L",
            BodyPartExamined="CHEST",
            PatientSex="F",
            PresentationIntentType="FOR PROCESSING",
            SyntheticData="YES",
        )
    )
    assert (image.modality, image.view, image.laterality, image.body_part, image.sex) == ("DX", "PA", "L", "CHEST", "F")
    assert image.for_processing
    assert image.synthetic
    hostile = only(dicom(Modality="<B>", ViewPosition="GEHEIM", BodyPartExamined="ZACHARIAS", PatientSex="X"))
    assert (hostile.modality, hostile.view, hostile.body_part, hostile.sex) == ("OT", None, None, None)


def test_the_view_code_serves_where_no_view_position_is_written(only):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "399348003", "SCT", "antero-posterior"
    assert only(dicom(ViewCodeSequence=Sequence([code]))).view == "AP"


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"LossyImageCompression": "01"}, "compressed with loss"),
        ({"BurnedInAnnotation": "YES"}, "burned into the pixels"),
    ],
)
def test_doubts_are_said(read, attributes, words):
    assert any(note.kind == "doubt" and words in note.text for note in read(dicom(**attributes)).notes)


def test_a_packed_overlay_is_not_drawn_and_said(read):
    ds = dataset(ramp())
    ds.add_new((0x6000, 0x0010), "US", 32)
    ds.add_new((0x6000, 0x3000), "OW", bytes(32 * 48 // 8))
    result = read(written(ds))
    np.testing.assert_array_equal(result.images[0].pixels, ramp())
    assert any("overlay" in note.text for note in result.notes)


def test_nothing_that_identifies_passes_but_for_the_patient_header(pool):
    ds = dataset(ramp(), SeriesInstanceUID="1.2.3.4711")
    ds.add_new((0x0009, 0x0010), "LO", "Geheim private")
    ds.add_new((0x0009, 0x1001), "LO", "Zacharias")
    study, (header,) = read_study([("Geheim_Zacharias.dcm", written(ds))], pool=pool)
    everything = repr(study)
    assert not [secret for secret in SECRETS if secret in everything]
    assert header.name == PATIENT["PatientName"]
    assert (header.patient_id, header.birth_date, header.study_date) == ("PID-4711-X", "1967-03-02", "2025-11-14 09:12")
    (removed,) = [note.text for note in study.series[0].notes if note.kind == "removed"]
    # The eleven of PATIENT, the instance and series UIDs, and two private attributes.
    assert removed.startswith("15 identifying attributes. Name, ID")


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 144", "Иванов^Пётр"),
        ("ISO_IR 192", "Łukasiewicz^Żaneta=Ελένη^Ω"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_names_are_shown_in_their_own_script(read, charset, name):
    ds = dataset(ramp(), SpecificCharacterSet=charset)
    ds.PatientName = name
    assert read(written(ds)).patient.name == name


def test_a_name_with_control_characters_is_one_line_of_text(read):
    lying = dicom().replace(b"Geheim^Zacharias", b"Ge\x1b[2Jm\r\n\x00harias")
    name = read(lying).patient.name
    assert name.isprintable()
    assert name.startswith("Ge")
    name.encode("utf-8")


def test_a_character_set_that_lies_does_not_hide_the_image(read):
    ds = dataset(ramp(), SpecificCharacterSet="ISO_IR 100")
    ds.PatientName = "Müller"
    lying = written(ds).replace(b"ISO_IR 100", b"ISO_IR 192")
    result = read(lying)
    assert result.error is None
    assert result.patient.name.startswith("M")


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (["L", "F"], ("L", "F")),
        (["A", "FR"], ("A", "FR")),
        (["pfl", "f"], ("PFL", "F")),  # only the main letters must be at right angles
        (["L", "R"], None),
        (["L", "LF"], None),
        (["LR", "F"], None),
        (["L"], None),
        (["L", "F", "A"], None),
        (["Geheim", "F"], None),
        (["LE", "DI"], None),  # quadrupeds, PS3.3 C.7.6.1.1.1
    ],
    ids=lambda value: "-".join(value) if value else "none",
)
def test_the_patients_directions_pass_only_as_letters(only, stated, expected):
    assert only(dicom(PatientOrientation=stated)).patient_orientation == expected


def test_without_directions_none_are_made_up(only):
    assert only(dicom()).patient_orientation is None
    assert only(dicom(PatientOrientation="")).patient_orientation is None
