"""Paired tests from two tables of predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from medimg_core.errors import BadRequest, BadTable
from medimg_core.metrics import delong_test
from medimg_core.workflows.compare import as_json, compare, write_comparison
from medimg_core.workflows.predictions import Line, Table

CLASSES = ("normal", "pneumonia")


def table(
    signal: float, seed: int, n: int = 120, refused: range = range(0), classes: tuple[str, str] = CLASSES
) -> Table:
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(n):
        truth = i % 2
        p = float(np.clip(truth * signal + rng.random() * (1 - signal), 0, 1))
        label, patient = classes[truth], f"p{i // 3}"
        if i in refused:
            lines.append(Line(f"f{i}", "refused", "Blank.", label, patient=patient))
        else:
            scores = {classes[0]: 1 - p, classes[1]: p}
            lines.append(Line(f"f{i}", "ok", "", label, scores, classes[int(p >= 0.5)], patient))
    return Table(classes, tuple(lines))


def column(t: Table) -> np.ndarray:
    return np.array([line.probabilities["pneumonia"] for line in t.lines])


def test_figures_are_those_of_the_tables() -> None:
    a, b = table(0.5, 1), table(0.2, 2)
    found = compare({"a": a, "b": b})
    truth = np.arange(120) % 2
    (pair,) = found.left_out
    patients = [line.patient for line in a.lines]
    assert pair.auroc == delong_test(truth, column(a), column(b), patients)
    assert pair.auroc.a.value == pytest.approx(sk.roc_auc_score(truth, column(a)), abs=1e-12)
    assert pair.p_holm == pair.auroc.p
    right_a, right_b = (column(a) >= 0.5) == truth, (column(b) >= 0.5) == truth
    assert (pair.right.only_a, pair.right.only_b) == ((right_a & ~right_b).sum(), (right_b & ~right_a).sum())
    assert pair.differences["accuracy"].value == pytest.approx(right_a.mean() - right_b.mean(), abs=1e-12)
    assert found.wrong == found.left_out
    assert (found.n, found.patients, found.positive) == (120, 40, "pneumonia")


def test_images_are_matched_by_id_and_what_is_missing_is_said() -> None:
    a, b = table(0.5, 1), table(0.2, 2)
    shuffled = Table(CLASSES, tuple(b.lines[i] for i in np.random.default_rng(0).permutation(120)[:100]))
    found = compare({"a": a, "b": shuffled})
    assert found.n == 100
    assert found.dropped == {"a": 20, "b": 0}
    kept = {line.id for line in shuffled.lines}
    same = compare({"a": a, "b": Table(CLASSES, tuple(line for line in b.lines if line.id in kept))})
    assert found.left_out == same.left_out


def test_refusals_count_both_ways() -> None:
    found = compare({"a": table(0.5, 1, refused=range(0, 30)), "b": table(0.2, 2, refused=range(20, 40))})
    assert found.left_out[0].n == 80
    assert found.wrong[0].n == 120
    assert found.wrong[0].auroc.a.value < found.left_out[0].auroc.a.value
    assert found.evaluations["a"].unanswered == 30


def test_three_models_are_adjusted_for_three_questions() -> None:
    found = compare({"a": table(0.5, 1), "b": table(0.2, 2), "c": table(0.1, 3)})
    assert [(p.a, p.b) for p in found.left_out] == [("a", "b"), ("a", "c"), ("b", "c")]
    smallest = min(found.left_out, key=lambda p: p.auroc.p)
    assert smallest.p_holm == pytest.approx(min(1.0, 3 * smallest.auroc.p))


def test_what_cannot_be_compared_is_said() -> None:
    a = table(0.5, 1)
    with pytest.raises(BadRequest, match="two models"):
        compare({"a": a})
    with pytest.raises(BadTable, match="different classes"):
        compare({"a": a, "b": table(0.2, 2, classes=("benign", "malignant"))})
    other = Table(CLASSES, tuple(Line(f"x{i}", "refused", "", "normal") for i in range(3)))
    with pytest.raises(BadTable, match="no image in common"):
        compare({"a": a, "b": other})
    turned = Table(CLASSES, tuple(Line(x.id, "refused", "", "normal") for x in a.lines))
    with pytest.raises(BadTable, match="different labels"):
        compare({"a": a, "b": turned})
    one_class = Table(CLASSES, tuple(line for line in a.lines if line.label == "normal"))
    with pytest.raises(BadTable, match="both classes"):
        compare({"a": one_class, "b": one_class})


def test_a_model_that_refuses_a_whole_class_has_no_paired_test() -> None:
    refusing = table(0.5, 1, refused=range(1, 120, 2))
    found = compare({"a": refusing, "b": table(0.2, 2)})
    assert found.left_out == ()
    assert found.wrong[0].auroc.a.value < 0.5


def test_files(tmp_path: Path) -> None:
    found = compare({"a": table(0.5, 1), "b<i>": table(0.2, 2, refused=range(5))})
    write_comparison(found, tmp_path)
    assert json.loads((tmp_path / "comparison.json").read_text()) == json.loads(json.dumps(as_json(found)))
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "b&lt;i&gt;" in page
    assert "<i>" not in page
    assert "refused images counted wrong" in page
    assert page.count("not a medical device") == 1
