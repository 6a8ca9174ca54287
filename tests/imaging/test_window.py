"""What is shown: windows, lookup tables, polarity, padding."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from medimg_core.imaging import apply_voi_lut, apply_window, auto_window, to_display
from medimg_core.io import read_file, shutdown
from medimg_core.types import Image, VoiLut, Window

TORTURE = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"


def probed() -> list[object]:
    table = TORTURE / "expected.csv"
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["display_probes"]]
    return [pytest.param(row["file"], json.loads(row["display_probes"]), id=row["file"]) for row in rows]


def grey(values, **fields) -> Image:
    return Image(np.asarray(values, np.float32), fields.pop("photometric", "MONOCHROME2"), "", **fields)


@pytest.mark.parametrize(
    ("function", "expected"),
    [  # PS3.3 C.11.2.1.2.1, C.11.2.1.3.2, C.11.2.1.3.1, centre 40 and width 400
        ("LINEAR", lambda x: min(max((x - 39.5) / 399 + 0.5, 0), 1)),
        ("LINEAR_EXACT", lambda x: min(max((x - 40) / 400 + 0.5, 0), 1)),
        ("SIGMOID", lambda x: 1 / (1 + math.exp(-4 * (x - 40) / 400))),
    ],
)
def test_windows_follow_the_equations_of_the_standard(function, expected):
    values = [-1000, -160.5, -160, -159, 39.5, 40, 239, 240, 3000]
    shown = apply_window(np.array(values), Window(40, 400, function))
    np.testing.assert_allclose(shown, [expected(x) for x in values], atol=1e-6)


def test_a_window_of_width_one_is_a_threshold():
    np.testing.assert_array_equal(apply_window(np.array([99, 99.5, 99.6, 100.0]), Window(100, 1)), [0, 0, 1, 1])


def test_a_far_value_does_not_overflow_the_sigmoid():
    np.testing.assert_array_equal(apply_window(np.array([-1e9, 1e9]), Window(0, 1, "SIGMOID")), [0, 1])


def test_a_lookup_table_holds_its_ends():
    lut = VoiLut(10, np.array([0, 100, 255], np.float32), 8)
    np.testing.assert_allclose(apply_voi_lut(np.array([-5, 10, 11, 12, 99]), lut), [0, 0, 100 / 255, 1, 1])


def test_low_values_of_monochrome1_are_white():
    image = grey([[0, 100]], photometric="MONOCHROME1", windows=(Window(50, 100, "LINEAR_EXACT"),))
    np.testing.assert_allclose(to_display(image), [[1, 0]])


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_left_out_of_the_automatic_window(photometric):
    values = np.full((100, 100), -2000.0)
    values[:50] = np.linspace(0, 1000, 5000).reshape(50, 100)
    image = grey(values, photometric=photometric, padding=-2000.0, modality="CT", bits=16)
    window = auto_window(image)
    assert window.centre - window.width / 2 == pytest.approx(5, abs=0.5)
    assert window.centre + window.width / 2 == pytest.approx(995, abs=0.5)
    assert not to_display(image)[50:].any()


def test_eight_bit_pictures_keep_their_grey_levels():
    np.testing.assert_allclose(to_display(grey([[0, 51, 255]])), [[0, 0.2, 1]], atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1000.0])
def test_a_blank_image_shows_no_nan(value):
    assert np.isfinite(to_display(grey(np.full((4, 4), value), modality="CR", bits=16))).all()


def test_values_that_are_no_number_are_black():
    assert to_display(grey([[np.nan, 0, 1]], modality="CR", bits=16))[0, 0] == 0


@pytest.mark.shared
@pytest.mark.parametrize(("file", "probes"), probed())
def test_display_probes_of_the_torture_set(file, probes, shared):
    (image,) = read_file(shared / "data" / "dicom" / file).images
    shown = to_display(image) * 255
    for row, column, expected in probes:
        assert abs(float(shown[row, column]) - expected) <= 1, (row, column)


@pytest.fixture(scope="module", autouse=True)
def _end_workers():
    yield
    shutdown()
