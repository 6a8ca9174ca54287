"""The ejection fraction of two frames, or of a cine, among the files of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medimg_core.catalog import ModelCard
from medimg_core.inference import Answer
from medimg_core.inference.measures import ErrorFit, ejection_fraction, pick_frames
from medimg_core.types import Image, Region
from medimg_core.workflows.diagnose_files import Json, Opened, Told, bare_object, measurement_json
from medimg_core.workflows.places_words import measurements_words

_CHAMBERS = ("left_ventricle", "left_atrium")
_CHOSEN = "The frame with the larger ventricle was taken for end-diastole."


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """One frame that a model answered: its chambers, and its image without which no size is known."""

    opened: Opened
    image: Image
    regions: tuple[Region, ...]
    population: str | None

    @property
    def area(self) -> float:
        """Of the left ventricle, in pixels; nan without one."""
        found = [region.mask for region in self.regions if region.label == "left_ventricle"]
        return float(found[0].sum()) if found and found[0] is not None else float("nan")


class HeartFiles:
    """Collects the frames of echo clips, for the models that measure a heart.

    Args:
        cards: models that may be asked; the others are left out.
    """

    def __init__(self, cards: Sequence[ModelCard]) -> None:
        self._cards = {c.name: c for c in cards if c.places is not None and c.places.measure == "heart"}
        self._frames: dict[str, list[_Frame]] = {}
        self._images = 0

    def add(self, opened: Opened, told: Sequence[Told]) -> None:
        """Note one image and what the models said to it (as `diagnose_image` reports it)."""
        self._images += 1
        for card, answer in told:
            if card.name not in self._cards or not isinstance(answer, Answer) or opened.image is None:
                continue
            said = answer.prediction
            if not said.refused:
                chambers = tuple(region for region in said.regions if region.label in _CHAMBERS)
                frame = _Frame(opened, opened.image, chambers, said.population)
                self._frames.setdefault(card.name, []).append(frame)

    def results(self) -> Iterator[Json]:
        """One object for every cine, and one for the two frames where there were exactly two images in all."""
        for name, frames in self._frames.items():
            if self._images == 2 and len(frames) == 2:
                large, small = sorted(frames, key=lambda one: -np.nan_to_num(one.area))
                yield self._two(self._cards[name], large, small, (_CHOSEN,))
                continue
            clips: dict[str, list[_Frame]] = {}
            for frame in frames:
                if frame.opened.frames > 2:
                    clips.setdefault(frame.opened.group, []).append(frame)
            for clip in clips.values():
                yield self._cine(self._cards[name], clip)

    def _cine(self, card: ModelCard, clip: Sequence[_Frame]) -> Json:
        areas = np.full(clip[0].opened.frames, np.nan)
        by_index = {frame.opened.index: frame for frame in clip}
        for index, frame in by_index.items():
            assert index is not None
            areas[index] = frame.area
        phases = pick_frames([float(area) for area in areas])
        if phases is None:
            reason = "Fewer than two frames of this clip show a left ventricle, so no ejection fraction can be told."
            return _whole(card, clip, "refused", reason)
        return self._two(card, by_index[phases.end_diastole], by_index[phases.end_systole], phases.doubts)

    def _two(self, card: ModelCard, large: _Frame, small: _Frame, doubts: Sequence[str]) -> Json:
        frames = (large, small)
        if large.image.shape != small.image.shape:
            return _whole(card, frames, "refused", "The two frames differ in size, so they are not of one view.")
        assert card.places is not None
        errors = {name: ErrorFit(**fit) for name, fit in card.places.errors.items()}
        said = ejection_fraction(large.regions, small.regions, large.image, errors)
        fit = {p.id: p.fit_for_use for p in card.populations}
        return {
            **_whole(card, frames, "ok" if said.measurements else "refused", " ".join([*doubts, *said.doubts])),
            "population": large.population,
            "fit_for_use": fit.get(large.population or ""),
            "measurements": [measurement_json(m) for m in said.measurements],
            "frames": {
                name: {"file": frame.opened.file, "index": frame.opened.index}
                for name, frame in zip(("end_diastole", "end_systole"), frames, strict=True)
            },
        }


def _whole(card: ModelCard, frames: Sequence[_Frame], status: str, reason: str) -> Json:
    files = list(dict.fromkeys(frame.opened.file for frame in frames))
    return {**bare_object(Opened(files[0], None, None), status, reason, card), "files": files}


def sentence(result: Mapping[str, object]) -> str:
    """The object in words, for a reader at a terminal."""
    measured = result["measurements"]
    assert isinstance(measured, list)
    said = f" {measurements_words(measured)}; model {result['model']} {result['version']}." if measured else ""
    unfit = (
        " Not fit for use in these patients; do not rely on this result." if result.get("fit_for_use") is False else ""
    )
    return f"{result['file']}: two frames of the heart:{said}{unfit} {result['reason']}".rstrip()
