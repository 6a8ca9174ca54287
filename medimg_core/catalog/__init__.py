"""`models/<name>/` <-> `ModelCard`: what a model is for, what it takes, what was measured, and whether it is intact.

A folder holds `card.toml` (words and chosen numbers), `evaluation.json` (measured figures), `model.keras`,
`model.tflite`, `head.npz` (weights of the pooled head), `golden.npz` and `hashes.json` (sha256 of the others); a second
network that outlines or boxes beside the answer has files of its own stem, which the card names.
Opening a card reads TOML only; a network is loaded by `inference`, and its hash is checked then.
"""

from medimg_core.catalog.card import (
    AS_GIVEN,
    PLACES_FLOORS,
    Calibration,
    Form,
    ModelCard,
    ModelClass,
    PlacesCard,
    Population,
    SeriesCard,
    StatementCard,
    StatementFit,
    Structure,
    TruthRule,
    form_of,
)
from medimg_core.catalog.files import evaluation, hashes, read_verified, write_hashes
from medimg_core.catalog.folder import (
    LICENCES,
    NETWORK_FILES,
    allowed,
    damaged_models,
    list_models,
    models_folder,
    open_answering,
    open_model,
)
from medimg_core.catalog.parse import read_card

__all__ = [
    "AS_GIVEN",
    "LICENCES",
    "NETWORK_FILES",
    "PLACES_FLOORS",
    "Calibration",
    "Form",
    "ModelCard",
    "ModelClass",
    "PlacesCard",
    "Population",
    "SeriesCard",
    "StatementCard",
    "StatementFit",
    "Structure",
    "TruthRule",
    "allowed",
    "damaged_models",
    "evaluation",
    "form_of",
    "hashes",
    "list_models",
    "models_folder",
    "open_answering",
    "open_model",
    "read_card",
    "read_verified",
    "write_hashes",
]
