"""Answers to labelled films as `metrics` takes them: those stored in `evaluation.json`, or given anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from medimg_core.catalog import ModelCard
from medimg_core.metrics import Answers, Form
from medimg_core.workflows.predictions import positive_side


def as_answers(
    card: ModelCard,
    population: str,
    truth: NDArray[np.intp],
    scores: NDArray[np.float64],
    decisions: Sequence[str],
    patients: Sequence[str],
) -> Answers:
    """Answers of any form.

    Args:
        population: id on the card, whose operating point says when a grade's positive side is claimed.
        truth: class numbers `[n]`.
        scores: calibrated probability of every class `[n, classes]`.
        decisions: class ids `[n]`.
    """
    graded = card.form == "grade"
    p = np.array([positive_side(row, card.positive, graded) for row in scores.tolist()], np.float64)
    threshold = card.population(chosen=population)[0].point().threshold
    return Answers(
        truth=truth,
        decided=np.array([card.class_ids.index(name) for name in decisions], np.intp),
        probability=p,
        patients=np.array(patients, np.str_),
        positive=card.positive,
        classes=len(card.classes),
        form=cast(Form, card.form),  # a model that only outlines is judged elsewhere
        scores=scores,
        called=p >= threshold if graded else None,
        names=card.class_ids,
    )


def stored_truth(card: ModelCard, rows: Mapping[str, Any]) -> NDArray[np.intp]:
    """Class numbers of the films in a test set's `predictions`; of a yes/no model `label` is 1 for the positive one."""
    labels = np.array(rows["label"], np.intp)
    if card.form != "yes_no":
        return labels
    return np.where(labels == 1, card.positive, 1 - card.positive)


def stored_answers(card: ModelCard, test_set: Mapping[str, Any]) -> Answers:
    """What `evaluation.json` holds on the films of a test set."""
    rows = test_set["predictions"]
    if card.form == "yes_no":
        p = np.array(rows["probability"], np.float64)
        scores = np.stack([1 - p, p] if card.positive == 1 else [p, 1 - p], axis=1)
    else:
        scores = np.array(rows["probabilities"], np.float64)
    return as_answers(card, test_set["population"], stored_truth(card, rows), scores, rows["decision"], rows["patient"])
