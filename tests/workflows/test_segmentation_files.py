"""A segmentation among the files of the command line is refused with the next step; it is neither image nor damage."""

from __future__ import annotations

from drawn_regions import REF, image, region
from medimg_core.render.segmentation import to_dicom_seg
from medimg_core.workflows.diagnose_files import diagnose_image, open_paths


def test_a_segmentation_is_refused(tmp_path):
    one = image()
    path = tmp_path / "seg.dcm"
    path.write_bytes(to_dicom_seg(one, [region(one)], REF))
    (opened,) = open_paths([str(path)])
    (told,) = diagnose_image(opened, (), routed=True)
    assert (told["status"], told["model"], told["index"]) == ("refused", None, None)
    assert "together with that image" in told["reason"]
