"""The table and the picture of what was found."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from PIL import Image as Pillow

from drawn_regions import REF, colour_image, image, region
from medimg_core.render import DISCLAIMER
from medimg_core.render.colours import FOR, QUIET, TEXT
from medimg_core.render.findings import COLUMNS, UNFIT, Findings, findings_csv, findings_png
from medimg_core.render.masks import mask_of
from medimg_core.types import Measurement, Region, Spacing
from medimg_core.ui.viewer_data import outlines

RATIO = Measurement("cardiothoracic_ratio", 0.52, 0.48, 0.56, "", "px")
LENGTH = Measurement("length", 41.25, float("nan"), float("nan"), "mm", "PixelSpacing")


def rows(*found: Findings) -> list[dict[str, str]]:
    text = findings_csv(found)
    assert text.splitlines()[0] == ",".join(COLUMNS)
    return list(csv.DictReader(io.StringIO(text)))


def square(label: str = "heart", **fields) -> Region:
    mask = np.zeros((33, 47), bool)
    mask[5:15, 10:30] = True
    return Region("mask", label, 0.875, mask=mask, **fields)


def test_a_line_a_region_and_a_measurement():
    one = image()
    box = Region("box", "fracture", 0.5, box=(1.5, 2.0, 4.5, 9.0))
    found = Findings(one, (square(), box), (region(one, "nodule"),), (RATIO,), (LENGTH,), REF)
    first, second, third, ratio, length = rows(found, Findings(colour_image()))[:5]
    assert (first["row_type"], first["kind"], first["label"], first["score"]) == ("region", "mask", "heart", "0.875")
    assert [first[key] for key in ("x0", "y0", "x1", "y1", "area_px", "area_mm2", "basis")] == [
        *("10", "5", "30", "15", "200", "20", "PixelSpacing")
    ]
    assert [first[key] for key in ("by", "model", "model_version", "model_hash")] == [
        *("model", "lung_fields", "1.2.0", "0badcafe")
    ]
    assert [second[key] for key in ("x0", "y0", "x1", "y1")] == ["1.5", "2", "4.5", "9"]
    assert (third["by"], third["model"]) == ("reader", "")
    assert [ratio[key] for key in ("name", "value", "low", "high", "unit", "basis", "by")] == [
        *("cardiothoracic_ratio", "0.52", "0.48", "0.56", "", "px", "model")
    ]
    assert [length[key] for key in ("value", "low", "high", "unit", "by")] == ["41.25", "", "", "mm", "reader"]
    everything = rows(found, Findings(colour_image()))
    assert [row["note"] for row in everything] == [DISCLAIMER, "", "", "", "", ""]
    assert everything[-1]["row_type"] == "none"
    assert everything[-1]["image"] == colour_image().digest[:16]


def test_no_spacing_no_millimetres():
    (row,) = rows(Findings(image(spacing=None), (square(),), model=REF))
    assert (row["area_px"], row["area_mm2"], row["basis"]) == ("200", "", "")


@pytest.mark.parametrize("label", ["=1+1", "@sum", "-2", "+a", "\tx"])
def test_a_spreadsheet_runs_nothing(label):
    (row,) = rows(Findings(image(), (square(label),), model=REF))
    assert row["label"] == f"'{label}"


def square_on(one, wide: int = 8) -> Region:
    mask = np.zeros(one.shape, bool)
    mask[wide:-wide, wide:-wide] = True
    return Region("mask", "heart", 0.9, mask=mask)


def read(content: bytes):
    picture = Pillow.open(io.BytesIO(content))
    picture.load()
    return picture, np.asarray(picture).astype(int)


@pytest.mark.parametrize("one", [image(), image(2000, 1500), colour_image()])
def test_the_picture_has_outlines_and_provenance(one):
    plain, _ = read(findings_png(Findings(one, model=REF)))
    content = findings_png(Findings(one, (square_on(one),), (square_on(one, 3),), (RATIO, LENGTH), model=REF))
    picture, pixels = read(content)
    assert picture.info["Model"] == "lung_fields 1.2.0 (0badcafe)"
    assert picture.info["Image"] == one.digest[:16]
    assert picture.info["Note"] == DISCLAIMER
    film = pixels[: -(18 * 6 + 10)]  # six lines of caption
    for colour in (FOR[1], TEXT):
        assert (np.abs(film - colour).sum(axis=-1) < 40).any()
    assert picture.height > plain.height
    assert max(picture.width, film.shape[0]) <= 1600


def test_lines_run_where_the_region_is():
    one = image(400, 400)
    box = Region("box", "fracture", 0.5, box=(100, 150, 300, 250))
    for drawn in (box, Region("outline", "a", 0.5, polygon=((100, 150), (300, 150), (300, 250), (100, 250)))):
        _, pixels = read(findings_png(Findings(one, (drawn,), model=REF)))
        film = pixels[:400]
        orange = np.abs(film - FOR[1]).sum(axis=-1) < 60
        found = np.argwhere(orange[:, 130:])  # right of the number
        assert found.min(axis=0)[0] in (149, 150)
        assert found.max(axis=0).tolist() in ([249, 169], [250, 170])
    white = image(400, 400, spacing=Spacing(1.0, 1.0, "typed"))
    mask = np.zeros((400, 400), bool)
    mask[200, 300] = True
    small = (Region("mask", "speck", 0.5, mask=mask), Region("point", "p", 1, polygon=((50, 60),)))
    _, pixels = read(findings_png(Findings(white, small)))
    assert (np.abs(pixels[198:203, 298:303] - FOR[1]).sum(axis=-1) < 60).any()
    assert (np.abs(pixels[60, 50] - FOR[1]).sum() < 60).all()


def test_what_is_not_fit_for_use_is_grey_and_says_so():
    one, box = image(400, 400), Region("box", "fracture", 0.5, box=(100, 150, 300, 250))
    _, pixels = read(findings_png(Findings(one, (box,), model=REF, fit_for_use=False)))
    film = pixels[:400]
    assert not (np.abs(film - FOR[1]).sum(axis=-1) < 60).any()
    assert (np.abs(film[150, 150:250] - QUIET).sum(axis=-1) < 60).any()
    (row,) = rows(Findings(one, (box,), model=REF, fit_for_use=False))
    assert row["note"] == f"{DISCLAIMER} {UNFIT}"


def test_a_box_that_a_reader_removed_stands_in_the_table_alone():
    one, box = image(400, 400), Region("box", "fracture", 0.5, box=(100, 150, 300, 250))
    found = Findings(one, removed=(box,), model=REF)
    (row,) = rows(found)
    assert (row["by"], row["model"], row["x0"]) == ("model, removed by reader", "lung_fields", "100")
    np.testing.assert_array_equal(read(findings_png(found))[1][:400], read(findings_png(Findings(one)))[1][:400])


def test_nothing_found_is_said_in_plain_letters():
    content = findings_png(Findings(image(synthetic=True)), data="Research only – not for sale")
    assert "no patient" in read(content)[0].info["Note"]


def test_masks_of_lines_are_those_that_the_viewer_draws():
    """What the viewer makes of a mask comes back as that mask."""
    one = image()
    mask = np.zeros(one.shape, bool)
    mask[3:9, 4:20] = mask[6:30, 12:17] = True
    (line,) = outlines(Region("mask", "heart", 1.0, mask=mask), 0)
    back = mask_of(Region("outline", "heart", 1.0, polygon=tuple(map(tuple, line["points"]))), one.shape)
    np.testing.assert_array_equal(back, mask)


def test_regions_beyond_the_image_and_points():
    assert mask_of(Region("box", "a", 1.0, box=(-5, -5, 2, 3)), (9, 9)).sum() == 6
    assert mask_of(Region("box", "a", 1.0, box=(50, 50, 60, 60)), (9, 9)) is None
    assert mask_of(Region("point", "a", 1.0, polygon=((2.0, 2.0),)), (9, 9)) is None
    assert mask_of(Region("mask", "a", 1.0, mask=np.zeros((9, 9), bool)), (9, 9)) is None
