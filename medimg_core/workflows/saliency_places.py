"""What the maps of outlines are worth, measured by hiding what they highlight (`explain.hiding`).

`python -m medimg_core.workflows.saliency_places MODEL --data DIR` writes it into the model's `evaluation.json`, from
the films of val.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medimg_core import catalog
from medimg_core.catalog import ModelCard
from medimg_core.errors import BadRequest, MedImgError
from medimg_core.explain import Query, method
from medimg_core.explain.hiding import Moved, hide_outside
from medimg_core.explain.segcam import structure_weights
from medimg_core.imaging import Geometry
from medimg_core.inference import runtime_for
from medimg_core.inference.places import find, forward_pass, look
from medimg_core.types import FloatArray, Interval, MaskArray
from medimg_core.workflows.answers import ahead
from medimg_core.workflows.explain_places import split_methods, structures
from medimg_core.workflows.manifest import Row, read_manifest
from medimg_core.workflows.places_truth import Slices
from medimg_core.workflows.saliency_check import SCALE_PERCENTILE, mean_interval

MOST = 48
"""Films with an outline that a model's own figures rest on; each costs a dozen passes a structure."""

_THREADS = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """One method's map of one structure that was outlined in one film.

    Attributes:
        maximum: largest value of the map.
        moved: None where nothing could be hidden (see `explain.hiding.hide_outside`).
    """

    patient: str
    maximum: float
    moved: Moved | None


@dataclass(frozen=True, slots=True)
class OutlineCheck:
    """One method and structure on some films.

    Attributes:
        figures: `moved`, `random`, `beside` (1 less the Dice of before and after), `gain` and `gain_beside`: how much
            more the map moves than either.
        n: films in which something could be hidden; `outlined`: films in which the structure was outlined.
        scale: 99th percentile of the largest values.
    """

    method: str
    structure: str
    n: int
    patients: int
    outlined: int
    figures: Mapping[str, Interval]
    scale: float

    def as_json(self) -> dict[str, Any]:
        """The entry of `evaluation.json`, rounded to four digits."""
        intervals = {
            name: {"value": round(i.value, 4), "low": round(i.low, 4), "high": round(i.high, 4), "n": i.n}
            for name, i in self.figures.items()
        }
        counts = {"n": self.n, "patients": self.patients, "outlined": self.outlined}
        return {**intervals, **counts, "scale": round(self.scale, 6)}


def check_outlines(
    card: ModelCard,
    rows: Sequence[Row],
    methods: Sequence[str] | str = "all",
    *,
    most: int = sys.maxsize,
    seed: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[OutlineCheck, ...]:
    """Measure the maps of every structure on films; the input check is left out, for the map is measured.

    Args:
        rows: of a manifest; `patient` and `slice` say which slices lie beside one, for models that look at those.
        methods: see `explain_places.split_methods`.
        most: films at most in which something was outlined, drawn by the seed from all.
        progress: may raise `Cancelled`.

    Raises:
        BadRequest: the model outlines nothing.
        MedImgError: a film cannot be read.
    """
    names = split_methods(card, methods, None)[1]
    if not names:
        raise BadRequest(f"The model {card.name!r} outlines nothing.", "Check a model that does; see models.")
    found: dict[tuple[str, str], list[Seen]] = {(name, s): [] for name in names for s in structures(card)}
    ask = partial(_film, card, names, Slices(rows))
    counted, order = 0, np.random.default_rng(seed).permutation(len(rows))
    for done, film in enumerate(ahead(ask, [rows[i] for i in order], _THREADS), start=1):
        for key, seen in film.items():
            found[key].append(seen)
        counted += bool(film)
        progress(max(done / len(rows), counted / most))
        if counted == most:
            break
    checks = (_summary(*key, seen) for key, seen in found.items())
    return tuple(check for check in checks if check is not None)


def _film(card: ModelCard, names: Sequence[str], slices: Slices, row: Row) -> dict[tuple[str, str], Seen]:
    """All methods and structures of one film."""
    entry, places = slices.entry(row), card.places
    assert places is not None
    image = entry.image
    if image is None:
        raise entry.error or MedImgError("A film cannot be read.", "Restore the data set.")
    seen = look(image, card, beside=slices.beside(row, image) if places.context else ())
    x, runtime = seen.x, runtime_for(card, network=places.network)
    own = Geometry.fit(x.shape[:2], x.shape[:2], "squash")
    assert seen.forward.places is not None

    def outlined(structure: str, changed: FloatArray) -> MaskArray:
        regions = find(forward_pass(runtime, changed, places), places, own)
        masks = [region.mask for region in regions if region.label == structure]
        return masks[0] if masks and masks[0] is not None else np.zeros(x.shape[:2], np.bool_)

    found = {}
    for structure in sorted({region.label for region in seen.regions}):
        mask = outlined(structure, x)
        weights = structure_weights(card, structure, seen.regions, seen.geometry, seen.forward.places.shape)
        for name in names:
            grid = method(name).function(Query(runtime, x, weights))
            moved = hide_outside(partial(outlined, structure), x, mask, grid) if mask.any() else None
            found[name, structure] = Seen(row.patient, float(grid.max(initial=0)), moved)
    return found


def _summary(name: str, structure: str, seen: Sequence[Seen]) -> OutlineCheck | None:
    """Means with intervals by patient; None where nothing could be hidden in any film."""
    pairs = [(one.moved, one.patient) for one in seen if one.moved is not None]
    if not pairs:
        return None
    patients = [patient for _, patient in pairs]
    columns = {
        "moved": [moved.map for moved, _ in pairs],
        "random": [moved.random for moved, _ in pairs],
        "beside": [moved.beside for moved, _ in pairs],
        "gain": [moved.map - moved.random for moved, _ in pairs],
        "gain_beside": [moved.map - moved.beside for moved, _ in pairs],
    }
    return OutlineCheck(
        method=name,
        structure=structure,
        n=len(pairs),
        patients=len(set(patients)),
        outlined=len(seen),
        figures={key: mean_interval(np.array(values), patients) for key, values in columns.items()},
        scale=float(np.percentile([one.maximum for one in seen], SCALE_PERCENTILE)),
    )


def write_outlines(card: ModelCard, checks: Sequence[OutlineCheck], split: str, out: Path) -> None:
    """Write `saliency_outlines.json`: model, split, method -> structure -> figures."""
    out.mkdir(parents=True, exist_ok=True)
    model = {"name": card.name, "version": card.version, "hash": card.ref.hash}
    report = {"model": model, "split": split, "methods": _by_method(checks)}
    (out / "saliency_outlines.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _by_method(checks: Sequence[OutlineCheck]) -> dict[str, Any]:
    methods: dict[str, Any] = {}
    for check in checks:
        methods.setdefault(check.method, {})[check.structure] = check.as_json()
    return methods


def complete_outlines(
    card: ModelCard, data: Path, split: str = "val", *, progress: Callable[[float], None] = lambda share: None
) -> tuple[OutlineCheck, ...]:
    """Measure all maps of a model's outlines on up to `MOST` films of a split of its own sets, and `store` them.

    Args:
        data: folder with one folder a data set, `<data_set>/manifest.csv`.

    Raises:
        BadTable: a manifest is missing or has no film of the split.
    """
    sets = sorted({part["set"] for part in catalog.evaluation(card)["data"]})
    rows = [row for name in sets for row in read_manifest(data / name / "manifest.csv", split, label=None)]
    checks = check_outlines(card, rows, most=MOST, progress=progress)
    store(card, checks, split)
    return checks


def store(card: ModelCard, checks: Sequence[OutlineCheck], split: str) -> None:
    """Write `places.saliency` in a model's `evaluation.json`, and the hashes anew."""
    described: dict[str, Any] = json.loads(json.dumps(catalog.evaluation(card)))
    described["places"]["saliency"] = {"split": split, **_by_method(checks)}
    (card.folder / "evaluation.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    catalog.write_hashes(card.folder)


def in_words(check: OutlineCheck) -> str:
    """`seg_gradcam, lesion: hidden it moves 0.051 (0.030–0.070), random 0.020, beside 0.060, n 90`."""
    f = check.figures
    spread = f"{f['moved'].value:.3f} ({f['moved'].low:.3f}–{f['moved'].high:.3f})"
    others = f"random {f['random'].value:.3f}, beside the outline {f['beside'].value:.3f}"
    return f"{check.method}, {check.structure}: hidden, the outline moves by {spread}; {others}, n {check.n}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when done, 2 where the model or the data cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m medimg_core.workflows.saliency_places", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True, help="folder with one folder a data set")
    options = parser.parse_args(arguments)
    try:
        checks = complete_outlines(catalog.open_model(options.model), options.data, progress=_tell)
    except MedImgError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    print(file=sys.stderr)
    print("\n".join(in_words(check) for check in checks))
    return 0


def _tell(share: float) -> None:
    print(f"\rMeasuring maps: {share:4.0%}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
