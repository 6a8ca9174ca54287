"""What is said of an image: verdicts, probabilities, regions, measurements, maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from medimg_core.types.images import FloatArray, MaskArray, freeze


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int | None = None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model said it: name, version, first 8 hex digits of the sha256 of its network file."""

    name: str
    version: str
    hash: str


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether an image may be shown to a model. `passed` with reasons means doubtful."""

    passed: bool
    reasons: tuple[str, ...] = ()
    kind: str = ""
    figures: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A place in source pixels: outline, box or mask (bool `[H, W]` on the source grid)."""

    kind: Literal["outline", "box", "mask", "point"]
    label: str
    score: float
    box: tuple[float, float, float, float] | None = None
    polygon: tuple[tuple[float, float], ...] = ()
    mask: MaskArray | None = None

    def __post_init__(self) -> None:
        if self.mask is not None:
            freeze(self.mask)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A quantity with its interval. `basis` says where the scale comes from (`PixelSpacing`, `typed`, `px`)."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    basis: str


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold on the calibrated probability of the positive class, chosen on `val`."""

    name: Literal["rule_out", "balanced", "rule_in"]
    threshold: float


@dataclass(frozen=True, slots=True)
class Statement:
    """A yes/no answer beside the main one (bacterial or viral, referable or not); `id` as on the card.

    Attributes:
        probability: calibrated, of the card's `title` side.
        interval: 95 % interval of it, from the bootstrap of the calibration curve; None without one.
        threshold: from which probability on it is claimed.
    """

    id: str
    probability: float
    interval: Interval | None
    threshold: float

    @property
    def claimed(self) -> bool:
        """Whether the probability reaches the threshold."""
        return self.probability >= self.threshold


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer of one model to one image; for classes, grades, outlines, boxes and measurements alike.

    Attributes:
        scores: class -> calibrated probability, summing to 1; empty when the image was refused.
        interval: 95 % interval of `positive`'s probability, from the bootstrap of the calibration curve.
        decision: for a yes/no question the class at `operating_point`, of several kinds the likeliest, of grades the
            median grade; None when refused.
        positive: the class that `interval` speaks of: of a yes/no question its positive class, else the decision.
        statements: further answers that apply to this decision.
        population: id of the card's population whose calibration and figures were used.
        prediction_set: classes that split conformal prediction cannot leave out at 90 % coverage.
        seconds: wall time of preprocessing, gate and network.
    """

    model: ModelRef
    scores: Mapping[str, float]
    gate: GateVerdict
    decision: str | None = None
    positive: str | None = None
    interval: Interval | None = None
    population: str | None = None
    calibrated: bool = True
    operating_point: OperatingPoint | None = None
    prediction_set: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    regions: tuple[Region, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    seconds: float = 0.0

    @property
    def refused(self) -> bool:
        """True when the gate let no model look at the image."""
        return not self.gate.passed


@dataclass(frozen=True, slots=True, eq=False)
class SaliencyMap:
    """Evidence on the SOURCE grid, unnormalised.

    Attributes:
        values: float32 `[H, W]`; signed where the method is signed.
        grid: float32 `[h, w]`, the same map on the grid where it was computed.
        scale: the value shown as 1.0: the 99th percentile of the method on the model's test set; None if unknown.
    """

    values: FloatArray
    grid: FloatArray
    method: str
    target: str
    layer: str
    model: ModelRef
    scale: float | None
    signed: bool
    seconds: float = 0.0

    def __post_init__(self) -> None:
        freeze(self.values)
        freeze(self.grid)

    @property
    def maximum(self) -> float:
        """Largest positive evidence, in units of `scale` (or raw where there is none)."""
        peak = float(self.values.max(initial=0.0))
        return peak / self.scale if self.scale else peak

    @property
    def empty(self) -> bool:
        """True when nothing speaks for the target: "no positive evidence", a state of its own."""
        return not bool((self.values > 0).any())
