"""The frames of one echo clip, or two frames of one view: outlines of all, the two phases, the ejection fraction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medimg_core.catalog import ModelCard
from medimg_core.errors import MedImgError
from medimg_core.inference import gate
from medimg_core.inference.measures import Ejection, ErrorFit, Phases, ejection_fraction, pick_frames
from medimg_core.types import GateVerdict, Image, Measurement, Prediction, Series
from medimg_core.workflows.cache import ByteCache
from medimg_core.workflows.find import Corrected, FindKey, Found, correct, describe, find

VENTRICLE = "left_ventricle"
LOOKS = 7
"""Frames of a clip that the input check looks at, evenly spread: single frames of one view look unlike each other."""

_NO_PAIR = "Fewer than two frames show a left ventricle. Load a clip, or two frames of one view, that show it."
_ONE_PICTURE = "Both frames are one picture, so no ejection fraction is told. Load one of each phase."
_SIMILAR = 0.01
_NOTHING: Mapping[str, Corrected] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """All frames of a clip past a model that outlines the heart.

    Attributes:
        frames: what was found on each; None where a frame could not be used.
        areas: of the left ventricle in pixels, nan where there is none.
        phases: None where fewer than two frames show a ventricle.
        ejection: None without phases.
        doubts: sentences about the clip, those of the phases and of the ejection fraction among them.
    """

    card: ModelCard
    frames: tuple[Found | None, ...]
    areas: tuple[float, ...]
    phases: Phases | None
    ejection: Ejection | None
    doubts: tuple[str, ...]

    @property
    def chosen(self) -> tuple[Found, Found] | None:
        """End-diastolic and end-systolic frame."""
        if self.phases is None:
            return None
        pair = self.frames[self.phases.end_diastole], self.frames[self.phases.end_systole]
        return None if pair[0] is None or pair[1] is None else (pair[0], pair[1])

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Ejection fraction and volumes."""
        return self.ejection.measurements if self.ejection is not None else ()


def heart_model(cards: Sequence[ModelCard]) -> ModelCard | None:
    """The model that outlines the heart; None where none is installed."""
    return next((card for card in cards if card.places is not None and card.places.measure == "heart"), None)


def verdict(images: Sequence[Image], card: ModelCard) -> GateVerdict:
    """What the input check says about a clip: passed where one of a few evenly spread frames passes by itself.

    Single frames of one view look unlike each other, so a frame that does not pass is a doubt and no refusal.
    """
    looked = sorted({round(at) for at in np.linspace(0, len(images) - 1, min(LOOKS, len(images)))})
    said = [gate.check(images[index], card) for index in looked]
    passed = [one for one in said if one.passed]
    if not passed:
        return said[0]
    best = min(passed, key=lambda one: len(one.reasons))
    if len(passed) == len(said):
        return best
    doubt = f"The input check passed {len(passed)} of the {len(said)} frames that it looked at."
    return replace(best, reasons=(doubt, *best.reasons))


def outline_clip(
    images: Sequence[Image],
    card: ModelCard,
    said: GateVerdict,
    *,
    progress: Callable[[float], None] = lambda share: None,
    kept: ByteCache[FindKey, Prediction] | None = None,
) -> tuple[Found | None, ...]:
    """Outline every frame, in pixels; `measure_clip` makes a clip of them.

    Args:
        said: the verdict on the clip, which holds for all of its frames.
        progress: called with the share done; where it raises, work ends there.
    """
    frames: list[Found | None] = []
    for index, image in enumerate(images):
        progress(index / len(images))
        try:
            frames.append(find(image, card, verdict=said, kept=kept))
        except MedImgError:
            frames.append(None)
    return tuple(frames)


def measure_clip(
    frames: Sequence[Found | None],
    card: ModelCard,
    corrected: Mapping[str, Corrected] = _NOTHING,
) -> Clip:
    """The two phases and the ejection fraction, with the spacing that the images of the frames have.

    Args:
        corrected: digest of an image -> the reader's regions on it.
    """
    shown = [None if one is None else correct(one, corrected.get(one.image.digest, {})) for one in frames]
    areas = tuple(_area(one) for one in shown)
    phases = pick_frames(areas) if len(frames) != 2 else _larger_first(areas)
    doubts = list(phases.doubts) if phases is not None else [_NO_PAIR]
    unusable = sum(one is None for one in shown)
    if unusable:
        doubts.append(f"{unusable} of {len(shown)} frames could not be used.")
    clip = Clip(card, tuple(shown), areas, phases, None, tuple(doubts))
    if clip.chosen is None or phases is None:
        return clip
    pair = [correct(describe(one.prediction, one.image, card), one.corrected) for one in clip.chosen]
    for index, one in zip((phases.end_diastole, phases.end_systole), pair, strict=True):
        shown[index] = one
    if pair[0].image.digest and pair[0].image.digest == pair[1].image.digest:
        doubts.append(_ONE_PICTURE)
        return replace(clip, frames=tuple(shown), doubts=tuple(doubts))
    if not alike(pair[0].image, pair[1].image):
        doubts.append(
            "The two frames differ in size or scale, so no ejection fraction is told. Load two frames of one clip."
        )
        return replace(clip, frames=tuple(shown), doubts=tuple(doubts))
    if not all(any(region.label == VENTRICLE for region in one.trusted) for one in pair):
        doubts.append("Correct the outline of the left ventricle by hand to get the ejection fraction.")
        return replace(clip, frames=tuple(shown), doubts=tuple(doubts))
    told = ejection_fraction(pair[0].trusted, pair[1].trusted, pair[0].image, _errors(card, *pair))
    return replace(clip, frames=tuple(shown), ejection=told, doubts=(*doubts, *told.doubts))


def placed(frames: Sequence[Found | None], images: Sequence[Image]) -> tuple[Found | None, ...]:
    """What was found, on the images as they are now: a reader may have typed a spacing since."""
    return tuple(one and replace(one, image=image) for one, image in zip(frames, images, strict=True))


def as_series(images: Sequence[Image]) -> Series:
    """Two frames that came as single images."""
    return Series(tuple(images), "frames")


def _area(one: Found | None) -> float:
    masks = [region.mask for region in one.shown if region.label == VENTRICLE] if one is not None else []
    return float(sum(int(mask.sum()) for mask in masks if mask is not None)) or math.nan


def _larger_first(areas: Sequence[float]) -> Phases | None:
    """Of two frames that a reader chose the one with the larger ventricle is the end-diastolic one."""
    if not all(math.isfinite(area) for area in areas):
        return None
    first = int(areas[1] > areas[0])
    return Phases(first, 1 - first)


def alike(one: Image, other: Image) -> bool:
    """Whether two frames have one size and scale, so that what is measured in them can be compared."""
    if one.shape != other.shape or (one.spacing is None) != (other.spacing is None):
        return False
    if one.spacing is None or other.spacing is None:
        return True
    sides = zip(
        (one.spacing.row_mm, one.spacing.column_mm), (other.spacing.row_mm, other.spacing.column_mm), strict=True
    )
    return all(math.isclose(a, b, rel_tol=_SIMILAR) for a, b in sides)


def _errors(card: ModelCard, *pair: Found) -> dict[str, ErrorFit]:
    """Errors on val; of a reader's outlines only the bias of one plane against two is known."""
    assert card.places is not None
    fits = {name: ErrorFit(**fit) for name, fit in card.places.errors.items()}
    if not any(one.corrected for one in pair):
        return fits
    return {name: replace(fit, sd=math.nan) for name, fit in fits.items() if name == "ejection_fraction"}
