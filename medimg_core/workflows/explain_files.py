"""Maps of many files written to a folder: raw values, and an overlay with its colour bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePath

import numpy as np

from medimg_core.catalog import ModelCard
from medimg_core.errors import MedImgError
from medimg_core.inference import predict
from medimg_core.io.archives import sources
from medimg_core.types import SaliencyMap
from medimg_core.workflows.diagnose_files import Json, Opened, failed, open_paths, refused
from medimg_core.workflows.explain import explain

Progress = Callable[[float], None]


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
    methods: str,
    out: Path,
    *,
    target: str | None = None,
    population: str | None = None,
    engine: str = "own",
    png: bool = True,
    progress: Progress = lambda share: None,
) -> Iterator[Json]:
    """Write `<name>.<method>.npy` (float32 on the source grid, raw) and `.png` for every image and method.

    Yields:
        One object an image and method; one object for an image that was refused or could not be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = Names([source.label for source in sources([Path(path) for path in paths])])
    for opened in open_paths(paths):
        if opened.image is None:
            yield _failure(failed(opened, opened.error))
            continue
        name = names.of(opened)
        try:
            answer = predict(opened.image, card, population)
            if answer.prediction.refused:
                yield _failure(refused(opened, answer.prediction.gate, card))
                continue
            maps = explain(
                opened.image, card, methods, target, population, engine=engine, answer=answer, progress=progress
            )
        except MedImgError as error:
            yield _failure(failed(opened, error, card))
            continue
        for saliency in maps:
            yield _write(opened, saliency, name, out, png, answer.prediction.population or "")


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
        "reason": "No positive evidence." if saliency.empty else "",
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
