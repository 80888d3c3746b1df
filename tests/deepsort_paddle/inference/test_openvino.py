from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from deepsort_paddle.inference import openvino as _openvino
from deepsort_paddle.inference.openvino import FIXED_SIZES, fixed_chunks
from deepsort_paddle.inference.predictor import Predictor

ROWS = np.random.default_rng(0).integers(0, 256, (150, 5), np.uint8)
SUMS = ROWS.astype(np.float32).sum(axis=1, keepdims=True)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A network that returns each row's sum."""
    pytest.importorskip("openvino")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["floats", "axes"], ["y"], keepdims=1),
        ],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, ["N", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "sum.onnx")
    return tmp_path / "sum.onnx"


def opened(network: Path) -> Predictor:
    return Predictor(network, device="cpu", threads=1, openvino=True)


@pytest.mark.parametrize(
    ("count", "chunks"),
    [
        (1, [1]),
        (3, [1, 1, 1]),
        (7, [8]),
        (13, [8, 4, 1]),
        (14, [16]),
        (50, [16, 16, 16, 1, 1]),
        (55, [16, 16, 16, 8]),
        (56, [64]),
        (150, [64, 64, 16, 4, 1, 1]),
    ],
)
def test_a_batch_is_put_together_from_the_sizes_there_are(count: int, chunks: list[int]) -> None:
    assert fixed_chunks(count, FIXED_SIZES) == chunks


def test_no_more_than_an_eighth_of_the_last_chunk_is_padding() -> None:
    for count in range(1, 300):
        chunks = fixed_chunks(count, FIXED_SIZES)
        assert sum(chunks[:-1]) < count
        assert 0 <= sum(chunks) - count <= chunks[-1] / 8


def test_a_small_network_is_compiled_for_the_fixed_sizes_alone(network: Path) -> None:
    predictor = opened(network)
    for count in range(1, 151):
        np.testing.assert_array_equal(predictor.run(ROWS[:count]), SUMS[:count])
    assert isinstance(predictor._run, _openvino.OpenVinoNetwork)
    assert predictor._run._pools.keys() == set(FIXED_SIZES)
    (rows,) = predictor.run_feeds({"x": ROWS[:5]})
    np.testing.assert_array_equal(rows, SUMS[:5])


def test_a_large_network_is_compiled_once_for_any_size(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_openvino, "FIXED_SIZES_LIMIT", 0)
    predictor = opened(network)
    for count in (1, 7, 16, 17, 64, 150):
        np.testing.assert_array_equal(predictor.run(ROWS[:count]), SUMS[:count])
    assert isinstance(predictor._run, _openvino.OpenVinoNetwork)
    assert predictor._run._pools.keys() == {0}


def test_a_network_of_any_width_is_not_compiled_for_fixed_sizes(network: Path) -> None:
    model = onnx.load(str(network))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "W"
    onnx.save(model, network)
    predictor = opened(network)
    assert predictor.input_shapes == ((-1, -1),)
    for width in (5, 3):
        rows = predictor.run(ROWS[:4, :width])
        np.testing.assert_array_equal(rows[:, 0], ROWS[:4, :width].sum(axis=1))
    assert isinstance(predictor._run, _openvino.OpenVinoNetwork)
    assert predictor._run._pools.keys() == {0}


def test_threads_each_get_their_own_rows_also_where_a_size_is_new(network: Path) -> None:
    predictor = opened(network)

    def runs(start: int) -> bool:
        return all(
            np.array_equal(predictor.run(ROWS[start : start + count]), SUMS[start : start + count])
            for count in range(1, 60)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(runs, range(0, 80, 10)))


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux tells where threads may run")
def test_no_thread_is_tied_to_a_core(network: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("wants two cores")
    script = f"""
import os, sys
import numpy as np
from deepsort_paddle.inference.predictor import Predictor
predictor = Predictor({str(network)!r}, device="cpu", threads=2, openvino=True)
predictor.run(np.zeros((64, 5), np.uint8))
threads = [int(name) for name in os.listdir("/proc/self/task")]
sys.exit(any(os.sched_getaffinity(thread) != os.sched_getaffinity(0) for thread in threads))
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_rows_stay_as_they_are_when_the_network_runs_again(network: Path) -> None:
    predictor = opened(network)
    first = predictor.run(ROWS[:4])
    predictor.run(ROWS[4:8])
    np.testing.assert_array_equal(first, SUMS[:4])


def test_rows_of_another_kind_are_refused_and_named(network: Path) -> None:
    predictor = opened(network)
    with pytest.raises(ValueError, match=r"rejects x float32 \(4, 5\): expected uint8 \(4, 5\)"):
        predictor.run(ROWS[:4].astype(np.float32))
    with pytest.raises(ValueError, match=r"rejects x uint8 \(4, 3\): expected uint8 \(4, 5\)"):
        predictor.run(ROWS[:4, :3])


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "bad.onnx").write_bytes(b"not a network")
    with pytest.raises(OSError, match=r"bad\.onnx: OpenVINO cannot open it"):
        opened(tmp_path / "bad.onnx")


INTERRUPTED = """
import gc, signal
from deepsort_paddle import AppearanceEncoder
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
encoder = AppearanceEncoder(backend="openvino")
del encoder
gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_after_the_last_network_is_closed_is_handled() -> None:
    pytest.importorskip("openvino")
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
