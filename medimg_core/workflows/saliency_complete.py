"""`python -m medimg_core.workflows.saliency_complete MODEL --data DIR`: what a model's maps are worth, written into it.

Training measures the cheap maps at export. This measures all, the slow ones on a draw of the test films, and
completes `evaluation.json`; minutes to an hour, by the methods and the machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medimg_core import catalog
from medimg_core.catalog import ModelCard
from medimg_core.errors import MedImgError
from medimg_core.workflows.explain import method_names
from medimg_core.workflows.saliency_check import STANDARD, Plan, Row, measure_films, scale, summarise
from medimg_core.workflows.saliency_films import read_films


def complete_evaluation(
    card: ModelCard,
    data: Path,
    methods: Sequence[str] | str = "all",
    plan: Plan = STANDARD,
    *,
    progress: Callable[[float], None] = lambda share: None,
    told: Callable[[str], None] = lambda text: None,
) -> None:
    """Fill `saliency` of every test set and `saliency_scales` in a model folder's `evaluation.json`.

    Each data set is measured once; a test set takes the films whose ids its predictions name. The scale of a method
    is taken over all test films together. Only these two keys change, in them only the methods asked for; the hashes
    are written anew.

    Args:
        data: folder with one folder a data set, `<data_set>/manifest.csv`.
        told: a sentence for every data set on whose films nothing is drawn: there only the scales are measured.
    """
    described: dict[str, Any] = json.loads(json.dumps(catalog.evaluation(card)))
    sets = described["test_sets"]
    rows: dict[tuple[str, str], dict[str, list[Row]]] = {}
    places = sorted({(s["data_set"], s["split"]) for s in sets.values()})
    for done, (data_set, split) in enumerate(places):
        wanted = {i for s in sets.values() if (s["data_set"], s["split"]) == (data_set, split) for i in _ids(s)}
        films = [f for f in read_films(data / data_set / "manifest.csv", split, card) if f.id in wanted]
        if not any(film.truth for film in films):
            told(f"Nothing is drawn on the films of {data_set}: where its maps point is not checked.")

        def tick(share: float, done: int = done) -> None:
            progress((done + share) / len(places))

        rows[data_set, split] = measure_films(card, films, methods, plan, progress=tick)
    for test_set in sets.values():
        found = rows[test_set["data_set"], test_set["split"]]
        checks = (summarise(name, rows_, _ids(test_set)) for name, rows_ in found.items())
        test_set["saliency"] |= {check.method: check.as_json() for check in checks if check is not None}
    names = method_names(card, methods)
    described["saliency_scales"] |= {name: scale([row for r in rows.values() for row in r[name]]) for name in names}
    (card.folder / "evaluation.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    catalog.write_hashes(card.folder)


def _ids(test_set: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(test_set["predictions"]["id"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when done, 2 where the model or the data cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m medimg_core.workflows.saliency_complete", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder a data set")
    parser.add_argument("--method", default="all", metavar="a,b|all")
    for name in ("slow_films", "score_films", "sanity_films", "perturbed_films"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(STANDARD, name), metavar="N")
    options = parser.parse_args(arguments)
    plan = Plan(options.slow_films, options.score_films, options.sanity_films, options.perturbed_films)
    try:
        card = catalog.open_model(options.model)
        complete_evaluation(card, options.data, options.method, plan, progress=_tell, told=_say)
    except MedImgError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    print(file=sys.stderr)
    return 0


def _say(text: str) -> None:
    print(f"\n{text}", file=sys.stderr, flush=True)


def _tell(share: float) -> None:
    print(f"\rMeasuring maps: {share:4.0%}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
