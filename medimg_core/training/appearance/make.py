"""From data sets to demo cases: fit, draw, check, write."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medimg_core.errors import MedImgError
from medimg_core.io import read_file
from medimg_core.training.appearance.cases import Case
from medimg_core.training.appearance.dicomfile import BITS, cut_off, dicom_bytes
from medimg_core.training.appearance.films import POPULATIONS, read_films
from medimg_core.training.appearance.finish import finish, from_stored
from medimg_core.training.appearance.model import AppearanceModel, fit
from medimg_core.training.appearance.novelty import Novelty, Reference, novelty, reference
from medimg_core.training.appearance.opacity import Boxed, add_opacity, boxed
from medimg_core.training.appearance.person import synthesise
from medimg_core.training.appearance.table import toml
from medimg_core.training.phantoms.cases import DRAWN, Drawn
from medimg_core.training.phantoms.dicomfile import picture_bytes
from medimg_core.types import FloatArray

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Everything that the cases of some populations need."""

    models: Mapping[str, AppearanceModel]
    known: Mapping[str, Reference]
    opacities: Mapping[str, tuple[Boxed, ...]]


def fit_all(data: Path, cases: Iterable[Case]) -> Fitted:
    """Fit the populations that the cases need, and describe all training films for the check."""
    models, known, opacities = {}, {}, {}
    for name in sorted({case.population for case in cases if case.population}):
        population = POPULATIONS[name]
        models[name] = model = fit(population, read_films(data, population))
        everything = dataclasses.replace(population, chosen=lambda row: True)
        known[name] = reference(model, read_films(data, everything))
        if any(case.site and case.population == name for case in cases):
            opacities[name] = boxed(model, read_films(data, POPULATIONS["adult_opacity"]))
        usable = sum(film.usable for film in model.films)
        _LOG.info("%s: %d films, %d of them usable", name, len(model.films), usable)
    return Fitted(models, known, opacities)


def film(case: Case, fitted: Fitted) -> tuple[FloatArray, Novelty]:
    """A case's film, float32 `[H, W]` in [0, 1], and how far it is from the training films."""
    model = fitted.models[case.population]
    person = synthesise(model, case.seed)
    pixels = person.pixels
    if case.site is not None:
        pixels = add_opacity(pixels, model, fitted.opacities[case.population], case.site, case.seed)
    pixels = finish(pixels, case.seed, model.population.crispness, case.marker)
    return pixels, novelty(pixels, person.shares, fitted.known[case.population])


def write_cases(cases: Iterable[Case], fitted: Fitted, out: Path) -> dict[str, Novelty]:
    """Write every case as DICOM files, and `cases.toml` with its words and figures.

    Raises:
        MedImgError: a film is too near to a training film; nothing is written from there on.
    """
    out.mkdir(parents=True, exist_ok=True)
    cases = tuple(cases)
    checks: dict[str, Novelty] = {}
    for case in cases:
        if case.kind == "film":
            pixels, checks[case.stem] = film(case, fitted)
            _insist(case, checks[case.stem])
            _write(out, case.stem, dicom_bytes(pixels, case.header, case.stem), str(checks[case.stem]))
    write_others(cases, checks, out)
    return checks


def write_others(cases: Iterable[Case], checks: Mapping[str, Novelty], out: Path) -> None:
    """Write what needs no training film: the spoiled films, the drawn cases of the other questions, `cases.toml`.

    Args:
        checks: of the films that lie in `out` already.
    """
    for case in cases:
        if case.kind == "damaged":
            _write(out, case.stem, cut_off((out / f"{case.spoils}.dcm").read_bytes()))
        elif case.kind == "refused":
            pixels = from_stored(np.asarray(read_file(out / f"{case.spoils}.dcm").images[0].pixels, np.float32), BITS)
            turned = dataclasses.replace(case.header, directions=("F", "R"))  # a quarter turn to the left
            _write(out, case.stem, dicom_bytes(np.ascontiguousarray(np.rot90(pixels)), turned, case.stem))
    files = {drawn.stem: _write_drawn(drawn, out) for drawn in DRAWN}
    (out / "cases.toml").write_text(toml(cases, checks, DRAWN, files), encoding="utf-8")


def _write_drawn(drawn: Drawn, out: Path) -> list[str]:
    pictures = drawn.draw()
    for picture in pictures:
        _write(out, picture.stem, picture_bytes(picture, drawn.subject, drawn.stem))
    return [f"{picture.stem}.dcm" for picture in pictures]


def _write(out: Path, stem: str, content: bytes, said: str = "") -> None:
    (out / f"{stem}.dcm").write_bytes(content)
    _LOG.info("%s: %d kB %s", stem, len(content) // 1000, said)


def _insist(case: Case, check: Novelty) -> None:
    if not check.is_new:
        raise MedImgError(
            f"The film {case.stem} lies too near to a training film "
            f"(correlation {check.nearest:.3f}, limit {check.limit:.3f}; lead {check.lead:.3f}, "
            f"limit {check.lead_limit:.3f}; largest share {check.largest_share:.2f}).",
            "Choose another seed for it.",
        )
