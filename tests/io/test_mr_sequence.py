"""Which MR sequence a header tells of, and that nothing of its free text passes."""

from __future__ import annotations

import pytest
from mr_files import AFTER, BEFORE, FLAIR, mr_slice

from medimg_core.io import read_study
from medimg_core.io.wire import unpack_sequence

T1, T1C = "T1 before contrast", "T1 after contrast"
SPIN_ECHO = {"ScanningSequence": "SE", "EchoTime": 12, "RepetitionTime": 500}
INVERTED = {"ScanningSequence": ["SE", "IR"], "EchoTime": 120, "RepetitionTime": 9000, "InversionTime": 2300}


@pytest.mark.parametrize(
    ("name", "header", "expected"),
    [
        ("t1_se_tra", {}, T1),
        ("t1_se_tra_KM", {}, T1C),
        ("Ax T1 +C", {}, T1C),
        ("AX T1 C+", {}, T1C),
        ("AXIAL T1 POST GAD", {}, T1C),
        ("T1 w/o contrast", {}, T1),
        ("SAG T1 UNENHANCED", {}, T1),
        ("T1 SE nativ", {}, T1),
        ("AX T1 PRE GD", {}, T1),
        ("T1 PRE-OP", {"ContrastBolusAgent": "Magnevist"}, T1C),
        ("T1 POST OP", {}, T1),
        ("POSTERIOR FOSSA T1", {}, T1),
        ("T1 nativ", {"ContrastBolusAgent": "Magnevist"}, T1),  # left standing from the series before
        ("T1", {"ContrastBolusAgent": "NONE"}, T1),
        ("3D T1 BRAVO", {"ContrastBolusAgent": "10 ml"}, T1C),
        ("MP-RAGE Gd", {}, T1C),
        ("AX T1 FLAIR", {"EchoTime": 8, "InversionTime": 860}, T1),
        ("T2 FLAIR", {}, "FLAIR"),
        ("t2_tirm_tra_dark-fluid", {"EchoTime": 90, "InversionTime": 2500}, "FLAIR"),
        ("t2_tirm_cor", {"EchoTime": 60, "InversionTime": 170}, None),  # nulls fat
        ("AX FLAIR", {"EchoTime": 12}, None),
        ("AX T1", {"EchoTime": 90}, None),
        ("AX T2", SPIN_ECHO, None),
        ("T2* GRE", {}, None),
        ("ep2d_diff FLAIR", {}, None),
        ("FLAIR", {"ScanningSequence": "EP"}, None),
        ("T1 POST-PRE SUBTRACTION", {}, None),
        ("Example Vera", SPIN_ECHO, T1),
        ("Example Vera", {**SPIN_ECHO, "ContrastBolusAgent": "Gadovist"}, T1C),
        ("Example Vera", {**SPIN_ECHO, "RepetitionTime": 3000}, None),
        ("Example Vera", INVERTED, "FLAIR"),
        ("Example Vera", {**INVERTED, "InversionTime": 160}, None),
        ("Example Vera", {"ScanningSequence": "GR", "EchoTime": 4, "RepetitionTime": 9}, T1),
        ("Example Vera", {"ScanningSequence": "GR", "EchoTime": 25, "RepetitionTime": 600}, None),
        ("Example Vera", {}, None),
        ("", {"ProtocolName": "T1 tra KM"}, T1C),
        ("T1 tra", {"Modality": "CT"}, None),
    ],
)
def test_the_sequence_of_a_header(read, name, header, expected):
    result = read(mr_slice(0.0, inside=300, **{"SeriesDescription": name, **header}))
    assert result.sequence == expected


def test_free_text_becomes_a_term_and_a_frame_of_reference_a_number(pool):
    files = [mr_slice(0.0, inside=300, **header) for header in (BEFORE, FLAIR, AFTER)]
    files.append(mr_slice(0.0, inside=300, **{**FLAIR, "SeriesInstanceUID": "1.2.4", "PatientID": "another"}))
    files.append(mr_slice(0.0, inside=300, SeriesInstanceUID="1.2.5", FrameOfReferenceUID=None))
    study, _ = read_study([("", data) for data in files], pool=pool)
    assert [one.frame for one in study.series] == [0, 0, 0, 1, None]
    assert [one.description for one in study.series] == [
        "MR brain T1 before contrast",
        "MR brain FLAIR",
        "MR brain T1 after contrast",
        "MR brain FLAIR",
        "MR brain",
    ]
    assert not [secret for secret in ("Geheim", "tirm", "t1_se", "Gadovist", "1.2.9", "Vera") if secret in repr(study)]


def test_only_terms_come_out_of_the_decoding_process():
    assert unpack_sequence("FLAIR") == "FLAIR"
    assert unpack_sequence("Example^Vera") is None
    assert unpack_sequence(["FLAIR"]) is None
