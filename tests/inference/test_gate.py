"""The first gate: header, grey levels, network; on drawn pictures, and on the real sets where they are."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from medimg_core.catalog import ModelCard, open_model, read_card
from medimg_core.errors import ModelUnavailable
from medimg_core.imaging.quality import measure
from medimg_core.inference import gate
from medimg_core.inference.gate_network import Impression, Limits, Reference, limits
from medimg_core.inference.kinds import FOREIGN, KNOWN
from medimg_core.training import router_sources
from medimg_core.types import Image
from model_folder import TINY_MODEL, copy_model, synthetic_film

ACCEPTED = "chest_frontal"
COULD = "it could also be a CT slice of the head."
LIMITS = Limits(refuse_below=0.55, doubt_below=0.6, refuse_beyond=3.0, doubt_beyond=2.0)


GOOD = measure(synthetic_film())


def seen(frontal: float, distance: float = 1.0, other: str = "head_ct") -> Impression:
    rest = {name: 0.0 for name in (*KNOWN, *FOREIGN)}
    return Impression({**rest, other: 1 - frontal, ACCEPTED: frontal}, {kind: distance for kind in KNOWN}, GOOD)


@pytest.fixture
def card(tiny_model: ModelCard) -> ModelCard:
    """A model of chest films whose router is the folder beside it."""
    return replace(tiny_model, gate="tiny_model", takes=(ACCEPTED,))


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    """Other tests put other impressions in the place of the network's."""
    gate._seen.clear()


@pytest.fixture
def sees(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Puts an impression in the place of the network's."""

    def put(impression: Impression) -> None:
        monkeypatch.setattr(gate, "impression", lambda image, card: replace(impression, quality=measure(image)))
        monkeypatch.setattr(gate, "limits", lambda card, kind: LIMITS)

    return put


@pytest.mark.parametrize(
    ("fields", "kind", "words"),
    [
        ({"for_processing": True, "modality": "DX"}, "raw", "FOR PROCESSING"),
        ({"modality": "CT"}, "ct", "CT slice"),
        ({"modality": "MR"}, "mr", "MR slice"),
        ({"modality": "US"}, "ultrasound", "ultrasound"),
        ({"modality": "MG"}, "mammogram", "mammogram"),
        ({"modality": "DX", "view": "LL"}, "lateral", "lateral"),
        ({"modality": "CR", "view": "RL"}, "lateral", "lateral"),
        ({"modality": "CR", "view": "lateral"}, "lateral", "lateral"),
        ({"modality": "DX", "view": "RAO"}, "lateral", "oblique"),
    ],
)
def test_the_header_alone_refuses(card: ModelCard, fields: dict[str, object], kind: str, words: str) -> None:
    verdict = gate.check(synthetic_film(**fields), replace(card, gate=None))
    assert not verdict.passed
    assert verdict.kind == kind
    assert words in verdict.reasons[0]


@pytest.mark.parametrize(
    ("modality", "named", "kind"),
    [("CT", "head_ct", "head_ct"), ("CT", "fundus", "ct"), ("DX", "bone_film", "bone_film")],
)
def test_the_router_says_more_than_the_header_where_they_agree(sees, card: ModelCard, modality, named, kind) -> None:  # type: ignore[no-untyped-def]
    sees(seen(0.0, other=named))
    verdict = gate.check(synthetic_film(modality=modality), replace(card, takes=("mammogram",)))
    assert (verdict.passed, verdict.kind) == (False, kind)
    assert gate.headline(verdict, card).endswith(", not a frontal chest film.")


def test_a_picture_is_looked_at_once_for_all_models(monkeypatch: pytest.MonkeyPatch, card: ModelCard) -> None:
    looks = []
    monkeypatch.setattr(gate, "impression", lambda image, router: looks.append(image) or seen(0.95))
    monkeypatch.setattr(gate, "limits", lambda router, kind: LIMITS)
    image = synthetic_film()
    verdicts = [gate.check(image, replace(card, takes=takes)) for takes in ((ACCEPTED,), ("head_ct",), ("fundus",))]
    assert [v.passed for v in verdicts] == [True, False, False]
    assert len(looks) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"modality": "DX", "body_part": "HAND"}, "part of the body"),
        ({"modality": "XA"}, "modality"),
        ({"modality": "DX", "view": "LLD"}, "one side"),
        ({"bits": 12}, "window"),
    ],
)
def test_what_a_header_may_have_wrong_is_a_doubt(sees, card: ModelCard, fields: dict[str, object], words: str) -> None:  # type: ignore[no-untyped-def]
    sees(seen(0.95))
    verdict = gate.check(synthetic_film(**fields), card)
    assert verdict.passed
    assert words in verdict.reasons[0]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"modality": "CR", "view": "PA", "body_part": "CHEST"},
        {"modality": "DX", "view": "AP", "body_part": "CHEST PORTABLE"},
    ],
)
def test_a_film_passes_without_a_word(sees, card: ModelCard, fields: dict[str, object]) -> None:  # type: ignore[no-untyped-def]
    sees(seen(0.95))
    verdict = gate.check(synthetic_film(**fields), card)
    assert (verdict.passed, verdict.reasons, verdict.kind) == (True, (), ACCEPTED)
    assert verdict.figures["share"] == 0.95
    assert gate.next_step(verdict) == ""


def test_header_text_is_never_quoted(sees, card: ModelCard) -> None:  # type: ignore[no-untyped-def]
    sees(seen(0.95))
    verdict = gate.check(synthetic_film(modality="DOE^JOHN", body_part="DOE^JANE"), card)
    assert len(verdict.reasons) == 2
    assert "DOE" not in " ".join(verdict.reasons)


@pytest.mark.parametrize(
    ("impression", "passed", "kind", "reasons"),
    [
        (seen(0.60), True, ACCEPTED, ()),
        (seen(0.59), True, ACCEPTED, (f"The input check is not certain: {COULD}",)),
        (seen(0.55), True, ACCEPTED, (f"The input check is not certain: {COULD}",)),
        (seen(0.54), False, "unsure", (f"The input check is not certain: {COULD}",)),
        (seen(0.49), False, "head_ct", ("The input check takes it for a CT slice of the head.",)),
        (seen(0.9, 2.1), True, ACCEPTED, ("It differs from most pictures that the input check was made with.",)),
        (seen(0.9, 3.1), False, "unlike", ("It is unlike every picture that the input check was made with.",)),
        (seen(0.1, other="photo"), False, "photo", ("The input check takes it for a photograph.",)),
    ],
)
def test_limits_divide_pass_doubt_and_refusal(  # type: ignore[no-untyped-def]
    sees, card: ModelCard, impression: Impression, passed: bool, kind: str, reasons: tuple[str, ...]
) -> None:
    sees(impression)
    verdict = gate.check(synthetic_film(), card)
    assert (verdict.passed, verdict.kind, verdict.reasons) == (passed, kind, reasons)


@pytest.mark.parametrize(
    ("pixels", "kind"),
    [
        (np.zeros((300, 300)), "blank"),
        (np.full((300, 300), 200), "blank"),
        (np.random.default_rng(0).integers(0, 256, (30, 30)), "quality"),
        (np.random.default_rng(0).integers(0, 256, (1500, 300)), "quality"),
        (np.random.default_rng(0).integers(0, 2, (300, 300)) * 255, "document"),
    ],
)
def test_grey_levels_alone_refuse(tiny_model: ModelCard, pixels: np.ndarray, kind: str) -> None:
    card = replace(tiny_model, gate=None, takes=(ACCEPTED,))
    verdict = gate.check(Image(pixels.astype(np.float32), "MONOCHROME2", digest=""), card)
    assert (verdict.passed, verdict.kind) == (False, kind)
    assert "share" not in verdict.figures


def test_colour_refuses_whatever_the_network_says(sees, card: ModelCard) -> None:  # type: ignore[no-untyped-def]
    colourful = Image(np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8), "RGB", digest="")
    sees(seen(0.99))
    verdict = gate.check(colourful, card)
    assert (verdict.passed, verdict.kind, len(verdict.reasons)) == (False, "photo", 1)
    assert "colour" in verdict.reasons[0]
    sees(seen(0.0, other="fundus"))
    verdict = gate.check(colourful, card)
    assert (verdict.passed, verdict.kind) == (False, "fundus")
    assert verdict.reasons[0] == "The input check takes it for a photograph of the retina."


def sequences(shares: dict[str, float]) -> Impression:
    """An impression in which nothing but the kind is in question."""
    rest = {name: 0.0 for name in (*KNOWN, *FOREIGN)}
    return Impression({**rest, **shares}, {kind: 1.0 for kind in KNOWN}, GOOD)


def test_one_sequence_is_refused_where_three_are_needed(sees, card: ModelCard) -> None:  # type: ignore[no-untyped-def]
    three = replace(card, takes=("brain_mr_sequences",))
    grey = synthetic_film(modality="MR")
    for named in ("brain_mr_sequences", "brain_mr_t1c"):
        sees(sequences({named: 0.99}))
        gate._seen.clear()
        verdict = gate.check(grey, three)
        assert (verdict.passed, verdict.kind) == (False, "one_sequence")
        assert verdict.reasons == (
            "It is grey: one sequence, where the model compares three that stand as red, green and blue.",
        )
    assert gate.headline(verdict, three) == "Not analysed: this is one MR sequence, and three are needed."
    assert gate.next_step(verdict, three).startswith("Load the series before contrast, FLAIR and after contrast, or")
    sees(sequences({"chest_frontal": 0.99}))
    gate._seen.clear()
    assert gate.check(grey, three).kind == "chest_frontal"  # no MR at all: that is said instead
    unchecked = gate.check(grey, replace(three, gate=None))
    assert (unchecked.passed, unchecked.kind) == (False, "one_sequence")


def test_one_sequence_in_three_colours_is_a_doubt(sees, card: ModelCard) -> None:  # type: ignore[no-untyped-def]
    three = replace(card, takes=("brain_mr_sequences",))
    grey = np.asarray(synthetic_film().pixels, np.uint8)
    sees(sequences({"brain_mr_sequences": 0.99}))
    verdict = gate.check(Image(np.repeat(grey[..., None], 3, axis=2), "RGB", digest=""), three)
    assert verdict.passed
    assert verdict.reasons == (
        "Its three colours are alike: one sequence stands for three, or the slice shows too little.",
    )
    other = np.stack([grey, np.roll(grey, 40, axis=1), grey], axis=2)
    assert gate.check(Image(other, "RGB", digest=""), three).reasons == ()


@pytest.mark.parametrize("name", [None, "absent"])
def test_without_an_input_check_nothing_is_claimed(tiny_model: ModelCard, name: str | None) -> None:
    verdict = gate.check(synthetic_film(), replace(tiny_model, gate=name))
    assert verdict.passed
    assert verdict.kind == "not_checked"
    assert verdict.reasons == ("Not checked: no input check is installed for this model.",)
    refused = gate.check(synthetic_film(modality="CT"), replace(tiny_model, gate=name, takes=(ACCEPTED,)))
    assert not refused.passed


def test_a_damaged_input_check_is_no_pass(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "gate")
    (folder / "card.toml").write_text("title = 'broken'", encoding="utf-8")
    model = replace(read_card(copy_model(TINY_MODEL, tmp_path / "model")), gate="gate")
    with pytest.raises(ModelUnavailable):
        gate.check(synthetic_film(), model)


def test_a_card_without_limits_is_no_input_check(tiny_model: ModelCard) -> None:
    with pytest.raises(ModelUnavailable, match="limits"):
        limits(tiny_model, ACCEPTED)


def test_every_kind_has_words_and_a_next_step(tiny_model: ModelCard) -> None:
    for kind in (*KNOWN, *FOREIGN, "lateral", "raw", "blank", "quality", "unlike", "unsure"):
        verdict = replace(gate.GateVerdict(False, ("x",)), kind=kind)
        for asked in (None, tiny_model):
            assert gate.headline(verdict, asked).startswith("Not analysed: ")
            assert gate.next_step(verdict, asked).endswith(".")
    assert gate.accepted(tiny_model).startswith("One frontal chest film")


def test_distance_is_mahalanobis_by_the_root_of_the_dimension() -> None:
    # Variances 4 and 1: whitener 1/2 and 1. (2, 1) from the mean is one deviation in each of two directions.
    whiteners = np.stack([np.diag([0.5, 1.0]), np.eye(2)]).astype(np.float32)
    reference = Reference(("a", "b"), np.array([[1, 1], [3, 0]], np.float32), whiteners)
    assert reference.distances(np.array([3.0, 2.0], np.float32)) == pytest.approx({"a": 1.0, "b": 2**0.5})
    assert reference.distances(np.array([1.0, 1.0], np.float32))["a"] == 0


# --- the shipped router on real pictures --------------------------------------------------------------------------

EVERY = tuple(KNOWN)
SETS = {**dict.fromkeys(router_sources.FILMS, ACCEPTED), **router_sources.SETS}


def shipped(*takes: str) -> ModelCard:
    """A card that takes these kinds and asks the shipped router."""
    return replace(open_model("router"), gate="router", takes=takes)


def pictures(shared: Path, data_set: str, label: str | None = None) -> list[Path]:
    folder = shared / "data" / data_set
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as lines:
        return [
            folder / row["file"]
            for row in csv.DictReader(lines)
            if row["split"] == "val" and (label is None or row["label"] == label)
        ]


def picture(path: Path) -> Image:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return Image(np.asarray(pixels, np.uint8), "RGB", digest="")


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("data_set", "kind"), SETS.items())
def test_known_pictures_pass_as_what_they_are(shared: Path, data_set: str, kind: str) -> None:
    card = shipped(*EVERY)
    verdicts = [gate.check(picture(path), card) for path in pictures(shared, data_set)[::3]]
    # Nodule patches hold 48 pixels or so, and the end slices of a brain volume are all but empty.
    share = {"lung_nodule_patch": 0.07, "brain_mr_sequences": 0.07}.get(kind, 0.02)
    assert sum(not (v.passed and v.kind == kind) for v in verdicts) <= max(2, share * len(verdicts))


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("data_set", "kind"), SETS.items())
def test_a_model_of_another_kind_refuses_them(shared: Path, data_set: str, kind: str) -> None:
    other = shipped("head_ct" if kind == ACCEPTED else ACCEPTED)
    verdicts = [gate.check(picture(path), other) for path in pictures(shared, data_set)[:60]]
    assert not any(v.passed for v in verdicts)
    assert all(gate.headline(v, other).startswith("Not analysed: ") for v in verdicts)


@pytest.mark.shared
@pytest.mark.parametrize("label", ["not_medical", "other_medical"])
def test_what_no_model_takes_is_refused_by_all(shared: Path, label: str) -> None:
    card = shipped(*EVERY)
    verdicts = [gate.check(picture(path), card) for path in pictures(shared, "not_medical", label)]
    assert np.mean([not v.passed for v in verdicts]) >= 0.97


@pytest.mark.shared
def test_a_grey_slice_never_passes_as_three_sequences(shared: Path) -> None:
    card = shipped("brain_mr_sequences")
    for path in pictures(shared, "brain_tumour_outline")[10::40]:
        whole = picture(path).pixels
        for channel in range(3):
            grey = np.ascontiguousarray(whole[..., channel], np.float32)
            assert not gate.check(Image(grey, "MONOCHROME2", digest=""), card).passed


@pytest.mark.shared
@pytest.mark.parametrize("data_set", SETS)
def test_a_picture_gets_one_verdict_in_every_format(shared: Path, data_set: str) -> None:
    """Stored WebP, untouched original, and a JPEG of it."""
    card, folder = shipped(*EVERY), shared / "data" / data_set
    table = folder / "originals" / "originals.csv"
    stored = {path.stem: path for path in (folder / "images").glob("*.webp")}
    with table.open(newline="", encoding="utf-8") as lines:
        listed = [row for row in csv.DictReader(lines) if row["file"].endswith((".png", ".jpg", ".jpeg", ".tif"))]
    for row in listed:
        original = picture(folder / "originals" / row["file"])
        as_jpeg = cv2.imdecode(cv2.imencode(".jpg", original.pixels[..., ::-1], [1, 85])[1], cv2.IMREAD_COLOR_RGB)
        verdicts = [
            gate.check(image, card)
            for image in (original, picture(stored[row["id"]]), Image(np.asarray(as_jpeg, np.uint8), "RGB", digest=""))
        ]
        assert len({(v.passed, v.kind) for v in verdicts}) == 1, row["id"]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ("dicom_series/cr_chest/*.dcm", "chest_frontal"),
        ("dicom_series/mr_liver/*.dcm", None),
        ("dicom_series/us_echo_cine/*.dcm", "cardiac_ultrasound"),
        ("lung_ct_dicom_series/ct_a/*.dcm", "lung_ct"),
        ("lung_ct_dicom_series/ct_b/*.dcm", "lung_ct"),
    ],
)
def test_real_dicom(shared: Path, files: str, kind: str | None) -> None:
    from medimg_core.io.study import read_study

    paths = sorted((shared / "data").glob(files))
    study, _ = read_study(paths)
    images = study.images
    assert len(images) >= 1
    every = shipped(*EVERY)
    verdicts = [gate.check(image, every) for image in images]
    # Slices and loops of other hospitals may be refused as unlike or unsure, but never pass as something else.
    assert {v.kind for v in verdicts if v.passed} <= {kind}
    assert kind != ACCEPTED or all(v.passed for v in verdicts)
    film = shipped(ACCEPTED)
    assert {gate.check(image, film).passed for image in images} == {kind == ACCEPTED}
    # The header taken away, grey levels and network must say the same of a film.
    bare = [replace(image, modality=None, view=None, body_part=None, bits=16, digest="") for image in images]
    assert {gate.check(image, film).passed for image in bare} == {kind == ACCEPTED}
