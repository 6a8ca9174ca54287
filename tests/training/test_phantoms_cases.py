"""The shipped drawn cases: what their headers say, that the router knows them, and that none is a training picture."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from medimg_core.catalog import list_models, models_folder, open_model
from medimg_core.imaging import to_display
from medimg_core.inference import gate, predict
from medimg_core.inference.kinds import KNOWN
from medimg_core.io import read_file
from medimg_core.training.phantoms.cases import DRAWN, Drawn
from medimg_core.types import Image
from medimg_core.ui import demo

FOLDER = models_folder() / "demo_cases"
SETS = {
    "head_ct": ("brain_ct_haemorrhage",),
    "brain_mr_t1c": ("brain_tumour_type",),
    "brain_mr_sequences": ("brain_tumour_outline",),
    "bone_film": ("bone_fracture",),
    "fundus": ("fundus_retinopathy", "fundus_glaucoma", "fundus_lesions"),
    "lung_ct": ("lung_ct_cancer", "lung_nodule"),
    "breast_ultrasound": ("breast_ultrasound",),
    "mammogram": ("mammography",),
    "cardiac_ultrasound": ("cardiac_ultrasound",),
    "fetal_ultrasound": ("fetal_head",),
}
FILES = [pytest.param(case, stem, id=stem) for case in DRAWN for stem in case.stems]


def image(stem: str) -> Image:
    found = read_file(FOLDER / f"{stem}.dcm")
    assert found.error is None
    return found.images[0]


@pytest.mark.parametrize(("case", "stem"), FILES)
def test_a_drawn_case_says_that_it_is_made_and_by_whom_it_is_taken(case: Drawn, stem: str) -> None:
    path = FOLDER / f"{stem}.dcm"
    found = read_file(path)
    shown = image(stem)
    assert path.stat().st_size < 600_000
    assert shown.synthetic
    assert found.patient.name == case.subject.name
    assert found.patient.name.startswith("Example^")
    assert found.patient.patient_id == f"DEMO-{int(case.stem.split('_')[0]):04d}"
    assert shown.age_years == case.subject.age
    assert shown.modality in KNOWN[case.kind].modalities
    assert (shown.photometric == "RGB") == KNOWN[case.kind].colour
    assert (shown.spacing is None) == (case.kind in ("fundus", "breast_ultrasound"))


def test_every_question_has_a_case() -> None:
    assert {case.kind for case in DRAWN} == set(SETS)
    assert {model for case in DRAWN for model in case.models} == {name for names in SETS.values() for name in names}


@pytest.mark.parametrize(("case", "stem"), FILES)
def test_the_router_lets_a_drawn_case_pass_as_its_own_kind_without_a_doubt(case: Drawn, stem: str) -> None:
    shown = image(stem)
    assert gate.identify(shown).kind == case.kind
    anyone = dataclasses.replace(open_model("chest_xray_pneumonia"), takes=(case.kind,))
    verdict = gate.check(shown, anyone)
    assert verdict.passed
    assert verdict.kind == case.kind
    assert verdict.reasons == ()


@pytest.mark.parametrize(("case", "stem"), FILES)
def test_the_installed_models_of_its_question_answer_a_drawn_case(case: Drawn, stem: str) -> None:
    shown = image(stem)
    cards = [card for card in list_models() if case.kind in card.takes and not card.baseline]
    boxless = [card for card in cards if card.places is None or not card.places.needs_box]
    assert {card.name for card in boxless} <= set(case.models)
    for card in boxless:
        prediction = predict(shown, card).prediction
        assert not prediction.refused
        assert sum(prediction.scores.values()) == pytest.approx(1 if card.answers else 0)


def test_slices_in_hounsfield_units_lie_five_millimetres_apart() -> None:
    slices = [image(stem) for case in DRAWN if case.stem == "16_lung_ct" for stem in case.stems]
    assert len(slices) == 4
    assert {one.modality_units for one in slices} == {"HU"}
    heights = [one.position[2] for one in slices if one.position is not None]
    np.testing.assert_allclose(np.diff(heights), 5.0, atol=1e-3)
    series = demo.open_demo(next(d for d in demo.demos(FOLDER) if d.key == "16_lung_ct_1")).study.series
    assert len(series) == 1
    assert [w.centre for w in slices[0].windows] == [-600.0, 40.0]


def test_two_eyes_and_two_breasts_are_told_apart_by_their_headers() -> None:
    for stem in ("15_retina", "18_mammogram"):
        assert [image(f"{stem}_{side}").laterality for side in ("right", "left")] == ["R", "L"]


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in SETS.items() for name in names])
def test_no_drawn_picture_is_a_near_duplicate_of_a_picture_of_its_set(shared: Path, kind: str, name: str) -> None:
    # The rule that cleaned the sets: difference hash within 4 bits of 64 and thumbnail correlation of 0.98 or more.
    drawn = [to_display(image(stem)) for case in DRAWN if case.kind == kind for stem in case.stems]
    grey = [shown if shown.ndim == 2 else shown.mean(axis=2) for shown in drawn]
    thumbs, hashes = np.stack([squashed(g) for g in grey]), np.stack([difference_hash(g) for g in grey])
    folder = shared / "data" / name
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as lines:
        files = [row["file"] for row in csv.DictReader(lines)]
    assert len(files) > 50
    for file in files:
        real = cv2.imread(str(folder / file), cv2.IMREAD_GRAYSCALE)
        alike = thumbs @ squashed(real) >= 0.98
        same = (hashes != difference_hash(real)).sum(axis=1) <= 4
        assert not (alike & same).any(), file


def squashed(pixels: np.ndarray) -> np.ndarray:
    """A 48 x 48 thumbnail as a unit vector: products are correlations; one without contrast is like none."""
    small = cv2.resize(np.asarray(pixels, np.float32), (48, 48), interpolation=cv2.INTER_AREA).ravel()
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-9)


def difference_hash(pixels: np.ndarray) -> np.ndarray:
    """64 bits: whether each of 8 x 9 cells is darker than its right neighbour."""
    small = cv2.resize(np.asarray(pixels, np.float32), (9, 8), interpolation=cv2.INTER_AREA)
    return (np.diff(small, axis=1) > 0).ravel()
