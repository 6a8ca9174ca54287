"""Pooling networks for series: numpy against Keras, training on made series, alignment, choice, the card's table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medimg_core.catalog import Calibration, open_model
from medimg_core.inference.series_network import forward, read_weights
from medimg_core.training.series.align import out_of_fold, principal
from medimg_core.training.series.choose import baselines, compare, cross_validated, noisy_or, split
from medimg_core.training.series.export import choose, write_card
from medimg_core.training.series.features import Bag, Features
from medimg_core.training.series.fit import Rule, _drawn, ask
from medimg_core.training.series.networks import Kind, Shape, core, weights_of, whole


def made_series(n: int, seed: int, width: int = 5) -> list[Bag]:
    """Series of 6 to 14 slices, every second one with a run of three slices that two features together give away; the
    logit hardly knows."""
    draw = np.random.default_rng(seed)
    found = []
    for i in range(n):
        x = draw.normal(0, 1, (draw.integers(6, 15), width)).astype(np.float32)
        slices = np.zeros(len(x), np.bool_)
        if i % 2:
            at = draw.integers(0, len(x) - 3)
            slices[at : at + 3] = True
            x[slices, :2] += 3
        found.append(Bag(f"p{i}", "train", x, x[:, -1], slices))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["attention", "evidence", "recurrent"])
def test_numpy_repeats_keras(kind: Kind, tmp_path: Path) -> None:
    import keras

    draw = np.random.default_rng(0)
    shape = Shape(kind, members=3, gate=4, units=5)
    kernel, bias = draw.normal(0, 0.2, (31, 6)).astype(np.float32), draw.normal(size=6).astype(np.float32)
    whole(shape, kernel, bias, core(shape, 6)).save(tmp_path / "series.keras")
    model = keras.models.load_model(tmp_path / "series.keras")
    x, mask = draw.normal(0, 2, (2, 9, 31)).astype(np.float32), np.ones((2, 9), np.float32)
    mask[1, 6:] = 0
    logits, shares = (np.asarray(part) for part in model.predict_on_batch([x, mask]))
    weights = weights_of(model, shape)
    for i, n in enumerate((9, 6)):
        own, share = forward(x[i, :n], weights)
        np.testing.assert_allclose(own, logits[i], atol=1e-5)
        np.testing.assert_allclose(share, shares[i, :n], atol=1e-5)
    assert not shares[1, 6:].any()


@pytest.mark.slow
def test_attention_learns_what_the_maximum_does_not_see() -> None:
    series = made_series(40, 3)
    rule = Rule(Shape("attention", members=1), steps=200, rate=1e-2)
    scores = dict(baselines(series, Calibration())) | {
        "attention": cross_validated(rule, series, 2, 1, 0, lambda what, share: None)
    }
    found = {one.name: one for one in compare(series, scores)}
    assert found["attention"].test.a.value > 0.85
    assert found["attention"].test.difference.low > 0
    assert choose(list(found.values())).name == "attention"
    worse = replace(found["attention"], scores=-found["attention"].scores)
    told = compare(series, {"maximum": scores["attention"], "attention": worse.scores})
    assert choose(told).name == "maximum"


def test_a_step_never_takes_all_positive_slices_away() -> None:
    series = made_series(20, 5)
    rule, draw = Rule(Shape("attention"), keep=0.2, jitter=0.0), np.random.default_rng(0)
    for _ in range(20):
        x, mask, truth = _drawn(rule, series, draw)
        assert truth.tolist() == [float(bag.positive) for bag in series]
        assert ((mask == 1) | (x == 0).all(axis=-1)).all()
        assert mask.sum(axis=1).min() >= 3
    _, _, truth = _drawn(replace(rule, made=1.0), series, draw)
    assert truth.tolist() == [float(not bag.positive) for bag in series]


@pytest.mark.slow
def test_a_recurrent_network_is_asked_from_either_end() -> None:
    series = made_series(6, 7)
    model = core(Shape("recurrent", members=1, units=3), 5)
    turned = [replace(bag, x=bag.x[::-1]) for bag in series]
    np.testing.assert_allclose(ask(model, series), ask(model, turned), atol=1e-5)


def test_fold_networks_are_carried_over_without_their_own_patients() -> None:
    draw = np.random.default_rng(1)
    hidden = draw.normal(0, 1, (300, 4))

    def seen_by(seed: int) -> Features:
        axes = np.random.default_rng(seed).normal(0, 1, (4, 20))
        return Features((hidden @ axes).astype(np.float32), (2 * hidden[:, 0] + seed).astype(np.float32))

    known = seen_by(9)
    projection = principal(known, 4)
    target = projection(known)
    assert target.std(axis=0) == pytest.approx(np.ones(5), abs=0.01)
    np.testing.assert_allclose(projection.logits(target), known.logits, atol=1e-4)
    place = (np.arange(300) % 3).tolist()
    found = out_of_fold(place, [seen_by(k) for k in range(3)], known, projection)
    np.testing.assert_allclose(found[:, -1], target[:, -1], atol=1e-4)
    for column in range(4):
        assert np.corrcoef(found[:, column], target[:, column])[0, 1] > 0.97


def test_noisy_or_is_one_less_the_product() -> None:
    z = np.array([-1.0, 0.5, -3.0], np.float32)
    p = 1 - np.prod(1 - 1 / (1 + np.exp(-z)))
    assert noisy_or(z, Calibration()) == pytest.approx(np.log(p / (1 - p)), rel=1e-5)
    assert np.isfinite(noisy_or(np.full(90, 9.0, np.float32), Calibration()))


def test_folds_hold_both_sides_evenly() -> None:
    place = split(made_series(21, 0), 4, 0)
    assert sorted(np.bincount(place).tolist()) == [5, 5, 5, 6]
    assert np.bincount(place[1::2]).tolist() in ([3, 3, 2, 2], [2, 2, 3, 3])


def test_the_table_of_a_card_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text('name = "a"\n\n[text]\ndata = "x"\n', encoding="utf-8")
    table = {"kind": "attention", "slices": [3, 4], "whole_mm": None, "conformal": {"a": 0.5}}
    for shift in (0.0, 1.0):
        write_card(path, {**table, "calibration": Calibration(1.0, shift, ((1.0, 2.0),))})
    text = path.read_text(encoding="utf-8")
    assert text.count("[series]") == text.count("[series.calibration]") == 1
    assert "shift = 1.0" in text
    assert 'data = "x"' in text
    assert "whole_mm" not in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lung_ct_cancer", "brain_ct_haemorrhage"])
def test_shipped_networks_agree_in_numpy_and_keras(name: str) -> None:
    import keras

    card = open_model(name)
    model, weights = keras.models.load_model(card.folder / "series.keras"), read_weights(card)
    inputs = len(weights["project_kernel"])
    x = np.random.default_rng(0).gamma(1.0, 0.5, (1, 12, inputs)).astype(np.float32)
    logits, shares = (np.asarray(part) for part in model.predict_on_batch([x, np.ones((1, 12), np.float32)]))
    own, share = forward(x[0], weights)
    np.testing.assert_allclose(own, logits[0], atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(share, shares[0], atol=1e-5)
