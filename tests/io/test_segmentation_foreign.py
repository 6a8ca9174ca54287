"""Segmentations of other programs find their images by size and position, and their codes our labels."""

from __future__ import annotations

from pydicom import Dataset

from drawn_regions import AXIAL, REF, image, of_series, region, slices
from io_files import PATIENT, SECRETS, changed
from medimg_core.io import attach
from medimg_core.render.findings import Findings
from medimg_core.render.segmentation import series_to_dicom_seg, to_dicom_seg
from medimg_core.types import Series, Study

CLOSED = "not open"


def study_of(*images) -> Study:
    return Study(tuple(Series((one,)) for one in images))


def foreign(found, **attributes) -> bytes:
    """A file of another program, with names and free text in all the usual places."""

    def change(ds):
        ds.Manufacturer = "Another"
        for keyword, value in {**PATIENT, **attributes}.items():
            setattr(ds, keyword, value)
        for item in ds.SegmentSequence:
            item.SegmentLabel, item.SegmentDescription = "Geheim", "drawn by Adele"

    return changed(series_to_dicom_seg(found), change)


def test_a_file_of_another_program_fits_the_only_image_of_its_size(segmentation):
    one = image()
    found = segmentation(foreign([Findings(one, (region(one, "heart"), region(one, "nodule", 1)), model=REF)]))
    assert found.model is None
    assert {mark.source for mark in found.marks} == {""}
    assert [mark.region.label for mark in found.marks] == ["heart", "nodule"]
    assert [mark.region.score for mark in found.marks] == [1.0, 1.0]
    assert not [secret for secret in SECRETS if secret in repr(found)]
    other = image(20, 20)
    placed = attach(study_of(other, image(seed=3)), [found])
    assert len(placed.on(image(seed=3))) == 2
    assert [note.kind for note in placed.notes] == ["doubt"]
    assert "another program" in placed.notes[0].text
    for nowhere in (study_of(other), study_of(image(seed=3), image(seed=4))):
        assert attach(nowhere, [found]).left == (found,)
        assert CLOSED in attach(nowhere, [found]).notes[0].text


def test_a_file_of_another_program_is_placed_by_position(segmentation):
    images = slices()
    found = segmentation(foreign(of_series(images)))
    moved = [
        image(21, 35, 50 + k, modality="CT", position=one.position, orientation=AXIAL) for k, one in enumerate(images)
    ]
    placed = attach(Study((Series(tuple(moved), "slices"),)), [found])
    assert [len(placed.on(one)) for one in moved] == [2, 3, 2, 2, 2]
    assert "positions" in placed.notes[0].text
    elsewhere = [image(21, 35, k, modality="CT", position=(0.0, 0.0, 900.0 + k), orientation=AXIAL) for k in range(3)]
    assert attach(study_of(*elsewhere), [found]).left == (found,)
    # Several planes never land on the one image of their size, nor one plane on an image that lies elsewhere.
    assert attach(study_of(image(21, 35)), [found]).left == (found,)
    single = segmentation(foreign(of_series(images[:1])))
    assert attach(study_of(elsewhere[0]), [single]).left == (single,)
    assert len(attach(study_of(image(21, 35)), [single]).on(image(21, 35))) == 2


def test_codes_of_other_programs(segmentation):
    one = image(9, 9)

    def label(scheme: str, value: str, side: str = "") -> str:
        def change(ds):
            kind = ds.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
            kind.CodingSchemeDesignator, kind.CodeValue, kind.CodeMeaning = scheme, value, "Geheim"
            if side:
                modifier = Dataset()
                modifier.CodeValue, modifier.CodingSchemeDesignator = side, "SRT"
                kind.SegmentedPropertyTypeModifierCodeSequence = [modifier]

        return segmentation(changed(to_dicom_seg(one, [region(one, "heart")], REF), change)).marks[0].region.label

    assert label("SRT", "T-28000", "G-A100") == "lung_right"
    assert label("SCT", "44029006") == "lung_left"
    assert label("SCT", "10200004") == "liver"
    assert label("99XYZ", "Geheim") == "segment 1"
    assert label("SCT", "Geheim") == "segment 1"
