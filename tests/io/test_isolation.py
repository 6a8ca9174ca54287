"""No file takes the app down: processes die, hang and run out of memory, and the next file is read."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from io_files import dicom, picture, ramp
from medimg_core.errors import MedImgError, TooLarge, UnreadableImage
from medimg_core.io import Pool, isolation, read_file, wire
from medimg_core.io.limits import WORKER_MEMORY_BYTES
from medimg_core.io.opened import with_digest
from medimg_core.types import Image, Spacing, VoiLut, Window

FILM = dicom()


@pytest.fixture
def own_pool():
    pool = Pool(1)
    yield pool
    pool.close()


def test_a_worker_that_died_is_replaced(own_pool):
    assert read_file(FILM, pool=own_pool).error is None
    (pid,) = own_pool.pids()
    os.kill(pid, signal.SIGKILL)
    again = [read_file(FILM, pool=own_pool) for _ in range(2)]
    assert again[-1].error is None
    assert own_pool.pids() != (pid,)


def test_a_worker_that_dies_in_the_middle_of_a_file_costs_that_file_alone(own_pool):
    own_pool.warm_up()
    (pid,) = own_pool.pids()
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(read_file, FILM, pool=own_pool)
        os.kill(pid, signal.SIGKILL)
        error = waiting.result().error
    # Killed before the request or after it: replaced at once, or this one file is lost.
    assert error is None or isinstance(error, UnreadableImage)
    assert read_file(FILM, pool=own_pool).error is None


def test_a_worker_that_hangs_is_stopped():
    pool = Pool(1, frame_seconds=0.2)
    try:
        pool.warm_up()
        (pid,) = pool.pids()
        os.kill(pid, signal.SIGSTOP)
        error = read_file(FILM, pool=pool).error
        assert isinstance(error, UnreadableImage)
        assert "too long" in error.cause
        assert pid not in pool.pids()
        assert not Path(f"/proc/{pid}").exists()
    finally:
        pool.close()


def test_a_file_that_needs_more_memory_than_allowed_is_refused():
    big = picture(np.zeros((9000, 9000), np.uint8))  # 81 MB as bytes, 324 MB as float32
    pool = Pool(1, memory_bytes=700 << 20)
    try:
        assert isinstance(read_file(big, pool=pool).error, TooLarge)
        assert read_file(FILM, pool=pool).error is None
    finally:
        pool.close()


def test_many_threads_share_two_workers(pool):
    files = [dicom(np.full((8, 8), value, np.uint16)) for value in range(24)]
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda data: read_file(data, pool=pool), files))
    assert [int(result.images[0].pixels[0, 0]) for result in results] == list(range(24))
    assert len(pool.pids()) <= 2


def test_a_closed_pool_says_so_and_leaves_no_process():
    pool = Pool(2)
    pool.warm_up(2)
    pids = pool.pids()
    pool.close()
    assert len(pids) == 2
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert isinstance(read_file(FILM, pool=pool).error, MedImgError)


def test_warming_up_starts_what_was_asked_for_and_no_more(own_pool):
    own_pool.warm_up(5)
    before = own_pool.pids()
    own_pool.warm_up()
    assert len(before) == 1
    assert own_pool.pids() == before


def test_the_default_pool_starts_lazily_and_again_after_a_shutdown():
    isolation.shutdown()
    assert isolation.default_pool().pids() == ()
    isolation.warm_up()
    (first,) = isolation.default_pool().pids()
    isolation.shutdown()
    assert not Path(f"/proc/{first}").exists()
    assert read_file(FILM).error is None
    isolation.shutdown()


def test_a_worker_is_confined_and_light(own_pool):
    assert read_file(FILM, pool=own_pool).error is None
    (pid,) = own_pool.pids()
    limits = Path(f"/proc/{pid}/limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert rows["Max address space"] == str(WORKER_MEMORY_BYTES)
    assert rows["Max file size"] == rows["Max core file size"] == "0"
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert not [name for name in ("tensorflow", "streamlit", "cv2", "libgdcm") if name in maps]
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident < 150 << 20
    for stream in (1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{stream}") == "/dev/null"


def test_the_asking_process_never_loads_a_dicom_library():
    code = "import sys, medimg_core.io; print([m for m in ('pydicom', 'PIL', 'cv2', 'tensorflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_worker_ends_with_the_process_that_asked():
    code = (
        "import sys, os; from medimg_core.io import Pool; p = Pool(1); p.warm_up(); print(*p.pids(), flush=True);"
        "os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    path = Path(f"/proc/{int(done.stdout)}")
    waited = threading.Event()
    for _ in range(200):
        if not path.exists() or "Z" in path.joinpath("stat").read_text().rsplit(")", 1)[1].split()[0]:
            break
        waited.wait(0.1)
    else:
        raise AssertionError("the worker lives on")


FULL = Image(
    pixels=ramp().astype(np.float32),
    photometric="MONOCHROME1",
    digest="",
    bits=12,
    format="DICOM",
    spacing=Spacing(0.1, 0.2, "PixelSpacing"),
    windows=(Window(40, 400, "SIGMOID", "Lung"), Window(1, 2)),
    voi_lut=VoiLut(3.0, np.arange(5, dtype=np.float32), 8),
    padding=-2000.0,
    modality="CT",
    position=(1.0, 2.0, 3.0),
    orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    patient_orientation=("L", "FP"),
    age_years=45.5,
    synthetic=True,
)


def exchange(*messages):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for message, buffers in messages:
            wire.send(ours, message, *buffers)
        return wire.receive(theirs, 1 << 20)


def test_an_image_travels_unchanged():
    image = wire.unpack_image(*exchange(wire.pack_image(FULL)))
    for name in Image.__slots__:
        if name not in ("pixels", "voi_lut"):
            assert getattr(image, name) == getattr(FULL, name), name
    np.testing.assert_array_equal(image.pixels, FULL.pixels)
    np.testing.assert_array_equal(image.voi_lut.table, FULL.voi_lut.table)
    assert with_digest(image).digest == with_digest(FULL).digest
    assert not image.pixels.flags.writeable


def test_an_answer_may_not_claim_more_than_the_limit():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        wire.send(ours, {}, bytes(100))
        with pytest.raises(ValueError, match="limit"):
            wire.receive(theirs, 99)
        ours.sendall(b"\xff\xff\xff\xff")
    with pytest.raises(wire.Closed):
        exchange_nothing()


def exchange_nothing():
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        wire.receive(theirs, 10)


@pytest.mark.parametrize(
    "change",
    [
        {"windows": (Window(1, 2),)},
        {"photometric": "MONOCHROME2"},
        {"padding": None},
        {"bits": 8},
        {"patient_orientation": None},
        {"patient_orientation": ("R", "FP")},
    ],
)
def test_the_digest_depends_on_everything_that_is_shown(change):
    from dataclasses import replace

    assert with_digest(replace(FULL, **change)).digest != with_digest(FULL).digest
    assert with_digest(replace(FULL, spacing=None)).digest == with_digest(FULL).digest
