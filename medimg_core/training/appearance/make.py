"""From data sets to demo cases: fit, draw, check, write."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from medimg_core.errors import MedImgError
from medimg_core.training.appearance.cases import Case
from medimg_core.training.appearance.dicomfile import cut_off, dicom_bytes
from medimg_core.training.appearance.films import POPULATIONS, read_films
from medimg_core.training.appearance.finish import finish
from medimg_core.training.appearance.limb import hand
from medimg_core.training.appearance.model import AppearanceModel, fit
from medimg_core.training.appearance.novelty import Novelty, Reference, novelty, reference
from medimg_core.training.appearance.opacity import Boxed, add_opacity, boxed
from medimg_core.training.appearance.person import synthesise
from medimg_core.types import FloatArray

_LOG = logging.getLogger(__name__)
HAND_SHAPE = (768, 576)


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
    """Write every case as a DICOM file, and `cases.toml` with its words and figures.

    Raises:
        MedImgError: a film is too near to a training film; nothing is written from there on.
    """
    out.mkdir(parents=True, exist_ok=True)
    cases = tuple(cases)
    checks: dict[str, Novelty] = {}
    whole = b""
    for case in cases:
        if case.kind == "damaged":
            content = cut_off(whole)
        elif case.kind == "refused":
            pixels = finish(hand(*HAND_SHAPE, case.seed), case.seed, 0.5, case.marker)
            content = dicom_bytes(pixels, case.header, case.stem)
        else:
            pixels, checks[case.stem] = film(case, fitted)
            _insist(case, checks[case.stem])
            content = dicom_bytes(pixels, case.header, case.stem)
            whole = whole or content
        (out / f"{case.stem}.dcm").write_bytes(content)
        _LOG.info("%s: %d kB %s", case.stem, len(content) // 1000, checks.get(case.stem, ""))
    (out / "cases.toml").write_text(_toml(cases, checks), encoding="utf-8")
    return checks


def _insist(case: Case, check: Novelty) -> None:
    if not check.is_new:
        raise MedImgError(
            f"The film {case.stem} lies too near to a training film "
            f"(correlation {check.nearest:.3f}, limit {check.limit:.3f}; lead {check.lead:.3f}, "
            f"limit {check.lead_limit:.3f}; largest share {check.largest_share:.2f}).",
            "Choose another seed for it.",
        )


def _toml(cases: Iterable[Case], checks: Mapping[str, Novelty]) -> str:
    """One table a case, named by the file's stem; strings as JSON writes them are TOML strings too."""
    lines = ["# Written by python -m medimg_core.training.appearance; docs/demo_cases.md explains the figures."]
    for case in cases:
        lines += [
            f'\n["{case.stem}"]',
            f'file = "{case.stem}.dcm"',
            f"title = {json.dumps(case.title)}",
            f'kind = "{case.kind}"',
            f"text = {json.dumps(case.text)}",
        ]
        if case.stem in checks:
            check = checks[case.stem]
            lines += [
                f"nearest_training_film = {check.nearest:.4f}",
                f"nearest_patients = {check.limit:.4f}",
                f"lead_of_nearest = {check.lead:.4f}",
                f"lead_among_real_films = {check.lead_limit:.4f}",
                f"largest_share = {check.largest_share:.4f}",
            ]
    return "\n".join(lines) + "\n"
