from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from medimg_core.catalog import ModelCard, read_card, write_hashes
from medimg_core.errors import ModelUnavailable
from medimg_core.inference.litert import LiteRTRuntime
from model_folder import TINY_MODEL, copy_model

ONE = np.ones(1, np.float32)


@pytest.fixture
def inputs(tiny_model: ModelCard) -> np.ndarray:
    with np.load(tiny_model.folder / "golden.npz") as golden:
        return golden["inputs"]


def test_the_other_side_is_the_gradient_turned_round(tiny_baseline: ModelCard, inputs: np.ndarray) -> None:
    runtime = LiteRTRuntime(tiny_baseline)
    _, forward = runtime.cam_gradient(inputs[0], ONE)
    _, against = runtime.cam_gradient(inputs[0], -ONE)
    np.testing.assert_array_equal(against, -forward)


def test_the_input_gradient_predicts_a_small_step(tiny_baseline: ModelCard, inputs: np.ndarray) -> None:
    # A directional derivative by central differences, summed in the direction of the gradient itself.
    runtime = LiteRTRuntime(tiny_baseline)
    x = inputs[0]
    _, gradient = runtime.input_gradient(x, ONE)
    step = 1e-3 * gradient / np.linalg.norm(gradient)
    difference = runtime.predict(x + step).logits - runtime.predict(x - step).logits
    assert float(difference[0]) / 2e-3 == pytest.approx(float(np.linalg.norm(gradient)), rel=2e-2)


def test_one_and_two_threads_answer_the_same_bits(tiny_model: ModelCard, inputs: np.ndarray) -> None:
    one, two = LiteRTRuntime(tiny_model, threads=1), LiteRTRuntime(tiny_model, threads=2)
    for x in inputs:
        np.testing.assert_array_equal(one.predict(x).features, two.predict(x).features)
        np.testing.assert_array_equal(one.input_gradient(x, ONE)[1], two.input_gradient(x, ONE)[1])


def test_eight_threads_never_mix_their_films(tiny_model: ModelCard, inputs: np.ndarray) -> None:
    runtime = LiteRTRuntime(tiny_model)
    films = [inputs[i % 2] * np.float32(1 - 0.01 * i) for i in range(16)]
    alone = [(runtime.predict(x).logits, runtime.input_gradient(x, ONE)[1]) for x in films]

    def ask(i: int) -> tuple[int, np.ndarray, np.ndarray]:
        x = films[i % 16]
        return i % 16, runtime.predict(x).logits, runtime.input_gradient(x, ONE)[1]

    with ThreadPoolExecutor(8) as threads:
        for i, logits, gradient in threads.map(ask, range(160)):
            np.testing.assert_array_equal(logits, alone[i][0])
            np.testing.assert_array_equal(gradient, alone[i][1])


def test_an_answer_outlives_the_next_question(tiny_model: ModelCard, inputs: np.ndarray) -> None:
    runtime = LiteRTRuntime(tiny_model, interpreters=1)
    first = runtime.predict(inputs[0])
    kept = first.features.copy()
    runtime.predict(inputs[1])
    np.testing.assert_array_equal(first.features, kept)


def test_views_and_other_types_are_taken_as_they_are(tiny_model: ModelCard, inputs: np.ndarray) -> None:
    runtime = LiteRTRuntime(tiny_model)
    mirrored = inputs[0][:, ::-1]
    np.testing.assert_array_equal(runtime.predict(mirrored).logits, runtime.predict(mirrored.copy()).logits)


@pytest.mark.parametrize("shape", [(64, 64, 1), (32, 64, 3), (1, 64, 64, 3)])
def test_another_size_is_refused_and_not_resized(tiny_model: ModelCard, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"the network takes \(64, 64, 3\)"):
        LiteRTRuntime(tiny_model).predict(np.zeros(shape, np.float32))


def test_weights_for_other_outputs_are_refused(tiny_model: ModelCard, inputs: np.ndarray) -> None:
    with pytest.raises(ValueError, match="1 outputs"):
        LiteRTRuntime(tiny_model).cam_gradient(inputs[0], np.ones(2, np.float32))


def test_a_file_without_a_signature_says_so(tiny_model: ModelCard, inputs: np.ndarray) -> None:
    with pytest.raises(ModelUnavailable, match="exported without the signature places_gradient"):
        LiteRTRuntime(tiny_model).places_gradient(inputs[0], np.ones((4, 4, 1), np.float32))


def test_only_a_pooled_head_has_weights(tiny_model: ModelCard, tiny_baseline: ModelCard) -> None:
    head = LiteRTRuntime(tiny_model).head
    assert head is not None
    assert (head[0].shape, head[1].shape) == ((24, 1), (1,))
    assert not head[0].flags.writeable
    assert LiteRTRuntime(tiny_baseline).head is None


def test_a_file_that_is_no_network_is_unavailable(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "broken")
    (folder / "model.tflite").write_bytes(b"no flatbuffer")
    write_hashes(folder)
    with pytest.raises(ModelUnavailable, match="cannot be opened"):
        LiteRTRuntime(read_card(folder))


def test_a_changed_head_is_unavailable(tmp_path: Path) -> None:
    folder = copy_model(TINY_MODEL, tmp_path / "changed")
    np.savez(folder / "head.npz", kernel=np.ones((24, 1), np.float32), bias=np.zeros(1, np.float32))
    with pytest.raises(ModelUnavailable, match=r"head\.npz"):
        LiteRTRuntime(read_card(folder))


def test_memory_is_counted_with_the_interpreters_in_use(tiny_model: ModelCard, inputs: np.ndarray) -> None:
    runtime = LiteRTRuntime(tiny_model, interpreters=2)
    file = (TINY_MODEL / "model.tflite").stat().st_size
    one = runtime.nbytes
    assert one > 5 * file
    with runtime._borrowed(), runtime._borrowed():
        pass
    assert runtime.nbytes == 2 * one - file


def test_memory_is_counted_with_what_was_asked_for(tiny_model: ModelCard, inputs: np.ndarray) -> None:
    runtime = LiteRTRuntime(tiny_model)
    before = runtime.nbytes
    runtime.predict(inputs[0])
    assert runtime.nbytes == before
    runtime.input_gradient(inputs[0], np.ones(tiny_model.outputs, np.float32))
    assert runtime.nbytes > 2 * before


def test_a_prediction_loads_no_tensorflow() -> None:
    program = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from model_folder import TINY_MODEL, synthetic_film\n"
        "from medimg_core.catalog import read_card\n"
        "from medimg_core.inference import predict\n"
        "assert predict(synthetic_film(), read_card(TINY_MODEL), engine='litert').prediction.scores\n"
        "print(sorted({'tensorflow', 'keras', 'scipy', 'pandas', 'matplotlib', 'streamlit'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
