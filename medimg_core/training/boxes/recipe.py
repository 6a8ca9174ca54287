"""A recipe for boxes: as `training.recipe`, with one kind of finding in place of classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medimg_core.training.recipe import Augment, Network, Schedule, read_with
from medimg_core.types import InputSpec


@dataclass(frozen=True, slots=True)
class BoxData:
    """Which rows of a manifest are drawn, and how.

    Attributes:
        set: folder of the set below the data folder.
        label: label of the boxes that are looked for; boxes of other labels are left out.
        draws: films an epoch; 0 draws as many as there are.
        positive_share: share of the draws that have a box to be found.
        crop: side in pixels of the squares that train, cut out of the film on the network's grid; 0 takes it whole.
        turned: what a box encloses when the film is rotated: its `corners` (never too small), or the `ellipse` in it
            (Kalra et al., ICCV 2021: nearer to what a reader would draw round a finding that does not fill its box).
        transposed: share of the draws with rows and columns exchanged: with both flips every quarter turn, and unlike
            other rotations exact for boxes. The grid must be square.
    """

    set: str
    label: str
    draws: int = 0
    positive_share: float = 0.5
    crop: int = 0
    turned: str = "corners"
    transposed: float = 0.0


@dataclass(frozen=True, slots=True)
class BoxDecoder:
    """The way up: channels at the bottom, then after each joining with a finer layer of the body (`skips`).

    `turns` separable convolutions after each joining; boxes have the grid of the last layer.
    """

    bottom: int = 128
    widths: tuple[int, ...] = (96, 64)
    skips: tuple[str, ...] = ("block_6_expand_relu", "block_3_expand_relu")
    turns: tuple[int, ...] = (2, 2)


@dataclass(frozen=True, slots=True)
class BoxLoss:
    """Weights of the losses of heat, sides (1 - GIoU) and of the box's own opinion of its overlap.

    `reach` is the share of a box's sides in which cells answer for it (alpha of Liu et al., AAAI 2020).
    """

    heat: float = 1.0
    sides: float = 5.0
    overlap: float = 1.0
    reach: float = 0.54


@dataclass(frozen=True, slots=True)
class BoxAnswer:
    """How `places` are read; chosen on val, and part of the card.

    Attributes:
        trust: exponent of the overlap that a box expects of itself, in the score (0 leaves it out).
        suppress: overlap from which on the weaker of two boxes is dropped.
        vote: overlap from which on dropped boxes still move the sides of the kept one; 1 moves nothing.
        mirror: the film and its mirror image are averaged.
        image: weight of the logit of the classifier's probability of the whole film, in the logit of the score.
    """

    trust: float = 0.5
    suppress: float = 0.3
    vote: float = 1.0
    mirror: bool = False
    image: float = 0.0


@dataclass(frozen=True, slots=True)
class BoxRecipe:
    """One training, complete.

    Attributes:
        every: how many epochs pass between two looks at val.
        again: further rounds from the weights of the last (warm restarts, Loshchilov and Hutter, ICLR 2017): epochs,
            and the factor of the schedule's peak rate.
        card: words and names: `classifier` (the model that the boxes belong to), `subgroups` (columns).
    """

    name: str
    seed: int
    input: InputSpec
    network: Network
    decoder: BoxDecoder
    data: BoxData
    loss: BoxLoss
    schedule: Schedule
    augment: Augment
    answer: BoxAnswer = field(default_factory=BoxAnswer)
    card: Mapping[str, Any] = field(default_factory=dict)
    every: int = 1
    again: tuple[tuple[int, float], ...] = ()

    @property
    def rounds(self) -> tuple[tuple[int, float], ...]:
        """All rounds: epochs and the factor of the peak rate."""
        return (self.schedule.epochs, 1.0), *self.again


def read_box_recipe(path: Path) -> BoxRecipe:
    """Read a recipe for boxes; see `training.recipe.read_with`."""
    return read_with(path, _recipe)


def _recipe(raw: dict[str, Any]) -> BoxRecipe:
    decoder = BoxDecoder(**_tuples(raw.get("decoder", {})))
    if not len(decoder.widths) == len(decoder.skips) == len(decoder.turns):
        raise ValueError("widths, skips and turns of the decoder differ in number")
    data = BoxData(**raw["data"])
    if data.turned not in ("corners", "ellipse"):
        raise ValueError("a turned box encloses its corners or its ellipse")
    return BoxRecipe(
        name=raw["name"],
        seed=int(raw["seed"]),
        input=InputSpec(**raw["input"]),
        network=Network(**raw["network"]),
        decoder=decoder,
        data=data,
        loss=BoxLoss(**raw.get("loss", {})),
        schedule=Schedule(**raw["schedule"]),
        augment=Augment(**_tuples(raw["augment"])),
        answer=BoxAnswer(**raw.get("answer", {})),
        card=raw.get("card", {}),
        every=int(raw.get("every", 1)),
        again=tuple((int(epochs), float(factor)) for epochs, factor in raw.get("again", ())),
    )


def _tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
