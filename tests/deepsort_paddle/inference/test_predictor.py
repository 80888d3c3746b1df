from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from deepsort_paddle.inference import predictor as _predictor
from deepsort_paddle.inference.predictor import CPU_BATCH_SIZES, Predictor


def save_onnx(path: Path, batch: int | str = "N") -> Path:
    """A network that returns each row's sum over its last axis."""
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"author": "test"})
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def conv_network(tmp_path_factory: pytest.TempPathFactory, paddle: Any, export_layer: Callable) -> Path:
    """Convolutions whose calls take long enough to overlap when threads share them."""
    paddle.seed(0)
    layer = paddle.nn.Sequential(
        paddle.nn.Conv2D(3, 16, 3, stride=2),
        paddle.nn.ReLU(),
        paddle.nn.Conv2D(16, 32, 3, stride=2),
        paddle.nn.ReLU(),
        paddle.nn.AdaptiveAvgPool2D(1),
        paddle.nn.Flatten(),
    )
    prefix = tmp_path_factory.mktemp("conv") / "inference"
    export_layer(layer, prefix, [("x", [None, 3, 64, 64], "float32")])
    return prefix.with_suffix(".json")


def test_threads_that_share_a_predictor_each_get_their_own_rows(conv_network: Path) -> None:
    # One bare Paddle predictor of a MobileNetV3 gave 8 threads wrong rows in 60 to 100 % of their calls.
    predictor = Predictor(conv_network, device="cpu", threads=1)
    batches = np.random.default_rng(0).normal(size=(8, 4, 3, 64, 64)).astype(np.float32)
    want = [predictor.run(batch) for batch in batches]
    assert not np.allclose(want[0], want[1])

    def runs(at: int) -> bool:
        return all(np.array_equal(predictor.run(batches[at]), want[at]) for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(runs, range(8)))


def test_rows_do_not_depend_on_the_size_of_the_batch(conv_network: Path) -> None:
    predictor = Predictor(conv_network, device="cpu", threads=1)
    batch = np.random.default_rng(1).normal(size=(37, 3, 64, 64)).astype(np.float32)
    alone = np.concatenate([predictor.run(batch[i : i + 1]) for i in range(37)])
    for count in (1, 2, 3, 5, 13, 16, 17, 37):
        np.testing.assert_allclose(predictor.run(batch[:count]), alone[:count], atol=1e-5)


def test_only_a_few_batch_sizes_reach_paddle_and_none_over_the_largest_reaches_others(
    conv_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = CPU_BATCH_SIZES[-1]
    for network, wanted in (
        (conv_network, set(CPU_BATCH_SIZES)),
        (save_onnx(tmp_path / "sum.onnx"), set(range(1, largest + 1))),
    ):
        predictor = Predictor(network, device="cpu")
        sizes: set[int] = set()

        def record(feeds: Any, sizes: set[int] = sizes) -> Any:
            (rows,) = feeds.values()
            sizes.add(len(rows))
            return [rows.sum(axis=1)]

        monkeypatch.setattr(predictor, "run_feeds", record)
        for count in range(1, 70):
            rows = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
            np.testing.assert_array_equal(predictor.run(rows), rows.sum(axis=1))
        assert sizes == wanted


def test_an_onnx_export_with_a_fixed_batch_runs_any_number_of_rows(tmp_path: Path) -> None:
    predictor = Predictor(save_onnx(tmp_path / "sum.onnx", batch=2), device="cpu")
    rows = np.arange(15, dtype=np.float32).reshape(5, 3)
    np.testing.assert_array_equal(predictor.run(rows), rows.sum(axis=1))


def test_an_onnx_export_tells_its_inputs_and_metadata(tmp_path: Path) -> None:
    predictor = Predictor(save_onnx(tmp_path / "sum.onnx"), device="auto", threads=1)
    assert predictor.input_names == ("x",)
    assert predictor.input_shapes == ((-1, 3),)
    assert predictor.metadata == {"author": "test"}


def test_the_older_paddle_format_opens_as_well(tmp_path: Path, paddle: Any) -> None:
    script = f"""
import warnings
warnings.simplefilter("ignore")
import paddle
layer = paddle.nn.Linear(3, 1, weight_attr=paddle.nn.initializer.Constant(2.0))
paddle.jit.save(layer, {str(tmp_path / "old")!r}, [paddle.static.InputSpec([None, 3], "float32", "x")])
"""
    environment = {"FLAGS_enable_pir_api": "0", "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, capture_output=True)
    predictor = Predictor(tmp_path / "old.pdmodel", device="cpu", exported_with="2.6.2")
    np.testing.assert_allclose(predictor.run(np.ones((5, 3), np.float32)), np.full((5, 1), 6))


def test_an_export_of_a_newer_paddle_is_refused_before_it_is_opened() -> None:
    check = _predictor._check_version
    with pytest.raises(OSError, match=r"exported by Paddle 3.3.1, cannot be opened by .* Paddle 2.6.2"):
        check(Path("inference.json"), "3.3.1", "2.6.2")
    with pytest.raises(OSError, match="exported by Paddle 3 or later"):
        check(Path("inference.json"), None, "2.6.2")
    check(Path("inference.pdmodel"), "2.4.0", "3.3.1")
    check(Path("inference.json"), "3.3.1", "3.2.2")
    check(Path("inference.json"), "3.3.1", "0.0.0")


def test_missing_paddle_is_one_line_that_says_what_to_install(
    conv_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_import = builtins.__import__

    def without_paddle(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "paddle" or name.startswith("paddle."):
            raise ModuleNotFoundError("No module named 'paddle'", name="paddle")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_paddle)
    with pytest.raises(ImportError, match="is not installed: pip install paddlepaddle"):
        Predictor(conv_network)


def test_opening_and_running_a_network_prints_nothing(conv_network: Path) -> None:
    script = f"""
import numpy as np
from deepsort_paddle.inference.predictor import Predictor
Predictor({str(conv_network)!r}, device="cpu").run(np.zeros((2, 3, 64, 64), np.float32))
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("device", ["", "cuda", "gpu:", "gpu:x", "cpu:0", "auto:1"])
def test_unknown_devices_are_refused(tmp_path: Path, device: str) -> None:
    with pytest.raises(ValueError, match="device must be auto, cpu, gpu or gpu:N, got"):
        Predictor(save_onnx(tmp_path / "sum.onnx"), device=device)


def test_a_gpu_that_is_not_there_is_refused(conv_network: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="device gpu:99 is not available"):
        Predictor(conv_network, device="gpu:99")


def test_bad_arguments_and_files_are_refused(tmp_path: Path, conv_network: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone.json: no such file"):
        Predictor(tmp_path / "gone.json")
    with pytest.raises(ValueError, match="threads must be 1 or more, got 0"):
        Predictor(conv_network, threads=0)
    (tmp_path / "net.bin").touch()
    with pytest.raises(ValueError, match=r"expected a network that ends in .json, .pdmodel or .onnx"):
        Predictor(tmp_path / "net.bin")
    (tmp_path / "net.onnx").write_bytes(b"not a network")
    with pytest.raises(OSError, match="ONNX Runtime cannot open it"):
        Predictor(tmp_path / "net.onnx")
    (tmp_path / "net.json").write_text("{")
    with pytest.raises(FileNotFoundError, match=r"net.pdiparams: no such file"):
        Predictor(tmp_path / "net.json")
    (tmp_path / "net.pdiparams").touch()
    with pytest.raises(OSError, match=r"Paddle .* cannot open it"):
        Predictor(tmp_path / "net.json", device="cpu")


def test_arrays_that_the_network_rejects_are_named(conv_network: Path) -> None:
    predictor = Predictor(conv_network, device="cpu")
    with pytest.raises(ValueError, match=r"the network rejects x float32 \(1, 4, 64, 64\): ") as caught:
        predictor.run(np.zeros((1, 4, 64, 64), np.float32))
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="no array for the network's input 'x'"):
        predictor.run_feeds({})
    with pytest.raises(ValueError, match="batch must have at least one row"):
        predictor.run(np.zeros((0, 3, 64, 64), np.float32))
    # A rejected call leaves the predictor usable.
    assert predictor.run(np.zeros((1, 3, 64, 64), np.float32)).shape == (1, 32)
