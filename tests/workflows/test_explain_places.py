"""Maps of outlines by way of the app's own workflow: which methods belong to which target, cache, stopping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medimg_core.catalog import ModelCard, ModelClass, read_card
from medimg_core.errors import BadRequest, Cancelled, MedImgError
from medimg_core.inference import predict
from medimg_core.types import GateVerdict, Prediction
from medimg_core.workflows import explain as workflow
from medimg_core.workflows.explain import MapCache
from medimg_core.workflows.explain_places import explain_places, split_methods, structures, was_outlined
from model_folder import TINY_MODEL, TINY_OUTLINE, film_masks, synthetic_film

CARD = read_card(TINY_OUTLINE)
FILM = synthetic_film(3, 0.4)
BOTH = ("seg_gradcam", "seg_hirescam")


def two_sided() -> ModelCard:
    """A model that answers and outlines; `lesion` is a class and a structure."""
    classes = (ModelClass("normal", "Normal", ""), ModelClass("lesion", "Lesion", ""))
    return replace(CARD, classes=classes, positive=1, outputs=1, head="dense")


@pytest.mark.parametrize(
    ("wanted", "target", "expected"),
    [
        (None, None, (("gradcam",), ())),
        (None, "normal", (("gradcam",), ())),
        (None, "lungs", ((), ("seg_gradcam",))),
        ("seg_hirescam,gradcam", None, (("gradcam",), ("seg_hirescam",))),
        ("seg_hirescam,gradcam", "lesion", (("gradcam",), ("seg_hirescam",))),
        ("all", "lungs", ((), BOTH)),
    ],
)
def test_methods_go_to_the_target_that_they_explain(
    wanted: str | None, target: str | None, expected: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    assert split_methods(two_sided(), wanted, target) == expected


def test_all_means_what_exists_for_the_target() -> None:
    assert split_methods(two_sided(), "all", "normal")[1] == ()
    of_answer, of_outline = split_methods(two_sided(), ["all"], "lesion")
    assert "occlusion" in of_answer
    assert "cam" not in of_answer  # no pooled head
    assert of_outline == BOTH
    assert split_methods(CARD, "all", None) == ((), BOTH)


def test_methods_that_do_not_explain_a_target_are_told() -> None:
    with pytest.raises(BadRequest, match="occlusion does not explain 'lungs'"):
        split_methods(two_sided(), "occlusion", "lungs")
    with pytest.raises(BadRequest, match="seg_gradcam does not explain 'normal'"):
        split_methods(two_sided(), "seg_gradcam", "normal")
    with pytest.raises(BadRequest, match=r"Its classes: normal, lesion; Its structures: lungs, lesion\."):
        split_methods(two_sided(), None, "heart")
    assert CARD.places is not None
    boxes = replace(CARD, places=replace(CARD.places, kind="boxes"))
    assert structures(boxes) == ()
    with pytest.raises(BadRequest, match="all does not explain"):
        split_methods(boxes, "all", None)
    with pytest.raises(BadRequest, match="outlines nothing"):
        explain_places(FILM, read_card(TINY_MODEL), "all", "lungs", Prediction(CARD.ref, {}, GateVerdict(True)))


def test_maps_lie_on_the_films_grid_and_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    cache, said = MapCache(), predict(FILM, CARD).prediction
    maps = explain_places(FILM, CARD, "seg_hirescam,seg_gradcam", "lesion", said, cache=cache)
    assert [m.method for m in maps] == ["seg_hirescam", "seg_gradcam"]
    assert {m.values.shape for m in maps} == {FILM.shape}
    assert {(m.target, m.layer, m.model) for m in maps} == {("lesion", "bottom", CARD.ref)}
    truth = film_masks(3, 0.4)["lesion"]
    assert maps[0].values[truth].mean() > 5 * maps[0].values[~truth].mean()
    explain_places(FILM, CARD, "seg_gradcam", "lungs", said, cache=cache)
    explain_places(FILM, CARD, "seg_gradcam", "lesion", said, box=(1, 1, 9, 9), cache=cache)
    assert len(cache) == 4
    monkeypatch.setattr(workflow, "compute", lambda *a, **k: pytest.fail("computed again"))
    again = explain_places(FILM, CARD, BOTH, "lesion", said, cache=cache)
    np.testing.assert_array_equal(again[0].values, maps[1].values)


def test_stopping_keeps_what_was_finished() -> None:
    cache, said = MapCache(), predict(FILM, CARD).prediction
    with pytest.raises(Cancelled):
        explain_places(FILM, CARD, BOTH, "lesion", said, cancelled=lambda: len(cache) > 0, cache=cache)
    assert len(cache) == 1


def test_what_was_refused_has_no_map_and_what_was_not_found_is_known() -> None:
    refused = Prediction(CARD.ref, {}, GateVerdict(False, ("It is a photograph.",)))
    with pytest.raises(MedImgError, match=r"refused this image.*It is a photograph"):
        explain_places(FILM, CARD, "all", "lungs", refused)
    said = predict(FILM, CARD).prediction
    assert was_outlined(CARD, "lesion", said)
    assert not was_outlined(CARD, "lesion", replace(said, regions=said.regions[:1]))
