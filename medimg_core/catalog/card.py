"""What a model's card says: classes, what is outlined, populations with their calibration, words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from medimg_core.catalog.files import hashes
from medimg_core.types import Image, InputSpec, ModelRef, OperatingPoint


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
class TruthRule:
    """Which pixels of a stored mask, the truth of a manifest, belong to a structure.

    Attributes:
        values: grey levels or palette entries; empty takes all but zero.
        side: `left` or `right` half of the picture to which a value without a side belongs (see `sideless`).
        sideless: values that several structures share; each connected part goes to the one on whose half it lies.
        where: column -> values of the rows in which the structure was outlined at all; empty means all rows.
    """

    values: tuple[int, ...] = ()
    side: str = ""
    sideless: tuple[int, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


AS_GIVEN = (0.0, 1.0)
"""Quality of a structure with too few films to fit it: what the network expects of itself stands."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What is outlined or boxed.

    Attributes:
        id: the label of its regions, as on the command line (`left_ventricle`).
        title: what a reader calls it.
        threshold: probability from which on a pixel, or a box, counts.
        smallest: parts below this share of the picture are left out.
        single: only the largest part counts.
        ellipse: the outline is the ellipse fitted to what was found, as the structure is known to be one.
        of: structures that this one is made of; it has no output of its own.
        quality: offset and slope that turn the Dice a network expects of itself into the one measured on val; of boxes
            those that turn the logit of the score into that of the chance that the box is true.
        truth: how masks are read when the model is measured; of no use to a structure made of others.
    """

    id: str
    title: str
    threshold: float = 0.5
    smallest: float = 0.0
    single: bool = False
    ellipse: bool = False
    of: tuple[str, ...] = ()
    quality: tuple[float, float] = AS_GIVEN
    truth: TruthRule = TruthRule()


PLACES_FLOORS: Mapping[str, tuple[str, float]] = {"outline": ("dice", 0.70), "boxes": ("ap50", 0.40)}
"""Kind of places -> the figure that stands for them, and the value below which they are not fit for use."""


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
        mirror: the mirrored image is looked at too, and both looks are averaged.
        pixelwise: the structures are many small ones: the mean over all stands for them, not the first one's figure,
            and their probabilities are judged by pixel as well (area under precision and recall).
        answer_weight: of boxes, weight of the logit of the answer's probability in the score of each.
        trust, suppress, vote: how boxes are read, chosen on val; see `inference.boxes.BoxRule`.
        errors: measurement -> `bias`, `sd`, `relative`: its error on val.
        fit_for_use: population -> whether its figure reached `PLACES_FLOORS`; the answer has a mark of its own. What is
            missing was not measured, and is not fit.
    """

    kind: Literal["outline", "boxes"]
    network: str
    input: InputSpec
    structures: tuple[Structure, ...]
    measure: str = ""
    context: int = 0
    window_mm: float = 0.0
    exclusive: bool = False
    mirror: bool = False
    pixelwise: bool = False
    answer_weight: float = 0.0
    trust: float = 0.5
    suppress: float = 0.3
    vote: float = 1.0
    errors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fit_for_use: Mapping[str, bool] = field(default_factory=dict)

    def fit_in(self, population: str | None) -> bool:
        """Whether its outlines or boxes may be relied on in a population, by its id."""
        return self.fit_for_use.get(population or "", False)

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
        structure: the outline that it was read in; it is not told where the model expects little of that one.
    """

    id: str
    title: str
    otherwise: str
    meaning: str
    output: int
    of: tuple[str, ...] = ()
    structure: str = ""


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
        kind: `attention` (averages slices), `evidence` (adds up what each says) or `recurrent`, networks over the
            slices' features; `maximum` has none: the highest logit.
        calibration: of the series' logit, fitted on series that the networks behind it had not seen.
        threshold: of its balanced point.
        prevalence: share of positive series that the calibration was fitted on.
        conformal: class -> limit, as in `Population`.
        slices: fewest and most slices in the series that it learned from.
        figures: where in the key `series` of `evaluation.json` the figures of its test series stand.
        whole_mm: what a whole examination covers at least; None where that is not known.
    """

    kind: Literal["attention", "recurrent", "maximum", "evidence"]
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
        fit_for_use: false shows "not fit for use" (AUROC below 0.80 or no better than the shortcuts); of a model that
            gives no answer it is the mark of its places.
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
