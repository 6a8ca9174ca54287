"""The browser's arithmetic, done here from what is sent, against `imaging.to_display`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medimg_core.imaging import apply_window, to_display
from medimg_core.types import Image, InputSpec, ModelRef, SaliencyMap, VoiLut, Window
from medimg_core.ui import pixels


def received(image: Image) -> np.ndarray:
    """Modality values as the browser reconstructs them."""
    how = pixels.encoding(image)
    stored = np.frombuffer(pixels.encode(image, how), "<u2" if how.kind == "u16" else "u1").reshape(image.shape)
    return stored * how.slope + how.intercept


def image(values: np.ndarray, **attributes: object) -> Image:
    return Image(np.asarray(values, np.float32), "MONOCHROME2", "x", **attributes)


@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [(0, 255, "u8"), (0, 4095, "u16"), (-1024, 3071, "u16"), (-3, 200, "u16"), (0, 65535, "u16")],
)
def test_whole_numbers_of_16_bits_arrive_exactly(low: int, high: int, kind: str) -> None:
    values = np.random.default_rng(0).integers(low, high + 1, (17, 23)).astype(np.float32)
    values[0, :2] = low, high
    film = image(values)
    assert pixels.encoding(film).kind == kind
    assert np.array_equal(received(film), values)


@settings(deadline=None)
@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e5))
def test_other_values_arrive_within_half_a_step(low: float, span: float) -> None:
    values = np.float32(low) + np.float32(span) * np.linspace(0, 1, 50, dtype=np.float32).reshape(5, 10)
    film = image(values)
    step = pixels.encoding(film).slope
    assert np.abs(received(film) - values).max() <= 0.51 * step + 1e-3 * abs(low) * 1e-3 + 1e-6


def test_a_flat_and_an_unfinished_film_can_be_sent() -> None:
    assert np.array_equal(received(image(np.full((3, 4), 7.0))), np.full((3, 4), 7.0))
    holes = np.array([[np.nan, 1.0], [2.0, 3.0]])
    assert received(image(holes))[1, 1] == 3.0
    assert len(pixels.encode(image(np.full((2, 2), np.nan)), pixels.encoding(image(np.full((2, 2), np.nan))))) == 4


def test_padding_is_named_in_stored_values() -> None:
    film = image([[-2000, 0], [100, 1000]], padding=-2000.0)
    how = pixels.encoding(film)
    assert how.padding == 0
    assert how.intercept == -2000
    for absent in (-2000.0, 70000.0):  # no pixel holds it: none may be taken for it
        assert pixels.encoding(image([[-1000, 0], [100, 1000]], padding=absent)).padding is None


def test_colour_is_sent_as_it_is() -> None:
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    film = Image(rgb, "RGB", "x")
    assert pixels.encode(film, pixels.encoding(film)) == rgb.tobytes()


def test_voi_table_gives_the_grey_levels_of_to_display() -> None:
    lut = VoiLut(first=100.0, table=np.linspace(0, 4095, 64).astype(np.float32), bits=12)
    values = np.arange(90, 190, dtype=np.float32).reshape(10, 10)
    film = image(values, voi_lut=lut, bits=12)
    how = pixels.encoding(film)
    table = np.frombuffer(pixels.voi_table(film, how) or b"", np.uint8)
    stored = np.frombuffer(pixels.encode(film, how), np.uint8 if how.kind == "u8" else "<u2").reshape(10, 10)
    assert np.abs(table[stored] / 255 - to_display(film)).max() <= 0.5 / 255 + 1e-6


def test_presets_start_with_the_film_and_show_the_lung_darker_than_the_rest() -> None:
    film = image(np.zeros((2, 2)), modality="DX", body_part="CHEST", bits=12, windows=(Window(2048, 4096),))
    first, lung, soft, auto = pixels.presets(film)
    assert (first["centre"], first["width"], first["own"]) == (2048, 4096, True)
    assert lung["title"] == "Lung"
    assert auto == {"title": "Auto", "auto": True}
    assert lung["centre"] < 2048 < soft["centre"]
    dark = Window(lung["centre"], lung["width"], lung["kind"])
    assert apply_window(np.array([700.0]), dark)[0] > apply_window(np.array([700.0]), Window(2048, 4096))[0]


def test_presets_of_an_inverted_film_look_at_the_other_end() -> None:
    film = image(np.zeros((2, 2)), modality="DX", body_part="CHEST", windows=(Window(2048, 4096),))
    assert pixels.presets(replace(film, photometric="MONOCHROME1"))[1]["centre"] > 2048


def test_the_files_own_windows_come_before_ours() -> None:
    windows = (Window(512, 921), Window(300, 400, explanation="LUNG"), Window(900, 200))
    film = image(np.zeros((2, 2)), modality="DX", body_part="CHEST", windows=windows)
    titles = [preset["title"] for preset in pixels.presets(film)]
    assert titles == ["Default", "Lung", "Window 3", "Soft tissue", "Auto"]
    assert pixels.presets(film)[1]["centre"] == 300


@pytest.mark.parametrize(
    ("attributes", "kind", "titles"),
    [
        ({"modality": "DX", "body_part": "THORAX"}, "", ["Lung", "Soft tissue"]),
        ({"modality": "CR", "body_part": "HAND"}, "", ["Bone", "Soft tissue"]),
        ({"modality": "CR", "body_part": "HAND"}, "chest_frontal", ["Bone", "Soft tissue"]),  # the header counts first
        ({}, "chest_frontal", ["Lung", "Soft tissue"]),
        ({}, "bone_film", ["Bone", "Soft tissue"]),
        ({}, "", []),
        ({"modality": "DX", "body_part": "ABDOMEN"}, "chest_frontal", []),
        ({"modality": "MG", "body_part": "BREAST"}, "mammogram", []),
        ({"modality": "US"}, "breast_ultrasound", []),
        ({"modality": "MR", "body_part": "CHEST"}, "", []),
    ],
)
def test_windows_are_those_of_what_the_picture_shows(attributes: dict[str, str], kind: str, titles: list[str]) -> None:
    found = pixels.presets(image(np.zeros((2, 2)), **attributes), kind)
    assert [preset["title"] for preset in found] == ["Default", *titles, "Auto"]


def test_a_photograph_in_colour_has_only_its_own_window() -> None:
    photo = Image(np.zeros((2, 2, 3), np.uint8), "RGB", "x", modality="OP")
    assert [preset["title"] for preset in pixels.presets(photo, "fundus")] == ["Default"]


def test_ct_gets_windows_in_hounsfield_units() -> None:
    film = image(np.zeros((2, 2)), modality="CT", modality_units="HU", windows=(Window(40, 400),))
    assert [(p["title"], p.get("centre"), p.get("width")) for p in pixels.presets(film)][1:] == [
        ("Lung", -600.0, 1500.0),
        ("Mediastinum", 40.0, 400.0),
        ("Bone", 400.0, 1800.0),
        ("Brain", 40.0, 80.0),
        ("Auto", None, None),
    ]


def test_a_stack_is_stored_alike_and_exactly() -> None:
    slices = [image([[-1000, 5], [7, 300]]), image([[-20, 5], [7, 2000]])]
    first, second = pixels.encodings(slices)
    assert first == second
    for one in slices:
        stored = np.frombuffer(pixels.encode(one, first), "<u2").reshape(2, 2)
        assert np.array_equal(stored * first.slope + first.intercept, one.pixels)


def test_a_stack_that_no_common_table_holds_is_stored_one_by_one() -> None:
    wide = [image([[-40000, 0]]), image([[0, 40000]])]
    assert pixels.encodings(wide) == [pixels.encoding(one) for one in wide]


def saliency(shape: tuple[int, int]) -> SaliencyMap:
    grid = np.arange(16, dtype=np.float32).reshape(4, 4)
    values = np.zeros(shape, np.float32)
    return SaliencyMap(values, grid, "cam", "pneumonia", "cam", ModelRef("m", "1", "00000000"), 1.0, False)


def test_squashed_maps_are_sent_on_their_own_grid() -> None:
    drawn = saliency((100, 80))
    assert pixels.overlay(drawn, InputSpec(64, 64)) is drawn.grid


def test_other_maps_are_sent_raised_and_bounded() -> None:
    assert pixels.overlay(saliency((100, 80)), InputSpec(64, 64, fit="letterbox")).shape == (100, 80)
    assert pixels.overlay(saliency((2048, 1024)), InputSpec(64, 64, fit="crop")).shape == (512, 256)
