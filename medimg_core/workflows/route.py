"""Which models answer when nobody named one."""

from __future__ import annotations

from pathlib import Path

from medimg_core.catalog import ModelCard, list_models
from medimg_core.errors import ModelUnavailable


def route(folder: Path | None = None) -> tuple[ModelCard, ...]:
    """The installed models that answer a question about an image: no baselines, no input checks, by name.

    Whether an image is of the kind that a model takes is for its gate to say.

    Raises:
        ModelUnavailable: there is none.
    """
    cards = tuple(card for card in list_models(folder) if not card.baseline and card.task != "gate")
    if not cards:
        raise ModelUnavailable("No model is installed.", "Restore the models folder from the release.")
    return cards
