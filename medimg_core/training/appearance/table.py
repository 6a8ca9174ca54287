"""`cases.toml`: what the demo cases are called, where they belong, and the figures of the check against copies."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from medimg_core.errors import BadTable
from medimg_core.training.appearance.cases import GROUP, MODELS, Case
from medimg_core.training.appearance.novelty import Novelty
from medimg_core.training.phantoms.cases import Drawn

_FIGURES = {
    "nearest_training_film": "nearest",
    "nearest_patients": "limit",
    "lead_of_nearest": "lead",
    "lead_among_real_films": "lead_limit",
    "largest_share": "largest_share",
}
"""Key in the file -> attribute of `Novelty`."""


def toml(
    cases: Iterable[Case],
    checks: Mapping[str, Novelty],
    drawn: Iterable[Drawn],
    files: Mapping[str, Sequence[str]],
) -> str:
    """One table a case, in the order in which they are shown.

    Args:
        checks: figures of the films, by stem.
        files: file names of the drawn cases, by stem.
    """
    lines = ["# Written by python -m medimg_core.training.appearance; docs/demo_cases.md explains the figures."]
    for case in cases:
        lines += _entry(case.stem, [f"{case.stem}.dcm"], case.title, GROUP, case.kind, MODELS, case.text)
        if case.stem in checks:
            check = checks[case.stem]
            lines += [f"{key} = {getattr(check, name):.4f}" for key, name in _FIGURES.items()]
    for one in drawn:
        lines += _entry(one.stem, files[one.stem], one.title, one.group, "drawn", one.models, one.text)
    return "\n".join(lines) + "\n"


def _entry(
    stem: str, files: Sequence[str], title: str, group: str, kind: str, models: Sequence[str], text: str
) -> list[str]:
    """Strings and lists of strings as JSON writes them are TOML too."""
    return [
        f'\n["{stem}"]',
        f"files = {json.dumps(list(files))}",
        f"title = {json.dumps(title)}",
        f"group = {json.dumps(group)}",
        f'kind = "{kind}"',
        f"models = {json.dumps(list(models))}",
        f"text = {json.dumps(text)}",
    ]


def read_checks(folder: Path) -> dict[str, Novelty]:
    """The figures of the films in a folder that was written before.

    Raises:
        BadTable: there is no table.
    """
    table = folder / "cases.toml"
    if not table.is_file():
        raise BadTable(f"There is no {table.name} in the folder for the demo cases.", "Write all cases first.")
    told = tomllib.loads(table.read_text(encoding="utf-8"))
    return {
        stem: Novelty(**{name: float(entry[key]) for key, name in _FIGURES.items()})
        for stem, entry in told.items()
        if entry["kind"] == "film"
    }
