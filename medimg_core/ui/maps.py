"""Maps side by side: the fast ones at once, the slow ones as jobs beside the page; and their export."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from medimg_core.catalog import ModelCard, Population
from medimg_core.errors import BadRequest, Cancelled
from medimg_core.explain import method, verdict
from medimg_core.render import overlay_png
from medimg_core.types import Image, SaliencyMap, Window
from medimg_core.ui import naming, palette, routes, service, session, words
from medimg_core.ui.answer import Answer
from medimg_core.ui.faults import report
from medimg_core.ui.jobs import Job, Jobs
from medimg_core.ui.session import Workspace
from medimg_core.ui.viewer import Layer, MethodView
from medimg_core.workflows.explain import explain

GROUP = "maps"
"""Group of the jobs that make maps."""

_LOOK = {"opacity": palette.OPACITY, "threshold": palette.THRESHOLD, "centre": 0.0, "width": 0.0}


@dataclass(frozen=True, slots=True)
class Shown:
    """What the panes show: maps that are ready, and what is said about every method."""

    layers: Mapping[str, Layer]
    methods: Mapping[str, MethodView]


def gather(answer: Answer, names: Sequence[str], target: str) -> Shown:
    """Maps of the methods asked for: fast ones are made now, slow ones are started as jobs."""
    space = session.workspace()
    wanted = dict.fromkeys(names)
    fast = [name for name in wanted if service.is_fast(name)]
    ready = dict(service.layers(answer, fast, target, space))
    notes: dict[str, str] = {}
    for name in wanted:
        if name in ready:
            continue
        work = partial(service.one_layer, answer, name, target, space)
        job = space.jobs.start(_key(answer, name, target), method(name).title, work, GROUP)
        if job.done.is_set() and job.error is None:
            ready[name] = job.result
        else:
            notes[name] = _note(job, answer.image.digest)
    views = {}
    for m in service.offered(answer.card):
        raw = m.name in ready and ready[m.name].scale is None
        views[m.name] = _view(answer, m.name, target, raw, notes.get(m.name, words.COMPUTING))
    return Shown(ready, views)


def stopped(answer: Answer, names: Sequence[str], target: str) -> list[str]:
    """Titles of the methods that the reader stopped."""
    jobs: Jobs = session.workspace().jobs
    found = [jobs.get(_key(answer, name, target)) for name in dict.fromkeys(names)]
    return [job.title for job in found if job is not None and isinstance(job.error, Cancelled)]


def again(answer: Answer, names: Sequence[str], target: str) -> None:
    """Let methods that were stopped or failed be started once more."""
    jobs: Jobs = session.workspace().jobs
    for name in names:
        job = jobs.get(_key(answer, name, target))
        if job is not None and job.done.is_set() and job.error is not None:
            jobs.forget(_key(answer, name, target))


def export(answer: Answer, name: str, target: str, space: Workspace, query: Mapping[str, str]) -> bytes:
    """A PNG of one map as the reader sees it; see `picture`.

    Args:
        space: the session's workspace; the route that calls this knows no session.
    """
    asked = answer.found.answer
    saliency = explain(
        answer.image, answer.card, (name,), target, answer=asked, beside=answer.beside, cache=space.maps
    )[0]
    return picture(answer.image, saliency, answer.card, answer.found.population, query)


def picture(
    image: Image, saliency: SaliencyMap, card: ModelCard, population: Population, query: Mapping[str, str]
) -> bytes:
    """A PNG of a map over its image, with its provenance.

    Args:
        query: `opacity`, `threshold`, `centre`, `width`, `kind` as the viewer has them.

    Raises:
        BadRequest: a value is no number.
    """
    try:
        look = {key: float(query.get(key, default)) for key, default in _LOOK.items()}
        if not all(math.isfinite(value) for value in look.values()):
            raise ValueError("not finite")
    except ValueError as error:
        raise BadRequest(
            "The export was asked for with a value that is no number.", "Use the link on the page."
        ) from error
    kind = query.get("kind", "")
    window = None
    if look["width"] > 0 and kind in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        window = Window(look["centre"], look["width"], kind)  # type: ignore[arg-type]
    look = {key: min(max(look[key], 0.0), 1.0) for key in ("opacity", "threshold")}
    title, data = words.capitalised(population.title), naming.licence_mark(card)
    return overlay_png(image, saliency, window=window, population=title, data=data, **look)


def _key(answer: Answer, name: str, target: str) -> tuple[str, str, str, str]:
    return (answer.image.digest, answer.look, name, target)


def _note(job: Job, digest: str) -> str:
    """What stands on a pane without its map."""
    if not job.done.is_set():
        return words.COMPUTING
    if isinstance(job.error, Cancelled):
        return words.STOPPED
    if job.error is not None and not job.reference:
        job.reference = report(job.error, digest)
    return words.failed(job.error, job.reference)


def _view(answer: Answer, name: str, target: str, raw: bool, waiting: str) -> MethodView:
    judged = verdict(answer.card, name, answer.found.population.id)
    file = f"evidence-{name}-{answer.image.digest[:8]}.png"
    space = session.workspace()
    token = space.case.give(
        ("export", answer.image.digest, answer.look, answer.told, name, target),
        partial(export, answer, name, target, space),
        "image/png",
        file,
    )
    mark = judged.mark if judged.measured else ""
    said = f"{judged.words}; {words.RAW}" if raw else judged.words
    return MethodView(method(name).title, mark, said, waiting, routes.url(token), file)
