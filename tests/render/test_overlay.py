import io

import numpy as np
import pytest
from PIL import Image as Pillow

from medimg_core.render import DISCLAIMER, colour_bar, overlay, overlay_png, to_png
from medimg_core.types import Image, ModelRef, SaliencyMap

REF = ModelRef("some_model", "1.2.0", "0badcafe")


def film(rows: int = 60, columns: int = 80, synthetic: bool = False) -> Image:
    pixels = np.full((rows, columns), 100, np.float32)
    return Image(pixels=pixels, photometric="MONOCHROME2", digest="ab" * 32, synthetic=synthetic)


def evidence(rows: int = 60, columns: int = 80, scale: float | None = 2.0, signed: bool = False) -> SaliencyMap:
    values = np.zeros((rows, columns), np.float32)
    values[20:40, 30:50] = 1.5
    return SaliencyMap(values, values.copy(), "gradcam", "pneumonia", "cam", REF, scale, signed)


def test_overlay_colours_the_evidence_and_nothing_else() -> None:
    shown = overlay(film(), evidence(), threshold=0.0)
    coloured = (shown != shown[..., :1]).any(axis=-1)
    assert coloured[20:40, 30:50].all()
    assert coloured.sum() == 400


def test_the_scale_is_absolute() -> None:
    """The same map against a scale four times as large is paler: never stretched to its own maximum."""
    near, far = (overlay(film(), evidence(scale=s), threshold=0.0)[30, 40].astype(int) for s in (2.0, 8.0))
    assert np.ptp(near) > np.ptp(far) > 0


def test_the_outline_stays_when_the_fill_is_turned_down() -> None:
    shown = overlay(film(), evidence(), opacity=0.0, threshold=0.2)
    coloured = (shown != shown[..., :1]).any(axis=-1)
    assert coloured[20, 30:50].all()
    assert not coloured[25:35, 35:45].any()
    assert (overlay(film(), evidence(), opacity=0.0, threshold=0.8) == 100).all()


def test_evidence_against_is_blue() -> None:
    values = np.full((60, 80), -1.0, np.float32)
    saliency = SaliencyMap(values, values.copy(), "gradients", "pneumonia", "", REF, 1.0, True)
    red, _, blue = overlay(film(), saliency, threshold=0.0)[30, 40].astype(int)
    assert blue > red + 50


def test_no_evidence_leaves_the_film() -> None:
    values = np.zeros((60, 80), np.float32)
    shown = overlay(film(), SaliencyMap(values, values.copy(), "cam", "pneumonia", "cam", REF, 1.0, False))
    assert (shown == 100).all()


def test_bar_shows_the_whole_scale_and_marks_the_maximum() -> None:
    bar = colour_bar(400, evidence(), threshold=0.2)
    assert bar.shape == (400, 78, 3)
    white = np.flatnonzero((bar[:, 11:31] == 255).all(axis=(1, 2)))
    assert white == pytest.approx([26 + 0.25 * (382 - 26)], abs=1)  # maximum 1.5 of a scale of 2
    assert (bar[26, 20] > bar[380, 20]).any()
    other = colour_bar(400, evidence(scale=4.0), threshold=0.2)
    plain = (other[:, 15:27] == bar[:, 15:27]).all(axis=(1, 2))
    assert (~plain).sum() == 2  # the ramp is the same whatever the film; only the line moved


def test_bar_of_signed_maps_reaches_below_zero() -> None:
    bar = colour_bar(400, evidence(signed=True), threshold=0.0).astype(int)
    assert bar[30, 20, 0] > bar[30, 20, 2] + 40
    assert bar[375, 20, 2] > bar[375, 20, 0] + 40


@pytest.mark.parametrize("shape", [(60, 80), (3, 900), (2400, 1800)])
def test_exported_file_carries_its_provenance(shape: tuple[int, int]) -> None:
    rows, columns = shape
    values = np.full(shape, 0.5, np.float32)
    saliency = SaliencyMap(values, values.copy(), "gradcam", "pneumonia", "cam", REF, 2.0, False)
    content = overlay_png(film(rows, columns, synthetic=True), saliency, population="children")
    read = Pillow.open(io.BytesIO(content))
    read.load()
    assert read.info["Model"] == "some_model 1.2.0 (0badcafe)"
    assert read.info["Method"] == "gradcam"
    assert read.info["Image"] == "ab" * 8
    assert read.info["Population"] == "children"
    assert read.info["Scale"] == "1.0 = 2"
    assert DISCLAIMER in read.info["Note"]
    assert "no patient" in read.info["Note"]
    assert max(read.size) <= 1800


def test_an_unknown_scale_is_said() -> None:
    content = overlay_png(film(), evidence(scale=None))
    assert Pillow.open(io.BytesIO(content)).info["Scale"] == "unknown: raw values"


def test_png_keeps_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    assert (np.asarray(Pillow.open(io.BytesIO(to_png(pixels, {"a": "b–c"})))) == pixels).all()
