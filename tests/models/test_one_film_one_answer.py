"""The same film gets the same answer, whatever file it comes in."""

from __future__ import annotations

import csv
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from drawn_films import as_dicom
from medimg_core.catalog import ModelCard, list_models
from medimg_core.inference import predict
from medimg_core.io import read_file
from medimg_core.types import Prediction

CLASSIFIERS = [card for card in list_models() if "chest_frontal" in card.takes and "pneumonia" in card.class_ids]
SETS = {"chest_xray_children": "children", "chest_xray_adults": "adults_pa"}


def answer(card: ModelCard, source: Path | bytes, population: str) -> Prediction:
    result = read_file(source)
    assert result.error is None
    return predict(result.images[0], card, population).prediction


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def originals(shared: Path) -> list[tuple[Path, Path, str]]:
    """Stored copy, untouched original, population."""
    found: list[tuple[Path, Path, str]] = []
    for name, population in SETS.items():
        folder = shared / "data" / name
        stored = {row["id"]: row["file"] for row in table(folder / "manifest.csv")}
        found += [
            (folder / stored[row["id"]], folder / "originals" / row["file"], population)
            for row in table(folder / "originals" / "originals.csv")
        ]
    return found


@pytest.mark.shared
@pytest.mark.parametrize("card", CLASSIFIERS, ids=lambda card: card.name)
def test_an_original_and_its_stored_copy_agree_within_0_05(card: ModelCard, shared: Path) -> None:
    pairs = originals(shared)
    assert len(pairs) == 12
    differences = []
    for stored, original, population in pairs:
        a, b = answer(card, stored, population), answer(card, original, population)
        assert a.decision == b.decision
        assert a.positive is not None
        differences.append(abs(a.scores[a.positive] - b.scores[a.positive]))
    assert max(differences) <= 0.05, sorted(differences)


@pytest.mark.shared
@pytest.mark.parametrize("card", CLASSIFIERS, ids=lambda card: card.name)
def test_dicom_png_and_jpeg_of_a_film_agree(card: ModelCard, shared: Path) -> None:
    for _, original, population in originals(shared)[::3]:
        with Picture.open(original) as picture:
            grey = np.asarray(picture.convert("L"))
        files = [as_dicom(np.round(grey / 255 * 4095).astype(np.uint16))]
        for kind, options in (("PNG", {}), ("JPEG", {"quality": 90})):
            buffer = BytesIO()
            Picture.fromarray(grey).save(buffer, kind, **options)
            files.append(buffer.getvalue())
        said = [answer(card, file, population) for file in files]
        assert len({prediction.decision for prediction in said}) == 1
        values = [prediction.scores["pneumonia"] for prediction in said]
        assert max(values) - min(values) <= 0.05
