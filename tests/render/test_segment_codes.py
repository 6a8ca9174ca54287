"""The codes of segments are those of the standard, or say that they are ours."""

from __future__ import annotations

import io

import pydicom
import pytest
from pydicom.sr.codedict import codes

from drawn_regions import REF, image, region
from medimg_core.io import segment_terms as terms
from medimg_core.render.segmentation import to_dicom_seg


@pytest.mark.parametrize("label", sorted(terms.TERMS))
def test_every_label_has_a_code_of_the_standard_or_says_that_it_is_ours(label):
    one = image()
    (item,) = pydicom.dcmread(io.BytesIO(to_dicom_seg(one, [region(one, label)], REF))).SegmentSequence
    kind, category = item.SegmentedPropertyTypeCodeSequence[0], item.SegmentedPropertyCategoryCodeSequence[0]
    coded = [category, kind, *kind.get("SegmentedPropertyTypeModifierCodeSequence", ())]
    for code in coded:
        scheme, value = code.CodingSchemeDesignator, code.CodeValue
        if scheme == terms.OURS or (scheme, value) == ("SCT", terms.FRACTURE.value):
            assert label in ("microaneurysm", "hard_exudate", "soft_exudate", "optic_cup", "opacity", "fracture")
            continue
        known = {found.meaning for found in getattr(codes, scheme).concepts.values() if found.value == value}
        assert code.CodeMeaning in known
    assert category.CodeValue in {getattr(codes.cid7150, name).value for name in codes.cid7150.dir()}
    modifier = coded[2].CodeValue if len(coded) > 2 else ""
    assert terms.label_of(kind.CodingSchemeDesignator, kind.CodeValue, modifier) == label


def test_codes_of_the_segmentation_lists():
    for label, name in {"heart": "Heart", "nodule": "Nodule", "lesion": "Lesion", "tumour": "Neoplasm"}.items():
        assert terms.TERMS[label].type.value == getattr(codes.cid7151, name).value
    assert terms.TERMS["haemorrhage"].type.value == codes.cid7159.Hemorrhage.value
    assert terms.TERMS["optic_disc"].type.value == codes.cid4209.OpticNerveHead.value
    assert terms.TERMS["lung_right"].modifier.value == codes.cid244.Right.value
