"""A recipe for outlines: as `training.recipe`, with structures in place of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medimg_core.training.recipe import Augment, Network, Schedule, StatementRule, read_with
from medimg_core.types import InputSpec, Window


@dataclass(frozen=True, slots=True)
class StructureRule:
    """Which values of a mask belong to a structure.

    Attributes:
        id: the label of its regions (`left_ventricle`).
        values: grey levels or palette entries; empty takes all but zero.
        side: `left` or `right` half of the picture to which a value without a side belongs (see `sideless`).
        sideless: values that several structures share; each connected part goes to the one on whose half it lies.
        where: column -> values of rows in which the structure was outlined at all; empty means all.
    """

    id: str
    values: tuple[int, ...] = ()
    side: str = ""
    sideless: tuple[int, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutlineData:
    """Which rows of a manifest are drawn, and how.

    Attributes:
        set: folder of the set below the data folder.
        mask: column with the mask file; an empty value means that nothing is there to be outlined.
        only_outlined: leaves out rows without a mask.
        draws: films an epoch; 0 draws as many as there are.
        around: of recipes with `crop` the share of squares that have a structure at their middle, all alike often.
        empty: how often a film without anything in its mask is drawn, against 1 for one with.
        neighbours: column that counts the slices of a patient, where the network also looks at the slices beside.
        leave_out: column -> values whose rows do not train.
        answer: column with the truth of the network's own answer; `targets` maps its values to class numbers.
    """

    set: str
    mask: str = "mask"
    only_outlined: bool = False
    draws: int = 0
    empty: float = 0.35
    around: float = 0.6
    neighbours: str = ""
    leave_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    answer: str = ""
    targets: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decoder:
    """The U-Net's way up: channels at the bottom, then after each joining with a finer layer of the body.

    `skips` names those layers from coarse to fine; the outline has the grid of the last one.
    """

    bottom: int = 128
    widths: tuple[int, ...] = (96, 64, 32)
    skips: tuple[str, ...] = ("block_6_expand_relu", "block_3_expand_relu", "block_1_expand_relu")


@dataclass(frozen=True, slots=True)
class OutlineLoss:
    """Weights of cross-entropy, soft Dice and, where the network also answers, of the answer.

    `focus` is the exponent of focal cross-entropy (Lin et al., ICCV 2017); 0 is the plain one. `pooled` takes both
    over the pixels of a whole batch, for small structures that most pictures lack; all must be outlined everywhere.
    """

    cross_entropy: float = 1.0
    dice: float = 1.0
    answer: float = 0.0
    focus: float = 0.0
    smoothing: float = 0.05
    pooled: bool = False


@dataclass(frozen=True, slots=True)
class OutlineRecipe:
    """One training, complete.

    Attributes:
        crop: side in pixels of the squares that train, cut at chance; 0 trains on whole pictures.
        window_mm: side of the square in millimetres that is looked at round a box; 0 looks at the whole picture.
        classes: number of kinds of the network's own answer; 0 has none, 2 is a yes/no question with one logit.
        statements: told beside that answer, from the grey levels inside an outline (`training.outlines.statements`).
    """

    name: str
    seed: int
    input: InputSpec
    network: Network
    decoder: Decoder
    structures: tuple[StructureRule, ...]
    data: OutlineData
    loss: OutlineLoss
    schedule: Schedule
    augment: Augment
    card: Mapping[str, Any]
    colour: bool = False
    crop: int = 0
    window_mm: float = 0.0
    classes: int = 0
    statements: tuple[StatementRule, ...] = ()

    @property
    def context(self) -> int:
        """Slices on either side that the network also sees."""
        return 1 if self.data.neighbours else 0

    @property
    def outputs(self) -> int:
        """Number of logits of the answer."""
        return 1 if self.classes == 2 else self.classes


def read_outline_recipe(path: Path) -> OutlineRecipe:
    """Read a recipe for outlines; see `training.recipe.read_with`."""
    return read_with(path, _recipe)


def _recipe(raw: dict[str, Any]) -> OutlineRecipe:
    spec = dict(raw["input"])
    if "window" in spec:
        spec["window"] = Window(**spec["window"])
    augment = _tuples(raw["augment"])
    structures = tuple(_structure(rule) for rule in raw["structures"])
    if not structures:
        raise ValueError("it names no structure")
    if raw.get("statements") and not raw["card"].get("classes"):
        raise ValueError("a statement stands beside an answer, and it names no classes")
    data = dict(raw["data"])
    data["leave_out"] = {name: tuple(values) for name, values in data.get("leave_out", {}).items()}
    decoder = _tuples(raw.get("decoder", {}))
    return OutlineRecipe(
        name=raw["name"],
        seed=int(raw["seed"]),
        input=InputSpec(**spec),
        network=Network(**raw["network"]),
        decoder=Decoder(**decoder),
        structures=structures,
        data=OutlineData(**data),
        loss=OutlineLoss(**raw.get("loss", {})),
        schedule=Schedule(**raw["schedule"]),
        augment=Augment(**augment),
        card=raw["card"],
        colour=bool(raw.get("colour", False)),
        crop=int(raw.get("crop", 0)),
        window_mm=float(raw.get("window_mm", 0.0)),
        classes=len(raw["card"].get("classes", ())),
        statements=tuple(StatementRule(**rule) for rule in raw.get("statements", ())),
    )


def _structure(raw: dict[str, Any]) -> StructureRule:
    fields = _tuples(raw)
    fields["where"] = {name: tuple(values) for name, values in raw.get("where", {}).items()}
    return StructureRule(**fields)


def _tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The table with its lists frozen."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
