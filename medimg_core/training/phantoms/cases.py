"""The drawn demo cases: what they show, for which question, and which seeds were chosen."""

from __future__ import annotations

from pydicom.uid import (
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    OphthalmicPhotography8BitImageStorage,
    UltrasoundImageStorage,
)

from medimg_core.training.appearance.finish import finish
from medimg_core.training.appearance.limb import hand
from medimg_core.training.phantoms.breast import Lesion, Mass, mammogram, ultrasound
from medimg_core.training.phantoms.chest import Nodule, chest_ct
from medimg_core.training.phantoms.dicomfile import Picture, Subject
from medimg_core.training.phantoms.drawn import LUNG_WINDOW, Drawn, axial
from medimg_core.training.phantoms.head import Blood, Tumour, brain_mr, head_ct
from medimg_core.training.phantoms.leg import leg
from medimg_core.training.phantoms.outlined import OUTLINED
from medimg_core.training.phantoms.retina import Eye, retina

__all__ = ["DRAWN", "Drawn"]

_BRAIN = {"WindowCenter": [40, 500], "WindowWidth": [80, 2500], "WindowCenterWidthExplanation": ["BRAIN", "BONE"]}


def _head(stem: str, seed: int, *blood: Blood) -> tuple[Picture, ...]:
    header = {**axial(260.0, 360, 60.0, 5.0), **_BRAIN, "KVP": 120}
    return (Picture(stem, head_ct(seed, 360, blood), "CT", CTImageStorage, "HEAD", attributes=header),)


def _brain(stem: str, seed: int, tumour: Tumour) -> tuple[Picture, ...]:
    header = {
        **axial(240.0, 320, 40.0, 6.0),
        "ScanningSequence": "SE",
        "SeriesDescription": "T1 after contrast, drawn",
    }
    return (Picture(stem, brain_mr(seed, 320, tumour), "MR", MRImageStorage, "BRAIN", attributes=header),)


def _thorax(stem: str, seed: int, nodule: Nodule) -> tuple[Picture, ...]:
    side, field_mm, apart_mm = 360, 380.0, 5.0
    heights = tuple(apart_mm * k / field_mm for k in range(-1, 3))
    slices = chest_ct(seed, side, heights, nodule)
    return tuple(
        Picture(
            f"{stem}_{i}",
            pixels,
            "CT",
            CTImageStorage,
            "CHEST",
            i,
            {**axial(field_mm, side, round(height * field_mm, 3), apart_mm), **LUNG_WINDOW, "KVP": 120},
        )
        for i, (pixels, height) in enumerate(zip(slices, heights, strict=True), start=1)
    )


_FILM = {"PresentationIntentType": "FOR PRESENTATION", "PatientOrientation": ["L", "F"], "ImageLaterality": "L"}


def _hand(stem: str, seed: int) -> tuple[Picture, ...]:
    pixels = finish(hand(640, 480, seed), seed, 0.5, ("L", 0.06, 0.12))
    header = {**_FILM, "ViewPosition": "PA", "ImagerPixelSpacing": [0.36, 0.36]}
    return (Picture(stem, pixels, "DX", DigitalXRayImageStorageForPresentation, "HAND", attributes=header),)


def _leg(stem: str, seed: int) -> tuple[Picture, ...]:
    header = {**_FILM, "ViewPosition": "AP", "ImagerPixelSpacing": [0.65, 0.65]}
    pixels = leg(seed, 640, 288, broken=True)
    return (Picture(stem, pixels, "DX", DigitalXRayImageStorageForPresentation, "LEG", attributes=header),)


def _eyes(stem: str, seed: int) -> tuple[Picture, ...]:
    eyes = (("right", "R", Eye(True, 0.40, (26, 10, 34))), ("left", "L", Eye(False, 0.85)))
    return tuple(
        Picture(
            f"{stem}_{name}",
            retina(seed + i, 480, eye),
            "OP",
            OphthalmicPhotography8BitImageStorage,
            "EYE",
            i + 1,
            {"ImageLaterality": side, "PatientOrientation": ["L", "F"]},
        )
        for i, (name, side, eye) in enumerate(eyes)
    )


def _sound(stem: str, seed: int, lesion: Lesion) -> tuple[Picture, ...]:
    return (Picture(stem, ultrasound(seed, 400, 512, lesion), "US", UltrasoundImageStorage, "BREAST"),)


def _breasts(stem: str, seed: int, mass: Mass) -> tuple[Picture, ...]:
    common = {"PresentationIntentType": "FOR PRESENTATION", "ViewPosition": "MLO", "ImagerPixelSpacing": [0.4, 0.4]}
    return tuple(
        Picture(
            f"{stem}_{name}",
            mammogram(seed + i, 512, right=side == "R", density=0.45, mass=found),
            "MG",
            DigitalMammographyXRayImageStorageForPresentation,
            "BREAST",
            i + 1,
            {**common, "ImageLaterality": side},
        )
        for i, (name, side, found) in enumerate((("right", "R", None), ("left", "L", mass)))
    )


DRAWN = (
    Drawn(
        stem="9_head_ct",
        group="Head CT",
        title="Head CT, no blood drawn",
        text="A drawn slice of the head at the level of the ventricles, in Hounsfield units.",
        kind="head_ct",
        models=("brain_ct_haemorrhage",),
        subject=Subject("Example^Hana", "DEMO-0009", "19790412", "F"),
        draw=lambda: _head("9_head_ct", 13),
    ),
    Drawn(
        stem="10_head_ct_blood",
        group="Head CT",
        title="Head CT, bright lens",
        text="A drawn slice with a bright lens below the skull on the patient's right, as fresh epidural blood has.",
        kind="head_ct",
        models=("brain_ct_haemorrhage",),
        subject=Subject("Example^Ivo", "DEMO-0010", "19910930", "M"),
        draw=lambda: _head("10_head_ct_blood", 3, Blood((0.27, 0.62), (0.08, 0.15), -25.0, 72.0)),
    ),
    Drawn(
        stem="11_brain_mr_ring",
        group="Brain MR",
        title="Brain MR, bright ring",
        text="A drawn T1 slice after contrast with a ring, a dark middle and swelling in the left hemisphere.",
        kind="brain_mr_t1c",
        models=("brain_tumour_type",),
        subject=Subject("Example^Jana", "DEMO-0011", "19660217", "F"),
        draw=lambda: _brain("11_brain_mr_ring", 6, Tumour((0.62, 0.40), (0.075, 0.095), 25.0, 0.62, 0.05, 0.006)),
    ),
    Drawn(
        stem="12_brain_mr_rim",
        group="Brain MR",
        title="Brain MR, bright mass at the rim",
        text="A drawn T1 slice after contrast with an even, bright mass that lies on the inside of the skull.",
        kind="brain_mr_t1c",
        models=("brain_tumour_type",),
        subject=Subject("Example^Karl", "DEMO-0012", "19581105", "M"),
        draw=lambda: _brain("12_brain_mr_rim", 17, Tumour((0.28, 0.56), (0.060, 0.075), 0.0, 0.0, 0.02, 0.003)),
    ),
    Drawn(
        stem="13_hand",
        group="Bone film",
        title="Hand, no break drawn",
        text="A drawn film of a hand, palm down.",
        kind="bone_film",
        models=("bone_fracture",),
        subject=Subject("Example^Gina", "DEMO-0013", "19850505", "F"),
        draw=lambda: _hand("13_hand", 0),
    ),
    Drawn(
        stem="14_leg_break",
        group="Bone film",
        title="Lower leg, broken",
        text="A drawn film of a lower leg; both bones are cut through and the lower parts moved aside.",
        kind="bone_film",
        models=("bone_fracture",),
        subject=Subject("Example^Lukas", "DEMO-0014", "20010614", "M"),
        draw=lambda: _leg("14_leg_break", 51),
    ),
    Drawn(
        stem="15_retina",
        group="Retina",
        title="Both eyes",
        text="Drawn photographs of two eyes: red dots and yellow spots in the right one, a wide cup in the left one.",
        kind="fundus",
        models=("fundus_retinopathy", "fundus_glaucoma", "fundus_lesions"),
        subject=Subject("Example^Mira", "DEMO-0015", "19610823", "F"),
        draw=lambda: _eyes("15_retina", 21),
        parts=("right", "left"),
    ),
    Drawn(
        stem="16_lung_ct",
        group="Chest CT",
        title="Chest CT, mass on the right",
        text="Four drawn slices, 5 mm apart, in Hounsfield units, with a mass in the patient's right lung.",
        kind="lung_ct",
        models=("lung_ct_cancer",),
        subject=Subject("Example^Nils", "DEMO-0016", "19540320", "M"),
        draw=lambda: _thorax("16_lung_ct", 11, Nodule((0.30, 0.40, 0.005), 0.045, 14)),
        parts=("1", "2", "3", "4"),
    ),
    Drawn(
        stem="17_breast_ultrasound",
        group="Breast",
        title="Breast ultrasound, dark oval",
        text="A drawn picture of a linear probe with a smooth, dark oval.",
        kind="breast_ultrasound",
        models=("breast_ultrasound",),
        subject=Subject("Example^Olga", "DEMO-0017", "19830709", "F"),
        draw=lambda: _sound("17_breast_ultrasound", 35, Lesion((0.45, 0.45), (0.10, 0.065), 5.0, 0.25, 0.002, 1.6)),
    ),
    Drawn(
        stem="18_mammogram",
        group="Breast",
        title="Mammogram, both sides",
        text="Drawn oblique views of both breasts, with a dense mass and strands in the left one.",
        kind="mammogram",
        models=("mammography",),
        subject=Subject("Example^Petra", "DEMO-0018", "19690128", "F"),
        draw=lambda: _breasts("18_mammogram", 41, Mass((0.42, 0.50), 0.045)),
        parts=("right", "left"),
    ),
    *OUTLINED,
)
