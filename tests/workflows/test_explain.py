"""Maps of a film by way of the app's own workflow, on the small model of the tests."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from medimg_core.catalog import read_card
from medimg_core.errors import BadRequest, Cancelled, MedImgError
from medimg_core.inference import Answer, predict
from medimg_core.types import FloatArray, GateVerdict, Prediction
from medimg_core.workflows import explain as workflow
from medimg_core.workflows.explain import MapCache, explain, method_names
from model_folder import TINY_BASELINE, TINY_MODEL, film_pixels, synthetic_film

CARD = read_card(TINY_MODEL)
FILM = synthetic_film(3, 0.4)
ALL = (
    "cam", "gradcam", "gradcam_pp", "xgradcam", "layercam", "hirescam",
    "gradients", "smoothgrad", "integrated_gradients", "occlusion", "scorecam",
)  # fmt: skip


def test_maps_come_in_the_order_asked_for_on_the_films_grid() -> None:
    maps = explain(FILM, CARD, "occlusion, cam,gradcam", cache=MapCache())
    assert [m.method for m in maps] == ["occlusion", "cam", "gradcam"]
    assert {m.values.shape for m in maps} == {FILM.shape}
    np.testing.assert_allclose(maps[1].grid, maps[2].grid * maps[2].grid.size, rtol=1e-5, atol=1e-6)


def test_all_means_what_exists_for_the_model() -> None:
    assert method_names(CARD, "all") == ALL
    assert method_names(read_card(TINY_BASELINE), ["all"]) == ALL[1:]
    assert method_names(CARD, ["cam", "cam", "gradcam"]) == ("cam", "gradcam")
    with pytest.raises(BadRequest, match="Near names"):
        method_names(CARD, "cam,gradcat")


def test_the_target_is_the_decision_unless_named() -> None:
    answer = predict(FILM, CARD)
    (own,) = explain(FILM, CARD, "cam", answer=answer, cache=MapCache())
    assert own.target == answer.prediction.decision == "pneumonia"
    (other,) = explain(FILM, CARD, "cam", target="normal", cache=MapCache())
    assert other.target == "normal"
    assert not (own.grid * other.grid).any()
    with pytest.raises(BadRequest, match="no class 'lung'"):
        explain(FILM, CARD, "cam", target="lung")


@pytest.mark.parametrize("name", ["cam", "occlusion"])
def test_maps_find_the_blob_that_was_drawn(name: str) -> None:
    near = []
    for seed in range(30):
        row, column = film_pixels(seed, 0.4)[1]
        (found,) = explain(synthetic_film(seed, 0.4), CARD, name, target="pneumonia", cache=MapCache())
        peak = np.unravel_index(found.values.argmax(), found.values.shape)
        near.append(np.hypot(peak[0] - row, peak[1] - column) < 40)
    chance = np.pi * 40**2 / np.prod(FILM.shape)  # 0.13; 40 pixels are one and a half cells
    assert np.mean(near) > 2.5 * chance


def test_one_forward_pass_serves_all(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = predict(FILM, CARD)
    runtime = workflow.runtime_for(CARD)
    calls: list[str] = []

    class Counting:
        card, engine, head, nbytes = CARD, "litert", runtime.head, 0

        def predict(self, x: FloatArray) -> object:
            calls.append("predict")
            return runtime.predict(x)

    monkeypatch.setattr(workflow, "runtime_for", lambda card: Counting())
    explain(FILM, CARD, "cam,gradcam,gradcam_pp,xgradcam,layercam,hirescam", answer=answer, cache=MapCache())
    assert calls == []


def test_a_second_asking_costs_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, cache = predict(FILM, CARD), MapCache()
    first = explain(FILM, CARD, "cam,occlusion", answer=answer, cache=cache)
    monkeypatch.setattr(workflow, "compute", lambda *a, **k: pytest.fail("computed again"))
    second = explain(FILM, CARD, "occlusion,cam", answer=answer, cache=cache)
    for a, b in zip(first, reversed(second), strict=True):
        np.testing.assert_array_equal(a.values, b.values)
        assert (a.scale, a.layer, a.model, a.signed, a.seconds) == (b.scale, b.layer, b.model, b.signed, b.seconds)


def test_another_image_target_method_or_seed_is_another_map() -> None:
    cache = MapCache()
    explain(FILM, CARD, "cam", target="pneumonia", cache=cache)
    explain(replace(FILM, digest="other"), CARD, "cam", target="pneumonia", cache=cache)
    explain(FILM, CARD, "cam", target="normal", cache=cache)
    explain(FILM, CARD, "hirescam", target="normal", cache=cache)
    explain(FILM, CARD, "hirescam", target="normal", seed=1, cache=cache)
    assert len(cache) == 5


def grid(kilobytes: int) -> FloatArray:
    return np.zeros((kilobytes, 256), np.float32)


def key(name: str) -> tuple[str, str, str, str, str, int]:
    return (name, "", "", "", "own", 0)


def test_the_cache_is_bounded_in_bytes_and_forgets_the_oldest() -> None:
    cache = MapCache(limit_bytes=10 * 1024)
    for name in "abc":
        cache.put(key(name), grid(3), 0.0)
    assert cache.get(key("a")) is not None  # used now: b is the oldest
    cache.put(key("d"), grid(3), 0.0)
    assert [cache.get(key(name)) is not None for name in "abcd"] == [True, False, True, True]
    assert cache.nbytes == 9 * 1024
    cache.put(key("a"), grid(1), 0.0)  # replaced, not counted twice
    assert cache.nbytes == 7 * 1024
    cache.put(key("e"), grid(11), 0.0)  # larger than the limit: nothing is left
    assert (len(cache), cache.nbytes) == (0, 0)


def test_stopping_keeps_what_was_finished() -> None:
    cache, shares = MapCache(), []
    answer = predict(FILM, CARD)

    def cancelled() -> bool:
        return bool(shares) and shares[-1] > 0.6

    with pytest.raises(Cancelled):
        explain(FILM, CARD, "cam,occlusion", answer=answer, cache=cache, progress=shares.append, cancelled=cancelled)
    assert len(cache) == 1
    assert shares == sorted(shares)


def test_progress_ends_at_one_and_rises() -> None:
    shares: list[float] = []
    explain(FILM, CARD, "cam,scorecam,smoothgrad", cache=MapCache(), progress=shares.append)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)
    assert len(shares) > 24 + 25


def test_a_refused_image_has_no_map() -> None:
    refused = Answer(Prediction(CARD.ref, {}, GateVerdict(False, ("It is a photograph.",))))
    with pytest.raises(MedImgError, match=r"refused this image.*It is a photograph"):
        explain(FILM, CARD, "cam", answer=refused)


def test_importing_the_workflow_loads_no_tensorflow() -> None:
    code = (
        "import sys, medimg_core.workflows.explain, medimg_core.workflows.saliency_check;"
        "print(sorted({'tensorflow', 'keras', 'tf_keras_vis', 'scipy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
