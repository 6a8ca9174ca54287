"""Images and regions made of numbers, for what leaves and enters as DICOM segmentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from medimg_core.io.opened import with_digest
from medimg_core.render.findings import Findings
from medimg_core.types import Image, ModelRef, Region, Spacing

REF = ModelRef("lung_fields", "1.2.0", "0badcafe")
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def image(rows: int = 33, columns: int = 47, seed: int = 0, **fields: Any) -> Image:
    """A grey image of noise with its digest; sizes are no multiples of 8, so that frames do not begin on a byte."""
    pixels = np.random.default_rng(seed).integers(0, 4096, (rows, columns)).astype(np.float32)
    known = {"modality": "CR", "spacing": Spacing(0.2, 0.5, "PixelSpacing"), **fields}
    return with_digest(Image(pixels=pixels, photometric="MONOCHROME2", digest="", bits=12, **known))


def colour_image(rows: int = 40, columns: int = 30, seed: int = 1) -> Image:
    """A colour picture without spacing and modality."""
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    return with_digest(Image(pixels=pixels, photometric="RGB", digest="", format="PNG"))


def slices(count: int = 5, step_mm: float = 2.5, **fields: Any) -> list[Image]:
    """Axial CT slices with anisotropic pixels."""
    return [
        image(21, 35, seed, modality="CT", position=(-100.25, -80.5, step_mm * seed), orientation=AXIAL, **fields)
        for seed in range(count)
    ]


def blob(shape: tuple[int, int], seed: int, part: float = 0.3) -> np.ndarray:
    """A mask of scattered pixels: nothing that a tidy decoder could restore."""
    return np.random.default_rng(1000 + seed).random(shape) < part


def region(of: Image, label: str = "lung_right", seed: int = 0, score: float = 0.875) -> Region:
    return Region("mask", label, score, mask=blob(of.shape, seed))


def of_series(images: list[Image], labels: tuple[str, ...] = ("lung_right", "nodule")) -> list[Findings]:
    """Findings on every image: regions that overlap each other, and one by the reader on the second."""
    found = []
    for index, one in enumerate(images):
        regions = tuple(region(one, label, 10 * index + k, 0.5 + 0.1 * k) for k, label in enumerate(labels))
        reader = (region(one, "heart", 10 * index + 9, 1.0),) if index == 1 else ()
        found.append(Findings(one, regions, reader, model=REF))
    return found
