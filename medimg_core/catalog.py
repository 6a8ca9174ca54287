"""`models/<name>/` <-> `ModelCard`: what a model is for, what it takes, what was measured, and whether it is intact.

A folder holds `card.toml` (words and chosen numbers), `evaluation.json` (measured figures), `model.keras`,
`model.tflite`, `head.npz` (weights of the pooled head), `golden.npz` and `hashes.json` (sha256 of the others).
Opening a card reads TOML only; a network is loaded by `inference`, and its hash is checked then.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from medimg_core.errors import BadRequest, ModelUnavailable
from medimg_core.types import Image, InputSpec, ModelRef, OperatingPoint, Window

_log = logging.getLogger(__name__)

LICENCES = ("open", "unverified", "non-commercial", "research-only")
"""What the data behind a model allow, from the most to the least."""

NETWORK_FILES = ("model.tflite", "model.keras", "head.npz")


@dataclass(frozen=True, slots=True)
class ModelClass:
    """One class: `id` is the manifest's spelling, `meaning` is what it says to a reader."""

    id: str
    title: str
    meaning: str


Form = Literal["yes_no", "one_of", "grade", "places"]
"""How a model answers: one logit for two classes, softmax over kinds, or a logit for every step of a scale; `places`
says nothing of the image as a whole and only outlines or boxes something in it."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What is outlined or boxed.

    Attributes:
        id: the label of its regions, as on the command line (`left_ventricle`).
        title: what a reader calls it.
        threshold: probability from which on a pixel, or a box, counts.
        smallest: parts below this share of the picture are left out.
        single: only the largest part counts.
        of: structures that this one is made of; it has no output of its own.
        quality: offset and slope that turn the Dice a network expects of itself into the one measured on val; of boxes
            those that turn the logit of the score into that of the chance that the box is true.
    """

    id: str
    title: str
    threshold: float = 0.5
    smallest: float = 0.0
    single: bool = False
    of: tuple[str, ...] = ()
    quality: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class PlacesCard:
    """How a model outlines or boxes.

    Attributes:
        kind: what comes out of the network: a logit a pixel and structure, or boxes.
        network: stem of its files: `model` where the folder's one network does both, else a second network.
        input: what that network takes.
        structures: in the order of its outputs, then those made of others.
        measure: the family of `inference.measures` that measures its regions; empty measures nothing.
        context: slices on either side that it also looks at.
        window_mm: side of the square round a box that it looks at; 0 looks at the whole image.
        exclusive: a pixel belongs to one structure at most.
        errors: measurement -> `bias`, `sd`, `relative`: its error on val.
    """

    kind: Literal["outline", "boxes"]
    network: str
    input: InputSpec
    structures: tuple[Structure, ...]
    measure: str = ""
    context: int = 0
    window_mm: float = 0.0
    exclusive: bool = False
    errors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[Structure, ...]:
        """Structures with an output of their own."""
        return tuple(s for s in self.structures if not s.of)

    @property
    def needs_box(self) -> bool:
        """Whether a reader has to say where to look."""
        return self.window_mm > 0


@dataclass(frozen=True, slots=True)
class StatementCard:
    """A yes/no question that a model answers beside its main one.

    Attributes:
        id: the manifest's spelling of the side that the probability speaks of.
        title: what is said when it is claimed; `otherwise`: when it is not.
        meaning: what it says to a reader.
        output: index of its logit.
        of: decisions that it is told with; empty tells it always.
    """

    id: str
    title: str
    otherwise: str
    meaning: str
    output: int
    of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Calibration:
    """`p = sigmoid(logit / temperature + shift)` for one output, fitted on `val`; of several kinds
    `softmax(logits / temperature)`, where the shift means nothing.

    `draws` are (temperature, shift) pairs of bootstrap refits (by patient): the interval of p comes from them.
    """

    temperature: float = 1.0
    shift: float = 0.0
    draws: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesCard:
    """How the answers to the slices of a series become one; the pooling network lies in `series.npz`.

    Attributes:
        kind: `attention` or `recurrent`, a network over the slices' features; `maximum` has none: the highest logit.
        calibration: of the series' logit, fitted on series that the networks behind it had not seen.
        threshold: of its balanced point.
        prevalence: share of positive series that the calibration was fitted on.
        conformal: class -> limit, as in `Population`.
        slices: fewest and most slices in the series that it learned from.
        figures: where in the key `series` of `evaluation.json` the figures of its test series stand.
        whole_mm: what a whole examination covers at least; None where that is not known.
    """

    kind: Literal["attention", "recurrent", "maximum"]
    calibration: Calibration
    threshold: float
    prevalence: float
    conformal: Mapping[str, float]
    slices: tuple[int, int]
    figures: str
    whole_mm: float | None = None


@dataclass(frozen=True, slots=True)
class StatementFit:
    """What val says about one statement: its calibration, the threshold of its balanced point, share of yes, films."""

    calibration: Calibration
    threshold: float
    prevalence: float
    n: int


@dataclass(frozen=True, slots=True)
class Population:
    """Patients for whom the model was measured apart.

    Attributes:
        calibration: of the main answer; of grades, of the step to the first positive grade.
        steps: of grades, the calibration of every step (`grade >= 1`, `grade >= 2`, ...); else empty.
        statements: statement -> its fit; one that val could not fit is missing and is not told.
        test_set: id of the test set in `evaluation.json` whose figures are quoted.
        prevalence: share of positives in the films that the calibration was fitted on.
        conformal: class -> largest nonconformity (1 - p of that class) that stays in the set at 90 % coverage.
        fit_for_use: false shows "not fit for use" (AUROC below 0.80 or no better than the shortcuts).
    """

    id: str
    title: str
    test_set: str
    calibration: Calibration
    operating_points: tuple[OperatingPoint, ...]
    conformal: Mapping[str, float]
    prevalence: float
    fit_for_use: bool
    age_min: float | None = None
    age_max: float | None = None
    views: tuple[str, ...] = ()
    steps: tuple[Calibration, ...] = ()
    statements: Mapping[str, StatementFit] = field(default_factory=dict)

    def takes(self, age_years: float | None, view: str | None) -> bool:
        """Whether a patient of this age and view belongs here; unknown never does."""
        if self.age_min is not None and (age_years is None or age_years < self.age_min):
            return False
        if self.age_max is not None and (age_years is None or age_years >= self.age_max + 1):
            return False
        return not self.views or (view is not None and view.upper() in self.views)

    def point(self, name: str = "balanced") -> OperatingPoint:
        """An operating point by name."""
        return next(p for p in self.operating_points if p.name == name)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model folder's card.

    `classes[positive]` is the class that a yes/no model's probability and maps speak of; of grades the first one that
    counts as positive; of several kinds the one singled out in reports, the first where none is.
    `outputs` counts the logits: first those of the main answer (1 for yes/no, one a kind, one less than there are
    grades), then those of the statements.
    `takes` names the kinds of image, as the router calls them, that the model may be shown.
    `places` says how it outlines or boxes; None where it does not.
    `series` says how the slices of a series get one answer together; None where each stands for itself.
    `cam_layer` names the layer whose feature maps the signature `predict` returns; `head` is `pooled` when global
    average pooling and one dense layer follow it, else `dense`.
    """

    name: str
    folder: Path
    version: str
    title: str
    task: str
    modality: str
    baseline: bool
    second_opinion: str | None
    classes: tuple[ModelClass, ...]
    positive: int
    outputs: int
    input: InputSpec
    cam_layer: str
    head: str
    gate: str | None
    licence: str
    populations: tuple[Population, ...]
    default_population: str
    label_map: Mapping[str, str]
    text: Mapping[str, Any]
    takes: tuple[str, ...] = ()
    statements: tuple[StatementCard, ...] = ()
    places: PlacesCard | None = None
    series: SeriesCard | None = None

    @property
    def form(self) -> Form:
        """How the main answer is given."""
        return form_of(self.task, len(self.classes))

    @property
    def main_outputs(self) -> int:
        """How many logits belong to the main answer: the first ones."""
        return {"yes_no": 1, "one_of": len(self.classes), "grade": len(self.classes) - 1, "places": 0}[self.form]

    @property
    def answers(self) -> bool:
        """Whether it says something of the image as a whole."""
        return bool(self.classes)

    @property
    def class_ids(self) -> tuple[str, ...]:
        """Class identifiers in the order of the network."""
        return tuple(c.id for c in self.classes)

    def population(self, image: Image | None = None, chosen: str | None = None) -> tuple[Population, bool]:
        """The population whose calibration applies, and whether it is known (chosen or told by the header)."""
        for population in self.populations:
            if population.id == chosen:
                return population, True
        if image is not None:
            for population in self.populations:
                if population.takes(image.age_years, image.view):
                    return population, True
        return next(p for p in self.populations if p.id == self.default_population), False

    @property
    def ref(self) -> ModelRef:
        """Name, version and the first 8 hex digits of the network's sha256, as `hashes.json` states it."""
        return ModelRef(self.name, self.version, hashes(self)["model.tflite"][:8])


def form_of(task: str, classes: int) -> Form:
    """How a model of a task with some classes answers."""
    if classes == 0:
        return "places"
    if task == "grading":
        return "grade"
    return "yes_no" if classes == 2 else "one_of"


def models_folder() -> Path:
    """The folder with the shipped models; `MEDIMG_MODELS` names another."""
    return Path(os.environ.get("MEDIMG_MODELS", Path(__file__).resolve().parent.parent / "models"))


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


@lru_cache(maxsize=64)
def _read_toml(path: Path, changed_ns: int) -> dict[str, Any]:
    del changed_ns  # part of the key only: a card that changed on disk is read again
    return tomllib.loads(path.read_text(encoding="utf-8"))


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


def read_card(folder: Path) -> ModelCard:
    """Read `card.toml`.

    Raises:
        ModelUnavailable: the card is missing, is no TOML, or lacks a field.
    """
    path = folder / "card.toml"
    try:
        raw = _read_toml(path, path.stat().st_mtime_ns)
        return _card(folder, raw)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ModelUnavailable(
            f"The card of the model {folder.name!r} cannot be used ({type(error).__name__}: {error}).",
            "Restore the folder from the release, or export the model again.",
        ) from error


def _card(folder: Path, raw: dict[str, Any]) -> ModelCard:
    spec = _input(raw["input"])
    return ModelCard(
        name=folder.name,
        folder=folder,
        version=raw["version"],
        title=raw["title"],
        task=raw["task"],
        modality=raw["modality"],
        baseline=raw.get("baseline", False),
        second_opinion=raw.get("second_opinion"),
        classes=tuple(ModelClass(**c) for c in (raw["classes"] if "places" not in raw else raw.get("classes", ()))),
        positive=raw["positive"] if raw.get("classes") else 0,
        outputs=raw["outputs"] if raw.get("classes") else 0,
        input=spec,
        cam_layer=raw["cam_layer"],
        head=raw["head"],
        gate=raw.get("gate"),
        licence=raw["licence"],
        populations=tuple(_population(p, bool(raw.get("classes"))) for p in raw["populations"]),
        default_population=raw["default_population"],
        label_map=raw.get("label_map", {}),
        text=raw["text"],
        takes=tuple(raw.get("takes", ())),
        statements=tuple(StatementCard(**{**s, "of": tuple(s.get("of", ()))}) for s in raw.get("statements", ())),
        places=_places(raw["places"], spec) if "places" in raw else None,
        series=_series(raw["series"]) if "series" in raw else None,
    )


def _input(raw: Mapping[str, Any]) -> InputSpec:
    window = {"window": Window(**raw["window"])} if "window" in raw else {}
    return InputSpec(**{**raw, **window})


def _places(raw: Mapping[str, Any], own: InputSpec) -> PlacesCard:
    """The table `places`; without an input of its own it takes the card's."""
    structures = tuple(
        Structure(**{**s, "of": tuple(s.get("of", ())), "quality": tuple(s.get("quality", (0.0, 1.0)))})
        for s in raw["structures"]
    )
    spec = _input(raw["input"]) if "input" in raw else own
    return PlacesCard(**{**raw, "structures": structures, "input": spec})


_POINTS: tuple[Literal["rule_out", "balanced", "rule_in"], ...] = ("rule_out", "balanced", "rule_in")
_NO_ANSWER: Mapping[str, Any] = {
    "operating_points": {},
    "calibration": {"temperature": 1.0, "shift": 0.0, "draws": ()},
    "conformal": {},
    "prevalence": 0.0,
}


def _population(raw: dict[str, Any], answers: bool) -> Population:
    """A population; a model that says nothing of the image as a whole needs no calibration and no operating points."""
    fields = dict(raw) if answers else {**_NO_ANSWER, **raw}
    points = fields.pop("operating_points")
    statements = {
        name: StatementFit(**{**fit, "calibration": _calibration(fit["calibration"])})
        for name, fit in fields.pop("statements", {}).items()
    }
    return Population(
        calibration=_calibration(fields.pop("calibration")),
        steps=tuple(_calibration(step) for step in fields.pop("steps", ())),
        statements=statements,
        operating_points=tuple(OperatingPoint(n, points[n]) for n in _POINTS if answers or n in points),
        views=tuple(fields.pop("views", ())),
        **fields,
    )


def _series(raw: Mapping[str, Any]) -> SeriesCard:
    fewest, most = raw["slices"]
    return SeriesCard(**{**raw, "calibration": _calibration(raw["calibration"]), "slices": (fewest, most)})


def _calibration(raw: Mapping[str, Any]) -> Calibration:
    return Calibration(raw["temperature"], raw["shift"], tuple((t, s) for t, s in raw["draws"]))


def hashes(card: ModelCard) -> Mapping[str, str]:
    """`hashes.json`: file name -> sha256 in hex."""
    return _read_json(card.folder / "hashes.json")


def evaluation(card: ModelCard) -> Mapping[str, Any]:
    """`evaluation.json` as written by `training.export`; `docs/evaluation.md` describes it."""
    return _read_json(card.folder / "evaluation.json")


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        return _json(path, path.stat().st_mtime_ns)
    except (OSError, json.JSONDecodeError) as error:
        raise ModelUnavailable(
            f"The file {path.name} of the model {path.parent.name!r} is missing or damaged.",
            "Restore the folder from the release, or export the model again.",
        ) from error


@lru_cache(maxsize=16)
def _json(path: Path, changed_ns: int) -> Mapping[str, Any]:
    del changed_ns
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def read_verified(card: ModelCard, file: str) -> bytes:
    """The bytes of one of the model's files, checked against `hashes.json`.

    Raises:
        ModelUnavailable: the file is missing or is not the one that was exported.
    """
    try:
        content = (card.folder / file).read_bytes()
    except OSError as error:
        raise ModelUnavailable(
            f"The model {card.name!r} lacks its file {file}.", "Restore the folder from the release."
        ) from error
    if hashlib.sha256(content).hexdigest() != hashes(card).get(file):
        raise ModelUnavailable(
            f"The file {file} of the model {card.name!r} is not the one that was released.",
            "Restore the folder from the release; do not use a changed network on patients.",
        )
    return content


def write_hashes(folder: Path) -> None:
    """Write `hashes.json` for every file of a model folder; the last step of an export."""
    table = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "hashes.json"
    }
    (folder / "hashes.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
