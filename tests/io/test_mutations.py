"""2,000 seeded mutations of valid files crash nothing and leak nothing."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest
from pydicom import uid

from io_files import PATIENT, SECRETS, compressed, dicom, picture, ramp, slice_of, zipped
from medimg_core.errors import MedImgError
from medimg_core.io import Pool, read_study

MUTATIONS = 2000
BATCH = 100
SEED = 20260711


def valid_files() -> list[bytes]:
    noise = np.random.default_rng(0).integers(0, 4096, (32, 32), dtype=np.uint16)
    cine = np.random.default_rng(1).integers(0, 255, (3, 24, 24), dtype=np.uint8)
    colour = np.random.default_rng(2).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    syntaxes = (
        uid.DeflatedExplicitVRLittleEndian,
        uid.RLELossless,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
        uid.JPEGLosslessSV1,
    )
    return [
        dicom(WindowCenter=40, WindowWidth=400, PatientAge="045Y"),
        dicom(ramp(), uid.ImplicitVRLittleEndian, RescaleSlope=1, RescaleIntercept=-1024),
        dicom(ramp(), uid.ExplicitVRBigEndian),
        dicom(colour),
        dicom(cine, Modality="US", FrameTime=33),
        slice_of(10.0),
        *(compressed(noise, syntax, BitsStored=12) for syntax in syntaxes),
        *(picture(colour, form) for form in ("PNG", "JPEG", "TIFF", "WEBP", "BMP")),
        zipped({"Geheim^Zacharias.dcm": slice_of(1.0), "b": slice_of(2.0)}),
    ]


EXTREMES = (
    b"\0\0",
    b"\xff\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x10\x27",
    b"-1e9",
    b"\xff\xd9",
)


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """One to four changes: bits, bytes, extremes in place of lengths and sizes; now and then a cut, repeat or swap."""
    out = bytearray(data)
    for _ in range(int(random.integers(1, 5))):
        # Headers decide more than pixels: half of the changes hit the first kilobyte behind the preamble.
        where = int(random.integers(128, 1200)) if random.random() < 0.5 else int(random.integers(0, len(out) or 1))
        where = min(where, max(len(out) - 1, 0))
        kind = random.random()
        if kind < 0.35 and out:
            out[where] ^= 1 << int(random.integers(8))
        elif kind < 0.6:
            out[where : where + 1] = random.bytes(1)
        elif kind < 0.85:
            extreme = EXTREMES[int(random.integers(len(EXTREMES)))]
            out[where : where + len(extreme)] = extreme
        elif kind < 0.88:
            del out[where:]
        elif kind < 0.92:
            del out[where : where + int(random.integers(1, 64))]
        elif kind < 0.96:
            out[where:where] = out[where : where + int(random.integers(1, 256))]
        else:
            other = int(random.integers(0, len(out) or 1))
            out[where : where + 16], out[other : other + 16] = out[other : other + 16], out[where : where + 16]
    return bytes(out)


@pytest.mark.slow
def test_mutations_crash_nothing_and_leak_nothing(caplog):
    caplog.set_level(logging.DEBUG)
    random = np.random.default_rng(SEED)
    files = valid_files()
    pool = Pool(2, frame_seconds=10)
    read = refused = 0
    try:
        for _ in range(MUTATIONS // BATCH):
            chosen = random.integers(len(files), size=BATCH)
            drop = [(PATIENT["PatientName"], mutate(files[index], random)) for index in chosen]
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                study, headers = read_study(drop, pool=pool)
            assert len(headers) == len(study.series)
            assert all(isinstance(failure.error, MedImgError) for failure in study.failures)
            assert not [secret for secret in SECRETS if secret in repr(study)]
            read += len(study.images)
            refused += len(study.failures)
    finally:
        pool.close()
    assert not [secret for secret in SECRETS if secret in caplog.text]
    # Teeth: the mutations neither spare nor break everything.
    assert read > MUTATIONS // 10
    assert refused > MUTATIONS // 10
