"""Maps of many files written to a folder: raw values, and an overlay with its colour bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath

import numpy as np

from medimg_core.catalog import ModelCard
from medimg_core.errors import MedImgError
from medimg_core.inference import predict
from medimg_core.inference.places import Box
from medimg_core.io.archives import sources
from medimg_core.types import Prediction, SaliencyMap
from medimg_core.workflows.beside import with_neighbours
from medimg_core.workflows.diagnose_files import Json, Opened, failed, open_paths, refused
from medimg_core.workflows.explain import Progress, explain
from medimg_core.workflows.explain_places import (
    NOT_OUTLINED,
    explain_places,
    split_methods,
    structures,
    was_outlined,
)
from medimg_core.workflows.sequence_files import with_joined


class Names:
    """File names for images: the stem, with a running number where a stem or a file holds several images.

    Args:
        labels: all files that will be asked about.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        self._many = {stem for stem, n in Counter(PurePath(label).stem for label in labels).items() if n > 1}
        self._next: Counter[str] = Counter()
        self._given: set[str] = set()

    def of(self, opened: Opened) -> str:
        """The name of one image, never given twice."""
        stem = PurePath(opened.file).stem
        numbered = stem in self._many or opened.frames > 1
        while True:
            name = f"{stem}.{self._next[stem]}" if numbered else stem
            self._next[stem] += 1
            if name not in self._given:
                self._given.add(name)
                return name
            numbered = True


def explain_paths(
    paths: Sequence[str],
    card: ModelCard,
    methods: str | None,
    out: Path,
    *,
    target: str | None = None,
    population: str | None = None,
    engine: str = "own",
    box: Box | None = None,
    png: bool = True,
    progress: Progress = lambda share: None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Json]:
    """Write `<name>.<method>.npy` (float32 on the source grid, raw) and `.png` for every image and method.

    Args:
        methods, target: see `explain_places.split_methods`; without a target the decision and the first structure.
        box: where to look, for models that ask for it.
        say: see `with_joined`.

    Yields:
        One object an image and method; one object for an image that was refused or could not be read.

    Raises:
        BadRequest: an unknown method or target, or methods that do not explain it.
    """
    of_answer, of_outline = split_methods(card, methods, target)
    out.mkdir(parents=True, exist_ok=True)
    names = Names([source.label for source in sources([Path(path) for path in paths])])
    for opened, beside in with_neighbours(with_joined(open_paths(paths), [card], say), [card]):
        if opened.image is None:
            yield _failure(failed(opened, opened.error))
            continue
        name, image = names.of(opened), opened.image
        try:
            answer = predict(image, card, population, box=box, beside=beside)
            if answer.prediction.refused:
                yield _failure(refused(opened, answer.prediction.gate, card))
                continue
            maps: list[SaliencyMap] = []
            if of_answer:
                maps += explain(
                    image, card, of_answer, target, population, engine,
                    answer=answer, box=box, beside=beside, progress=progress,
                )  # fmt: skip
            if of_outline:
                structure, said = target or structures(card)[0], answer.prediction
                maps += explain_places(
                    image, card, of_outline, structure, said, box=box, beside=beside, progress=progress
                )
        except MedImgError as error:
            yield _failure(failed(opened, error, card))
            continue
        for saliency in maps:
            reason = _reason(saliency, card, answer.prediction, saliency.method in of_outline)
            population_of = answer.prediction.population or ""
            yield {**_write(opened, saliency, name, out, png, population_of), "reason": reason}


def _reason(saliency: SaliencyMap, card: ModelCard, prediction: Prediction, outline: bool) -> str:
    """What a reader must know about a map besides its values."""
    missing = outline and not was_outlined(card, saliency.target, prediction)
    return " ".join([*([NOT_OUTLINED] if missing else []), *(["No positive evidence."] if saliency.empty else [])])


def _write(opened: Opened, saliency: SaliencyMap, name: str, out: Path, png: bool, population: str) -> Json:
    assert opened.image is not None
    raw = f"{name}.{saliency.method}.npy"
    np.save(out / raw, saliency.values)
    picture = None
    if png:
        from medimg_core.render import overlay_png

        picture = f"{name}.{saliency.method}.png"
        (out / picture).write_bytes(overlay_png(opened.image, saliency, population=population))
    return {
        "file": opened.file,
        "index": opened.index,
        "status": "ok",
        "reason": "",
        "model": saliency.model.name,
        "version": saliency.model.version,
        "hash": saliency.model.hash,
        "method": saliency.method,
        "target": saliency.target,
        "layer": saliency.layer,
        "npy": raw,
        "png": picture,
        "scale": saliency.scale,
        "maximum": float(saliency.values.max()),
        "empty": saliency.empty,
        "seconds": round(saliency.seconds, 6),
    }


def _failure(result: Json) -> Json:
    """A failed image has no maps; the other keys of a prediction do not belong here."""
    kept = ("file", "index", "status", "reason", "model", "version", "hash")
    return {**{key: result[key] for key in kept}, "method": None, "target": None, "npy": None, "png": None}
