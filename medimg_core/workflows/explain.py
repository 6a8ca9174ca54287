"""One film, one target, several maps: from one forward pass, cached, stoppable.

Of what a model answers here, of what it outlines in `workflows.explain_places`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medimg_core.catalog import ModelCard
from medimg_core.errors import BadRequest, Cancelled, MedImgError
from medimg_core.explain import Query, available, available_places, compute, method, raise_grid, target_weights
from medimg_core.imaging import Geometry
from medimg_core.inference import Answer, predict, runtime_for
from medimg_core.inference.places import Box
from medimg_core.types import FloatArray, Image, Prediction, SaliencyMap
from medimg_core.workflows.beside import near

Key = tuple[object, ...]
"""Digest of the image, hash of the network, method, target, and what else decides: engine, seed, box, neighbours."""

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    grid: FloatArray
    seconds: float


class MapCache:
    """Finished maps on the model's grid (a hundred values to 100 kB each), least recently used out first.

    Maps on the source grid are raised anew, in milliseconds: kept, ten maps of one film would take 150 MB.
    Safe in several threads. The keys hold no name: a map is found only by who has the image's pixels.
    """

    def __init__(self, limit_bytes: int = 16 * 2**20) -> None:
        self.limit_bytes = limit_bytes
        self.nbytes = 0
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> _Entry | None:
        """A finished map, which counts as used now; None where there is none."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    def put(self, key: Key, grid: FloatArray, seconds: float) -> None:
        """Keep a map; others leave until the limit holds again, this one too where it alone is too large."""
        with self._lock:
            old = self._entries.pop(key, None)
            self.nbytes -= old.grid.nbytes if old else 0
            self._entries[key] = _Entry(grid, seconds)
            self.nbytes += grid.nbytes
            while self.nbytes > self.limit_bytes:
                _, oldest = self._entries.popitem(last=False)
                self.nbytes -= oldest.grid.nbytes

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.nbytes = 0


CACHE = MapCache()
"""The process's own cache; a web session may bring another, to be freed with it."""


def method_names(card: ModelCard, wanted: Sequence[str] | str) -> tuple[str, ...]:
    """The methods asked for: names, a list in one string (`cam,gradcam`), or `all` that exist for the model's answer.

    Raises:
        BadRequest: an unknown method; the message lists the near names.
    """
    names = [n.strip() for n in wanted.split(",") if n.strip()] if isinstance(wanted, str) else list(wanted)
    if not names:
        exist = (*available(card), *available_places(card))
        raise BadRequest("No saliency method was named.", f"Methods: {', '.join(m.name for m in exist)}.")
    if names == ["all"]:
        return tuple(m.name for m in available(card))
    return tuple(method(name).name for name in dict.fromkeys(names))


def explain(
    image: Image,
    card: ModelCard,
    methods: Sequence[str] | str,
    target: str | None = None,
    population: str | None = None,
    engine: str = "own",
    *,
    answer: Answer | None = None,
    box: Box | None = None,
    beside: Sequence[Image] = (),
    seed: int = 0,
    progress: Progress = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
    cache: MapCache | None = None,
) -> list[SaliencyMap]:
    """Maps of several methods for the answer to one film, in the order asked for; all share one forward pass.

    Args:
        methods: see `method_names`.
        target: class id; the decision where None.
        population: id on the card, which decides the operating point and so the decision.
        engine: see `explain.ENGINES`.
        answer: what `predict` said to this image and card, where it was asked before; else it is asked now.
        box, beside: what `predict` was or is to be given.
        seed: for methods that draw.
        progress: called between passes with the share done, every method counting the same.
        cancelled: asked between passes.
        cache: where finished maps are kept; the process's own where None.

    Raises:
        BadRequest: unknown method, class or engine.
        MedImgError: the input check refused the image, so there is no answer to explain.
        Cancelled: stopped; maps that were finished stay in the cache.
    """
    names = method_names(card, methods)
    if target is not None:
        target_weights(card, target)  # an unknown class is told before any work
    answer = answer or predict(image, card, population=population, box=box, beside=beside)
    check_answered(answer.prediction)
    assert answer.forward is not None
    assert answer.x is not None
    assert answer.geometry is not None
    chosen = target or answer.prediction.decision or card.class_ids[card.positive]
    weights, x, forward = target_weights(card, chosen), answer.x, answer.forward
    looked = (box, *near(card, beside)) if card.places is not None else ()

    def query(tick: Progress) -> Query:
        return Query(runtime_for(card), x, weights, forward=forward, seed=seed, progress=tick)

    return make_maps(
        names,
        query,
        answer.geometry,
        key=(image.digest, card.ref.hash, chosen, engine, seed, *looked),
        target=chosen,
        card=card,
        engine=engine,
        progress=progress,
        cancelled=cancelled,
        cache=cache,
    )


def check_answered(prediction: Prediction) -> None:
    """Refuse to explain what the input check refused.

    Raises:
        MedImgError: with the reasons.
    """
    if prediction.refused:
        reasons = " ".join(prediction.gate.reasons)
        raise MedImgError(
            f"The input check refused this image, so there is no answer to explain. {reasons}".strip(),
            "Choose an image of the kind that the model's card accepts.",
        )


def make_maps(
    names: Sequence[str],
    query: Callable[[Progress], Query],
    geometry: Geometry,
    *,
    key: Key,
    target: str,
    card: ModelCard,
    engine: str = "own",
    progress: Progress = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
    cache: MapCache | None = None,
) -> list[SaliencyMap]:
    """Maps of several methods for one question, from the cache where they are there.

    Args:
        query: the question, given what a slow method calls between its passes; asked for maps that are not there only.
        key: what decides the maps besides the method.

    Raises:
        Cancelled: stopped; maps that were finished stay in the cache.
    """
    kept = cache if cache is not None else CACHE
    maps: list[SaliencyMap] = []
    for done, name in enumerate(names):

        def tick(share: float, done: int = done) -> None:
            if cancelled():
                raise Cancelled
            progress((done + share) / len(names))

        tick(0.0)
        entry = kept.get((name, *key))
        if entry is not None:
            found = method(name)
            maps.append(raise_grid(found, entry.grid, geometry, target=target, card=card, seconds=entry.seconds))
            continue
        made = compute(name, query(tick), geometry, target=target, card=card, engine=engine)
        kept.put((name, *key), made.grid, made.seconds)
        maps.append(made)
    progress(1.0)
    return maps
