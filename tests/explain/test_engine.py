"""From a method's grid to a map on the film: registry, targets, scale, the way back, and what must not pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fake_runtime import PooledRuntime, card
from medimg_core import explain
from medimg_core.catalog import read_card
from medimg_core.errors import BadRequest, MedImgError
from medimg_core.explain.registry import Method, Query, register
from medimg_core.imaging import Geometry
from model_folder import TINY_BASELINE, TINY_MODEL, TINY_OUTLINE, copy_model

TINY = read_card(TINY_MODEL)
GEOMETRY = Geometry.fit((16, 24), (8, 8), "squash")


def query(seed: int = 0, side: float = 1.0) -> Query:
    network = PooledRuntime(np.array([[2.0], [-1.0], [0.5]]), np.array([0.25]))
    x = np.random.default_rng(seed).normal(0.3, 1, (8, 8, 3)).astype(np.float32)
    return Query(network, x, np.array([side], np.float32))


def test_every_method_of_the_contract_is_there_once() -> None:
    assert [m.name for m in explain.methods()] == [
        "cam", "gradcam", "gradcam_pp", "xgradcam", "layercam", "hirescam",
        "gradients", "smoothgrad", "integrated_gradients", "occlusion", "scorecam", "seg_gradcam", "seg_hirescam",
    ]  # fmt: skip
    assert {m.name for m in explain.methods() if m.signed} == {"integrated_gradients", "occlusion"}
    with pytest.raises(ValueError, match="twice"):
        register(explain.method("cam"))


def test_an_unknown_method_names_its_neighbours() -> None:
    with pytest.raises(BadRequest, match="gradcam"):
        explain.method("grad-cam")


@pytest.mark.parametrize("name", [m.name for m in explain.available(TINY)])
def test_each_method_gives_a_finite_map_on_the_film(name: str) -> None:
    found = explain.compute(name, query(), GEOMETRY, target="pneumonia", card=TINY)
    assert found.values.shape == (16, 24)
    assert found.values.dtype == found.grid.dtype == np.float32
    assert np.isfinite(found.values).all()
    assert found.signed or found.values.min() >= 0
    assert found.layer == ("cam" if "cam" in name else "input")
    assert (found.method, found.target, found.model) == (name, "pneumonia", TINY.ref)
    np.testing.assert_allclose(found.values, GEOMETRY.raise_map(found.grid))
    assert not found.values.flags.writeable


def test_targets_of_one_logit_are_its_two_sides() -> None:
    assert explain.target_weights(card(), "pneumonia").tolist() == [1.0]
    assert explain.target_weights(card(), "normal").tolist() == [-1.0]
    with pytest.raises(BadRequest, match="pneumonia"):
        explain.target_weights(card(), "pneumnia")


def test_targets_of_several_logits_are_one_hot() -> None:
    weights = explain.target_weights(card(outputs=3), "class2")
    assert weights.tolist() == [0.0, 0.0, 1.0]
    assert weights.dtype == np.float32


def test_both_sides_share_the_evidence() -> None:
    # Before the ReLU one side is the other with its sign turned: where both are zero nothing speaks either way.
    one, other = (
        explain.compute("cam", query(side=side), GEOMETRY, target=target, card=TINY).grid
        for side, target in ((1.0, "pneumonia"), (-1.0, "normal"))
    )
    assert one.any()
    assert other.any()
    assert not (one * other).any()


def test_no_positive_evidence_is_a_state() -> None:
    network = PooledRuntime(np.array([[-1.0], [-2.0], [-0.5]]), np.array([0.0]))
    empty = explain.compute(
        "gradcam", Query(network, np.ones((8, 8, 3), np.float32), np.ones(1, np.float32)), GEOMETRY,
        target="pneumonia", card=TINY,
    )  # fmt: skip
    assert empty.empty
    assert empty.maximum == 0.0


def test_the_scale_is_the_measured_one_or_none(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "tiny_model")
    described = json.loads((folder / "evaluation.json").read_text())
    described["saliency_scales"] = {"cam": 0.5, "gradcam": 0.0}
    (folder / "evaluation.json").write_text(json.dumps(described))
    copy = read_card(folder)
    found = explain.compute("cam", query(), GEOMETRY, target="pneumonia", card=copy)
    assert found.scale == 0.5
    assert found.maximum == pytest.approx(2 * float(found.values.max()))
    # A scale of 0 (no film had evidence) and a missing one are unknown.
    assert explain.compute("gradcam", query(), GEOMETRY, target="pneumonia", card=copy).scale is None
    assert explain.compute("hirescam", query(), GEOMETRY, target="pneumonia", card=copy).scale is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_an_error(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Method("broken", "Broken", "cam", "features", False, "", "", lambda q: np.full((2, 2), value, np.float32))
    monkeypatch.setattr("medimg_core.explain.engine.method", lambda name: broken)
    with pytest.raises(MedImgError, match="no numbers"):
        explain.compute("broken", query(), GEOMETRY, target="pneumonia", card=TINY)


def test_an_unknown_engine_is_told() -> None:
    with pytest.raises(BadRequest, match="own, tf-keras-vis"):
        explain.compute("cam", query(), GEOMETRY, target="pneumonia", card=TINY, engine="captum")


def test_cam_is_offered_for_pooled_heads_only() -> None:
    assert "cam" in [m.name for m in explain.available(TINY)]
    names = [m.name for m in explain.available(read_card(TINY_BASELINE))]
    assert names == [m.name for m in explain.available(TINY) if m.name != "cam"]


def test_methods_of_outlines_are_offered_for_models_that_outline() -> None:
    outlines = read_card(TINY_OUTLINE)
    assert explain.available(outlines) == ()
    assert [m.name for m in explain.available_places(outlines)] == ["seg_gradcam", "seg_hirescam"]
    assert explain.available_places(TINY) == ()
    assert outlines.places is not None
    boxes = replace(outlines, places=replace(outlines.places, kind="boxes"))
    assert explain.available_places(boxes) == ()


def figures(hit: tuple[float, float, float], *, energy: float = 0.5, sanity: float | None = 0.1) -> dict[str, object]:
    def interval(value: float, low: float, high: float) -> dict[str, float]:
        return {"value": value, "low": low, "high": high}

    found: dict[str, object] = {
        "pointing_game": interval(*hit),
        "energy_inside": interval(energy, energy - 0.1, energy + 0.1),
        "area": interval(0.1, 0.08, 0.12),
        "centre": interval(0.16, 0.1, 0.2),
        "random": interval(0.1, 0.08, 0.12),
        "n": 172,
        "truth": "opacity boxes",
    }
    return found | ({"sanity": interval(sanity, 0, 1)} if sanity is not None else {})


@pytest.mark.parametrize(
    ("name", "found", "mark", "words"),
    [
        ("gradcam", figures((0.76, 0.69, 0.82)), "full",
         "Points better than chance: 0.76 (0.69–0.82), centre 0.16, n\u00a0172"),
        ("scorecam", figures((0.48, 0.41, 0.56), energy=0.14), "half",
         "Better than chance but coarse: 0.48 (0.41–0.56), centre 0.16, n\u00a0172"),
        ("integrated_gradients", figures((0.55, 0.47, 0.62), energy=0.14), "half",
         "Points, but noisy: 0.55 (0.47–0.62), centre 0.16, n\u00a0172"),
        ("smoothgrad", figures((0.17, 0.12, 0.23), sanity=0.81), "hollow",
         "Fails: looks alike with a shuffled head (0.81). Not for location"),
        ("smoothgrad", figures((0.55, 0.47, 0.62), sanity=0.81), "half",
         "Points, but looks alike with a shuffled head (0.81): 0.55 (0.47–0.62), centre 0.16, n\u00a0172"),
        ("gradients", figures((0.21, 0.13, 0.31), sanity=None), "hollow",
         "Points no better than chance: 0.21 (0.13–0.31), centre 0.16, n\u00a0172"),
    ],
)  # fmt: skip
def test_verdicts(name: str, found: dict[str, object], mark: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = {"test_sets": {"all": {"saliency": {name: found}}}}
    monkeypatch.setattr("medimg_core.catalog.evaluation", lambda card: evaluation)
    said = explain.verdict(card(), name)
    assert (said.mark, said.words, said.measured, said.truth) == (mark, words, True, "opacity boxes")


@pytest.mark.parametrize(
    ("moved", "gain", "beside", "mark", "words"),
    [
        (0.12, 0.05, 0.02, "full", "Marks what the outline rests on outside: it moves by 0.120 (0.100–0.140) without "
         "that, by 0.030 without random places, n\u00a090"),
        (0.12, 0.05, -0.02, "half", "Outside the outline better than random places (0.030), not than the surroundings "
         "(0.060): it moves by 0.120 (0.100–0.140) without what is marked, n\u00a090"),
        (0.12, -0.001, 0.02, "hollow", "Says nothing outside the outline, which moves by 0.120 (0.100–0.140) without "
         "what is marked there, by 0.030 without random places, n\u00a090"),
        (0.009, 0.001, 0.001, "hollow", "Says hardly anything outside the outline, which moves by 0.009 (0.007–0.011) "
         "without what is marked there, by 0.030 without random places, n\u00a090"),
    ],
)  # fmt: skip
def test_verdicts_on_maps_of_outlines(
    moved: float, gain: float, beside: float, mark: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interval(value: float, low: float) -> dict[str, float]:
        return {"value": value, "low": low, "high": 2 * value - low}

    row = {
        "moved": interval(moved, moved - (0.02 if moved > 0.02 else 0.002)),
        "random": interval(0.03, 0.02),
        "beside": interval(0.06, 0.05),
        "gain": interval(0.09, gain),
        "gain_beside": interval(0.06, beside),
        "n": 90,
    }
    evaluation = {"places": {"saliency": {"seg_gradcam": {"lesion": row}}}}
    monkeypatch.setattr("medimg_core.catalog.evaluation", lambda card: evaluation)
    said = explain.verdict(card(), "seg_gradcam", target="lesion")
    assert (said.mark, said.words, said.measured) == (mark, words, True)
    assert not explain.verdict(card(), "seg_gradcam", target="lungs").measured
    assert not explain.verdict(card(), "seg_hirescam", target="lesion").measured


def test_a_wider_truth_than_boxes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = {"test_sets": {"all": {"saliency": {"cam": figures((0.9, 0.8, 0.95)) | {"truth": "lung mask"}}}}}
    monkeypatch.setattr("medimg_core.catalog.evaluation", lambda card: evaluation)
    assert explain.verdict(card(), "cam").words.endswith("n\u00a0172, lung mask")


def test_another_populations_figures_are_not_borrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = {"test_sets": {"other": {"saliency": {"cam": figures((0.9, 0.8, 0.95))}}, "all": {}}}
    monkeypatch.setattr("medimg_core.catalog.evaluation", lambda card: evaluation)
    said = explain.verdict(card(), "cam")
    assert (said.mark, said.measured) == ("hollow", False)
