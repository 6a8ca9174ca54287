"""A series in the app, with the shipped models: its answer, the slices that counted, the slice on the stage."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from pydicom.uid import CTImageStorage
from serving import ROOT, Server, serving
from test_accessibility import grave

from medimg_core.training.phantoms.chest import Nodule, chest_ct
from medimg_core.training.phantoms.dicomfile import Picture, Subject, picture_bytes
from medimg_core.training.phantoms.drawn import LUNG_WINDOW, axial
from steps import idle, ready, upload

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COUNT, SIDE, FIELD, APART = 8, 256, 380.0, 5.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app with the models that ship."""
    with serving(ROOT / "models", tmp_path_factory.mktemp("server") / "log.txt") as running:
        yield running


def chest(*people: Subject) -> bytes:
    """Eight drawn slices of one chest CT in a zip; with several people every slice is of the next."""
    heights = [APART * (k - 3) / FIELD for k in range(COUNT)]
    drawn = chest_ct(11, SIDE, tuple(heights), Nodule((0.30, 0.40, 0.005), 0.045, 14))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for k, (pixels, height) in enumerate(zip(drawn, heights, strict=True)):
            header = {**axial(FIELD, SIDE, round(height * FIELD, 3), APART), **LUNG_WINDOW}
            picture = Picture(f"chest_{k}", pixels, "CT", CTImageStorage, "CHEST", k + 1, header)
            archive.writestr(f"{k}.dcm", picture_bytes(picture, people[k % len(people)], "chest"))
    return out.getvalue()


NILS = Subject("Example^Nils", "TEST-1", "19540320", "M")
ANNA = Subject("Example^Nils", "TEST-1", "19540320", "F")


def corner(page: Page) -> Locator:
    """The words in the lower left of the stage."""
    return page.locator(".st-key-image .c2").first


def slice_line(page: Page) -> Locator:
    return page.locator(".st-key-this-slice")


def opened(open_page, content: bytes) -> Page:  # type: ignore[no-untyped-def]
    """Upload, the fourth slice on the stage, from there to the diagnosis."""
    page: Page = open_page()
    upload(page, content)
    ready(page, 2)
    page.get_by_label("Image of the series").fill("4")
    expect(corner(page)).to_contain_text(f"image 4 of {COUNT}")
    page.get_by_role("button", name="Open the diagnosis").click()
    expect(slice_line(page)).to_contain_text(f"This slice, 4 of {COUNT}")
    return page


def test_a_series_its_slices_that_counted_and_the_slice_on_the_stage(open_page) -> None:  # type: ignore[no-untyped-def]
    page = opened(open_page, chest(NILS))
    heads = page.locator(".mi-answer h2")
    expect(page.get_by_text("Slices that counted")).to_be_visible()
    expect(heads.first).to_have_text(re.compile("in this series|this series fits|Undecided"))
    expect(page.locator(".mi-asked").first).to_contain_text(f"{COUNT} slices: asked about malignancy.")
    expect(page.get_by_text("Only a part of an examination")).to_be_visible()
    expect(page.get_by_text(re.compile("The highest slice alone: AUROC"))).to_be_visible()
    ready(page)
    expect(corner(page)).to_contain_text(f"image 4 of {COUNT}")

    links = page.get_by_role("link", name=re.compile("Show slice"))
    expect(page.locator(".marks .most")).to_have_count(6)
    expect(links).to_have_count(6)
    shown = next(number for number in links.all_inner_texts() if number != "4")
    page.get_by_role("link", name=f"Show slice {shown} on the stage").click()
    expect(corner(page)).to_contain_text(f"image {shown} of {COUNT}")
    expect(corner(page)).to_contain_text("weight")
    expect(page.get_by_text(f"Answer and map belong to image 4 of {COUNT}")).to_be_visible()
    expect(slice_line(page)).to_contain_text(f"Slice 4 of {COUNT}")
    page.get_by_role("button", name=f"Answer this slice, {shown}").click()
    expect(slice_line(page)).to_contain_text(f"This slice, {shown} of {COUNT}")
    expect(page.get_by_text(f"Answer and map belong to image {shown} of {COUNT}")).to_be_hidden()
    ready(page)
    expect(corner(page)).to_contain_text(f"image {shown} of {COUNT}")

    assert not grave(page)

    page.locator(".st-key-image .frame").focus()
    page.keyboard.press("Home")
    expect(corner(page)).to_contain_text(f"image 1 of {COUNT}")
    page.keyboard.press("n")
    first = min(int(number) for number in links.all_inner_texts() if number != "1")
    expect(corner(page)).to_contain_text(f"image {first} of {COUNT}")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("next and previous slice that counted")


def test_slices_of_two_patients_have_no_common_answer(open_page) -> None:  # type: ignore[no-untyped-def]
    page = opened(open_page, chest(NILS, ANNA))
    expect(page.locator(".mi-answer h2").first).to_have_text("No answer for this series.")
    expect(page.get_by_text("Load the series of each patient by itself")).to_be_visible()
    expect(slice_line(page)).to_contain_text("malignancy")
    idle(page)
    expect(page.locator(".marks")).to_have_count(0)
