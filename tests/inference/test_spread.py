from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medimg_core.catalog import ModelCard
from medimg_core.errors import BadRequest
from medimg_core.inference import spread as module
from medimg_core.inference.answer import Answer
from medimg_core.inference.runtime import Forward
from medimg_core.types import FloatArray, GateVerdict, Prediction


class LeftEdge:
    """Its logit is ten times the mean of the leftmost quarter: a mirrored picture turns it round."""

    def predict(self, x: FloatArray) -> Forward:
        return Forward(np.array([10 * x[:, : x.shape[1] // 4].mean()], np.float32), x)


def answered(card: ModelCard, x: FloatArray) -> Answer:
    said = Prediction(
        card.ref,
        {"normal": 0.5, "pneumonia": 0.5},
        GateVerdict(True),
        positive="pneumonia",
        population=card.default_population,
    )
    return Answer(said, x=x)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "runtime_for", lambda card, engine: LeftEdge())


@pytest.mark.usefixtures("asked")
def test_a_picture_without_detail_is_not_moved(tiny_model: ModelCard) -> None:
    found = module.spread(answered(tiny_model, np.zeros((32, 32, 3), np.float32)), tiny_model)
    assert found.low == pytest.approx(found.high, abs=0.3)
    assert found.n == 8


@pytest.mark.usefixtures("asked")
def test_mirroring_is_among_the_changes(tiny_model: ModelCard) -> None:
    x = np.zeros((32, 32, 3), np.float32)
    x[:, 16:] = 1
    assert module.spread(answered(tiny_model, x), tiny_model).high > 0.9


def test_a_moved_picture_keeps_its_centre() -> None:
    x = np.zeros((33, 33, 1), np.float32)
    x[16, 16] = 1
    for change in [(True, 4, 1, 0, 0), (False, 0, 1.06, 0, 0)]:
        assert np.unravel_index(module._changed(x, *change).argmax(), x.shape) == (16, 16, 0)
    shifted = module._changed(x, False, 0, 1, 3 / 33, -2 / 33)
    assert np.unravel_index(shifted.argmax(), x.shape) == (14, 19, 0)


def test_a_refused_image_has_no_spread(tiny_model: ModelCard) -> None:
    said = Prediction(tiny_model.ref, {}, GateVerdict(False, ("too dark",)))
    with pytest.raises(BadRequest, match="not analysed"):
        module.spread(replace(answered(tiny_model, np.zeros((4, 4, 3), np.float32)), prediction=said), tiny_model)
