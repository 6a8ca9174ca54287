"""What a model outlines and measures, with typed spacing, a reader's corrections, and the cache."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from medimg_core.catalog import Structure, read_card
from medimg_core.errors import BadRequest
from medimg_core.types import GateVerdict, Image, Prediction, Region, Spacing
from medimg_core.ui.findings import corrected_words
from medimg_core.ui.saving import kept
from medimg_core.workflows import find as module
from medimg_core.workflows.find import correct, describe, find, find_cache, outlining, place_figures, typed
from model_folder import TINY_MODEL, TINY_OUTLINE, synthetic_film

FILM = replace(synthetic_film(3, 0.4), spacing=None)


def test_a_model_outlines_and_quotes_its_test_set() -> None:
    card = read_card(TINY_OUTLINE)
    found = find(FILM, card, kept=find_cache())
    assert {region.label for region in found.shown} == {"lungs", "lesion"}
    assert found.measurements
    assert {one.basis for one in found.measurements} == {"px"}
    assert found.figures is not None
    dice = found.figures.structures["lesion"]
    assert dice.low <= dice.value <= dice.high
    assert dice.n
    assert found.fit_for_use
    assert outlining([card, read_card(TINY_MODEL)]) == (card,)
    assert place_figures(card, "nowhere") is None


def test_places_have_a_mark_of_their_own() -> None:
    card = read_card(TINY_OUTLINE)
    assert card.places is not None
    for fit, answer, wanted in ((True, False, True), (False, True, False)):
        people = tuple(replace(one, fit_for_use=answer) for one in card.populations)
        marked = replace(card, populations=people, places=replace(card.places, fit_for_use={"drawn": fit}))
        assert find(FILM, marked).fit_for_use is wanted
    unmeasured = replace(card, places=replace(card.places, fit_for_use={"others": True}))
    assert not find(FILM, unmeasured).fit_for_use


def test_typed_spacing_measures_in_millimetres_and_says_so() -> None:
    card = read_card(TINY_OUTLINE)
    plain, metric = find(FILM, card), find(FILM, card, spacing=(0.5, 0.5))
    assert {one.basis for one in metric.measurements} == {"typed"}
    pixels = {one.name: one.value for one in plain.measurements}
    known = {one.name: one for one in metric.measurements}
    assert known["longest_diameter"].unit == "mm"
    assert known["longest_diameter"].value == pytest.approx(pixels["longest_diameter"] / 2, rel=1e-6)
    described = describe(plain.prediction, replace(FILM, spacing=Spacing(0.5, 0.5, "typed")), card)
    assert described.measurements == metric.measurements


@pytest.mark.parametrize("sides", [(0, 1), (1, -1), (math.nan, 1), (1, math.inf), (51, 1)])
def test_a_spacing_that_no_pixel_has_is_refused(sides: tuple[float, float]) -> None:
    with pytest.raises(BadRequest, match=r"0\.001 and 50"):
        typed(*sides)


def test_repeating_runs_no_network_and_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Image] = []
    real = module.predict
    monkeypatch.setattr(
        module, "predict", lambda image, *rest, **more: asked.append(image) or real(image, *rest, **more)
    )
    card, kept = read_card(TINY_OUTLINE), find_cache()
    first, again = find(FILM, card, kept=kept), find(FILM, card, kept=kept)
    assert len(asked) == 1
    assert first.prediction.regions == again.prediction.regions
    find(FILM, card, spacing=(1, 1), kept=kept)
    assert len(asked) == 2
    small = find_cache(10)
    find(FILM, card, kept=small)
    assert (len(small), small.nbytes) == (0, 0)


def test_what_a_reader_corrects_is_his_and_is_measured_without_the_models_errors() -> None:
    found = find(FILM, read_card(TINY_OUTLINE), spacing=(0.5, 0.5))
    mask = np.zeros(FILM.shape, np.bool_)
    mask[20:40, 30:70] = True
    changed = correct(found, {"lesion": (Region("outline", "lesion", math.nan, mask=mask),)})
    assert [region.label for region in changed.untouched] == ["lungs"]
    assert changed.prediction.regions == found.prediction.regions
    area = next(one for one in changed.measurements if one.name == "area")
    assert area.value == pytest.approx(20 * 40 * 0.25)
    assert math.isnan(area.low)
    assert correct(changed, {}).measurements == found.measurements
    nothing = correct(found, {"lesion": ()})
    assert [region.label for region in nothing.shown] == ["lungs"]
    assert not nothing.measurements
    assert [region.label for region in nothing.removed] == ["lesion"]
    assert not changed.removed  # an outline that was pulled is another, not none


def test_a_structure_that_is_made_of_others_follows_them() -> None:
    """Lungs of 40 and 30 columns: the reader makes the right one 10 columns narrower, then takes it away."""
    card = read_card(TINY_OUTLINE)
    assert card.places is not None
    parts = (Structure("lung_right", "Right lung"), Structure("lung_left", "Left lung"))
    whole = Structure("lungs", "Both lungs", of=("lung_right", "lung_left"))
    card = replace(card, places=replace(card.places, structures=(whole, *parts), measure="lungs"))

    def block(name: str, first: int, last: int, score: float = 0.9) -> Region:
        mask = np.zeros(FILM.shape, np.bool_)
        mask[20:120, first:last] = True
        return Region("outline", name, score, (float(first), 20.0, float(last), 120.0), mask=mask)

    right, left = block("lung_right", 20, 60), block("lung_left", 120, 150)
    assert right.mask is not None
    assert left.mask is not None
    both = Region("outline", "lungs", 0.9, mask=right.mask | left.mask)
    said = Prediction(card.ref, {}, GateVerdict(True), population="drawn", regions=(both, right, left))
    image = replace(FILM, spacing=Spacing(0.5, 2.0, "typed"))

    def areas(**corrected: tuple[Region, ...]) -> dict[str, float]:
        found = correct(describe(said, image, card), corrected)
        assert "Both lungs" not in corrected_words(found)
        return {m.name: m.value for m in found.measurements if m.name.endswith("_area")}

    assert areas() == {"lung_right_area": 4000, "lung_left_area": 3000, "lungs_area": 7000}
    narrow = block("lung_right", 30, 60, math.nan)
    assert areas(lung_right=(narrow,)) == {"lung_right_area": 3000, "lung_left_area": 3000, "lungs_area": 6000}
    assert areas(lung_right=()) == {"lung_left_area": 3000, "lungs_area": 3000}
    assert areas(lung_right=(), lung_left=()) == {}


def test_what_a_reader_has_no_hand_in_keeps_its_interval() -> None:
    card = read_card(TINY_OUTLINE)
    assert card.places is not None
    parts = (Structure("lung_right", "Right lung"), Structure("lung_left", "Left lung"))
    errors = {name: {"bias": 0.0, "sd": 0.1, "relative": True} for name in ("lung_right_area", "lung_left_area")}
    card = replace(card, places=replace(card.places, structures=parts, measure="lungs", errors=errors))

    def block(name: str, first: int, last: int, score: float = 0.9) -> Region:
        mask = np.zeros(FILM.shape, np.bool_)
        mask[20:120, first:last] = True
        return Region("outline", name, score, (float(first), 20.0, float(last), 120.0), mask=mask)

    regions = (block("lung_right", 20, 60), block("lung_left", 120, 150))
    said = Prediction(card.ref, {}, GateVerdict(True), population="drawn", regions=regions)
    found = describe(said, replace(FILM, spacing=Spacing(1, 1, "typed")), card)
    moved = correct(found, {"lung_right": (block("lung_right", 21, 61, math.nan),)})  # as large as before
    right, left = ({m.name: m for m in moved.measurements}[f"lung_{side}_area"] for side in ("right", "left"))
    assert (right.value, math.isnan(right.low)) == (4000, True)
    assert (left.value, left.low) == (3000, pytest.approx(3000 - 1.96 * 300))
    listed = {(m.name, m.value) for m in kept(moved).measured}
    assert listed == {("lung_right_area", 4000)}


def test_what_is_left_keeps_its_interval() -> None:
    found = find(FILM, read_card(TINY_OUTLINE), spacing=(0.5, 0.5))
    left = correct(found, {"lungs": ()})
    assert [region.label for region in left.shown] == ["lesion"]
    assert left.measurements == found.measurements  # all of them are the lesion's
