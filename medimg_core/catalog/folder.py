"""Which models are installed, and which of them this site may use."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from medimg_core.catalog.card import ModelCard
from medimg_core.catalog.parse import read_card
from medimg_core.errors import BadRequest, ModelUnavailable

_log = logging.getLogger(__name__)

LICENCES = ("open", "unverified", "non-commercial", "research-only")
"""What the data behind a model allow, from the most to the least."""

NETWORK_FILES = ("model.tflite", "model.keras", "head.npz")


def models_folder() -> Path:
    """The folder with the shipped models; `MEDIMG_MODELS` names another."""
    return Path(os.environ.get("MEDIMG_MODELS", Path(__file__).resolve().parents[2] / "models"))


def allowed(card: ModelCard) -> bool:
    """Whether this site may use a model: its licence stands in `MEDIMG_LICENCES` (a comma list; all where it is unset
    or empty). The router gives no answers and is always allowed.

    Raises:
        BadRequest: the variable names a licence that there is not.
    """
    named = [word.strip() for word in os.environ.get("MEDIMG_LICENCES", "").split(",") if word.strip()]
    for word in named:
        if word not in LICENCES:
            raise BadRequest(
                f"MEDIMG_LICENCES names a licence {word!r} that there is not.", f"Licences: {', '.join(LICENCES)}."
            )
    return card.task == "gate" or not named or card.licence in named


def list_models(folder: Path | None = None) -> tuple[ModelCard, ...]:
    """All cards of a models folder by name that can be read and that the site allows (`allowed`).

    A folder without `card.toml` is no model; a damaged card is logged and hides no other (`damaged_models`).
    """
    cards = []
    for path in _card_files(folder):
        try:
            card = read_card(path.parent)
        except ModelUnavailable as error:
            _log.warning("%s", error)
            continue
        if allowed(card):
            cards.append(card)
    return tuple(cards)


def damaged_models(folder: Path | None = None) -> tuple[ModelUnavailable, ...]:
    """Why cards of a models folder cannot be read, by name; empty where all can."""
    found = []
    for path in _card_files(folder):
        try:
            read_card(path.parent)
        except ModelUnavailable as error:
            found.append(error)
    return tuple(found)


def open_model(name: str, folder: Path | None = None) -> ModelCard:
    """One card by name.

    Raises:
        ModelUnavailable: there is no such model (the message lists those that there are), its card is damaged, or the
            site does not allow its licence.
    """
    base = folder or models_folder()
    if not (base / name / "card.toml").is_file():
        known = ", ".join(path.parent.name for path in _card_files(base)) or "none"
        raise ModelUnavailable(f"There is no model named {name!r}.", f"Installed models: {known}.")
    card = read_card(base / name)
    if not allowed(card):
        raise ModelUnavailable(
            f"The model {name!r} is not used here: the licence of its data is {card.licence}, and this site allows "
            f"{os.environ['MEDIMG_LICENCES']}.",
            "Choose another model, or ask who runs this site whether MEDIMG_LICENCES may name that licence.",
        )
    return card


def _card_files(folder: Path | None) -> list[Path]:
    return sorted((folder or models_folder()).glob("*/card.toml"))


def open_answering(name: str, folder: Path | None = None) -> ModelCard:
    """One card by name, of a model that gives answers: the input check gives none.

    Raises:
        ModelUnavailable: there is no such model.
        BadRequest: it is an input check; the message lists the models that answer.
    """
    card = open_model(name, folder)
    if card.task == "gate":
        known = ", ".join(other.name for other in list_models(folder) if other.task != "gate") or "none"
        raise BadRequest(f"{name!r} checks the input of other models and gives no answer.", f"Models: {known}.")
    return card
