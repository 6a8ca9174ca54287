"""Seeded mutations of segmentations crash nothing and leak nothing."""

from __future__ import annotations

import io
import logging
import warnings

import numpy as np
import pydicom
import pytest

from drawn_regions import REF, image, of_series, region, slices
from io_files import PATIENT, SECRETS, written
from medimg_core.errors import MedImgError
from medimg_core.io import Pool, attach, read_study
from medimg_core.render.segmentation import series_to_dicom_seg, to_dicom_seg
from test_mutations import mutate

MUTATIONS = 600
BATCH = 100
SEED = 20270214


def valid_files() -> list[bytes]:
    """Of one image, of a series, and of another program with names in it."""
    one = image(24, 24)
    first = to_dicom_seg(one, [region(one), region(one, "nodule", 1)], REF, corrected=[region(one, "heart", 2)])
    several = series_to_dicom_seg(of_series(slices(3)))
    foreign = pydicom.dcmread(io.BytesIO(several))
    foreign.Manufacturer = "Another"
    for keyword, value in PATIENT.items():
        setattr(foreign, keyword, value)
    for item in foreign.SegmentSequence:
        item.SegmentLabel = item.SegmentDescription = PATIENT["PatientName"]
    return [first, several, written(foreign)]


def deep(data: bytes, random: np.random.Generator) -> bytes:
    """Like `mutate`, but anywhere: most of a segmentation is sequences behind its first kilobyte."""
    start = int(random.integers(0, max(len(data) - 1500, 1)))
    return data[:start] + mutate(data[start:], random)


@pytest.mark.slow
def test_mutations_crash_nothing_and_leak_nothing(caplog):
    caplog.set_level(logging.DEBUG)
    random = np.random.default_rng(SEED)
    files = valid_files()
    pool = Pool(2, frame_seconds=10)
    read = refused = placed = 0
    try:
        for _ in range(MUTATIONS // BATCH):
            chosen = random.integers(len(files), size=BATCH)
            drop = [
                (PATIENT["PatientName"], (mutate, deep)[k % 2](files[index], random)) for k, index in enumerate(chosen)
            ]
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                study, _ = read_study(drop, pool=pool)
                attached = attach(study, study.segmentations)
            assert all(isinstance(failure.error, MedImgError) for failure in study.failures)
            assert not [secret for secret in SECRETS if secret in f"{study!r}{attached!r}"]
            read += len(study.segmentations)
            refused += len(study.failures)
            placed += len(attached.notes)
    finally:
        pool.close()
    assert not [secret for secret in SECRETS if secret in caplog.text]
    # Teeth: the mutations neither spare nor break everything.
    assert read > MUTATIONS // 10
    assert refused > MUTATIONS // 10
    assert placed
