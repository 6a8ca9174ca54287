"""The ejection fraction of two frames, or of a cine, among the files of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from medimg_core.catalog import ModelCard
from medimg_core.inference import Answer
from medimg_core.workflows.clip import Clip, measure_clip
from medimg_core.workflows.diagnose_files import Json, Opened, Told, bare_object, measurement_json
from medimg_core.workflows.find import Found, describe
from medimg_core.workflows.places_words import measurements_words

_CHOSEN = "The frame with the larger ventricle was taken for end-diastole."


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    """One frame that a model answered."""

    opened: Opened
    found: Found


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
            if not answer.prediction.refused:
                frame = _Frame(opened, describe(answer.prediction, opened.image, card))
                self._frames.setdefault(card.name, []).append(frame)

    def results(self) -> Iterator[Json]:
        """One object for every cine, and one for the two frames where there were exactly two images in all."""
        for name, frames in self._frames.items():
            if self._images == 2 and len(frames) == 2:
                yield _told(self._cards[name], frames, _CHOSEN)
                continue
            clips: dict[str, list[_Frame]] = {}
            for frame in frames:
                if frame.opened.frames > 1:
                    clips.setdefault(frame.opened.group, []).append(frame)
            for clip in clips.values():
                by_index = {frame.opened.index: frame for frame in clip}
                yield _told(self._cards[name], [by_index.get(i) for i in range(clip[0].opened.frames)])


def _told(card: ModelCard, frames: Sequence[_Frame | None], *said: str) -> Json:
    clip = measure_clip([None if frame is None else frame.found for frame in frames], card)
    files = list(dict.fromkeys(frame.opened.file for frame in frames if frame is not None))
    reason = " ".join((*said, *clip.doubts))
    return {
        **bare_object(Opened(files[0], None, None), "ok" if clip.measurements else "refused", reason, card),
        "files": files,
        **_measured(clip, frames),
    }


def _measured(clip: Clip, frames: Sequence[_Frame | None]) -> Json:
    if clip.phases is None or clip.chosen is None:
        return {}
    pair = {"end_diastole": clip.phases.end_diastole, "end_systole": clip.phases.end_systole}
    opened = {name: frame.opened for name, at in pair.items() if (frame := frames[at]) is not None}
    return {
        "population": clip.chosen[0].population.id,
        "fit_for_use": clip.chosen[0].fit_for_use,
        "places_fit_for_use": clip.chosen[0].fit_for_use,
        "measurements": [measurement_json(m) for m in clip.measurements],
        "frames": {name: {"file": one.file, "index": one.index} for name, one in opened.items()},
    }


def sentence(result: Mapping[str, object]) -> str:
    """The object in words, for a reader at a terminal."""
    measured = result["measurements"]
    assert isinstance(measured, list)
    said = f" {measurements_words(measured)}; model {result['model']} {result['version']}." if measured else ""
    unfit = (
        " Not fit for use in these patients; do not rely on this result." if result.get("fit_for_use") is False else ""
    )
    return f"{result['file']}: two frames of the heart:{said}{unfit} {result['reason']}".rstrip()
