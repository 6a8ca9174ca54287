"""`python -m medimg_core.training.appearance --data ../shared/data --out models/demo_cases`."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from medimg_core.errors import MedImgError
from medimg_core.training.appearance.cases import CASES
from medimg_core.training.appearance.make import fit_all, write_cases


def main(arguments: list[str] | None = None) -> int:
    """Fit the appearance models, draw the demo cases, check and write them."""
    parser = argparse.ArgumentParser(prog="python -m medimg_core.training.appearance", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for the DICOM files and cases.toml")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    try:
        write_cases(CASES, fit_all(chosen.data, CASES), chosen.out)
    except MedImgError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
