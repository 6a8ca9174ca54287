"""Both engines are one network: the same protocol, the same answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from medimg_core.catalog import read_card, write_hashes
from medimg_core.errors import ModelUnavailable
from medimg_core.inference import runtime_for
from medimg_core.inference.keras_runtime import KerasRuntime
from medimg_core.inference.litert import LiteRTRuntime
from model_folder import TINY_BASELINE, TINY_MODEL, copy_model

pytestmark = pytest.mark.slow

ONE = np.ones(1, np.float32)


@pytest.mark.parametrize("folder", [TINY_MODEL, TINY_BASELINE], ids=lambda p: p.name)
def test_keras_and_litert_agree(folder: Path) -> None:
    card = read_card(folder)
    keras, litert = runtime_for(card, "keras"), LiteRTRuntime(card)
    with np.load(folder / "golden.npz") as golden:
        inputs = golden["inputs"]
    for x in inputs:
        a, b = keras.predict(x), litert.predict(x)
        np.testing.assert_allclose(a.logits, b.logits, atol=5e-5)
        np.testing.assert_allclose(a.features, b.features, atol=5e-5 * max(1.0, float(b.features.max())))
        (fa, ga), (fb, gb) = keras.cam_gradient(x, ONE), litert.cam_gradient(x, ONE)
        np.testing.assert_allclose(fa.logits, fb.logits, atol=5e-5)
        assert ga.shape == gb.shape
        assert np.corrcoef(ga.ravel(), gb.ravel())[0, 1] > 0.9999
        (la, ia), (lb, ib) = keras.input_gradient(x, ONE), litert.input_gradient(x, ONE)
        np.testing.assert_allclose(la, lb, atol=5e-5)
        assert ia.shape == ib.shape == x.shape
        assert np.corrcoef(ia.ravel(), ib.ravel())[0, 1] > 0.9999
    assert (keras.head is None) == (litert.head is None)
    assert keras.engine == "keras"
    assert keras.nbytes > 0


def test_threads_share_one_network() -> None:
    card = read_card(TINY_MODEL)
    runtime = KerasRuntime(card)
    with np.load(TINY_MODEL / "golden.npz") as golden:
        films = [golden["inputs"][i % 2] * np.float32(1 - 0.01 * i) for i in range(8)]
    alone = [runtime.predict(x).logits for x in films]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda x: runtime.predict(x).logits, films))
    np.testing.assert_array_equal(together, alone)


def test_a_changed_network_is_not_loaded(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "changed")
    with (folder / "model.keras").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(ModelUnavailable, match=r"model\.keras"):
        KerasRuntime(read_card(folder))


def test_a_file_that_is_no_network_is_unavailable(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "broken")
    (folder / "model.keras").write_bytes(b"no archive")
    write_hashes(folder)
    with pytest.raises(ModelUnavailable, match="cannot be opened"):
        KerasRuntime(read_card(folder))
