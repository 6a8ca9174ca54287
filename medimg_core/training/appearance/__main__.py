"""`python -m medimg_core.training.appearance --data ../shared/data --out models/demo_cases`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from medimg_core.catalog import models_folder, open_model
from medimg_core.errors import MedImgError
from medimg_core.training.appearance.cases import CASES
from medimg_core.training.appearance.choose import candidates
from medimg_core.training.appearance.make import fit_all, write_cases, write_others
from medimg_core.training.appearance.table import read_checks


def main(arguments: list[str] | None = None) -> int:
    """Fit the appearance models, draw the demo cases, check and write them."""
    parser = argparse.ArgumentParser(prog="python -m medimg_core.training.appearance", description=main.__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder with the data sets")
    source.add_argument(
        "--drawn", action="store_true", help="write only what needs no data set; the chest films in --out stay"
    )
    parser.add_argument(
        "--out", type=Path, default=models_folder() / "demo_cases", help="folder for the DICOM files and cases.toml"
    )
    parser.add_argument(
        "--try-seeds", type=int, metavar="N", help="write nothing; list the seeds 0 to N - 1 of each case"
    )
    parser.add_argument("--case", help="with --try-seeds: only the case whose file name begins like this")
    parser.add_argument("--model", default="chest_xray_pneumonia", help="with --try-seeds: the model that is asked")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    try:
        if chosen.drawn:
            write_others(CASES, read_checks(chosen.out), chosen.out)
        elif chosen.try_seeds:
            _try_seeds(chosen.data, chosen.try_seeds, chosen.case or "", chosen.model)
        else:
            write_cases(CASES, fit_all(chosen.data, CASES), chosen.out)
    except MedImgError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _try_seeds(data: Path, count: int, begins: str, model: str) -> None:
    cases = [case for case in CASES if case.kind == "film" and case.stem.startswith(begins)]
    fitted, card = fit_all(data, cases), open_model(model)
    for case in cases:
        for seed, check, found in candidates(case, range(count), fitted, card):
            said = "refused" if found.probability is None else f"{found.probability:.3f} {found.state}"
            marks = f"{'new' if check.is_new else 'COPY'} {'fits' if found.fits(case) else ''}"
            print(f"{case.stem} seed {seed}: nearest {check.nearest:.3f}, answer {said}, {marks}")


if __name__ == "__main__":
    sys.exit(main())
