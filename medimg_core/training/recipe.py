"""A recipe: everything that decides how a network is trained, read from one small TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from medimg_core.catalog import Form, form_of
from medimg_core.errors import BadRequest
from medimg_core.types import InputSpec, Window

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class DataRule:
    """How the rows of one manifest become targets.

    Attributes:
        set: folder of the set below the data folder.
        column: column with the truth; `targets` maps its values to targets: in [0, 1] for a yes/no question, else the
            number of the kind or grade. Other rows have no truth.
        weak_column, weak_targets: soft targets for training rows without a truth, from a column that is often wrong.
        weak_weight: weight of such rows in the loss.
        draws: films drawn per epoch; 0 draws as many as there are.
        balance: columns whose combinations are drawn alike (`target` is the rounded target).
        balance_power: 0 draws films as they come, 1 draws every combination equally often.
        mask: column with the mask file that the evidence for the film's own class should lie in.
        box_label: label of the boxes that the evidence of positive films should lie in.
        leave_out: column -> values whose rows do not train (calipers that tell the answer); val and test keep them.
    """

    set: str
    column: str
    targets: Mapping[str, float]
    weak_column: str = ""
    weak_targets: Mapping[str, float] = field(default_factory=dict)
    weak_weight: float = 0.0
    draws: int = 0
    balance: tuple[str, ...] = ("target",)
    balance_power: float = 0.7
    mask: str = ""
    box_label: str = ""
    leave_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Network:
    """Which body, from which weights, cut after which layer (`cut`; empty takes the whole body).

    `weights` is `imagenet`, `none`, a .weights.h5 file of the body, or `models/<name>`: the body of a model that was
    trained before. `fine` names an earlier layer with twice the resolution that joins the features (Lin et al., CVPR
    2017), so that the map has cells of half the size; `fine_width` is the number of its channels.

    `frozen_until` names the last layer, counted from the input, that never learns: the first layers of an ImageNet
    body know edges already, cost most of the time, and on few films only learn these films by heart.
    """

    architecture: str
    weights: str = "none"
    cut: str = ""
    fine: str = ""
    fine_width: int = 160
    frozen_until: str = ""
    dropout: float = 0.3


@dataclass(frozen=True, slots=True)
class Loss:
    """Label smoothing (total width) and the weight of the evidence term.

    `evidence_form` is `share` (`losses.evidence_inside`) or `softmax` (`losses.softmax_inside`).
    """

    smoothing: float = 0.0
    evidence: float = 0.0
    evidence_form: Literal["share", "softmax"] = "share"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Two phases: `head_epochs` with the body frozen, then `epochs` of everything under a cosine.

    `patience` is the number of epochs without a better AUROC on val after which training stops; 0 never stops early.
    """

    batch: int = 32
    head_epochs: int = 1
    epochs: int = 8
    head_rate: float = 2e-3
    peak_rate: float = 6e-4
    warmup_steps: int = 100
    weight_decay: float = 1e-3
    patience: int = 0


@dataclass(frozen=True, slots=True)
class Augment:
    """Ranges and probabilities of the changes drawn for a training film; zeros change nothing.

    Attributes:
        rotate_degrees: largest rotation either way.
        zoom: smallest and largest scale.
        stretch: largest relative change of the width against the height.
        shift: largest move, as a share of the side.
        gamma, contrast: deviation of the logarithm of the exponent and of the factor.
        brightness: deviation of the offset.
        elastic: deviation of a smooth displacement (5 x 5 knots; Simard et al., ICDAR 2003), as a share of the side.
        tint: deviation of the logarithm of a factor for every channel apart.
        blur, sharpen, noise, erase, markers, flip, flip_rows: probability of each; `flip_rows` turns it upside down.
        mix: share of films blended with another one of the batch, targets alike (mixup, Zhang et al., ICLR 2018);
            the evidence term leaves them out.
    """

    rotate_degrees: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    stretch: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    gamma: float = 0.0
    contrast: float = 0.0
    brightness: float = 0.0
    tint: float = 0.0
    blur: float = 0.0
    sharpen: float = 0.0
    noise: float = 0.0
    erase: float = 0.0
    markers: float = 0.0
    flip: float = 0.0
    flip_rows: float = 0.0
    mix: float = 0.0


@dataclass(frozen=True, slots=True)
class StatementRule:
    """Where the truth of a statement stands: a column of a set, its values mapped to 0 or 1; others have no truth."""

    id: str
    set: str
    column: str
    targets: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training, complete. `card` holds the words and rules that the export writes on the card.

    `folds` repeats the training by cross-validation, for the figure only.

    `form` says how the network answers, with `classes` kinds or grades; `colour` keeps the three channels of a picture.
    """

    name: str
    seed: int
    input: InputSpec
    network: Network
    data: tuple[DataRule, ...]
    loss: Loss
    schedule: Schedule
    augment: Augment
    card: Mapping[str, Any]
    form: Form = "yes_no"
    classes: int = 2
    colour: bool = False
    statements: tuple[StatementRule, ...] = ()
    folds: int = 0

    @property
    def outputs(self) -> int:
        """Number of logits of the main answer."""
        return {"yes_no": 1, "one_of": self.classes, "grade": self.classes - 1}[self.form]


def read_recipe(path: Path) -> Recipe:
    """Read a recipe of a model that answers; see `read_with`."""
    return read_with(path, _recipe)


def read_with(path: Path, parse: Callable[[dict[str, Any]], Parsed]) -> Parsed:
    """Read a recipe file by a function of its table.

    Raises:
        BadRequest: the file is missing, is no TOML, or has an unknown or missing field.
    """
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadRequest(f"There is no recipe {path.name!r} to be read.", "Check the path of the recipe.") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        what = f"it lacks the entry {error}" if isinstance(error, KeyError) else str(error)
        raise BadRequest(
            f"The recipe {path.name!r} cannot be used: {what}.",
            "Compare it with the recipes that come with the program.",
        ) from error


def _recipe(raw: dict[str, Any]) -> Recipe:
    spec = dict(raw["input"])
    if "window" in spec:
        spec["window"] = Window(**spec["window"])
    augment = dict(raw.get("augment", {}))
    if "zoom" in augment:
        low, high = augment["zoom"]
        augment["zoom"] = (float(low), float(high))
    rules = tuple(_rule(rule) for rule in raw["data"])
    if not rules:
        raise ValueError("it names no data set")
    card = raw.get("card", {})
    classes = len(card.get("classes", ("", "")))
    return Recipe(
        name=raw["name"],
        seed=int(raw["seed"]),
        input=InputSpec(**spec),
        network=Network(**raw["network"]),
        data=rules,
        loss=Loss(**raw.get("loss", {})),
        schedule=Schedule(**raw.get("schedule", {})),
        augment=Augment(**augment),
        card=card,
        form=form_of(card.get("task", "classification"), classes),
        classes=classes,
        colour=bool(raw.get("colour", False)),
        folds=int(raw.get("folds", 0)),
        statements=tuple(StatementRule(**rule) for rule in raw.get("statements", ())),
    )


def _rule(raw: dict[str, Any]) -> DataRule:
    left_out = {name: tuple(values) for name, values in raw.get("leave_out", {}).items()}
    return DataRule(**{**raw, "balance": tuple(raw.get("balance", ("target",))), "leave_out": left_out})
